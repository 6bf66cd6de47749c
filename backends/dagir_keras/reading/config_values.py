"""The values in a configuration: plain data, and the few objects that Keras writes, from an allow-list."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagir import ops
from dagir.errors import ArgumentError
from dagir.ir.graph import Value, snake_case
from dagir.ir.types import Array, DType
from dagir.layers import activation as activations
from dagir_keras.reading import records
from dagir_keras.reading.files.keras2.functions import HARD_SIGMOID, hard_sigmoid
from dagir_keras.reading.problems import LOAD, Refused

_INITIALIZERS = {
    *("Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "LecunNormal", "LecunUniform"),
    *("Ones", "Orthogonal", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Zeros"),
}
_REGULARIZERS = {"L1", "L2", "L1L2", "OrthogonalRegularizer"}
_CONSTRAINTS = {"MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"}
_MODULES = {"initializer": "keras.initializers", "regularizer": "keras.regularizers", "constraint": "keras.constraints"}
_KNOWN = {"initializer": _INITIALIZERS, "regularizer": _REGULARIZERS, "constraint": _CONSTRAINTS}
_OLDER = {  # other names of the same
    "initializer": {"zero", "one", "normal", "uniform"},
    "regularizer": {"l1_l2"},
    "constraint": {"max_norm", "min_max_norm", "non_neg", "unit_norm"},
}


is_object = records.is_object


def training_object(kind: str, data: Any) -> Any:
    """An initializer, regularizer or constraint as Keras takes it, in plain data.

    They matter only in training, and weights are read, not drawn: what is not of Keras itself is left out.
    """
    if not is_object(data):
        return _named(kind, data) if isinstance(data, str) else None
    name, config = data["class_name"], data["config"]
    plain = isinstance(config, dict) and all(
        part is None or isinstance(part, (bool, int, float, str, list)) for part in config.values()
    )
    if not isinstance(name, str) or name not in _KNOWN[kind] or not plain:
        return None
    if all(part is None for part in config.values()) or (name == "Orthogonal" and config.get("gain") == 1.0):
        config = {}
    if not config and kind == "initializer":
        return snake_case(name)
    return {"module": _MODULES[kind], "class_name": name, "config": dict(config), "registered_name": None}


def _named(kind: str, name: str) -> str | None:
    """A name as older files have it; None for the name of a function of the user."""
    known = _KNOWN[kind] | _OLDER[kind]
    return name if _folded(name) in {_folded(each) for each in known} else None


def _folded(name: str) -> str:
    return name.replace("_", "").lower()


def sparsemax(x: Any, axis: int = -1) -> Value:
    """What Keras 3.15 computes under this name. It is no projection on probabilities: it sums cumulative sums."""
    ordered = ops.flip(ops.sort(x, axis), axis)
    sums = ops.cumsum(ordered, axis)
    places = ops.cumsum(ops.ones_like(ordered), axis)
    kept = ordered - (sums - 1.0) / places > 0.0
    count = ops.sum(ops.cast(kept, sums.dtype), axis, keepdims=True)
    threshold = (ops.sum(ops.where(kept, sums, 0.0), axis, keepdims=True) - 1.0) / count
    return ops.relu(x - threshold)


OTHERWISE = {"sparsemax": sparsemax}
"""Functions that are something else in Keras than the function of their name in dagir, which is right."""

_OF_TENSORFLOW = {"softmax_v2": "softmax", "log_softmax_v2": "log_softmax"}  # __name__ of tf.nn.softmax


def activation(data: Any) -> Any:
    """The name of an activation of dagir, or a function where the name means another one in Keras. Raises Refused."""
    if is_object(data) and data["class_name"] == "function":
        if data.get("module") not in (None, "builtins", "keras.activations", "keras.ops", "keras.src.activations"):
            raise Refused(
                f"its activation is the function {data['config']!r} of {data.get('module')!r}", _give(data["config"])
            )
        own = data.get("module") in (None, "builtins") and data["config"] not in _OF_TENSORFLOW
        if own:  # Keras writes names for its own functions, and objects for others
            raise own_function(data["config"])
        data = data["config"]
    if records.is_code(data):
        give = "pass custom_objects={'<lambda>': the function}, or a list of one for each lambda in order"
        raise Refused("its activation is byte code of Python, which is never run", give, unsafe=True)
    if data is not None and not isinstance(data, str):
        raise Refused(f"its activation is no name: {str(data)[:60]}")
    if data in OTHERWISE:
        return OTHERWISE[data]
    if data == HARD_SIGMOID:
        return hard_sigmoid
    if data is not None:
        data = _OF_TENSORFLOW.get(data, data)
    try:
        activations.get(data)
    except ArgumentError:
        raise own_function(data) from None
    return data


def own_function(name: Any) -> Refused:
    """The refusal of an activation by a user's function, with what to pass."""
    return Refused(f"its activation {name!r} is a function of its own, which no file holds", _give(name))


def _give(name: Any) -> str:
    return f"pass custom_objects={{{str(name)[:60]!r}: the function}}, or {LOAD}"


def constant(data: dict[str, Any]) -> Array:
    """An array in a configuration. Raises Refused."""
    config = data["config"]
    name = config.get("dtype") if isinstance(config, dict) else None
    if name not in set(DType):
        raise Refused(f"it holds a constant of dtype {name!r}")
    return np.asarray(config.get("value"), dtype=DType.of(name).numpy)


def plain(data: Any) -> Any:
    """Plain data, including the small objects that Keras writes into it. Raises Refused for any other object."""
    if isinstance(data, list):
        return [plain(part) for part in data]
    if not isinstance(data, dict):
        return data
    if not is_object(data):
        return {key: plain(part) for key, part in data.items()}
    kind, config = data["class_name"], data["config"]
    if kind in ("__tensor__", "__numpy__"):
        return constant(data)
    if kind == "__ellipsis__":
        return Ellipsis
    if kind == "__slice__":
        return slice(*(plain(config.get(key)) for key in ("start", "stop", "step")))
    if kind == "__lambda__":
        raise Refused("it holds the byte code of a Python lambda, which is never run", _NO_LAMBDA, unsafe=True)
    if kind == "DTypePolicy":
        return config.get("name")
    raise Refused(f"its configuration holds an object of {data.get('module')}.{kind}")


_NO_LAMBDA = "write it with keras.ops in a Layer subclass, and convert the model from memory"
