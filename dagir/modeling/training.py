"""compile, fit, evaluate, predict: tf.keras trains, and the weights come back into the model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from dagir.errors import ArgumentError
from dagir.ir.types import Array
from dagir.modeling import services
from dagir.modeling.signature import Signature
from dagir.support.backend_names import KERAS, NUMPY


@dataclass(frozen=True)
class TrainingState:
    """The compile arguments and the training progress of a model, as plain data and arrays for a file.

    backend: the name of the backend that trains. config: its own JSON-like description. arrays: the optimizer's
    variables and the states of random generators, in an order that the backend knows.
    """

    backend: str
    config: dict[str, Any]
    arrays: tuple[Array, ...]


class Trainer(ABC):
    """A model lowered and compiled for training. It keeps the weights of the dagir model up to date."""

    @abstractmethod
    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Train. The dagir model has the new weights afterwards, even if training was interrupted."""

    @abstractmethod
    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Loss and metrics of the model as it is."""

    @abstractmethod
    def state(self) -> TrainingState:
        """What `Backend.resume` needs to continue from here. Raises UnsupportedOp for state that a file cannot hold."""


class Trainable:
    """The training half of a Model. Arguments are those of keras.Model's methods."""

    name: str

    @property
    def signature(self) -> Signature:
        """Names, types and structures of inputs and outputs."""
        raise NotImplementedError

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, **options: Any) -> None:
        """Choose optimizer, loss, metrics, loss_weights, ... as keras.Model.compile does."""
        self._trainer: Trainer = services.backend(KERAS).trainer(self, optimizer=optimizer, loss=loss, **options)
        self._training_state: TrainingState | None = None

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Train as keras.Model.fit does; returns its History. Raises ArgumentError before `compile`."""
        return self._compiled().fit(*args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluate as keras.Model.evaluate does. Raises ArgumentError before `compile`."""
        return self._compiled().evaluate(*args, **kwargs)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
        *,
        backend: str = NUMPY,
        **options: Any,
    ) -> Any:
        """The outputs for arrays, in batches, on any backend; inputs are cast to the model's dtypes.

        batch_size: 32 by default. steps: how many batches, all by default. verbose: Keras's; nothing is printed.
        options: the backend's. Returns arrays in the structure of the model's outputs. Raises FeedError, ArgumentError.
        """
        if callbacks:
            raise ArgumentError("predict takes no callbacks", remedy="dagir.to_keras(model).predict(x, callbacks=...)")
        return services.predict(self, x, 32 if batch_size is None else batch_size, steps, backend, options)

    def _compiled(self) -> Trainer:
        trainer: Trainer | None = getattr(self, "_trainer", None)
        saved: TrainingState | None = getattr(self, "_training_state", None)
        if trainer is None and saved is not None:
            self._trainer = trainer = services.backend(saved.backend).resume(self, saved)
        if trainer is None:
            raise ArgumentError(
                f"model {self.name!r} is not compiled", remedy="call model.compile(optimizer, loss) first"
            )
        return trainer

    @property
    def training_state(self) -> TrainingState | None:
        """The compile arguments and the training progress, for `save`; None if the model was never compiled."""
        trainer: Trainer | None = getattr(self, "_trainer", None)
        return trainer.state() if trainer is not None else getattr(self, "_training_state", None)

    def restore_training(self, state: TrainingState) -> None:
        """Let the next `fit` continue from a saved state, which is loaded then and not before."""
        self._training_state = state
