"""The weights of a Keras file, assigned to the Parameters of a model, each once, without a copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from dagir import layers
from dagir.errors import FileError
from dagir.ir.arrays import release
from dagir.ir.graph import Parameter
from dagir.ir.nest import flatten
from dagir.ir.traversal import reached
from dagir.ir.types import Array
from dagir.layers import Layer
from dagir.layers.internals import own_weights, parts_of
from dagir.modeling.model import Model
from dagir_keras.reading.config_values import is_object
from dagir_keras.reading.custom_objects import Held
from dagir_keras.reading.files import quantized_weights
from dagir_keras.reading.files.hdf5 import Dataset, Group, walk
from dagir_keras.reading.files.keras2 import conversions, without_slash
from dagir_keras.reading.files.model_config import ReadModel
from dagir_keras.reading.files.model_records import file_name, is_subclassed, parts_by_attribute, record_of
from dagir_keras.reading.files.stored_weights import names_with_weights
from dagir_keras.reading.layers import known_layers
from dagir_keras.reading.own_layers import OwnLayer
from dagir_keras.reading.quantized import Quantized

_ORDERS = {  # of inner layers whose weights Keras lists in another order than that of their names
    "Bidirectional": ("forward_layer", "backward_layer"),
    "MultiHeadAttention": (  # with underscores in Keras 2
        *("query_dense", "_query_dense", "key_dense", "_key_dense", "_gate_dense"),
        *("value_dense", "_value_dense", "output_dense", "_output_dense"),
    ),
    "GroupQueryAttention": ("_query_dense", "_key_dense", "_gate_dense", "_value_dense", "_output_dense"),
}
_OF_KERAS_2_12 = "_layer_checkpoint_dependencies"  # in place of `layers`; it lists layers with weights twice
_LEARNED = (layers.Discretization, layers.IntegerLookup, layers.StringLookup)  # in the configuration, not as weights
_CONFIGURED = {"forward_layer": "layer"}  # configurations with another key than the file


_Part: TypeAlias = Layer | list[Layer]


class WeightsReader:
    """Assigns the arrays of a file. Raises FileError that names the layer, the weight and both shapes.

    Nothing is assigned before everything was compared. complete: whether numbers that the model has no place for are an
    error, as in a file of weights alone. numbers_new_only: whether layers that were written before are not counted.
    """

    def __init__(
        self,
        source: str,
        stored: Group,
        complete: bool = False,
        held: Callable[[Layer], Held | None] | None = None,
        numbers_new_only: bool = False,
    ) -> None:
        self.source, self.stored, self.complete = source, stored, complete
        self.numbers_new_only = numbers_new_only
        self._seen: list[Layer] = []  # in the order of the file, those inside others too
        self.partial = False  # whether layers are left out, because they are opaque
        self._held = held or (lambda layer: None)
        self._found: dict[Parameter, Array] = {}

    def read(self, made: ReadModel) -> None:
        """All weights of a model, from `layers/<class>/vars/<number>`."""
        if made.alone is not None:
            self._layer(made.alone, made.record, self.stored, made.model.name)
        elif is_subclassed(made.model):
            self._own(made.model, self.stored, made.model.name)
        else:
            self._model(made, self.stored, "")
        self._commit()

    def _commit(self) -> None:
        for weight, array in self._found.items():
            weight.assign(array)  # cast if of another dtype, as a float64 weight of a float32 layer
            release(weight.array)

    def read_legacy(self, made: ReadModel) -> None:
        """The same from an .h5 file: a group for each layer, which lists the names of its weights."""
        names = self.stored.texts("layer_names") or list(walk(self.stored))
        lists = {name: self._legacy(name) for name in names}
        learned = {name for name, layer in made.layers.items() if isinstance(layer, _LEARNED)}
        stored = [name for name in names if lists[name] and without_slash(name) not in learned]
        for name, layer, group in self._legacy_places(made, stored):
            self._listed(layer, lists[group], name)
        self._commit()

    def _legacy_places(self, made: ReadModel, stored: list[str]) -> Iterator[tuple[str, Layer, str]]:
        """Each layer with weights, by name, and the name of its group: the same one, or else that at its place."""
        wanted = [(name, layer) for name, layer in made.layers.items() if _legacy_weights(layer)]
        if self.partial:
            present = {without_slash(name): name for name in stored}
            wanted = [(name, layer) for name, layer in wanted if name in present]
            stored = [present[name] for name, _ in wanted]
        if len(wanted) != len(stored):
            raise FileError(
                f"{self.source}: the file has weights of {len(stored)} layers, the model has {len(wanted)} with weights"
            )
        written = {without_slash(name): name for name in stored}  # Keras 2 has slashes in names
        known = len(written) == len(stored) and written.keys() == {name for name, _ in wanted}
        for place, (name, layer) in enumerate(wanted):
            yield name, layer, written[name] if known else stored[place]

    def _listed(self, layer: Layer, stored: Sequence[Dataset], path: str) -> None:
        quantized_weights.refuse_listed([layer, *_inside(layer)], f"{self.source}: layer {path!r}")
        held = [found for part in [layer, *_inside(layer)] if (found := self._held(part)) is not None]
        if not held:
            self._assign(layer, _legacy_weights(layer), stored, path)
        elif len(held) == 1 and (self._held(layer) is not None or not own_weights(layer)):
            held[0].fill_listed([data.array() for data in stored], f"{self.source}: layer {path!r}")
        else:
            raise FileError(
                f"{self.source}: layer {path!r} holds layers of Keras, whose weights an .h5 file does not tell apart",
                remedy="give dagir Layer classes for them, or save the model as .keras",
            )

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
        stored, twice = group.group("layers"), False
        if stored is None and (older := group.group(_OF_KERAS_2_12)) is not None:
            stored, twice = older, True
        listed = self._placed(made, stored, twice)
        for name, record, place in listed:
            layer = made.layers[name]
            if not layer.weights and name not in made.nested:
                continue
            inner = stored.group(place) if stored is not None and place is not None else None
            done = self._found.keys() >= set(layer.weights)
            where = f"{path}/{name}".lstrip("/")
            if inner is None and not done and self._taken_from_before(layer):
                continue
            if name in made.nested:
                if inner is not None or not done:
                    self._model(made.nested[name], self._required(inner, group, place, where), where)
            elif not done:
                self._layer(layer, record, self._required(inner, group, place, where), where)
            self._seen += reached([layer], parts_of)
        if self.complete and stored is not None:
            self._refuse_others(stored, {place for _, _, place in listed}, path or made.model.name)

    def _placed(
        self, made: ReadModel, stored: Group | None, twice: bool
    ) -> list[tuple[str, Mapping[str, Any], str | None]]:
        """The layers of a model in the order of the file: the name, the record, and the name of the group.

        None in place of that where Keras wrote the layer before.
        """
        counted = _counted(made)
        before = self._before(counted, made, stored) if self.numbers_new_only and stored is not None else set()
        new = [record for record in counted if id(record) not in before]
        names = iter(places(new, [twice and bool(_weights_of(made, record)) for record in new]))
        placed = [(_name(record), record, None if id(record) in before else next(names)) for record in counted]
        return [each for each in placed if each[0] in made.layers]

    def _before(self, records: Sequence[Mapping[str, Any]], made: ReadModel, stored: Group) -> set[int]:
        """The ids of the records whose layers have been written before, so that the file has fewer groups."""
        by_class: dict[str, list[Mapping[str, Any]]] = {}
        for record in records:
            by_class.setdefault(file_name(str(record.get("class_name"))), []).append(record)
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
            self._found[weight] = self._found[same]
        self._seen += reached([layer], parts_of)
        return True

    def _refuse_others(self, stored: Group, known: set[str | None], path: str) -> None:
        for name in names_with_weights(stored):
            if name not in known:
                raise FileError(f"{stored.where}: has weights of {name}, and model {path!r} has no such layer")

    def _layer(self, layer: Layer, record: Mapping[str, Any], group: Group, path: str) -> None:
        held = self._held(layer)
        if held is not None:
            held.fill(lambda inner: _numbered(group, inner), f"{self.source}: layer {path!r}")
        elif any(self._held(part) is not None for part in _inside(layer)):
            self._own(layer, group, path)
        elif isinstance(layer, Quantized):
            self._assign(layer, *quantized_weights.pairs(layer, list(_arrays_of(group)), group.where, path), path)
        elif isinstance(layer, (Model, OwnLayer)) or type(layer) in known_layers().values():
            self._assign(layer, layer.weights, list(_arrays(record, group)), path)
        else:
            self._own(layer, group, path)

    def _own(self, layer: Layer, group: Group, path: str) -> None:
        """The weights of a layer of a user's own class: its own, then those of the layers that are its attributes."""
        parts = parts_by_attribute(layer)
        inner = {part for each in parts.values() for part in (each if isinstance(each, list) else [each])}
        below = {weight for part in inner for weight in part.weights}
        own = [weight for weight in layer.weights if weight not in below]
        self._assign(layer, sorted(own, key=lambda weight: not weight.trainable), list(_arrays_of(group)), path)
        left = [name for name in names_with_weights(group) if name not in ("vars", "seed_generator")]
        for name, part in self._renamed(parts, left).items():
            if name in left:
                left.remove(name)
                self._part(part, group, name, f"{path}/{name}")
            elif self._waits(part):
                raise FileError(
                    f"{group.where}: has no {name!r}, the weights of {path}/{name}: it has {left or 'none'}"
                )
        if left:
            raise FileError(f"{group.where}: has weights of {left[0]!r}, and layer {path!r} has no layer of that name")

    def _renamed(self, parts: dict[str, _Part], stored: Sequence[str]) -> dict[str, _Part]:
        """The parts by the names in the file, where one layer alone has two names."""
        waiting = [name for name, part in parts.items() if name not in stored and self._waits(part)]
        unknown = [name for name in stored if name not in parts]
        if len(waiting) != 1 or len(unknown) != 1:
            return parts
        return {unknown[0] if name == waiting[0] else name: part for name, part in parts.items()}

    def _waits(self, part: _Part) -> bool:
        weights = {weight for each in (part if isinstance(part, list) else [part]) for weight in each.weights}
        return not self._found.keys() >= weights

    def _part(self, part: _Part, group: Group, name: str, path: str) -> None:
        if isinstance(part, Layer):
            if self._waits(part):
                self._layer(part, record_of(part), self._required(group.group(name), group, name, path), path)
            return
        for each, place in zip(part, places([record_of(each) for each in part]), strict=True):
            if self._waits(each):
                inner = self._required(group.group(f"{name}/{place}"), group, f"{name}/{place}", path)
                self._layer(each, record_of(each), inner, f"{path}/{place}")

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
        pairs = list(zip(weights, stored, strict=True))
        converted = conversions(layer, {weight: data.shape for weight, data in pairs})
        for place, (weight, data) in enumerate(pairs):
            convert = converted.get(weight)
            if convert is None and data.shape != weight.shape:
                raise FileError(
                    f"{data.where}: weight {place} of layer {path!r} is {list(weight.shape)} by its configuration, "
                    f"the file has {list(data.shape)}"
                )
            self._found[weight] = data.array() if convert is None else convert(data.array())
            release(self._found[weight])  # the pages that the header took


