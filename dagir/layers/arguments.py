"""How layers read their arguments: binding them by name, dtype policies, and what is not taken."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from dagir.errors import ArgumentError
from dagir.types import DType


@cache
def signature(function: Any) -> inspect.Signature:
    """inspect.signature, worked out once."""
    return inspect.signature(function)


def bind(cls: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a constructor by name, defaults included. Raises ArgumentError that lists them."""
    try:
        bound = signature(cls).bind(*args, **kwargs)
    except (TypeError, ValueError) as error:
        unknown = next((name for name in kwargs if name not in signature(cls).parameters), None)
        if "unexpected keyword" in str(error) and unknown is not None:
            raise unknown_argument(cls, unknown) from None
        known = ", ".join(name for name in signature(cls).parameters if name not in ("kwargs", "args"))
        raise ArgumentError(f"{cls.__name__}: {error}", remedy=f"its arguments are: {known}") from None
    bound.apply_defaults()
    bound.arguments.pop("args", None)
    extra = bound.arguments.pop("kwargs", {})
    return {**bound.arguments, **extra}


def unknown_argument(cls: type, name: str) -> ArgumentError:
    """An error that names the nearest arguments."""
    known = [each for each in signature(cls).parameters if each not in ("kwargs", "args")]
    near = difflib.get_close_matches(name, known, n=3)
    remedy = f"did you mean {' or '.join(near)}?" if near else f"its arguments are: {', '.join(known)}"
    return ArgumentError(f"{cls.__name__} takes no argument {name!r}", remedy=remedy)


def dtype_of(policy: Any) -> DType:
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


def not_taken(layer: Any, **arguments: Any) -> None:
    """Raise ArgumentError where an argument of Keras that dagir gives no meaning is not None: LoRA, quantization."""
    for name, value in arguments.items():
        if value is not None:
            raise ArgumentError(
                f"{type(layer).__name__} takes no {name}: adapters and quantized weights are Keras's own",
                remedy="merge or dequantize the weights in Keras before the model is read",
            )
