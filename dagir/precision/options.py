"""The options of a low-precision model, as `to_onnx` and the command line take them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from dagir.errors import ArgumentError
from dagir.ir.graph import Graph
from dagir.modeling.model import Model
from dagir.precision.calibration import check_method
from dagir.precision.narrowing import Narrowed, check_budget, narrowed_model
from dagir.precision.quantizing import quantized_model
from dagir.precision.quantizing_weights import weights_quantized_model
from dagir.precision.rounding import dtype_of

PRECISION = "dagir.precision"
"""The key of the metadata that say what was narrowed, what was kept, and how close the outputs are."""

QUANTIZED = ("int8", "int8-dynamic", "int4-weights")
DEFAULT_RANGES = "mse"


@dataclass(frozen=True)
class LowPrecision:
    """precision: "float16", "bfloat16" or "mixed"; quantize: "int8", "int8-dynamic" or "int4-weights"; or neither.

    calibrate: samples of the inputs. budget: the relative movement of the outputs that is allowed. narrow_io: whether
    inputs and outputs are narrow too. ranges: how ranges are found. keep_float: what is not quantized, by name.
    full_range: whether codes of weights may take all of int8, which saturates on a CPU without VNNI.
    """

    precision: str | None = None
    quantize: str | None = None
    calibrate: object = None
    budget: float | None = None
    narrow_io: bool = False
    ranges: str | None = None
    keep_float: Collection[str] = ()
    full_range: bool = False

    @property
    def is_wanted(self) -> bool:
        """Whether a low precision is asked for."""
        return self.precision is not None or self.quantize is not None

    def check(self) -> None:
        """Raise ArgumentError for an unknown word, and for options that nothing asks for."""
        check_budget(self.budget)
        if self.precision is not None:
            dtype_of(self.precision)
        if self.quantize is not None and self.quantize not in QUANTIZED:
            raise ArgumentError(f"quantize is not {self.quantize!r}", remedy=f"use one of {', '.join(QUANTIZED)}")
        if self.precision is not None and self.quantize is not None:
            raise ArgumentError("precision and quantize are two ways: give one of them")
        if self.ranges is not None:
            check_method(self.ranges)
        if isinstance(self.keep_float, str):
            raise ArgumentError(f"keep_float is a list of names, got {self.keep_float!r}")
        self._refuse("is for a low precision", self.is_wanted, ("calibrate", "budget"))
        self._refuse("is for precision=", self.precision is not None, ("narrow_io",))
        self._refuse("is for quantize=", self.quantize is not None, ("keep_float",))
        self._refuse('is for quantize="int8"', self.quantize == "int8", ("ranges",))
        eight = self.quantize in ("int8", "int8-dynamic")
        self._refuse('is for quantize="int8" and "int8-dynamic"', eight, ("full_range",))
        if self.quantize == "int8" and self.calibrate is None:
            raise ArgumentError(
                'quantize="int8" finds the ranges of values from samples of the inputs',
                remedy="give some: calibrate=array, or a dict, or an .npz or .npy file (--calibrate samples.npz); "
                'or quantize="int8-dynamic", which needs none',
            )

    def _refuse(self, why: str, fits: bool, names: Collection[str]) -> None:
        """Raise ArgumentError for an option that is given without what it belongs to."""
        given = [name for name in names if getattr(self, name) not in (None, False, ())] if not fits else []
        if given:
            raise ArgumentError(f"{given[0]} {why}", remedy=f"leave {given[0]} out, or say what it is for")

    def applied(self, model: Model | Graph) -> Narrowed | None:
        """The narrow model; None where nothing is asked for. Raises ArgumentError, FeedError, UnsupportedOp."""
        self.check()
        if self.precision is not None:
            return narrowed_model(model, self.precision, self.calibrate, budget=self.budget, narrow_io=self.narrow_io)
        if self.quantize is None:
            return None
        limits: dict[str, Any] = {
            "keep_float": tuple(self.keep_float),
            "budget": self.budget,
            "full_range": self.full_range,
        }
        if self.quantize == "int8":
            return quantized_model(model, self.calibrate, ranges=self.ranges or DEFAULT_RANGES, **limits)
        return weights_quantized_model(model, self.quantize, self.calibrate, **limits)


def metadata_of(narrowed: Narrowed, given: Mapping[str, str]) -> dict[str, str]:
    """metadata_props with what was narrowed."""
    return {PRECISION: json.dumps(narrowed.to_dict(), separators=(",", ":")), **given}
