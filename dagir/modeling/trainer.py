"""What a backend that trains offers, and the training progress of a model."""

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
    """The compile arguments and the training progress of a model, as plain data and arrays for a file.

    backend: the name of the backend that trains. config: its own JSON-like description. arrays: the optimizer's
    variables and the states of random generators, in an order that the backend knows.
    """

    backend: str
    config: dict[str, object]
    arrays: tuple[Array, ...]


class Trainer(ABC):
    """A model lowered and compiled for training. It keeps the weights of the dagir model up to date."""

    @abstractmethod
    def fit(self, **arguments: object) -> History:
        """Train. The dagir model has the new weights afterwards, even if training was interrupted."""

    @abstractmethod
    def evaluate(self, **arguments: object) -> Any:
        """Loss and metrics of the model as it is."""

    @abstractmethod
    def train_on_batch(self, **arguments: object) -> Any:
        """One step of the optimizer. The dagir model has the new weights afterwards."""

    @abstractmethod
    def test_on_batch(self, **arguments: object) -> Any:
        """Loss and metrics on one batch."""

    @property
    @abstractmethod
    def optimizer(self) -> Any:
        """The optimizer, an object of the framework that trains."""

    @property
    @abstractmethod
    def metrics_names(self) -> list[str]:
        """What `evaluate` gives, in order."""

    @abstractmethod
    def state(self) -> TrainingState:
        """What `Backend.resume` needs to continue from here. Raises UnsupportedOp for state that a file cannot hold."""


class TrainingBackend(Protocol):
    """The part of a backend that trains."""

    def trainer(self, model: Any, **options: object) -> Trainer:
        """Compile a model for training."""

    def resume(self, model: Any, state: TrainingState) -> Trainer:
        """Compile a model as it was, and continue where its training stopped."""
