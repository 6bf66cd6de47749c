"""load: from a file to a document and mapped tensors, and from these to a model. Nothing in the file is executed."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping, Sequence

from dagir.errors import DagirError
from dagir.ir.graph import Constant, Parameter, Value
from dagir.ir.nest import flatten
from dagir.ir.types import Array, DType, type_of
from dagir.layers import InputLayer, Layer
from dagir.layers.internals import calls_of
from dagir.modeling.model import Model
from dagir.modeling.training import TrainingState
from dagir.serialization.container import checksum, read
from dagir.serialization.layers import LayerRecord, Layers
from dagir.serialization.nodes import Nodes
from dagir.serialization.reading import Place, Record, expect, index, parse_json, shown
from dagir.serialization.saving import FORMAT, VERSION
from dagir.serialization.structures import Decoder, decode_type
from dagir.support import limits
from dagir.support.location import LayerCall, Location


def load(
    path: str | os.PathLike[str], custom_objects: Mapping[str, type[Layer]] | None = None, *, checksums: bool = True
) -> Model:
    """Read a model that `save` wrote. The weights stay in the file, mapped into memory, until they are assigned.

    custom_objects: classes of custom layers by name, to make them again from their configuration; without its class
    a custom layer is an OpaqueLayer, which still runs and lowers. checksums: compare the CRC-32 of every
    tensor, which reads the whole file once; False leaves the weights unread until they are used.
    Raises FileError that names the file and the key.
    path: of a .dagir file. Raises FileError.

    >>> x = dagir.Input((3,), name="x")
    >>> dagir.save(dagir.Model(x, layers.Dense(2)(x), name="net"), "net.dagir")
    >>> dagir.load("net.dagir")
    <Model net: x -> dense>
    """
    name = os.fspath(path)
    place = Place(name)
    with limits.reading(name):
        tensors, metadata = read(name)
        document = Record(_document(metadata, place), place)
        try:
            return Reader(document, tensors, custom_objects or {}, checksums).model()
        except RecursionError:
            raise place.error("is nested too deep") from None


def _document(metadata: Mapping[str, str], place: Place) -> object:
    if metadata.get("format") != FORMAT or "graph" not in metadata:
        raise place.error("is a safetensors file without a dagir model", remedy="write it with model.save(path)")
    version = metadata.get("version", "")
    if not (version.isascii() and version.isdigit() and len(version) < 10 and int(version) >= 1):
        raise place.error(f"has the format version {shown(version)}")
    if int(version) > VERSION:
        raise place.error(
            f"has format version {version}, this dagir reads versions up to {VERSION}", remedy="install a newer dagir"
        )
    text = metadata["graph"]
    if metadata.get("graph_crc32") != f"{zlib.crc32(text.encode('utf-8', 'surrogatepass')):08x}":
        raise (place / "graph").error("does not match its checksum: the file is damaged")
    return parse_json(text, place / "graph")


class Reader:
    """Reads a document part by part, each after the parts that it needs."""

    def __init__(
        self, document: Record, tensors: dict[str, Array], custom: Mapping[str, type[Layer]], checksums: bool
    ) -> None:
        self.document, self.tensors, self.place = document, tensors, document.place
        self._check_tensors(document.take("checksums", dict), checksums)
        self.locations = [
            _location(text, self.place / "locations" / i) for i, text in enumerate(document.take("locations", list))
        ]
        layers = self._records("layers")
        self.records = [LayerRecord(record, number) for number, record in enumerate(layers)]
        self.layers = Layers(self.records, custom)
        self.parameters: list[Parameter] = []
        self.values: list[Value] = []
        self.calls: list[LayerCall] = []
        self.decoder = Decoder(self.values, self.parameters, self.layers.made, tensors)

    def model(self) -> Model:
        """The model of the document. Raises FileError."""
        training = self.document.raw("training")
        main = index(self.document.take("model", int), len(self.records), "layer", self.place / "model")
        self.read()
        found = self.layers.made[main]
        if not isinstance(found, Model):
            raise (self.place / "model").error("refers to a layer that is no model")
        if training is not None:
            found.restore_training(self._training(training))
        return found

    def _training(self, data: object) -> TrainingState:
        """The saved training state as data; it is checked when training continues."""
        record = Record(data, self.place / "training")
        backend, text = record.take("backend", str), record.take("config", str)
        names = record.take("tensors", list)
        record.done()
        config = expect(parse_json(text, record.place / "config"), dict, record.place / "config")
        arrays = [self._tensor(expect(name, str, record.place), record.place) for name in names]
        return TrainingState(backend, config, tuple(arrays))

    def read(self) -> Nodes:
        """All parts of the document. Raises FileError."""
        self._read_leaves()
        calls = self._records("calls")
        graphs = self._records("graphs")
        nodes = self._records("nodes")
        masks = self.document.take("masks", list)
        self.document.done()
        self._make_calls(calls)
        made = Nodes(graphs, self.values, self.calls, self.location)
        made.make(nodes)
        self._fill_calls(calls)
        self._attach_masks(masks)
        self.layers.make(self.decoder, made.graph, self.calls)
        return made

    def _records(self, key: str) -> list[Record]:
        place = self.place / key
        return [Record(data, place / i) for i, data in enumerate(self.document.take(key, list))]

    def _check_tensors(self, sums: dict[str, object], compare: bool) -> None:
        place = self.place / "checksums"
        for name in sums.keys() ^ self.tensors.keys():
            raise (place / name).error("the graph and the file do not hold the same tensors")
        for name, array in self.tensors.items():
            declared = expect(sums[name], int, place / name)
            if compare and declared != checksum(array):
                raise (self.place / name).error("does not match its checksum: the file is damaged")

    def location(self, record: Record) -> Location | None:
        """The source line that a record gives."""
        at = record.take("at", int, -1)
        return None if at == -1 else self.locations[index(at, len(self.locations), "location", record.place / "at")]

    # ---- values

    def _read_leaves(self) -> None:
        for record in self._records("inputs"):
            self.values.append(self._input(record))
        for record in self._records("parameters"):
            name, array = record.take("name", str), self._tensor(record.take("tensor", str), record.place)
            trainable = record.take("trainable", bool, True)
            record.done()
            self.parameters.append(Parameter(name, type_of(array), array=array, trainable=trainable))
            self.values.append(self.parameters[-1].value)
        for i, name in enumerate(self.document.take("constants", list)):
            place = self.place / "constants" / i
            self.values.append(Constant(self._tensor(expect(name, str, place), place)).value)

    def _tensor(self, name: str, place: Place) -> Array:
        if name not in self.tensors:
            raise place.error(f"refers to the tensor {shown(name)}, which the file does not hold")
        return self.tensors[name]

    def _input(self, record: Record) -> Value:
        name, type = record.take("name", str), decode_type(record)
        place, number = record.place / "layer", record.take("layer", int, -1)
        location = self.location(record)
        record.done()
        if number == -1:
            return Value(type, name=name)
        index(number, len(self.records), "layer", place)
        if self.records[number].kind != "input" or self.layers.made[number] is not None:
            raise place.error(f"refers to layer {number}, which is not an InputLayer of its own")
        try:
            layer = InputLayer(batch_shape=type.shape, dtype=type.dtype, name=self.records[number].name)
        except DagirError as error:
            raise record.place.error(error.summary) from None
        self.layers.made[number] = layer
        calls_of(layer)[0].location = location
        value: Value = layer.output
        return value

    # ---- calls and masks

    def _make_calls(self, records: Sequence[Record]) -> None:
        for number, record in enumerate(records):
            layer = index(record.take("layer", int), len(self.records), "layer", record.place / "layer")
            parent = record.take("parent", int, -1)
            above = None if parent == -1 else self.calls[index(parent, number, "call", record.place / "parent")]
            self.calls.append(LayerCall(self.records[layer], above, self.location(record)))

    def _fill_calls(self, records: Sequence[Record]) -> None:
        for call, record in zip(self.calls, records, strict=True):
            place = record.place / "args"
            call.args = tuple(expect(self.decoder(record.raw("args"), place), list, place))
            kwargs = self.decoder(record.raw("kwargs"), record.place / "kwargs")
            if kwargs is not None and not (isinstance(kwargs, dict) and all(isinstance(key, str) for key in kwargs)):
                raise (record.place / "kwargs").error("must be a dict with names as keys")
            call.kwargs = kwargs or {}
            call.outputs = self.decoder(record.raw("outputs"), record.place / "outputs")
            if not all(leaf is None or isinstance(leaf, Value) for leaf in flatten(call.outputs)):
                raise (record.place / "outputs").error("holds what is no value of the graph")
            record.done()

    def _attach_masks(self, masks: Sequence[object]) -> None:
        for number, pair in enumerate(masks):
            place = self.place / "masks" / number
            numbers = [index(i, len(self.values), "value", place) for i in expect(pair, list, place)]
            if len(numbers) != 2 or numbers[0] == numbers[1]:
                raise place.error(f"must be two different values, got {shown(pair)}")
            value, mask = (self.values[i] for i in numbers)
            if mask.dtype is not DType.BOOL or value.mask not in (None, mask):
                raise place.error("is no boolean value, or a second mask")
            value.attach_mask(mask)


def _location(text: object, place: Place) -> Location:
    file, _, line = expect(text, str, place).rpartition(":")
    if not (line.isascii() and line.isdigit() and len(line) < 10):
        raise place.error(f"must be file:line, got {shown(text)}")
    return Location(file, int(line))
