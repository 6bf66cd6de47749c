"""Training: the lowered model, compiled by Keras; weights go there before, and come back after."""

from __future__ import annotations

from typing import Any

from dagir.model import Model
from dagir.training import Trainer
from dagir_keras.executable import KerasExecutable


class KerasTrainer(Trainer):
    """A keras.Model that stands for a dagir model while it trains. `.model` is it; the optimizer lives there."""

    def __init__(self, model: Model, **options: Any) -> None:
        self.executable = KerasExecutable(model)
        self.model = self.executable.artifact
        for layer, made in self.executable.registry.layers.items():
            made.trainable = layer.trainable
        self.model.compile(**options)

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """keras.Model.fit; what was learned is kept even where it is interrupted."""
        self.executable.push()
        try:
            return self.model.fit(*args, **kwargs)
        finally:
            self.executable.pull()

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """keras.Model.evaluate."""
        self.executable.push()
        return self.model.evaluate(*args, **kwargs)
