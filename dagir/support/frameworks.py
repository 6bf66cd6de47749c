"""Objects of other frameworks, recognized by the module of their class, since dagir imports no framework."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Protocol

from dagir.errors import ArgumentError, DagirError

_FRAMEWORKS = {"keras": "Keras", "tf_keras": "Keras", "tensorflow": "TensorFlow", "torch": "PyTorch", "jax": "JAX"}
_KERAS = {"keras", "tf_keras"}


class OnnxModel(Protocol):
    """An onnx.ModelProto for a type checker."""

    def SerializeToString(self) -> bytes:  # noqa: N802  # protobuf's name
        """The file as bytes."""


class KerasLayer(Protocol):
    """A layer of Keras for a type checker, as far as it is told from other things."""

    def get_config(self) -> Any:
        """Its configuration."""

    def set_weights(self, weights: Any) -> Any:
        """Its weights."""

    def compute_output_spec(self, *args: object, **kwargs: object) -> Any:
        """What dagir's layers have not."""


class KerasModel(KerasLayer, Protocol):
    """A model of Keras for a type checker."""

    def train_step(self, *args: object, **kwargs: object) -> Any:
        """What dagir's models have not."""


def framework_of(thing: object) -> str | None:
    """The framework of an object, by its class or a base class, such as "Keras"; else None."""
    for cls in type(thing).__mro__:
        root = str(getattr(cls, "__module__", "")).partition(".")[0]
        if root in _FRAMEWORKS:
            return _FRAMEWORKS[root]
    return None


def is_keras_layer(thing: object) -> bool:
    """Whether an object is a layer or a model of Keras, or of a class that inherits from one."""
    return _has_base(thing, "Layer")


def is_keras_layer_class(cls: type) -> bool:
    """Whether a class is one of layers or models of Keras, or inherits from one."""
    return any(each.__name__ == "Layer" and str(each.__module__).partition(".")[0] in _KERAS for each in cls.__mro__)


def is_keras_model(thing: object) -> bool:
    """Whether an object is a model of Keras, or of a class that inherits from one."""
    return _has_base(thing, "Layer") and _has_base(thing, "Model")


def is_keras_tensor(thing: object) -> bool:
    """Whether an object is a symbolic tensor of Keras: what keras.Input returns."""
    return _has_base(thing, "KerasTensor")


def _has_base(thing: object, name: str) -> bool:
    bases = type(thing).__mro__
    return any(cls.__name__ == name and str(cls.__module__).partition(".")[0] in _KERAS for cls in bases)


def kind(thing: object) -> str:
    """A description of an object for a message: "Keras layer 'dense' (Dense)", "KerasTensor 'img'", "EagerTensor"."""
    name, cls = getattr(thing, "name", None), type(thing).__name__
    named = f" {name!r}" if isinstance(name, str) else ""
    if is_keras_layer(thing):
        what = "model" if is_keras_model(thing) else "layer"
        return f"the Keras {what}{named} ({cls})"
    if is_keras_tensor(thing):
        return f"the KerasTensor{named}"
    framework = framework_of(thing)
    return f"a {cls} of {framework}" if framework else cls


def refuse_foreign(things: Iterable[object], where: str, remedy: str | None = None) -> None:
    """Raise ArgumentError where one of the objects is another framework's. where: who got it, with its verb."""
    for thing in things:
        if framework_of(thing) is not None:
            raise ArgumentError(f"{where} {kind(thing)}", remedy=remedy or remedy_for(thing))


def refuse_function(function: object, where: str, remedy: str) -> None:
    """Raise ArgumentError for a function of another framework, such as keras.activations.relu. where: with its verb."""
    module = str(getattr(function, "__module__", ""))
    framework = _FRAMEWORKS.get(module.partition(".")[0])
    if framework is not None and callable(function):
        name = getattr(function, "__name__", type(function).__name__)
        raise ArgumentError(f"{where} no function of {framework}, got {name}", remedy=remedy)


def takes_a_model(what: str, thing: object, kinds: str = "a Model") -> DagirError:
    """The error of a function that takes a model, for another object, such as a Keras model."""
    remedy = remedy_for(thing) if framework_of(thing) else None
    return ArgumentError(f"{what} takes {kinds}, got {kind(thing)}", remedy=remedy)


def remedy_for(thing: object) -> str:
    """How an object of another framework gets into dagir."""
    if is_keras_layer(thing):
        return "dagir.from_keras(...) makes a dagir layer or model of it, or use dagir's own of the same name"
    if is_keras_tensor(thing):
        return "start from dagir.Input; what is built with Keras is read as a whole: dagir.from_keras(keras_model)"
    return "start from dagir.Input(shape=...); to compute with arrays, dagir.lower(model, 'numpy')(arrays)"


class NotATensor(ArgumentError, TypeError):
    """A value of the graph where TensorFlow wants a tensor: at a TypeError it asks its dispatchers."""


def as_tensor(name: str) -> DagirError:
    """The error for a value that a function of TensorFlow takes as a tensor of its own, where no dispatcher helps.

    Of a function of Keras only half would compute with it: that one is refused as where it reads numbers.
    """
    caller, root = _foreign_caller()
    if caller is not None or root in _KERAS:
        return as_numbers(name)
    return NotATensor(
        f"a function of TensorFlow was called on the dagir value {name!r}, and dagir has no rule for it",
        remedy="use the function of the same name in dagir.ops; dagir.from_keras(...) reads layers and models",
    )


def eager_array(thing: object) -> Any:
    """The numbers of an eager tensor of TensorFlow, which is a constant; None for any other object."""
    tensorflow = sys.modules.get("tensorflow")
    tensor = getattr(tensorflow, "Tensor", None)
    if tensor is None or not isinstance(thing, tensor) or not hasattr(thing, "numpy"):
        return None
    return thing.numpy()


def as_numbers(name: str) -> DagirError:
    """The error for a value that code outside dagir reads as an array. It names the framework, if one does it."""
    caller, root = _foreign_caller()
    if caller is not None:
        error = ArgumentError(
            f"{kind(caller)} was called on the dagir value {name!r}; it takes tensors of Keras",
            remedy=remedy_for(caller),
        )
    elif root in _FRAMEWORKS:
        error = ArgumentError(
            f"a function of {_FRAMEWORKS[root]} was called on the dagir value {name!r}, which holds no numbers yet",
            remedy="use the function of the same name in dagir.ops; dagir.from_keras(...) reads layers and models",
        )
    else:
        error = ArgumentError(
            f"{name} holds no numbers while the graph is written, so NumPy cannot use it",
            remedy="use the function of the same name in dagir.ops",
        )
    error.__dict__["_keras_call_info_injected"] = True  # else Keras raises a copy of the error, without its remedy
    return error


def _foreign_caller() -> tuple[object, str]:
    """The outermost Keras layer that is being called between the user's line and here, and the framework's package."""
    found, root = None, ""
    frame = sys._getframe(2)
    while frame is not None:
        package = frame.f_globals.get("__name__", "").partition(".")[0]
        if package in _FRAMEWORKS:
            root = package
            this = frame.f_locals.get("self")
            found = this if is_keras_layer(this) else found
        elif package not in ("dagir", "numpy") and "tensorflow" not in package:
            break
        frame = frame.f_back  # type: ignore[assignment]
    return found, root
