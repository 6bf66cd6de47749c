"""The weights of a Keras file, assigned to the Parameters of a model, each once, without a copy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dagir import layers
from dagir.errors import FileError
from dagir.ir.arrays import release
from dagir.ir.graph import Parameter, snake_case
from dagir.ir.nest import flatten
from dagir.layers import Layer
from dagir_keras.reading.config_values import is_object
from dagir_keras.reading.files.hdf5 import Dataset, Group, walk
from dagir_keras.reading.files.keras2 import Shared, Writer, conversions, without_slash
from dagir_keras.reading.files.model_config import ReadModel

_ORDERS = {  # of inner layers whose weights Keras lists in another order than that of their names
    "Bidirectional": ("forward_layer", "backward_layer"),
    "MultiHeadAttention": (  # with underscores in Keras 2
        *("query_dense", "_query_dense", "key_dense", "_key_dense", "_gate_dense"),
        *("value_dense", "_value_dense", "output_dense", "_output_dense"),
    ),
    "GroupQueryAttention": ("_query_dense", "_key_dense", "_gate_dense", "_value_dense", "_output_dense"),
}
_LEARNED = (layers.Discretization, layers.IntegerLookup, layers.StringLookup)  # in the configuration, not as weights
_CLASS_NAMES = {"GroupQueryAttention": "GroupedQueryAttention"}  # whose public name is another
_CONFIGURED = {"forward_layer": "layer"}  # configurations with another key than the file


class WeightsReader:
    """Assigns the arrays of a file. Raises FileError that names the layer, the weight and both shapes."""

    def __init__(self, source: str, stored: Group, writer: Writer) -> None:
        self.source, self.stored, self.writer = source, stored, writer
        self._assigned: set[Parameter] = set()
        self._seen = Shared()

    def read(self, made: ReadModel) -> None:
        """All weights of a model, from `layers/<class>/vars/<number>`."""
        self._model(made, self.stored, "")

    def read_legacy(self, made: ReadModel) -> None:
        """The same from an .h5 file: a group for each layer, which lists the names of its weights."""
        names = self.stored.texts("layer_names") or list(walk(self.stored))
        lists = {name: self._legacy(name) for name in names}
        wanted = [(name, layer) for name, layer in made.layers.items() if _legacy_weights(layer)]
        learned = {name for name, layer in made.layers.items() if isinstance(layer, _LEARNED)}
        stored = [name for name in names if lists[name] and without_slash(name) not in learned]
        if len(wanted) != len(stored):
            raise FileError(
                f"{self.source}: the file has weights of {len(stored)} layers, the model has {len(wanted)} with weights"
            )
        written = {without_slash(name): name for name in stored}  # Keras 2 has slashes in names
        known = len(written) == len(stored) and written.keys() == {name for name, _ in wanted}
        for place, (name, layer) in enumerate(wanted):
            self._assign(layer, _legacy_weights(layer), lists[written[name] if known else stored[place]], name)

    def _legacy(self, name: str) -> list[Dataset]:
        group = self.stored.group(name)
        if group is None:
            raise FileError(f"{self.stored.where}: has no weights of layer {name!r}, which it lists")
        found: list[Dataset] = []
        for weight in group.texts("weight_names") or []:
            data = group.get(weight)
            if not isinstance(data, Dataset):
                raise FileError(f"{group.where}: has no weight {weight!r}, which it lists")
            found.append(data)
        return found

    # ---- the newer layout

    def _model(self, made: ReadModel, group: Group, path: str) -> None:
        records = [record for record in made.record["config"]["layers"] if _name(record) in made.layers]
        inputs = [record for record in made.record["config"]["layers"] if record.get("class_name") == "InputLayer"]
        counted = records if made.record.get("class_name") == "Sequential" else _in_order(made, records, inputs)
        stored = group.group("layers")
        if self.writer.is_keras_2 and stored is not None and self._misses(made, counted, stored):
            fewer = [record for record in counted if not self._seen.known(record)]
            if not any(stored.group(place) for place in set(places(counted)) - set(places(fewer))):
                self._take_seen(made, records, fewer)
                counted = fewer
        for record, place in zip(counted, places(counted), strict=True):
            name = _name(record)
            if name in made.layers and (made.layers[name].weights or name in made.nested):
                inner = stored.group(place) if stored is not None else None
                self._read_layer(made, record, inner, (group, place, f"{path}/{name}".lstrip("/")))

    def _read_layer(self, made: ReadModel, record: Any, inner: Group | None, where: tuple[Group, str, str]) -> None:
        """The weights of one layer or model. where: the group that should have it, at which place, and its path."""
        name = _name(record)
        weights = made.layers[name].weights
        done = self._assigned.issuperset(weights)
        if inner is None and not done and self._seen.known(record):
            self._take_seen(made, [record], [])
        elif name in made.nested:
            if inner is not None or not done:
                self._model(made.nested[name], self._required(inner, *where), where[2])
                self._seen.add(record, weights)
        elif not done:
            found = self._required(inner, *where)
            self._assign(made.layers[name], weights, list(_arrays(record, found)), where[2])
            self._seen.add(record, weights)

    def _misses(self, made: ReadModel, counted: Sequence[Any], stored: Group) -> bool:
        """Whether a layer with weights has none at its place: Keras 2 does not count those that it stored before."""
        wanted = [
            place
            for record, place in zip(counted, places(counted), strict=True)
            if _name(record) in made.layers and made.layers[_name(record)].weights
        ]
        return any(stored.group(place) is None for place in wanted)

    def _take_seen(self, made: ReadModel, records: Sequence[Any], but: Sequence[Any]) -> None:
        """Assign the weights of layers that the file has elsewhere, where they were seen first."""
        left = {id(record) for record in but}
        for record in records:
            if id(record) not in left:
                weights = made.layers[_name(record)].weights
                for weight, other in zip(weights, self._seen.weights(record), strict=True):
                    weight.assign(other.array)
                self._assigned.update(weights)

    def _required(self, found: Group | None, group: Group, place: str, path: str) -> Group:
        if found is None:
            raise FileError(f"{group.where}: has no layers/{place}, the weights of layer {path!r}")
        return found

    def _assign(self, layer: Layer, weights: Sequence[Parameter], stored: Sequence[Dataset], path: str) -> None:
        if len(weights) != len(stored):
            raise FileError(
                f"{self.source}: layer {path!r} has {len(weights)} weights by its configuration, the file has "
                f"{len(stored)} of them"
            )
        pairs = list(zip(weights, stored, strict=True))
        converted = conversions(layer, {weight: data.shape for weight, data in pairs})
        for place, (weight, data) in enumerate(pairs):
            convert = converted.get(weight)
            if convert is None and data.shape != weight.shape:
                raise FileError(
                    f"{data.where}: weight {place} of layer {path!r} is {list(weight.shape)} by its configuration, "
                    f"the file has {list(data.shape)}"
                )
            array = data.array() if convert is None else convert(data.array())
            weight.assign(array)  # cast if of another dtype, as a float64 weight of a float32 layer
            release(weight.array)
            self._assigned.add(weight)


def _in_order(made: ReadModel, records: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
    kept = {id(record) for record in (*records, *inputs)}
    return [record for record in made.record["config"]["layers"] if id(record) in kept]


def places(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The names that Keras gives to a list of layers: by class, numbered."""
    used: dict[str, int] = {}
    for record in records:
        name = _file_name(str(record.get("class_name")))
        number = used[name] = used.get(name, -1) + 1
        yield f"{name}_{number}" if number else name