def _are_alike(one: Layer, other: Layer) -> bool:
    if type(one) is not type(other) or one.name != other.name:
        return False
    if [weight.shape for weight in one.weights] != [weight.shape for weight in other.weights]:
        return False
    return repr(one.get_config()) == repr(other.get_config())


def _counted(made: ReadModel) -> list[Mapping[str, Any]]:
    """The records of the layers that Keras counts: those that are in the model, and inputs, but of a Sequential."""
    sequential = made.record.get("class_name") == "Sequential"
    return [
        record
        for record in made.record["config"]["layers"]
        if _name(record) in made.layers or (not sequential and record.get("class_name") == "InputLayer")
    ]


def places(records: Sequence[Mapping[str, Any]], twice: Sequence[bool] = ()) -> Iterator[str]:
    """The names that Keras gives to a list of layers: by class, numbered. twice: which ones take two numbers."""
    used: dict[str, int] = {}
    for at, record in enumerate(records):
        name = file_name(str(record.get("class_name")))
        number = used.get(name, 0)
        used[name] = number + 1 + (at < len(twice) and twice[at])
        yield f"{name}_{number}" if number else name


def _weights_of(made: ReadModel, record: Mapping[str, Any]) -> Sequence[Parameter]:
    layer = made.layers.get(_name(record))
    return layer.weights if layer is not None else ()


