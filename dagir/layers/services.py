"""What layers call of the floors above: `dagir/wiring.py` binds it."""

from __future__ import annotations

from typing import Any

from dagir.support.late_binding import LateBound

reduced_layer: LateBound[..., tuple[Any, ...]] = LateBound("reduced_layer")
