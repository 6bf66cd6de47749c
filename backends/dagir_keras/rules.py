"""The table of Keras rules. A rule takes the op and one tensor per operand, and computes with keras.ops.

rule(op, *tensors) -> tensor, or a tuple of them. None stands for an absent operand. Tensors are KerasTensors while a
functional model is built, and tensors of the backend inside a layer. Layers that Keras has are not lowered by these
rules: they become layers of Keras, see `planner`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dagir.ir.graph import Op
from dagir.runtime.families import load_families
from dagir.runtime.rules import Rules
from dagir.support.backend_names import KERAS


class _FamilyRules(Rules[Callable[..., Any]]):
    """The rules of all family modules of this package. The first look-up imports these modules, and Keras with them."""

    _complete = False

    def _load(self) -> None:
        if not self._complete:
            self._complete = True
            load_families("dagir_keras")

    def __getitem__(self, op: type[Op]) -> Callable[..., Any]:
        self._load()
        return super().__getitem__(op)

    def __contains__(self, op: type[Op]) -> bool:
        self._load()
        return super().__contains__(op)

    def __iter__(self) -> Iterator[type[Op]]:
        self._load()
        return super().__iter__()

    @property
    def gaps(self) -> Mapping[type[Op], str]:
        """The declared gaps with their reasons."""
        self._load()
        return super().gaps


rules: Rules[Callable[..., Any]] = _FamilyRules(KERAS)
