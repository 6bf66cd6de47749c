"""The dtypes of Keras: policies, and the promotion of values of different dtypes.

The policies "mixed_float16" and "mixed_bfloat16" are for training. Their weights are float32, and dagir computes with
them in float32, which is more accurate than Keras. A layer of pure float16, bfloat16 or float64 keeps its dtype.
The policies of quantized layers are read by dagir_keras.reading.quantized.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from dagir.ir.types import DType
from dagir_keras.reading.problems import Refused

_HIGHER: dict[str, tuple[str, ...]] = {  # as in keras.src.backend.common.dtypes, which follows JAX
    "bool": ("int",),
    "uint8": ("int16", "uint16"),
    "uint16": ("int32", "uint32"),
    "uint32": ("int64", "uint64"),
    "uint64": ("float",),
    "int": ("uint8", "int8"),
    "int8": ("int16",),
    "int16": ("int32",),
    "int32": ("int64",),
    "int64": ("float",),
    "float": ("bfloat16", "float16"),
    "bfloat16": ("float32",),
    "float16": ("float32",),
    "float32": ("float64",),
    "float64": (),
}


_NAMES = frozenset(DType)


@cache
def _bounds(name: str) -> frozenset[str]:
    return frozenset({name}).union(*(_bounds(higher) for higher in _HIGHER[name]))


def promoted(kinds: Sequence[str]) -> DType:
    """The dtype to which Keras promotes values of these; "int" and "float" stand for bare Python numbers.

    Raises Refused for text or other dtypes without promotion beside a different one.
    """
    apart = sorted(kind for kind in kinds if kind not in _HIGHER)
    if apart and len(set(kinds)) == 1:
        return DType.of(apart[0])
    if apart:
        others = ", ".join(sorted(set(kinds) - {apart[0]}))
        raise Refused(f"it computes with {apart[0]} and {others} together", "cast one of them first")
    common = frozenset.intersection(*map(_bounds, kinds))
    least = next(name for name in common if common <= _bounds(name))
    return DType.of({"int": "int32", "float": "float32", "uint64": "uint32"}.get(least, least))  # uint64: as JAX does


def policy(config: Any) -> DType | None:
    """The dtype of a layer with this policy; None for Keras's default. Raises Refused."""
    name = config
    if isinstance(config, dict):
        kind, inner = config.get("class_name"), config.get("config")
        if kind not in ("DTypePolicy", "Policy", "FloatDTypePolicy") or not isinstance(inner, dict):
            raise Refused(
                f"it has the dtype policy {kind}",
                "give the layer a plain dtype: a map of policies is for the layers inside",
            )
        name = inner.get("name")
    if name is None:
        return None
    if not isinstance(name, str):
        raise Refused(f"its dtype {name!r} is no name")
    if name in ("mixed_float16", "mixed_bfloat16"):
        return DType.FLOAT32
    if name not in _NAMES:
        raise Refused(f"it has the dtype policy {name!r}", f"dagir has {', '.join(DType)}")
    return DType.of(name)