def _file_name(class_name: str) -> str:
    return snake_case(_CLASS_NAMES.get(class_name, class_name))


def _name(record: Mapping[str, Any]) -> str:
    return str(record.get("name") or _config(record).get("name"))


def _config(record: Mapping[str, Any]) -> Mapping[str, Any]:
    found = record.get("config")
    return found if isinstance(found, Mapping) else {}


def _arrays(record: Mapping[str, Any], group: Group) -> Iterator[Dataset]:
    """The arrays of a layer in the order of its weights: its own, then those of the layers inside."""
    own = group.group("vars")
    if own is not None:
        yield from (data for data in map(own.get, sorted(own.names, key=_number)) if isinstance(data, Dataset))
    if record.get("class_name") == "SpectralNormalization":  # the kernel of the layer inside is among its own
        inner = group.group("layer")
        layer: Any = _config(record).get("layer")
        yield from [] if inner is None else list(_arrays(layer if is_object(layer) else {}, inner))[1:]
    elif isinstance(_config(record).get("layers"), list):
        yield from _listed(_stacked(record), group, "layers")
    else:
        yield from _arrays_inside(record, group)


def _stacked(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The records of a model's layers; the input of a Sequential is none."""
    records = [inner for inner in _config(record)["layers"] if isinstance(inner, dict)]
    if record.get("class_name") == "Sequential":
        return [inner for inner in records if inner.get("class_name") != "InputLayer"]
    return records


def _arrays_inside(record: Mapping[str, Any], group: Group) -> Iterator[Dataset]:
    """The arrays of the layers that a layer holds as attributes."""
    config = _config(record)
    for name in _ORDERS.get(str(record.get("class_name")), ()) or sorted(group.names, key=_private_last):
        inner = None if name in ("vars", "seed_generator") else group.group(name)
        if inner is None:
            continue
        part: Any = config.get(_CONFIGURED.get(name, name))
        if isinstance(part, list) and part and all(map(is_object, part)):
            yield from _listed(part, group, name)
        else:
            yield from _arrays(part if isinstance(part, Mapping) else {}, inner)


def _listed(records: Sequence[Mapping[str, Any]], group: Group, name: str) -> Iterator[Dataset]:
    for record, place in zip(records, places(records), strict=True):
        inner = group.group(f"{name}/{place}")
        if inner is not None:
            yield from _arrays(record, inner)


def _number(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isascii() and name.isdigit() and len(name) < 10 else (1 << 31, name)


def _private_last(name: str) -> tuple[bool, str]:
    return name.startswith("_"), name


def _legacy_weights(layer: Layer) -> list[Parameter]:
    return list(flatten([*layer.trainable_weights, *layer.non_trainable_weights]))
