"""A given .onnx file: runs it as it is, or describes it."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from dagir.equivalence.inputs import draw, size_plans
from dagir.errors import DagirError, FileError
from dagir.ir.dims import evaluate
from dagir.ir.graph import Graph
from dagir.modeling.model import Model
from dagir.runtime.backend import Executable, FileSummary, backend, graph_of, signature
from dagir.runtime.probes import points_of
from dagir.support.backend_names import NUMPY
from dagir.support.paths import checked
from dagir_onnx import untrusted_proto
from dagir_onnx.executable import OnnxExecutable
from dagir_onnx.metadata_reader import skim
from dagir_onnx.name_matching import check_given, entries_of, match, told
from dagir_onnx.points import Point, Watch, computing_nodes, marked_points, named_points
from dagir_onnx.runtime_errors import file_refusal
from dagir_onnx.saturation import reason, saturating_nodes
from dagir_onnx.session_setup import SessionSetup
from dagir_onnx.value_matching import nearest, within_limit

_HALVES = {TensorProto.BFLOAT16: "bfloat16", TensorProto.FLOAT16: "float16"}  # the coarser one first
_OF_CODES = frozenset(
    {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger"}
    | {"MatMulInteger", "MatMulNBits", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "QGemm", "QLinearAdd"}
)


class OnnxFile(OnnxExecutable):
    """An onnxruntime session over a file, called with the inputs and outputs of the model it was made from."""

    _exact = False  # as sessions run a file by default

    def __init__(
        self,
        path: str | os.PathLike[str],
        model: Model | Graph,
        setup: SessionSetup | None = None,
        names: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        Executable.__init__(self, graph_of(model), signature(model))
        self.path = Path(path)
        self._opened = model, setup, names
        self.setup = replace(setup or SessionSetup(), without_saturation=self._exact)
        self._session = None
        checked(self.path, as_text=True)
        if not self.path.exists():
            raise FileError(f"there is no file {self.path}")
        untrusted_proto.check(skim(self.path), self.path)  # onnxruntime opens it next, and trusts it
        self._match_names(names)

    @property
    def artifact(self) -> ModelProto:
        """The ONNX model, read again at each access; its external weights stay outside."""
        return untrusted_proto.read(self.path)

    @cached_property
    def low_precision(self) -> str:
        """ "codes" where an operator computes with them, else the dtype of halves in which a weight is stored."""
        return _narrow_kind(skim(self.path))

    def without_saturation(self) -> tuple[OnnxFile, str] | None:
        """The file with the option of onnxruntime that multiplies codes exactly on every CPU, where codes need it."""
        if self._exact or self.setup.session_options is not None:
            return None
        nodes = saturating_nodes(self._whole(), self.path)
        return (_ExactFile(self.path, *self._opened), reason(nodes[0], len(nodes))) if nodes else None

    @contextlib.contextmanager
    def _source(self, options: Any) -> Iterator[tuple[str, None]]:
        yield str(self.path), None

    def _model_for_points(self) -> ModelProto:
        return self.artifact

    def _model_of_codes(self) -> ModelProto:
        return skim(self.path)

    @cached_property
    def _points(self) -> dict[str, Point]:
        """What the file says of its tensors; of a file that says nothing, the tensors named as values of the model."""
        proto = self._model_for_points()
        return marked_points(proto) or named_points(proto, self._graph) or self._near_points(proto)

    def _near_points(self, proto: ModelProto) -> dict[str, Point]:
        """The tensors that are what values of the model are, on drawn inputs."""
        points, plan = points_of(self._graph), size_plans(self._graph)[0]
        arrays = draw(self._graph, plan.tried[0], np.random.default_rng(0), plan.kind)
        makers = computing_nodes(proto)
        shapes = [value.type.shape for value in points.values.values()]
        if not within_limit([tuple(evaluate(size, plan.tried[0]) for size in shape) for shape in shapes]):
            return {}
        model = backend(NUMPY).lower(self._graph)
        values = dict(zip(points.values, model.observe(arrays, list(points.values)), strict=True))
        feeds = dict(zip(self.input_names, arrays, strict=True))
        tensors = dict(zip(makers, self._watch()(feeds, list(makers)), strict=True))
        return nearest(values, tensors, makers)

    def _whole(self) -> ModelProto:
        """The model with its external weights."""
        return untrusted_proto.read_whole(self.path)

    def _keep(self, path: Path) -> None:
        """A copy, with a copy of its external weights beside it."""
        weights = self.artifact.graph.initializer
        if any(tensor.data_location == TensorProto.EXTERNAL for tensor in weights):
            onnx.save_model(
                untrusted_proto.read_whole(self.path), path, save_as_external_data=True, location=f"{path.name}.data"
            )
        else:
            shutil.copyfile(self.path, path)

    def _watch(self, folder: str | None = None) -> Watch:
        return super()._watch(str(self.path.resolve().parent))

    def _refused(self, error: Exception) -> DagirError:
        return file_refusal(error, self._model_for_points(), self.setup.title, self.path)

    def _match_names(self, given: Mapping[str, str]) -> None:
        """Find the inputs and outputs of the model in the file. Raises ArgumentError."""
        ends = {
            "inputs": (self.signature.inputs, entries_of(self.session.get_inputs())),
            "outputs": (self.signature.outputs, entries_of(self.session.get_outputs())),
        }
        file = [entry.name for _, entries in ends.values() for entry in entries]
        check_given(self.path, given, file, [name for wanted, _ in ends.values() for name, _ in wanted])
        known = {what: match(self.path, what, *pair, given) for what, pair in ends.items()}
        self.renamed = tuple(line for what, names in known.items() for line in told(what, names, given))
        self.input_names = [known["inputs"][name] for name, _ in self.signature.inputs]
        self.output_names = [known["outputs"][name] for name, _ in self.signature.outputs]


class _ExactFile(OnnxFile):
    """The same, with codes multiplied exactly on every CPU."""

    _exact = True


def describe_file(path: str | os.PathLike[str]) -> FileSummary:
    """Inputs, outputs, how often each op occurs, and the weights. Raises FileError."""
    model = skim(Path(path))
    untrusted_proto.check(model, Path(path))
    weights = {tensor.name for tensor in model.graph.initializer}
    opsets = ", ".join(f"{entry.domain or 'ai.onnx'} {entry.version}" for entry in model.opset_import)
    return FileSummary(
        tuple(_entry(info) for info in model.graph.input if info.name not in weights),
        tuple(_entry(info) for info in model.graph.output),
        dict(Counter(node.op_type for node in model.graph.node).most_common()),
        len(weights),
        sum(_bytes(tensor) for tensor in model.graph.initializer),
        (
            ("opset", opsets),
            ("IR version", str(model.ir_version)),
            ("producer", model.producer_name or "unknown"),
            *((("narrow", "yes"),) if _narrow_kind(model) else ()),
        ),
    )


def _narrow_kind(proto: ModelProto) -> str:
    if any(node.op_type in _OF_CODES for node in proto.graph.node):
        return "codes"
    stored = {tensor.data_type for tensor in proto.graph.initializer if tensor.dims}
    return next((name for kind, name in _HALVES.items() if kind in stored), "")


def _bytes(tensor: TensorProto) -> int:
    size = int(helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
    return size * prod(tensor.dims)


def _entry(info: ValueInfoProto) -> tuple[str, str]:
    tensor = info.type.tensor_type
    dims = [str(size.dim_value) if size.HasField("dim_value") else size.dim_param or "?" for size in tensor.shape.dim]
    if not info.type.HasField("tensor_type"):
        return info.name, (info.type.WhichOneof("value") or "undefined").removesuffix("_type")
    return info.name, f"{TensorProto.DataType.Name(tensor.elem_type).lower()}[{', '.join(dims)}]"
