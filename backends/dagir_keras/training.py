"""Training: the lowered model, compiled by Keras. Weights are copied there before, and back after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import keras

from dagir.errors import ArgumentError, BackendError, FileError, UnsupportedOp
from dagir.modeling.model import Model
from dagir.modeling.training import Trainer, TrainingState
from dagir.support.backend_names import KERAS
from dagir.support.did_you_mean import did_you_mean
from dagir_keras import engine
from dagir_keras.callbacks import with_fresh_weights
from dagir_keras.executable import KerasExecutable
from dagir_keras.names import output_keys
from dagir_keras.registry import freeze

_MODULES = {
    "keras.optimizers": keras.optimizers,
    "keras.optimizers.schedules": keras.optimizers.schedules,
    "keras.losses": keras.losses,
    "keras.metrics": keras.metrics,
    "keras.regularizers": keras.regularizers,
}


class KerasTrainer(Trainer):
    """Trains a dagir model as the keras.Model in `.model`, which has the optimizer."""

    def __init__(self, model: Model) -> None:
        self.executable = KerasExecutable(model)
        self.model = self.executable.artifact
        for layer, keras_layer in self.executable.registry.layer_pairs():
            if layer.trainable:
                keras_layer.trainable = True
            else:
                freeze(keras_layer)

    @classmethod
    def compiled(cls, model: Model, **options: Any) -> Self:
        """Compile with keras.Model.compile's arguments."""
        trainer = cls(model)
        options = trainer._by_keys_of_keras(options)
        try:
            if isinstance(options.get("loss"), str):
                keras.losses.get(options["loss"])  # else it fails in `fit`
            trainer.model.compile(**options)
        except (TypeError, ValueError) as error:
            first = str(error).strip().partition("\n")[0].removeprefix("Trainer.compile() ")
            raise ArgumentError(
                f"model {model.name!r} cannot be compiled: {first}", remedy=_nearest(options)
            ) from error
        return trainer

    @classmethod
    def resumed(cls, model: Model, state: TrainingState) -> Self:
        """Compile by a saved state. Raises FileError where it names a class or function that is not one of Keras."""
        _check(state.config)
        trainer = cls(model)
        trainer.model.compile_from_config(state.config)
        if state.arrays:
            trainer.model.optimizer.build(trainer.model.trainable_variables)
            trainer._restore(state.arrays)
        return trainer

    def fit(self, *, callbacks: Any = None, **kwargs: Any) -> Any:
        """keras.Model.fit; the weights are copied back even where it is interrupted. Raises BackendError on NumPy.

        Callbacks find the weights of the epoch in the dagir model, and those of the batch if they look at batches.
        """
        _require_gradients()
        self.executable.push()
        try:
            fresh = with_fresh_weights(callbacks, self.executable.pull)
            return self.model.fit(callbacks=fresh, **self._by_keys_of_keras(kwargs))
        finally:
            self.executable.pull()

    def train_on_batch(self, **kwargs: Any) -> Any:
        """keras.Model.train_on_batch. Raises BackendError on NumPy."""
        _require_gradients()
        self.executable.push()
        try:
            return self.model.train_on_batch(**self._by_keys_of_keras(kwargs))
        finally:
            self.executable.pull()

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """keras.Model.evaluate."""
        self.executable.push()
        return self.model.evaluate(*args, **self._by_keys_of_keras(kwargs))

    def test_on_batch(self, **kwargs: Any) -> Any:
        """keras.Model.test_on_batch."""
        self.executable.push()
        return self.model.test_on_batch(**self._by_keys_of_keras(kwargs))

    @property
    def optimizer(self) -> Any:
        """The Keras model's optimizer."""
        return self.model.optimizer

    @property
    def metrics_names(self) -> list[str]:
        """Those of the Keras model."""
        return list(self.model.metrics_names)

    def _by_keys_of_keras(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options, those that are given by the keys of outputs by the keys that the Keras model has."""
        keys = output_keys(self.executable.signature.output_structure)
        return {name: _renamed(given, keys) if name in _BY_OUTPUT else given for name, given in options.items()}

    def state(self) -> TrainingState:
        """Compile configuration, optimizer variables, and random generators."""
        config = self.model.get_compile_config()
        if not config:
            raise UnsupportedOp(
                "the loss, metrics or optimizer are objects that Keras cannot describe as data",
                remedy="compile with names, or with Keras's own classes",
            )
        config = _portable(config, self.model.optimizer)
        _check(config)
        variables = self._variables() if self.model.optimizer.built else []
        return TrainingState(KERAS, config, tuple(engine.to_numpy(variable) for variable in variables))

    def _variables(self) -> list[Any]:
        weights = {id(variable) for variable in self.model.weights}
        generators = [variable for variable in self.model.variables if id(variable) not in weights]
        return [*self.model.optimizer.variables, *(v for v in generators if "seed" in v.path)]

    def _restore(self, arrays: Sequence[Any]) -> None:
        variables = self._variables()
        if [tuple(v.shape) for v in variables] != [array.shape for array in arrays]:
            raise FileError(
                "the saved state of the optimizer is not that of this model's optimizer",
                remedy="call model.compile(...) again where other weights train than then",
            )
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)


def _require_gradients() -> None:
    if engine.ENGINE == "numpy":
        raise BackendError(
            "Keras computes with NumPy here, which has no gradients to train by",
            remedy="set KERAS_BACKEND to jax, torch or tensorflow before Keras is imported",
        )


_BY_OUTPUT = ("loss", "loss_weights", "metrics", "weighted_metrics", "y", "sample_weight", "validation_data")


def _renamed(given: Any, keys: Mapping[Any, Any]) -> Any:
    if isinstance(given, tuple):
        return tuple(_renamed(part, keys) for part in given)
    if isinstance(given, Mapping) and keys.keys() >= given.keys():
        return {keys[key]: part for key, part in given.items()}
    return given


def _portable(config: dict[str, Any], optimizer: Any) -> dict[str, Any]:
    """The configuration with Keras's public optimizer, where on PyTorch a class of Keras's own stands for it."""
    described = config.get("optimizer")
    public = [base for base in type(optimizer).__mro__ if vars(keras.optimizers).get(base.__name__) is base]
    if not isinstance(described, dict) or not public or not type(optimizer).__module__.startswith("keras.src.backend."):
        return config
    known = {**described, "module": "keras.optimizers", "class_name": public[0].__name__, "registered_name": None}
    return {**config, "optimizer": known}


_SHORT = ("mse", "mae", "mape", "msle", "kld")  # names of losses that are no attributes of keras.losses


def _nearest(options: dict[str, Any]) -> str | None:
    """A hint at similar names, where no optimizer or loss has the given name."""
    for what, given in (("optimizers", options.get("optimizer")), ("losses", options.get("loss"))):
        known = [*_SHORT, *(name.lower() for name in dir(getattr(keras, what)) if not name.startswith("_"))]
        if isinstance(given, str) and given.lower() not in known:
            return did_you_mean(given.lower(), known) or f"keras.{what} lists them"
    return None


def _check(config: Any) -> None:
    """Raise FileError unless every object that the configuration names is a class or function of Keras itself."""
    if isinstance(config, dict):
        if "class_name" in config or "module" in config:
            module, name = config.get("module"), config.get("class_name")
            known = _MODULES.get(str(module))
            found = module == "builtins" and name == "function" and isinstance(config.get("config"), str)
            if not found and (known is None or not hasattr(known, str(name))):
                raise FileError(
                    f"the training configuration names {module}.{name}, which is none of Keras's optimizers, losses "
                    "and metrics",
                    remedy="compile the loaded model again: model.compile(...)",
                )
        for part in config.values():
            _check(part)
    elif isinstance(config, (list, tuple)):
        for part in config:
            _check(part)
