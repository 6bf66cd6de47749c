"""What a report calls of those that write it down, which import it: `dagir/wiring.py` binds it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dagir.support.late_binding import LateBound

write_page: LateBound[[Any, str | os.PathLike[str], bool], Path] = LateBound("write_page")
write_reproduction: LateBound[[str | os.PathLike[str], Any, bool], Path] = LateBound("write_reproduction")
