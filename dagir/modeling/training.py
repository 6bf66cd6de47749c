"""compile, fit, evaluate, predict: tf.keras trains, and the weights come back into the model."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Never, overload

from dagir.errors import ArgumentError
from dagir.ir.types import Array
from dagir.modeling import services
from dagir.modeling.signature import Signature
from dagir.modeling.trainer import History, Trainer, TrainingState
from dagir.support.backend_names import KERAS

__all__ = ["History", "Trainable", "Trainer", "TrainingState"]


class Trainable:
    """The training half of a Model. Arguments are those of keras.Model's methods."""

    name: str

    @property
    def signature(self) -> Signature:
        """Names, types and structures of inputs and outputs."""
        raise NotImplementedError

    def compile(
        self,
        optimizer: object = "rmsprop",
        loss: object = None,
        loss_weights: float | Sequence[float] | Mapping[str, float] | None = None,
        metrics: object = None,
        weighted_metrics: object = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
        **unknown: Never,
    ) -> None:
        """Choose optimizer, loss, metrics, loss_weights, ... as keras.Model.compile does."""
        self._trainer: Trainer = services.backend(KERAS).trainer(
            self,
            optimizer=optimizer,
            loss=loss,
            loss_weights=loss_weights,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            auto_scale_loss=auto_scale_loss,
            **unknown,
        )
        self._training_state: TrainingState | None = None

    def fit(
        self,
        x: object = None,
        y: object = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: object = None,
        validation_split: float = 0.0,
        validation_data: object = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: object = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
    ) -> History:
        """Train as keras.Model.fit does; returns its History. Raises ArgumentError before `compile`."""
        return self._compiled().fit(
            x=x,
            y=y,
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=validation_data,
            shuffle=shuffle,
            class_weight=class_weight,
            sample_weight=sample_weight,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
            validation_freq=validation_freq,
        )

    @overload
    def evaluate(
        self,
        x: object = None,
        y: object = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: object = None,
        steps: int | None = None,
        callbacks: object = None,
        *,
        return_dict: Literal[True],
    ) -> dict[str, float]: ...
    @overload
    def evaluate(
        self,
        x: object = None,
        y: object = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: object = None,
        steps: int | None = None,
        callbacks: object = None,
        return_dict: bool = False,
    ) -> Any: ...
    def evaluate(
        self,
        x: object = None,
        y: object = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: object = None,
        steps: int | None = None,
        callbacks: object = None,
        return_dict: bool = False,
    ) -> Any:
        """Evaluate as keras.Model.evaluate does. Raises ArgumentError before `compile`."""
        return self._compiled().evaluate(
            x=x,
            y=y,
            batch_size=batch_size,
            verbose=verbose,
            sample_weight=sample_weight,
            steps=steps,
            callbacks=callbacks,
            return_dict=return_dict,
        )

    def train_on_batch(
        self,
        x: object,
        y: object = None,
        sample_weight: object = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One step on one batch, as keras.Model.train_on_batch does. Raises ArgumentError before `compile`."""
        return self._compiled().train_on_batch(
            x=x, y=y, sample_weight=sample_weight, class_weight=class_weight, return_dict=return_dict
        )

    def test_on_batch(
        self, x: object, y: object = None, sample_weight: object = None, return_dict: bool = False
    ) -> Any:
        """Loss and metrics on one batch, as keras.Model.test_on_batch. Raises ArgumentError before `compile`."""
        return self._compiled().test_on_batch(x=x, y=y, sample_weight=sample_weight, return_dict=return_dict)

    def predict_on_batch(self, x: object, *, backend: str | None = None, **options: object) -> Array | Any:
        """The outputs for the arrays of one batch, computed as `predict` does. Raises FeedError."""
        return services.predict(self, x, sys.maxsize, None, backend, options, self._kept_for_predict)

    @property
    def optimizer(self) -> Any:
        """Keras's optimizer, whose learning rate may be set. Raises ArgumentError before `compile`."""
        return self._compiled().optimizer

    @property
    def metrics_names(self) -> list[str]:
        """The names of what `evaluate` gives. Raises ArgumentError before `compile`."""
        return self._compiled().metrics_names

    def predict(
        self,
        x: object,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: object = None,
        *,
        backend: str | None = None,
        **options: object,
    ) -> Array | Any:
        """The outputs for arrays, in batches, on any backend; inputs are cast to the model's dtypes.

        backend: by default onnxruntime, if it is installed and takes the model, else NumPy; what ran is kept for the
        next call, until weights change. options: of the backend that is named.

        x: arrays, also memory-mapped ones, or what yields batches: a generator, a tf.data.Dataset, a PyDataset, a
        loader; of a tuple its first part is taken. batch_size: of arrays, 32 by default. steps: how many batches, all
        by default. verbose: "auto" shows a bar, and a line that names the backend, on a terminal and in notebooks; 1
        the line elsewhere too; 2 the line alone; 0 nothing. All of it goes to stderr. Returns arrays in the structure
        of the model's outputs. Raises FeedError, ArgumentError.
        """
        if callbacks:
            raise ArgumentError("predict takes no callbacks", remedy="dagir.to_keras(model).predict(x, callbacks=...)")
        return services.predict(self, x, batch_size, steps, backend, options, self._kept_for_predict, verbose)

    @property
    def _kept_for_predict(self) -> list[Any]:
        """What the last call of `predict` ran, which the next one may run again."""
        kept: list[Any] = self.__dict__.setdefault("_kept", [])
        return kept

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
