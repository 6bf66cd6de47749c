"""The oracle: the float64 interpreter on the graph as written, and what rounding may make of its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dagir.backend import backend, graph_of
from dagir.equivalence.budget import Noise, allowance
from dagir.graph import Graph
from dagir.model import Model
from dagir.types import Array


@dataclass(frozen=True)
class Expected:
    """One output: the right answer, the budget of each element (floats), and what else rounding may give (the rest)."""

    array: Array
    budget: Array | None
    variants: tuple[Array, ...] = ()


class Oracle:
    """The right answers of a model, and their error budgets."""

    def __init__(self, model: Model | Graph, samples: int) -> None:
        self.graph = graph_of(model)
        self.samples = samples
        self._exe: Any = backend("numpy").lower(model, precision="float64")

    def arrange(self, feeds: Any) -> list[Array]:
        """The arrays of a feed, in the order of the inputs. Raises FeedError."""
        arrays: list[Array] = self._exe.arrange((feeds,))
        self._exe.bind(arrays)
        return arrays

    def __call__(self, arrays: Sequence[Array], rng: np.random.Generator) -> list[Expected]:
        """Evaluate once as it is, then `samples` times with noise. Raises what the interpreter raises."""
        noise = Noise(rng)
        answers = self._exe.trace(arrays, noise.learn)
        disturbed = [self._exe.trace(arrays, noise.disturb) for _ in range(self.samples)]
        found = []
        for place, (value, answer) in enumerate(zip(self.graph.outputs, answers, strict=True)):
            others = [sample[place] for sample in disturbed]
            if value.dtype.is_float:
                found.append(Expected(answer, allowance(answer, others, value.dtype)))
            else:
                found.append(Expected(answer, None, tuple(others)))
        return found
