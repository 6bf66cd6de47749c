"""Functions of higher floors that passes call; `dagir/wiring.py` binds them."""

from __future__ import annotations

from collections.abc import Sequence

from dagir.ir.graph import Node
from dagir.ir.types import Array
from dagir.support.late_binding import LateBound

evaluate_node: LateBound[[Node, Sequence[Array | None]], list[Array]] = LateBound("evaluate_node")
