"""How layers read their arguments: binding by name, dtype policies, and arguments that are refused."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from dagir.errors import ArgumentError
from dagir.ir.types import DType
from dagir.support.did_you_mean import did_you_mean, nearest


@cache
def signature(function: Any) -> inspect.Signature:
    """inspect.signature, worked out once."""
    return inspect.signature(function)


def bound_arguments(call: object, args: tuple[object, ...], kwargs: dict[str, object]) -> dict[str, object]:
    """The arguments of a method by parameter name, in order, with defaults; `training` if the method has it."""
    parameters = signature(call).parameters
    given = kwargs if "training" in parameters else {key: part for key, part in kwargs.items() if key != "training"}
    bound = signature(call).bind(None, *args, **given)
    bound.apply_defaults()
    _, *arguments = bound.arguments.items()
    return dict(arguments)


@cache
def takes_alone(call: object) -> str | None:
    """The name of the only argument that a method needs; None if it needs several, or takes any."""
    _, *parameters = signature(call).parameters.values()
    if not parameters or parameters[0].kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD:
        return None
    needed = [each for each in parameters[1:] if each.default is each.empty and each.kind not in _VARIADIC]
    return None if needed or parameters[0].name in ("training", "mask") else parameters[0].name


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@cache
def _by_name(cls: object) -> tuple[dict[str, object], frozenset[str], bool]:
    """The defaults of a constructor in order, the names of required arguments, and whether it has `**kwargs`."""
    parameters = signature(cls).parameters.values()
    plain = [each for each in parameters if each.kind not in _VARIADIC]
    needed = frozenset(each.name for each in plain if each.default is each.empty)
    others = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters)
    return {each.name: each.default for each in plain}, needed, others


def takes(cls: type, name: str) -> bool:
    """Whether a constructor has an argument of this name, or passes any on through `**kwargs`."""
    defaults, _, others = _by_name(cls)
    return others or name in defaults


def bind(cls: type, args: tuple[object, ...], kwargs: dict[str, object]) -> dict[str, Any]:
    """The arguments of a constructor by name, defaults included. Raises ArgumentError that lists them."""
    defaults, needed, others = _by_name(cls)
    if not args and kwargs.keys() >= needed and (others or kwargs.keys() <= defaults.keys()):
        return {**defaults, **kwargs}  # the same result as the rest of this function, ten times as fast
    try:
        bound = signature(cls).bind(*args, **kwargs)
    except (TypeError, ValueError) as error:
        unknown = next((name for name in kwargs if name not in signature(cls).parameters), None)
        if "unexpected keyword" in str(error) and unknown is not None:
            raise unknown_argument(cls, unknown) from None
        known = ", ".join(defaults)
        raise ArgumentError(f"{cls.__name__}: {error}", remedy=f"its arguments are: {known}") from None
    given = {name: bound.arguments[name] for name in defaults if name in bound.arguments}
    variadic = (each.name for each in signature(cls).parameters.values() if each.kind is each.VAR_KEYWORD)
    return {**defaults, **given, **bound.arguments.get(next(variadic, ""), {})}


def unknown_argument(cls: Any, name: str) -> ArgumentError:
    """An error that names the nearest arguments."""
    known = list(_by_name(cls)[0])
    if name in _OF_INPUTS and name not in nearest(name, known, 1):
        remedy = "say what goes in with an Input, first of all: dagir.Sequential([dagir.Input(shape=(8,)), ...])"
        return ArgumentError(f"{cls.__name__} takes no argument {name!r}", remedy=remedy)
    remedy = did_you_mean(name, known) or f"its arguments are: {', '.join(known)}"
    return ArgumentError(f"{cls.__name__} takes no argument {name!r}", remedy=remedy)


_OF_INPUTS = ("input_shape", "batch_input_shape", "input_dim", "input_length", "input_dtype")


def dtype_of(policy: object) -> DType:
    """The dtype of a name, a DType, or a policy of Keras, as an object or a configuration.

    Raises ArgumentError for policies that compute in another dtype than that of the weights.
    """
    if policy is None:
        return DType.FLOAT32
    if isinstance(policy, Mapping) and isinstance(policy.get("config"), Mapping):
        policy = policy["config"].get("name")
    if not isinstance(policy, (str, type, np.dtype)):
        policy = getattr(policy, "name", policy)
    if isinstance(policy, str) and policy.startswith("mixed_"):
        raise ArgumentError(
            f"the policy {policy!r} keeps weights in float32 and computes in another dtype; dagir computes in one",
            remedy=f"make the layer with dtype={policy.removeprefix('mixed_')!r} or 'float32'",
        )
    return DType.of(policy)


def not_taken(layer: object, **arguments: object) -> None:
    """Raise ArgumentError if an argument of Keras that dagir does not support (LoRA, quantization) is not None."""
    for name, value in arguments.items():
        if value is not None:
            raise ArgumentError(
                f"{type(layer).__name__} takes no {name}: adapters and quantized weights are made in Keras",
                remedy="call model.quantize(...) in Keras, and read that model",
            )
