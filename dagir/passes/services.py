"""What passes call of the floors above: `dagir/wiring.py` binds it."""

from __future__ import annotations

from collections.abc import Sequence

from dagir.graph import Node
from dagir.support.late_binding import LateBound
from dagir.types import Array

evaluate_node: LateBound[[Node, Sequence[Array | None]], list[Array]] = LateBound("evaluate_node")
