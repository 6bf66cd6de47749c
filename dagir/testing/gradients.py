"""Strategies for ops that only matter in training."""

from __future__ import annotations

from dagir import ops
from dagir.testing.elementwise import unary_strategy

unary_strategy(ops.StopGradient)
