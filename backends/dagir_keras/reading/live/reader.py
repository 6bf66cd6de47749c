"""Reader: what the parts of this folder ask of the reader of a live model.

LiveReader in `live_model` implements it. It imports the parts, so they cannot import it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from dagir.ir.graph import Parameter
from dagir.layers import Layer
from dagir_keras.reading.problems import Problem, Problems


@dataclass(frozen=True)
class Checkpoint:
    """What a reader has read up to a moment. maps: its tables; calls: the layers with their numbers of calls."""

    maps: tuple[dict[int, Any], ...]
    problems: tuple[Problem, ...]
    calls: Sequence[tuple[Layer, int]]


class Reader(Protocol):
    """The layers, models and weights of dagir for those of Keras, the same at each request.

    problems: all that was refused so far. done: the model is read, and what is traced later is called by the user.
    """

    problems: Problems
    done: bool

    def layer(self, source: Any, path: str) -> Layer | None:
        """The layer for a Keras layer; None where it is refused."""

    def layer_so_far(self, source: Any) -> Layer | None:
        """The layer for a Keras layer that was read already, else None."""

    def parameter(self, variable: Any) -> Parameter:
        """The weight for a Keras variable."""

    def traced_weights(self, variables: Iterable[Any]) -> list[Parameter]:
        """The weights that traced calls have read, of those for the variables, in the order in which they were read."""

    def trace(self, source: Any, path: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The values that the call of a Keras layer gives for values. Raises Refused."""

    def run(
        self, source: Any, path: str, method: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """The values that a method or a function of a Keras layer gives for values. Raises Refused."""

    def assign(self) -> None:
        """Give every weight the array of its variable."""

    def checkpoint(self) -> Checkpoint:
        """What was read so far."""

    def restore(self, to: Checkpoint) -> None:
        """Forget what was read since, or come back to it."""

    def forgets_on_failure(self) -> AbstractContextManager[None]:
        """Within it, if it fails, the weights that were read are forgotten."""
