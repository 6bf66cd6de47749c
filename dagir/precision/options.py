"""The options of a low-precision model, as `to_onnx` and the command line take them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from dagir.errors import ArgumentError
from dagir.ir.graph import Graph
from dagir.modeling.model import Model
from dagir.precision.narrowing import Narrowed, narrowed_model
from dagir.precision.rounding import dtype_of

PRECISION = "dagir.precision"
"""The key of the metadata that say what was narrowed, what was kept, and how close the outputs are."""


@dataclass(frozen=True)
class LowPrecision:
    """precision: "float16", "bfloat16" or "mixed"; None leaves the model as it is. calibrate: samples of the inputs.

    budget: the relative movement of the outputs that is allowed. narrow_io: whether inputs and outputs are narrow too.
    """

    precision: str | None = None
    calibrate: object = None
    budget: float | None = None
    narrow_io: bool = False

    def check(self) -> None:
        """Raise ArgumentError for an unknown word, and for options that nothing asks for."""
        if self.precision is not None:
            dtype_of(self.precision)
            return
        given = {"calibrate": self.calibrate, "budget": self.budget, "narrow_io": self.narrow_io or None}
        unused = [name for name, value in given.items() if value is not None]
        if unused:
            raise ArgumentError(f"{unused[0]} is for a low precision", remedy="give precision='float16' or 'mixed'")

    def applied(self, model: Model | Graph) -> Narrowed | None:
        """The narrow model; None where nothing is asked for. Raises ArgumentError, FeedError, UnsupportedOp."""
        self.check()
        if self.precision is None:
            return None
        return narrowed_model(model, self.precision, self.calibrate, budget=self.budget, narrow_io=self.narrow_io)


def metadata_of(narrowed: Narrowed, given: Mapping[str, str]) -> dict[str, str]:
    """metadata_props with what was narrowed."""
    return {PRECISION: json.dumps(narrowed.to_dict(), separators=(",", ":")), **given}
