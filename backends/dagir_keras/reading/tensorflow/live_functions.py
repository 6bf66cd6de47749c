"""The functions of the TensorFlow that is in memory, known by identity, and its data as the table takes them.

Nothing here imports TensorFlow: who calls one of its functions has imported it.
"""

from __future__ import annotations

import inspect
import sys
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import cache, reduce
from types import FrameType, ModuleType
from typing import Any, TypeAlias

import numpy as np

from dagir import ops
from dagir.errors import DagirError
from dagir.ir.graph import Constant, Value
from dagir.ir.nest import map_structure
from dagir_keras.reading.problems import Decided, OutsideTable, Refused
from dagir_keras.reading.tensorflow.refusals import is_refused
from dagir_keras.reading.tensorflow.registry import call_function, functions

Function: TypeAlias = Callable[..., Any]
_PUBLIC = "tensorflow._api.v2"
_OF_KERAS = "keras."  # names of Keras 2: the functions of today's Keras are its own
_GIVES_ITSELF = frozenset({"cast", "convert_to_tensor", "compat.v1.cast", "compat.v1.convert_to_tensor"})
_WRAPPERS = ("op_dispatch_handler", "error_handler", "wrapper", "wrapped", "new_func", "function", "handle", "dispatch")
_FIELDS: Mapping[str, Any] = {  # functions whose results have names
    **dict.fromkeys(("math.top_k", "nn.top_k"), namedtuple("TopKV2", "values indices")),
    "image.combined_non_max_suppression": namedtuple(
        "CombinedNonMaxSuppression", "nmsed_boxes nmsed_scores nmsed_classes valid_detections"
    ),
}


def loaded() -> Any:
    """TensorFlow, if it is imported, else None."""
    found = sys.modules.get("tensorflow")
    return found if hasattr(found, "Tensor") else None  # not where its own import is still under way


@cache
def names_of_functions() -> Mapping[int, tuple[str, Function]]:
    """The functions that the table has, and those that it refuses by name, by their ids: (name, function).

    A function in memory has several public names; the first in the table is its name here.
    """
    found: dict[int, tuple[str, Function]] = {}
    for name in functions():
        function = _public(name)
        if function is not None:
            found.setdefault(id(function), (name, function))
    for module, path in _public_modules():
        for key, function in vars(module).items():
            name = f"{path}.{key}".lstrip(".")
            if inspect.isfunction(function) and id(function) not in found and is_refused(name):
                found[id(function)] = name, function
    return found


@cache
def _names_of_parts() -> Mapping[int, str]:
    """The names by the ids of the functions, and of those that their decorators hold."""
    found: dict[int, str] = {}
    for name, function in names_of_functions().values():
        part: Any = function
        while part is not None:
            found.setdefault(id(part), name)
            part = getattr(part, "__wrapped__", None)
    return found


def name_of(function: object) -> str | None:
    """The name in the table of a function of TensorFlow, as its dispatchers get it; None for any other object."""
    return _names_of_parts().get(id(function))


def called_from(module: str, frame: FrameType | None) -> str:
    """The outermost function of a framework between the user's line and a frame, by the name of its code."""
    found = module
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in (module, "dagir_keras"):
        name = frame.f_code.co_name
        found = name if name not in _WRAPPERS and not name.startswith("_") else found
        frame = frame.f_back
    return found


@cache
def places_of_functions(others: tuple[str, ...] = ()) -> tuple[tuple[ModuleType, str, str], ...]:
    """Where the public modules of TensorFlow have these functions: (module, attribute, name here).

    others: public names of more functions.
    """
    known = dict(names_of_functions())
    for name in others:
        function = _public(name)
        if function is not None:
            known.setdefault(id(function), (name, function))
    return tuple(
        (module, key, known[id(function)][0])
        for module, _ in _public_modules()
        for key, function in vars(module).items()
        if id(function) in known
    )


