"""Raw operations of keras.ops in a functional model: the function of the same name in dagir.ops, by a fixed table.

Keras promotes mixed dtypes, dagir refuses them: each implicit conversion of Keras becomes a cast in the graph.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from dagir import ops
from dagir.errors import ArgumentError
from dagir.ir.graph import Node, Parameter, Value, snake_case
from dagir.ir.nest import flatten, map_structure
from dagir.ir.operands import as_value
from dagir.ir.types import DType
from dagir.ops.not_offered import REASONS
from dagir_keras.reading import config_values
from dagir_keras.reading.dtypes import promoted
from dagir_keras.reading.problems import Refused

_NOT_OF_IMAGES = (  # functions of keras.ops.image that dagir does not have
    *("affine_transform", "elastic_transform", "gaussian_blur", "hsv_to_rgb", "map_coordinates"),
    *("perspective_transform", "rgb_to_hsv", "scale_and_translate", "sobel_edges", "ssim"),
)
_FAMILIES = ("numpy", "nn", "math", "core", "linalg", "image", "einops")
_RENAMED = {
    "batch_norm": "batch_normalization",
    "layer_norm": "layer_normalization",
    "rms_norm": "rms_normalization",
    "true_divide": "divide",
    "amax": "max",
    "amin": "min",
    "stop_gradient": "identity",
    "copy": "identity",
}
_CALLED_BY_NAME = {  # operations whose call takes other arguments than the first ones of the function
    "pad": ("x", "constant_values"),
    "average": ("x", "weights"),
    "full": ("fill_value",),
    "batch_normalization": ("x", "mean", "variance", "offset", "scale"),
}
_IGNORED = {  # fields that the function does not have: with Keras's default they have no effect, else they are refused
    "convert_to_tensor": {"sparse", "ragged"},
    "one_hot": {"sparse"},
    "multi_hot": {"sparse", "kwargs"},
    "layer_normalization": {"rms_scaling"},
}
RUNS_FUNCTIONS = {
    "Cond": "cond",
    "Switch": "switch",
    "WhileLoop": "while_loop",
    "ForiLoop": "fori_loop",
    "Scan": "scan",
    "Map": "map",
    "VectorizedMap": "vectorized_map",
    "AssociativeScan": "associative_scan",
}
"""Operations that run functions of Python, and Keras's and dagir's functions of the same meaning."""
_EPSILON = 1e-7  # keras.config.epsilon(), the meaning of None
_PROMOTING = {
    *("add", "subtract", "multiply", "divide", "floor_divide", "mod", "power", "maximum", "minimum", "matmul"),
    *("equal", "not_equal", "greater", "greater_equal", "less", "less_equal", "concatenate", "stack", "einsum"),
    *("arctan2", "logaddexp", "dot", "tensordot", "outer", "inner", "append", "hstack", "vstack", "cross"),
    *("correlate", "gcd", "lcm", "nextafter"),
}
_TO_FLOAT = {
    *("divide", "mean", "var", "std", "exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "rsqrt", "reciprocal"),
    *("sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh"),
    *("sigmoid", "softmax", "log_softmax", "softplus", "erf", "logsumexp", "arctan2", "logaddexp", "gelu", "silu"),
    *("corrcoef", "correlate", "i0", "nextafter"),
}
_TO_DOUBLE = {"corrcoef", "correlate", "i0"}
"""Functions of floats that compute int64 in float64."""
_WEAK = {"add", "subtract", "multiply", "divide", "floor_divide", "power", "maximum", "minimum", "where"}
"""Functions beside whose tensors Keras takes bare numbers of Python as any; beside others they are int32, float32."""
_TO_BOOL = {"logical_and", "logical_or", "logical_not", "logical_xor"}


def is_operation(record: Mapping[str, Any]) -> bool:
    """Whether a record of a functional model is a raw operation, not a layer."""
    module = record.get("module")
    if isinstance(module, str):
        return module.startswith(("keras.src.ops.", "keras.ops"))
    if "module" in record:  # null: a class of the user's own
        return False
    config, kind = record.get("config"), str(record.get("class_name"))
    return (  # the older format names no module; a layer's configuration says whether it trains
        isinstance(config, dict) and not config.keys() - {"name"} and kind != "InputLayer"
    ) or (isinstance(config, dict) and "trainable" not in config and kind != "ReLU" and _function(kind) is not None)


@cache
def _functions() -> dict[str, Callable[..., Any]]:
    """The functions by their names without underscores: Keras's class SearchSorted is the function searchsorted."""
    found = {name: getattr(ops, name) for name in ops.__all__}
    found |= {name: getattr(ops.image, name) for name in ops.image.__all__} | config_values.OTHERWISE
    return {_folded(name): function for name, function in found.items() if not isinstance(function, type)}


def _folded(name: str) -> str:
    return name.replace("_", "").lower()


def _function(class_name: str) -> Callable[..., Any] | None:
    return _functions().get(_folded(_RENAMED.get(snake_case(class_name), class_name)))


@cache
def _names() -> dict[str, str]:
    """The functions that are not offered, as Keras writes them."""
    known = {name: name for name in REASONS} | {name: f"image.{name}" for name in _NOT_OF_IMAGES}
    return {_folded(name): written for name, written in known.items()}


