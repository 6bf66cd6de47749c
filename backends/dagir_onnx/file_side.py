"""One of two .onnx files that are compared as they are: what runs of it return, and how far its answers may move."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, numpy_helper

from dagir.equivalence.budget import Spread
from dagir.equivalence.comparison import Finding, compare
from dagir.equivalence.oracle import Expected
from dagir.errors import DagirError
from dagir.ir.types import Array, DType, TensorType
from dagir_onnx import untrusted_proto
from dagir_onnx.points import Watch
from dagir_onnx.runtime_errors import file_refusal, refusals, refuse_fatal
from dagir_onnx.session_setup import SessionSetup


class Side:
    """One file, or a body in it: its interface, its nodes, and runs with more outputs.

    exact: whether codes are multiplied exactly on every CPU, which sessions do not by default.
    """

    def __init__(self, path: Path, proto: ModelProto | None = None, exact: bool = False) -> None:
        self.path, self.exact = path, exact
        self.proto = untrusted_proto.read_whole(path) if proto is None else proto
        weights = {tensor.name for tensor in self.proto.graph.initializer}
        self.inputs = [info for info in self.proto.graph.input if info.name not in weights]
        self.outputs = [info.name for info in self.proto.graph.output]
        self.makers: dict[str, NodeProto] = {
            name: node for node in self.proto.graph.node for name in node.output if name
        }

    def run(self, feeds: Mapping[str, Array], tensors: Sequence[str], proto: ModelProto | None = None) -> list[Array]:
        """The arrays of tensors, of this file or of a disturbed copy. Raises FileError, BackendError."""
        if not tensors:
            return []  # to onnxruntime, none means all outputs
        refuse_fatal(self.proto, list(feeds.values()), self.path)
        options = SessionSetup(without_saturation=self.exact).options(lambda: self.proto)
        options.log_severity_level = 4  # what it would log is raised
        watch = Watch(proto or self.proto, options, ["CPUExecutionProvider"], None, self._refused)
        try:
            return watch(feeds, tensors)
        except (ValueError, TypeError, MemoryError) as error:
            raise self._refused(error) from None
        except refusals() as error:
            raise self._refused(error) from None

    def _refused(self, error: Exception) -> DagirError:
        return file_refusal(error, self.proto, "cpu", self.path)

    def weights(self, names: Collection[str]) -> dict[str, Array]:
        """The arrays of those names that are weights."""
        held = (tensor for tensor in self.proto.graph.initializer if tensor.name in names)
        return {tensor.name: untrusted_proto.array_of(tensor, self.path) for tensor in held}

    def title(self, tensor: str) -> str:
        """The name in the file of the node that makes a tensor."""
        node = self.makers[tensor]
        return str(node.name or f"{node.op_type} of {tensor}")

    def layer(self, tensor: str) -> str:
        """The layer that the file names for that node, if it does."""
        node = self.makers[tensor]
        return next((entry.value for entry in node.metadata_props if entry.key == "dagir.layer"), "")


def disturbed(
    side: Side, feeds: Mapping[str, Array], tensors: Sequence[str], samples: int, rng: np.random.Generator
) -> dict[str, Expected]:
    """The answers of a file, and how far they move when its inputs and weights are rounded otherwise."""
    answers = side.run(feeds, tensors)
    spreads = [
        Spread(array.astype(np.float64) if _is_float(array) else array, DType.of(array.dtype)) for array in answers
    ]
    for _ in range(samples):
        proto = ModelProto()
        proto.CopyFrom(side.proto)
        for tensor in proto.graph.initializer:
            array = untrusted_proto.array_of(tensor, side.path)
            if _is_float(array) and array.ndim:
                tensor.CopyFrom(numpy_helper.from_array(_rounded(array, rng), tensor.name))
        moved = {name: _rounded(array, rng) for name, array in feeds.items()}
        for spread, array in zip(spreads, side.run(moved, tensors, proto), strict=True):
            spread.add(array.astype(np.float64) if _is_float(array) else array)
    return {name: _expected(spread) for name, spread in zip(tensors, spreads, strict=True)}


def _is_float(array: Array) -> bool:
    """Whether numbers of the array are computed with: those of float8_e5m2, which NumPy calls floats, are codes."""
    return array.dtype.kind == "f" and array.dtype.itemsize > 1


def _rounded(array: Array, rng: np.random.Generator) -> Array:
    if not _is_float(array):
        return array
    eps = np.finfo(array.dtype).eps
    return np.asarray(array * (1 + eps * rng.choice([-1, 0, 1], array.shape))).astype(array.dtype)


def _expected(spread: Spread) -> Expected:
    if not spread.dtype.is_float:
        return Expected(spread.answer, None, tuple(spread.variants))
    budget, whole = spread.allowance()
    least = 4 * spread.dtype.eps * float(np.abs(np.nan_to_num(spread.answer)).max(initial=0))
    return Expected(spread.answer, np.maximum(budget, least), (), max(whole, least))


def judge(array: Array, expected: Expected) -> Finding:
    """Whether an array is what a file may answer."""
    return compare(array, expected, TensorType(DType.of(array.dtype), tuple(expected.array.shape)))
