"""What a backend that trains offers, and the state in which training stands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

from dagir.ir.types import Array


class History(Protocol):
    """What `fit` returns: keras.callbacks.History."""

    history: dict[str, list[float]]
    epoch: list[int]
    params: dict[str, Any]


@dataclass(frozen=True)
class TrainingState:
    """How a model was compiled, and where its training stands, as plain data and arrays for a file.

    backend: the name of the backend that trains. config: its own JSON-like description. arrays: the optimizer's
    variables and the states of random generators, in an order that the backend knows.
    """

    backend: str
    config: dict[str, object]
    arrays: tuple[Array, ...]


class Trainer(ABC):
    """What a backend that trains offers: the model lowered and compiled, weights in step with the dagir model."""

    @abstractmethod
    def fit(self, **arguments: object) -> History:
        """Train; the dagir model has the new weights afterwards, however training ended."""

    @abstractmethod
    def evaluate(self, **arguments: object) -> Any:
        """Loss and metrics of the model as it is."""

    @abstractmethod
    def state(self) -> TrainingState:
        """What `Backend.resume` needs to go on exactly here. Raises UnsupportedOp for what a file cannot hold."""


class TrainingBackend(Protocol):
    """The part of a backend that trains."""

    def trainer(self, model: Any, **options: object) -> Trainer:
        """Compile a model for training."""

    def resume(self, model: Any, state: TrainingState) -> Trainer:
        """Compile a model as it was, and go on where its training stopped."""