def _name(record: Mapping[str, Any]) -> str:
    return str(record.get("name") or _config(record).get("name"))


def _config(record: Mapping[str, Any]) -> Mapping[str, Any]:
    found = record.get("config")
    return found if isinstance(found, Mapping) else {}


def _arrays(record: Mapping[str, Any], group: Group) -> Iterator[Dataset]:
    """The arrays of a layer in the order of its weights: its own, then those of the layers inside."""
    yield from _arrays_of(group)
    if record.get("class_name") == "SpectralNormalization":  # the kernel of the layer inside is among its own
        inner = group.group("layer")
        layer: Any = _config(record).get("layer")
        yield from [] if inner is None else list(_arrays(layer if is_object(layer) else {}, inner))[1:]
    elif isinstance(_config(record).get("layers"), list):
        yield from _listed(_stacked(record), group, "layers")
    else:
        yield from _arrays_inside(record, group)


def _arrays_of(group: Group) -> Iterator[Dataset]:
    """The arrays of a layer itself."""
    own = group.group("vars")
    if own is not None:
        yield from (data for data in map(own.get, sorted(own.names, key=_number)) if isinstance(data, Dataset))


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


def _numbered(group: Group, path: str) -> dict[str, Array]:
    """The arrays of a part of a layer, by their names in its `vars`."""
    own = group.group(f"{path}/vars")
    found = {} if own is None else {name: own.get(name) for name in own.names}
    return {name: data.array() for name, data in found.items() if isinstance(data, Dataset)}


def _inside(layer: Layer) -> list[Layer]:
    """All layers inside a layer."""
    waiting = parts_of(layer)
    for each in waiting:  # which grows
        waiting += parts_of(each)
    return waiting


def _number(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isascii() and name.isdigit() and len(name) < 10 else (1 << 31, name)


def _private_last(name: str) -> tuple[bool, str]:
    return name.startswith("_"), name


def _legacy_weights(layer: Layer) -> list[Parameter]:
    return list(flatten([*layer.trainable_weights, *layer.non_trainable_weights]))