def _not_offered(class_name: str) -> Refused:
    name = _names().get(_folded(class_name), snake_case(class_name))
    reason = f": {REASONS[name]}" if name in REASONS else ""
    return Refused(f"dagir has no keras.ops.{name}{reason}", "compute it with other operations")


def make_operation(record: Mapping[str, Any]) -> Callable[..., Any]:
    """The function of a raw operation: f(*args, **kwargs) -> Value, or a structure of Values. Raises Refused."""
    class_name, module = str(record.get("class_name")), record.get("module")
    config = record.get("config")
    if module is not None and module.rpartition(".")[2] not in (*_FAMILIES, "ops"):
        raise Refused(f"{module}.{class_name} is no operation of keras.ops")
    options = (
        {key: _settled(config_values.plain(part)) for key, part in config.items() if key != "name"}
        if isinstance(config, dict)
        else {}
    )
    return operation(class_name, options, str(record.get("name") or snake_case(class_name)))


def operation(class_name: str, options: Mapping[str, Any], name: str) -> Callable[..., Any]:
    """The same, with the fields of the operation as they are. Raises Refused for one that dagir does not have."""
    if class_name == "GetItem":
        return lambda x, key: named(as_value(x)[_index(key)], name)
    if class_name in RUNS_FUNCTIONS:
        raise Refused(
            f"keras.ops.{RUNS_FUNCTIONS[class_name]} runs functions of Python, which a file does not hold",
            "call it in a layer of your own, and read the model from memory",
        )
    function = _function(class_name)
    if function is None:
        raise _not_offered(class_name)
    kind = function.__name__

    def run(*args: Any, **kwargs: Any) -> Any:
        if kind in _CALLED_BY_NAME:
            args, kwargs = args[:0], {**dict(zip(_CALLED_BY_NAME[kind], args, strict=False)), **kwargs}
        given = _as_keras_promotes(kind, list(args))
        if kind == "einsum":
            return named(ops.einsum(options["subscripts"], *given), name)
        return named(_call(function, given, {**options, **kwargs}), name)

    return run


def _call(function: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any]) -> Any:
    known = inspect.signature(function).parameters
    takes_all = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in known.values())
    taken = {key: value for key, value in options.items() if takes_all or key in known}
    if taken.get("epsilon", 0) is None:
        taken["epsilon"] = _EPSILON
    for key, value in options.items():
        if key not in taken and value not in (None, False):
            raise Refused(f"dagir.ops.{function.__name__} has no argument {key!r}, which is {value!r}")
    return function(*args, **taken)


def _settled(part: Any) -> Any:
    """Plain data with tuples in place of lists, as ops take it."""
    return tuple(map(_settled, part)) if isinstance(part, list) else part


def _index(key: Any) -> Any:
    return tuple(key) if isinstance(key, list) else key


def _as_keras_promotes(kind: str, args: list[Any]) -> list[Any]:
    if kind in _TO_BOOL:
        return [cast(arg, DType.BOOL) for arg in args]
    if kind == "where" and len(args) == 3:
        return [cast(args[0], DType.BOOL), *_common(args[1:], [])]
    floats = ["float"] if kind in _TO_FLOAT else []
    if kind in _TO_DOUBLE and any(_kind(arg) == "int64" for arg in args):
        floats = ["float64"]
    if kind in _PROMOTING:
        return _common(args, floats, strong=kind not in _WEAK)
    if floats and args:
        return [*_common(args[:1], floats), *args[1:]]
    return args


def _common(args: list[Any], kinds: list[str], strong: bool = False) -> list[Any]:
    found = [_STRONG.get(kind, kind) if strong else kind for kind in map(_kind, flatten(args)) if kind is not None]
    known = [*found, *kinds]
    target = promoted(tuple(known)) if known else None
    return [
        arg if target is None else map_structure(lambda leaf: cast(leaf, target) if _kind(leaf) else leaf, arg)
        for arg in args
    ]


_STRONG = {"int": "int32", "float": "float32"}


def _kind(leaf: Any) -> str | None:
    if isinstance(leaf, (Value, Parameter)):
        return str(leaf.dtype)
    if isinstance(leaf, (np.ndarray, np.generic)):
        return str(DType.of(leaf.dtype))
    return {bool: "bool", int: "int", float: "float"}.get(type(leaf))


def cast(leaf: Any, dtype: DType) -> Any:
    """A value of this dtype: itself, a cast, or a constant."""
    if isinstance(leaf, (Value, Parameter)):
        return leaf if leaf.dtype is dtype else ops.cast(as_value(leaf), dtype)
    return as_value(np.asarray(leaf).astype(dtype.numpy))


def named(result: Any, name: str) -> Any:
    """The result under Keras's name of the operation. Nodes cannot be changed, so the last one is made again."""
    node = result.node if isinstance(result, Value) else None
    if node is None:
        return result
    if node.scope is not None or node.name is not None or len(node.outputs) != 1:
        return result
    again = Node(
        node.op, node.inputs, (result.type,), scope=node.scope, location=None, equations=node.equations, name=name
    )
    if result.mask is not None:
        again.output.attach_mask(result.mask)
    return again.output


def expect_value(result: Any) -> Any:
    """A structure of Values. Raises ArgumentError where an operation gave something else."""
    for leaf in flatten(result):
        if not isinstance(leaf, Value):
            raise ArgumentError(f"gave {type(leaf).__name__} in place of a value")
    return result
