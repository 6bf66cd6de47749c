"""How a quantized layer of Keras computes: its mode, its blocks, and what it does to its inputs.

Keras says it in two places of a configuration: in the dtype policy, and in `quantization_config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import DType
from dagir_keras.reading.dtypes import policy
from dagir_keras.reading.problems import Refused

_POLICIES = {
    "QuantizedDTypePolicy": 0,
    "QuantizedFloat8DTypePolicy": 0,
    "Int4DTypePolicy": 1,
    "GPTQDTypePolicy": 2,
    "AWQDTypePolicy": 2,
}
"""The policies of quantized layers, and how many numbers stand behind the name of the mode: "gptq/4/128"."""

_MODES = ("int8", "int4", "float8", "gptq", "awq")
_CONFIGS = {
    "Int8QuantizationConfig": "int8",
    "Int4QuantizationConfig": "int4",
    "Float8QuantizationConfig": "float8",
    "GPTQConfig": "gptq",
    "AWQConfig": "awq",
}


@dataclass(frozen=True)
class AbsMax:
    """Codes of int8 from floats: round(x * scale), scale = high / (max |x| + epsilon).  keras.quantizers."""

    low: float = -127.0
    high: float = 127.0
    epsilon: float = 1e-7

    def codes(self, x: Value, axes: int | tuple[int, ...]) -> tuple[Value, Value]:
        """The codes, and the scale, whose reduced axes have size 1. x: f[*s] -> int8[*s], f[*s or 1]."""
        scale = self.high / (ops.max(ops.abs(x), axis=axes, keepdims=True) + self.epsilon)
        whole = ops.clip(ops.round(x * scale), self.low, self.high)
        return ops.cast(whole, DType.INT8), scale


@dataclass(frozen=True)
class Scheme:
    """block: how many inputs share a scale; None for all. bits: of a code. inputs: the range of their codes, or None.

    short_bias: whether the bias is rounded to bfloat16.
    """

    mode: str
    block: int | None = None
    bits: int = 8
    inputs: AbsMax | None = None
    short_bias: bool = False

    def plain(self) -> dict[str, Any]:
        """Plain data, for the configuration of a layer."""
        return asdict(self)

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """The scheme of such data."""
        inputs = plain["inputs"]
        return cls(**{**plain, "inputs": None if inputs is None else AbsMax(**inputs)})


def is_quantized(config: Mapping[str, Any]) -> bool:
    """Whether the configuration of a layer has a dtype policy of quantized layers."""
    return _is_policy(config.get("dtype"))


def _is_policy(data: Any) -> bool:
    return isinstance(data, Mapping) and data.get("class_name") in _POLICIES


def scheme_of(config: Mapping[str, Any], codes_by_default: tuple[str, ...]) -> tuple[Scheme, DType | None]:
    """The scheme of a layer, and the dtype that it computes in; None for Keras's default. Raises Refused.

    codes_by_default: the modes in which the layer makes codes of its inputs unless its configuration says otherwise.
    """
    mode, numbers, source = _policy_parts(config["dtype"])
    given = config.get("quantization_config")
    inputs = AbsMax() if mode in codes_by_default else None
    options = _options(given, mode)
    if options is not None and mode in ("int8", "int4"):
        inputs = _quantizer(options.get("activation_quantizer"))
    block = numbers[-1] if numbers else None
    if options is not None and mode == "int4":
        block = options.get("block_size")
    if block is not None and (isinstance(block, bool) or not isinstance(block, int) or (block < 1 and block != -1)):
        raise Refused(f"its blocks are said to be {block!r} inputs long")
    bits = {"int8": 8, "float8": 8, "gptq": numbers[0] if mode == "gptq" else 4}.get(mode, 4)
    short_bias = mode == "float8" and source == "float32"
    return Scheme(mode, None if block == -1 else block, bits, inputs, short_bias), policy(source)


def _policy_parts(data: Mapping[str, Any]) -> tuple[str, list[int], Any]:
    inner = data.get("config")
    written = inner.get("mode") if isinstance(inner, Mapping) else None
    if not isinstance(inner, Mapping) or not isinstance(written, str):
        raise Refused(f"its dtype policy {data['class_name']} names no mode")
    mode, *rest = written.split("/")
    if mode not in _MODES or len(rest) != _POLICIES[data["class_name"]]:
        raise Refused(f"it is quantized as {written!r}", f"dagir reads {', '.join(_MODES)}")
    try:
        numbers = [int(each) for each in rest]
    except ValueError:
        raise Refused(f"it is quantized as {written!r}, which has no numbers where they belong") from None
    if mode == "gptq" and numbers[0] not in (2, 3, 4, 8):
        raise Refused(f"its codes are said to have {numbers[0]} bits")
    return mode, numbers, inner.get("source_name")


def _options(given: Any, mode: str) -> Mapping[str, Any] | None:
    """What quantization_config says; None where there is none."""
    if given is None:
        return None
    kind = given.get("class_name") if isinstance(given, Mapping) else None
    options = given.get("config") if isinstance(given, Mapping) else None
    if _CONFIGS.get(str(kind)) != mode or not isinstance(options, Mapping):
        raise Refused(f"it is quantized to {mode}, and its quantization_config is {kind or given!r}")
    return options


def _quantizer(given: Any) -> AbsMax | None:
    """What makes codes of the inputs; None where nothing does."""
    if given is None:
        return None
    kind = given.get("class_name") if isinstance(given, Mapping) else None
    options = given.get("config") if isinstance(given, Mapping) else None
    if kind != "AbsMaxQuantizer" or not isinstance(options, Mapping):
        raise Refused(f"its inputs are quantized by {kind or given!r}", "dagir reads AbsMaxQuantizer")
    limits, epsilon, axis = options.get("value_range", (-127, 127)), options.get("epsilon", 1e-7), options.get("axis")
    if options.get("output_dtype", "int8") != "int8" or axis not in (None, -1, [-1], (-1,)):
        raise Refused(f"its inputs are quantized to {options.get('output_dtype')} along axis {axis}")
    try:
        low, high = map(float, limits)
        return AbsMax(low, high, float(epsilon))
    except (TypeError, ValueError):
        raise Refused(f"its inputs are quantized to the range {limits!r}, with epsilon {epsilon!r}") from None
