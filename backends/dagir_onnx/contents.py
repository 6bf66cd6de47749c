"""What an .onnx file holds: its nodes in order, bodies inside them, and its weights. The file is not run."""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from hashlib import sha256
from math import prod
from pathlib import Path

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from dagir.display.contents import Contents, LayerEntry, Sizes, TensorEntry, WeightEntry, shortened
from dagir.ir.naming import Namer
from dagir.ir.types import Array
from dagir_onnx import untrusted_proto
from dagir_onnx.dtypes import FROM_ONNX
from dagir_onnx.metadata_reader import skim
from dagir_onnx.settings import graphs_in, settings

_TOLD = {"verified": "dagir.verified", "confirmed by": "dagir.confirmed_by"}
_HALF_BYTES = frozenset(("int4", "uint4", "float4_e2m1fn"))
_QUARTER_BYTES = frozenset(("int2", "uint2"))


def contents_of_file(path: Path) -> Contents:
    """Inputs, outputs, nodes and weights. Raises FileError."""
    model = skim(path)
    untrusted_proto.check(model, path)
    model = _with_shapes(model)
    graph = model.graph
    reader = _Reader(settings(graph, {entry.domain: entry.version for entry in model.opset_import}))
    weights = reader.weights_of(graph)
    layers = reader.entries(graph, ChainMap(_types(graph)), ChainMap(weights))
    return Contents(
        graph.name,
        tuple(_declared(info) for info in graph.input if info.name not in weights),
        tuple(_declared(info) for info in graph.output),
        layers,
        tuple(reader.weights.values()),
        dict(Counter(_kind(node) for each in graphs_in(graph) for node in each.node).most_common()),
        facts_of(model),
    )


