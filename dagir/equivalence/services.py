"""What a report calls of those that write it down, which import it: `dagir/wiring.py` binds it."""

from __future__ import annotations

from pathlib import Path

from dagir.support.late_binding import LateBound

write_page: LateBound[..., Path] = LateBound("write_page")
write_reproduction: LateBound[..., Path] = LateBound("write_reproduction")
