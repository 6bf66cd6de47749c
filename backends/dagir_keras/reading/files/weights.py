"""The weights of a Keras file, assigned to the Parameters of a model, each once, without a copy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dagir import layers
from dagir.errors import FileError
from dagir.ir.arrays import release
from dagir.ir.graph import Parameter, snake_case
from dagir.ir.nest import flatten
from dagir.ir.traversal import reached
from dagir.layers import Layer
from dagir.layers.internals import parts_of
from dagir_keras.reading.config_values import is_object
from dagir_keras.reading.files.hdf5 import Dataset, Group, walk
from dagir_keras.reading.files.keras2 import CLASS_IN_FILE, without_slash
from dagir_keras.reading.files.model_config import ReadModel

_ORDERS = {  # of inner layers whose weights Keras lists in another order than that of their names
    "Bidirectional": ("forward_layer", "backward_layer"),
    "MultiHeadAttention": (  # with underscores in Keras 2
        *("query_dense", "_query_dense", "key_dense", "_key_dense", "_gate_dense"),
        *("value_dense", "_value_dense", "output_dense", "_output_dense"),
    ),
    "GroupQueryAttention": ("_query_dense", "_key_dense", "_gate_dense", "_value_dense", "_output_dense"),
}
_CLASS_NAMES = {"GroupQueryAttention": "GroupedQueryAttention"}  # whose public name is another
_CONFIGURED = {"forward_layer": "layer"}  # configurations with another key than the file


class WeightsReader:
    """Assigns the arrays of a file. Raises FileError that names the layer, the weight and both shapes."""

    def __init__(self, source: str, stored: Group, numbers_new_only: bool = False) -> None:
        self.source, self.stored = source, stored
        self.numbers_new_only = numbers_new_only  # whether layers that were written before are not counted
        self._assigned: set[Parameter] = set()
        self._seen: list[Layer] = []  # in the order of the file, those inside others too

    def read(self, made: ReadModel) -> None:
        """All weights of a model, from `layers/<class>/vars/<number>`."""
        self._model(made, self.stored, "")

    def read_legacy(self, made: ReadModel) -> None:
        """The same from an .h5 file: a group for each layer, which lists the names of its weights."""
        names = self.stored.texts("layer_names") or list(walk(self.stored))
        lists = {name: self._legacy(name) for name in names}
        wanted = [(name, layer) for name, layer in made.layers.items() if _legacy_weights(layer)]
        stored = [name for name in names if lists[name]]
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
        stored = group.group("layers")
        for record, place in self._placed(made, stored):
            name = _name(record)
            layer = made.layers.get(name)
            if layer is None or (not layer.weights and name not in made.nested):
                continue
            inner = stored.group(place) if stored is not None and place is not None else None
            done = self._assigned.issuperset(layer.weights)
            where = f"{path}/{name}".lstrip("/")
            if inner is None and not done and self._taken_from_before(layer):
                continue
            if name in made.nested:
                if inner is not None or not done:
                    self._model(made.nested[name], self._required(inner, group, place, where), where)
            elif not done:
                found = self._required(inner, group, place, where)
                self._assign(layer, layer.weights, list(_arrays(record, found)), where)
            self._seen += reached([layer], parts_of)

    def _placed(self, made: ReadModel, stored: Group | None) -> list[tuple[Mapping[str, Any], str | None]]:
        """The records of a model, each with the name of its group; None where Keras wrote the layer before."""
        records = made.record["config"]["layers"]
        sequential = made.record.get("class_name") == "Sequential"
        counted = [
            record
            for record in records
            if _name(record) in made.layers or (not sequential and record.get("class_name") == "InputLayer")
        ]
        if not self.numbers_new_only or stored is None:
            return list(zip(counted, places(counted), strict=True))
        before = self._before(counted, made, stored)
        new = iter(places([record for record in counted if id(record) not in before]))
        return [(record, None if id(record) in before else next(new)) for record in counted]

    def _before(self, records: Sequence[Mapping[str, Any]], made: ReadModel, stored: Group) -> set[int]:
        """The ids of the records whose layers have been written before, so that the file has fewer groups."""
        by_class: dict[str, list[Mapping[str, Any]]] = {}
        for record in records:
            by_class.setdefault(_file_name(record), []).append(record)
        found: set[int] = set()
        for those in by_class.values():
            groups = sum(place in stored.names for place in places(those))
            pairs = [(record, made.layers.get(_name(record))) for record in those]
            known = [id(record) for record, layer in pairs if layer is not None and self._alike(layer)]
            if len(those) - groups == len(known):
                found.update(known)
        return found

    def _alike(self, layer: Layer) -> list[Layer]:
        """The layers seen before that can be the same layer of Keras: of one class, name, configuration and shapes."""
        return [other for other in self._seen if other is layer or _are_alike(other, layer)]

    def _taken_from_before(self, layer: Layer) -> bool:
        """Give a layer the weights of the one before it that is the same in Keras, which writes each layer once."""
        alike = self._alike(layer)
        if len({tuple(map(id, other.weights)) for other in alike}) != 1:
            return False
        for weight, same in zip(layer.weights, alike[0].weights, strict=True):
            weight.assign(same.array)
            self._assigned.add(weight)
        self._seen += reached([layer], parts_of)
        return True

    def _required(self, found: Group | None, group: Group, place: str | None, path: str) -> Group:
        if found is None:
            raise FileError(f"{group.where}: has no layers/{place or '...'}, the weights of layer {path!r}")
        return found

    def _assign(self, layer: Layer, weights: Sequence[Parameter], stored: Sequence[Dataset], path: str) -> None:
        if len(weights) != len(stored):
            raise FileError(
                f"{self.source}: layer {path!r} has {len(weights)} weights by its configuration, the file has "
                f"{len(stored)} of them"
            )
        for place, (weight, data) in enumerate(zip(weights, stored, strict=True)):
            if _is_unordered(layer, weight, data):
                weight.assign(data.array().reshape(weight.shape))
                self._assigned.add(weight)
                continue
            if data.shape != weight.shape:
                raise FileError(
                    f"{data.where}: weight {place} of layer {path!r} is {list(weight.shape)} by its configuration, "
                    f"the file has {list(data.shape)}"
                )
            weight.assign(data.array())  # cast if of another dtype, as a float64 weight of a float32 layer
            release(weight.array)
            self._assigned.add(weight)


def _is_unordered(layer: Layer, weight: Parameter, data: Dataset) -> bool:
    """Whether a weight over several axes lies in the order of its axes in the file, which Keras reads row by row."""
    over_axes = isinstance(layer, layers.LayerNormalization) and len(weight.shape) > 1
    return over_axes and data.shape != weight.shape and sorted(data.shape) == sorted(weight.shape)


def _are_alike(one: Layer, other: Layer) -> bool:
    if type(one) is not type(other) or one.name != other.name:
        return False
    if [weight.shape for weight in one.weights] != [weight.shape for weight in other.weights]:
        return False
    return repr(one.get_config()) == repr(other.get_config())


def places(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The names that Keras gives to a list of layers: by class, numbered."""
    used: dict[str, int] = {}
    for record in records:
        name = _file_name(record)
        number = used[name] = used.get(name, -1) + 1
        yield f"{name}_{number}" if number else name


def _file_name(record: Mapping[str, Any]) -> str:
    class_name = str(record.get(CLASS_IN_FILE) or record.get("class_name"))
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
