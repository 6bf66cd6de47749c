"""What a rule gets: one node of an ONNX graph, with its inputs as values, and its attributes as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from onnx import GraphProto, TensorProto

from dagir.ir.dims import Dim
from dagir.ir.graph import Constant, Parameter, Value
from dagir.ir.types import Array, DType
from dagir_onnx.dtypes import FROM_ONNX
from dagir_onnx.importing.known_arrays import known_array
from dagir_onnx.importing.refusals import Refused
from dagir_onnx.importing.tensors import Tensor, constant, dims_of, ints_of, sizes_of, value
from dagir_onnx.importing.weights import Weights

MOVED: Mapping[tuple[str, str], Mapping[str, int]] = {
    ("", "Clip"): {"min": 1, "max": 2},
    ("", "Dropout"): {"ratio": 1},
    ("", "Pad"): {"pads": 1, "value": 2},
    ("", "Slice"): {"starts": 1, "ends": 2, "axes": 3},
    ("", "Split"): {"split": 1},
    ("", "Squeeze"): {"axes": 1},
    ("", "TopK"): {"k": 1},
    ("", "Unsqueeze"): {"axes": 1},
    ("", "Upsample"): {"scales": 1},
    ("", "Expand"): {"shape": 1},
    ("", "Reshape"): {"shape": 1},
    ("", "Tile"): {"repeats": 1},
    ("", "DFT"): {"axis": 2},
    **{
        ("", f"Reduce{kind}"): {"axes": 1}
        for kind in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
    },
}
"""The attributes that became inputs in a later version of their operator, and the places of these inputs."""


class Reader(Protocol):
    """What a rule may ask of the reader of its graph."""

    weights: Weights
    source: str
    loops: int
    """How many loops the reading is inside of: the names of their variables tell it."""
    equalities: dict[Value, tuple[Dim, Dim]]
    """Values that say whether two sizes are equal."""
    partly_known: dict[Value, tuple[Dim | None, ...]]
    """Vectors whose numbers are partly known sizes, and partly of the data: None for these."""

    def call_graph(self, graph: GraphProto, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The outputs of a graph inside a node."""


