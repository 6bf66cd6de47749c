"""Functions of higher floors that layers call; `dagir/wiring.py` binds them."""

from __future__ import annotations

from typing import Any

from dagir.support.late_binding import LateBound

reduced_layer: LateBound[..., tuple[Any, ...]] = LateBound("reduced_layer")