def _public_modules() -> list[tuple[ModuleType, str]]:
    """The modules by which users reach functions, with their paths: "math" for tf.math."""
    found = []
    for name, module in list(sys.modules.items()):
        path = name.removeprefix(_PUBLIC).lstrip(".")
        if name == "tensorflow" or (name.startswith(_PUBLIC) and not path.startswith("raw_ops")):
            found.append((module, "" if name == "tensorflow" else path.removeprefix("compat.v2").lstrip(".")))
    return sorted(found, key=lambda each: each[1].count("."))


def _public(name: str) -> Function | None:
    if name.startswith(_OF_KERAS):
        return None
    found: Any = reduce(lambda owner, part: getattr(owner, part, None), name.split("."), loaded())
    return found if callable(found) else None


def plain(leaf: Any) -> Any:
    """Data of TensorFlow in memory as the table takes them: constants, names of dtypes, sizes. Raises Refused."""
    tensorflow = loaded()
    if isinstance(leaf, tensorflow.dtypes.DType):
        return leaf.name
    if isinstance(leaf, np.dtype) or (isinstance(leaf, type) and issubclass(leaf, (np.generic, bool, int, float))):
        return tensorflow.as_dtype(leaf).name
    if isinstance(leaf, tensorflow.TensorShape):
        return tuple(leaf.as_list())
    if isinstance(leaf, (tensorflow.RaggedTensor, tensorflow.SparseTensor, tensorflow.IndexedSlices)):
        raise Refused(f"it takes a {type(leaf).__name__}, and dagir's tensors are dense")
    if isinstance(leaf, tensorflow.Tensor):
        return _constant(leaf)
    return leaf


def _constant(leaf: Any) -> Value:
    if not hasattr(leaf, "numpy"):
        raise Refused("it takes a tensor of another graph of TensorFlow")
    if leaf.dtype.name in ("string", "resource", "variant") or leaf.dtype.is_complex:
        raise Refused(f"it takes a tensor of {leaf.dtype.name}, which no dtype of dagir holds")
    return Constant(np.asarray(leaf.numpy())).value


def call(name: str, function: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What a function in memory gives for arguments that are values, sizes and plain data. Raises OutsideTable."""
    given, options = _without_name(function, *_by_place(name, function, args, kwargs))
    try:
        found = call_function(name, given, options)
    except (OutsideTable, Decided):
        raise
    except Refused as refused:
        spelled = f"tf.{name}"
        reason = refused.reason if refused.reason.startswith("tf.") else f"{spelled}: {refused.reason}"
        raise OutsideTable(reason, refused.remedy) from None
    except DagirError as error:
        raise OutsideTable(f"tf.{name}: {error.summary}", error.remedy) from None
    if name in _FIELDS:
        found = _FIELDS[name](*found)
    return found if name in _GIVES_ITSELF else map_structure(_unmasked, found)


def _by_place(
    name: str, function: Function, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """The first arguments by place where the rule has other names for them: TensorFlow's dispatchers give all names."""
    rule = functions().get(name)
    if rule is None:
        return args, kwargs
    names, takes = _parameters(function), _parameters(rule)
    given, options = list(args), dict(kwargs)
    for key in names[len(args) :]:
        if key not in options or key in takes or key == "name":
            break
        given.append(options.pop(key))
    return given, options


def _without_name(
    function: Function, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """The arguments without the name of the op; those behind it by their keywords."""
    if len(args) < 2:
        return args, kwargs
    names = _parameters(function)
    place = names.index("name") if "name" in names else len(args)
    if place >= len(args):
        return args, kwargs
    return args[:place], {**dict(zip(names[place + 1 :], args[place + 1 :], strict=False)), **kwargs}


@cache
def _parameters(function: Function) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


def _unmasked(leaf: Any) -> Any:
    """A tensor of TensorFlow's own has no mask of Keras's."""
    return ops.identity(leaf) if isinstance(leaf, Value) and leaf.mask is not None else leaf