class Arrays(Mapping[str, Array]):
    """The weights of a file's graph by name, each made where it is asked for. Raises FileError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        graph = untrusted_proto.read(path).graph
        self._tensors = {**constants_of(graph), **{tensor.name: tensor for tensor in graph.initializer}}

    def __getitem__(self, name: str) -> Array:
        return untrusted_proto.array_of(self._tensors[name], self._path)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def facts_of(model: ModelProto) -> tuple[tuple[str, str], ...]:
    """Opset, IR version, producer, how many functions the file defines, and what it says of its verification."""
    opsets = ", ".join(f"{entry.domain or 'ai.onnx'} {entry.version}" for entry in model.opset_import)
    functions = (("functions", str(len(model.functions))),) if model.functions else ()
    producer = model.producer_name or "unknown"
    said = {entry.key: entry.value for entry in model.metadata_props}
    told = tuple((label, said[key]) for label, key in _TOLD.items() if key in said)
    return (("opset", opsets), ("IR version", str(model.ir_version)), ("producer", producer), *functions, *told)


def _with_shapes(model: ModelProto) -> ModelProto:
    """The model with what onnx infers of its tensors; as it is where onnx refuses it."""
    try:
        return onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # onnx raises errors of several kinds, and what the file tells of itself is shown all the same
        return model


class _Reader:
    """Reads graphs into entries. weights: those of all graphs, each by a name of its own. settings: names of axes,
    shapes and indices, which count as no parameters.
    """

    def __init__(self, settings: Collection[str]) -> None:
        self.weights: dict[str, WeightEntry] = {}
        self._settings = settings
        self._namer = Namer()

    def weights_of(self, graph: GraphProto) -> dict[str, WeightEntry]:
        """The weights of one graph, by their names there."""
        held = {tensor.name: tensor for tensor in _weights_of(graph)}
        held |= {name: tensor for name, tensor in constants_of(graph).items() if name not in self._settings}
        found = {name: _weight(tensor, self._namer(name), name in self._settings) for name, tensor in held.items()}
        self.weights.update({weight.name: weight for weight in found.values()})
        return found

    def entries(
        self, graph: GraphProto, types: ChainMap[str, TensorEntry], weights: ChainMap[str, WeightEntry]
    ) -> tuple[LayerEntry, ...]:
        """The nodes of a graph. types, weights: by name, of this graph and of those around it."""
        namer = Namer(node.name for node in graph.node if node.name)
        return tuple(self._entry(node, node.name or namer(node.op_type), types, weights) for node in graph.node)

    def _entry(
        self, node: NodeProto, name: str, types: ChainMap[str, TensorEntry], weights: ChainMap[str, WeightEntry]
    ) -> LayerEntry:
        bodies = tuple(self._body(name, body, types, weights) for name, body in _bodies(node))
        read = [weights[each].name for each in (*node.input, *node.output) if each in weights]
        used = self._all([*read, *_used_by(bodies)])
        return LayerEntry(
            name,
            _kind(node),
            tuple(each for each in node.input if each and each not in weights),
            tuple(types.get(each) or TensorEntry(None, None, each) for each in node.output if each),
            1,
            (_op_text(node),),
            *used,
            layers=bodies,
        )

    def _body(
        self, name: str, graph: GraphProto, types: ChainMap[str, TensorEntry], weights: ChainMap[str, WeightEntry]
    ) -> LayerEntry:
        """A body sees the tensors of the graphs around it."""
        layers = self.entries(graph, types.new_child(_types(graph)), weights.new_child(self.weights_of(graph)))
        inputs, outputs = tuple(info.name for info in graph.input), tuple(map(_declared, graph.output))
        return LayerEntry(name, "Body", inputs, outputs, 1, (), *self._all(_used_by(layers)), layers=layers)

    def _all(self, names: Iterable[str]) -> tuple[tuple[str, ...], int, int]:
        """Names of weights, each once, their elements and their bytes."""
        wanted = dict.fromkeys(names)
        found = [self.weights[name] for name in wanted if not self.weights[name].is_setting]
        return tuple(wanted), sum(each.parameters for each in found), sum(each.bytes for each in found)


def _used_by(layers: Iterable[LayerEntry]) -> list[str]:
    return [name for layer in layers for name in layer.weights]


def _bodies(node: NodeProto) -> Iterator[tuple[str, GraphProto]]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.name, attribute.g
        yield from ((f"{attribute.name}_{index}", graph) for index, graph in enumerate(attribute.graphs))


def _kind(node: NodeProto) -> str:
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}:{node.op_type}"


def _op_text(node: NodeProto) -> str:
    """The op with its attributes; bodies are entries of their own."""
    shown = sorted(
        (each for each in node.attribute if not each.HasField("g") and not each.graphs), key=lambda a: a.name
    )
    return shortened(f"{_kind(node)}({', '.join(f'{each.name}={_value(each)}' for each in shown)})")


def _value(attribute: AttributeProto) -> str:
    """A tensor by a digest of its bytes, everything else as it is."""
    if attribute.HasField("t"):
        tensor = attribute.t
        digest = sha256(tensor.SerializeToString()).hexdigest()[:16]
        return f"{_dtype(tensor.data_type)}{list(tensor.dims)} (sha256 {digest})"
    value = helper.get_attribute_value(attribute)
    return repr(list(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) else value)


def _types(graph: GraphProto) -> dict[str, TensorEntry]:
    return {info.name: _declared(info) for info in (*graph.input, *graph.value_info, *graph.output)}


def _weights_of(graph: GraphProto) -> list[TensorProto]:
    sparse = [TensorProto(name=each.values.name, dims=each.dims, data_type=each.values.data_type)
              for each in graph.sparse_initializer]  # fmt: skip
    return [*graph.initializer, *sparse]


def constants_of(graph: GraphProto) -> dict[str, TensorProto]:
    """The tensors that Constant nodes hold, in which some tools write all weights; single numbers are not listed."""
    return {
        node.output[0]: attribute.t
        for node in graph.node
        if _kind(node) == "Constant" and len(node.output) == 1
        for attribute in node.attribute
        if attribute.name == "value" and attribute.HasField("t") and len(attribute.t.dims) > 0
    }


def _weight(tensor: TensorProto, name: str, is_setting: bool) -> WeightEntry:
    elements = prod(tensor.dims)
    dtype = _dtype(tensor.data_type)
    taken = _bytes(dtype, elements, tensor.data_type)
    return WeightEntry(name, dtype, tuple(tensor.dims), elements, taken, is_setting=is_setting)


def _bytes(dtype: str, elements: int, code: int) -> int:
    if dtype in _HALF_BYTES:
        return (elements + 1) // 2
    if dtype in _QUARTER_BYTES:
        return (elements + 3) // 4
    return int(helper.tensor_dtype_to_np_dtype(code).itemsize) * elements


def _dtype(code: int) -> str:
    """The name that dagir gives a dtype, or ONNX's."""
    return str(FROM_ONNX[code]) if code in FROM_ONNX else TensorProto.DataType.Name(code).lower()


def _declared(info: ValueInfoProto) -> TensorEntry:
    """Of what is no tensor (a sequence, an optional one) the kind."""
    if not info.type.HasField("tensor_type"):
        what = info.type.WhichOneof("value")
        return TensorEntry(what.removesuffix("_type") if what else None, None, info.name)
    declared = info.type.tensor_type
    known = declared.elem_type in FROM_ONNX or declared.elem_type in TensorProto.DataType.values()
    dtype = _dtype(declared.elem_type) if known and declared.elem_type else None
    shape: Sizes | None = None
    if declared.HasField("shape"):
        shape = tuple(
            int(size.dim_value) if size.HasField("dim_value") else size.dim_param or None for size in declared.shape.dim
        )
    return TensorEntry(dtype, shape, info.name)