@dataclass(frozen=True, eq=False)
class NodeCall:
    """One node while it is read. version: of the opset of its domain. outputs: their names, "" where not wanted."""

    name: str
    domain: str
    op: str
    version: int
    tensors: tuple[Tensor | None, ...]
    attributes: Mapping[str, Any]
    outputs: tuple[str, ...]
    reader: Reader

    @cached_property
    def inputs(self) -> tuple[Value | None, ...]:
        """The inputs as values of the graph; None where one is left out. `input(i)` is for those that must be there."""
        return tuple(map(self.optional, range(len(self.tensors))))

    def tensor(self, place: int) -> Tensor | None:
        """An input as a value or as a tensor of sizes; None if it is left out."""
        return self.tensors[place] if place < len(self.tensors) else None

    def input(self, place: int) -> Value:
        """An input that must be there, as a value. Raises Refused."""
        found = self.tensor(place)
        if found is None:
            raise Refused(f"it has no input {place}")
        return self._as_stored(found)

    def optional(self, place: int) -> Value | None:
        """An input that may be left out, as a value."""
        found = self.tensor(place)
        return None if found is None else self._as_stored(found)

    def _as_stored(self, found: Tensor) -> Value:
        given = value(found)
        return self.reader.weights.as_stored(given) if isinstance(given.source, Parameter) else given

    def wants(self, place: int) -> bool:
        """Whether something may read this output."""
        return place < len(self.outputs) and self.outputs[place] != ""

    def refused(self, reason: str, remedy: str | None = None) -> Refused:
        """The error that refuses the node: `raise call.refused("it ...")`."""
        return Refused(reason, remedy)

    # ---- attributes

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute as plain data: int, float, str, a list of these, an array, a GraphProto."""
        return self.attributes.get(name, default)

    def dtype(self, name: str = "dtype", default: DType | None = None) -> DType:
        """An attribute that is a dtype. Raises Refused for one that dagir has not."""
        code = self.attributes.get(name)
        if code is None:
            if default is None:
                raise Refused(f"it has no attribute {name!r}")
            return default
        return self.dtype_of(code)

    def dtype_of(self, code: int) -> DType:
        """The dtype for a number of ONNX's TensorProto.DataType. Raises Refused."""
        if code not in FROM_ONNX:
            raise Refused(f"dagir has no dtype for ONNX's {dtype_name(code)}")
        return FROM_ONNX[code]

    def graph(self, name: str) -> GraphProto:
        """An attribute that is a graph: a branch, or the body of a loop. Raises Refused."""
        found = self.attributes.get(name)
        if found is None or not hasattr(found, "node"):
            raise Refused(f"it has no graph {name!r}")
        return found

    def setting(self, name: str) -> Tensor | None:
        """An attribute that became an input in a later version: from where it is; None if it is left out."""
        given = self.attributes.get(name)
        place = MOVED[(self.domain, self.op)][name]
        if given is None:
            return self.tensor(place)
        if isinstance(given, (int, float)) or (isinstance(given, list) and given and isinstance(given[0], float)):
            number = np.asarray(given)
            return constant(number.astype(np.int64 if number.dtype.kind == "i" else np.float32))
        return sizes_of(given)

    # ---- numbers that are known while the graph is read

    def array(self, place: int) -> Array | None:
        """The numbers of an input that is a weight, a constant, or computed from these alone; None for others."""
        found = self.tensor(place)
        return known_array(found) if isinstance(found, Value) else None

    def dims(self, place: int, what: str) -> tuple[Dim, ...]:
        """An integer input as sizes. Raises Refused where they depend on the data."""
        found = self.tensor(place)
        if found is None:
            raise Refused(f"it has no {what}")
        return dims_of(found, what)

    def ints(self, place: int, what: str) -> tuple[int, ...]:
        """An integer input whose numbers are known while the graph is read. Raises Refused."""
        found = self.tensor(place)
        if found is None:
            raise Refused(f"it has no {what}")
        return ints_of(found, what)

    def axes(self, name: str = "axes") -> tuple[int, ...] | None:
        """The setting `axes`; None if it is left out or empty."""
        found = self.setting(name)
        return None if found is None else ints_of(found, name) or None

    def number(self, place: int, what: str) -> float:
        """An input of one number that is known while the graph is read. Raises Refused."""
        found = self.array(place)
        if found is None or found.size != 1:
            raise Refused(f"its {what} is computed when the model runs, and must be one number")
        return found.reshape(()).item()

    def weight(self, place: int, *, trainable: bool = True) -> Value | None:
        """An input where a layer has a weight: a stored array becomes a weight, even of one element.

        trainable: False for statistics and tables that training by gradients leaves as they are.
        """
        found = self._weight(place, trainable)
        return self._as_stored(found) if found is not None else None

    def rearranged(self, place: int, axes: Sequence[int], *, trainable: bool = True) -> Value:
        """A weight with its axes in another order: a view of the stored numbers; of computed values a Transpose."""
        found = self._weight(place, trainable)
        if found is None:
            raise Refused(f"it has no input {place}")
        return self.reader.weights.rearranged(found, axes)

    def part(self, place: int, name: str, cut: Callable[[Array], Array]) -> Value | None:
        """A weight that is made of a stored array, such as that of one direction; None for a computed input."""
        found = self._weight(place, True)
        return None if found is None else self.reader.weights.part(found, name, cut)

    def _weight(self, place: int, trainable: bool) -> Value | None:
        given = self.tensor(place)
        if given is None:
            return None
        found = value(given)
        if isinstance(found.source, Constant) and found.dtype.is_float:
            found = self.reader.weights.parameter(found)
        if isinstance(found.source, Parameter) and not trainable:
            found.source.trainable = False
        return found

    # ---- graphs inside

    def call_graph(self, graph: GraphProto, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The outputs of a graph inside this node, read in place: it may read names of the graphs around it.

        Raises Refused where a node inside cannot be taken, which has been noted then.
        """
        return self.reader.call_graph(graph, inputs)


def dtype_name(code: int) -> str:
    """The name of a TensorProto.DataType, for errors."""
    try:
        return TensorProto.DataType.Name(code).lower()
    except ValueError:
        return str(code)


__all__ = ["MOVED", "NodeCall", "Reader", "dtype_name"]
