"""Functions that a report calls to write itself; their modules import the report, so `dagir/wiring.py` binds them."""

from __future__ import annotations

from pathlib import Path

from dagir.support.late_binding import LateBound

write_page: LateBound[..., Path] = LateBound("write_page")
write_reproduction: LateBound[..., Path] = LateBound("write_reproduction")
