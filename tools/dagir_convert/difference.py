"""What changed between two models: interfaces, layers, weights. Layers are matched by name, then by structure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from hashlib import sha256

import numpy as np

from dagir.display.contents import Contents, LayerEntry, TensorEntry, WeightEntry
from dagir.ir.types import Array

_OF_THE_PROOF = {"verified", "confirmed by"}  # what was done with a file, and nothing that it computes
_NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Change:
    """One fact that differs. what: its name. first, second: as each model has it, None where it lacks it."""

    what: str
    first: str | None
    second: str | None


@dataclass(frozen=True)
class ChangedLayer:
    """A layer of both models with what differs. second: its path in the second model."""

    name: str
    second: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class ChangedWeight:
    """A weight of both models that differs. second: its name in the second model.

    elements: how many differ. max_abs: the largest difference. max_rel: that, by the largest magnitude in the first.
    All three are None where shapes differ or the elements are no numbers, the last two also for a NaN in one alone.
    """

    name: str
    second: str
    changes: tuple[Change, ...]
    elements: int | None = None
    max_abs: float | None = None
    max_rel: float | None = None


@dataclass(frozen=True)
class Matched:
    """Layers or weights: those of one model alone, pairs with two names, and how many are the same."""

    removed: tuple[str, ...]
    added: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    same: int

    @property
    def differs(self) -> bool:
        """Whether there is anything but what is the same."""
        return bool(self.removed or self.added or self.renamed)


@dataclass(frozen=True)
class Difference:
    """All that changed. interface: of inputs, outputs and facts such as the opset."""

    interface: tuple[Change, ...]
    layers: Matched
    changed_layers: tuple[ChangedLayer, ...]
    weights: Matched
    changed_weights: tuple[ChangedWeight, ...]

    @property
    def differs(self) -> bool:
        """Whether anything changed."""
        found = self.interface or self.changed_layers or self.changed_weights
        return bool(found) or self.layers.differs or self.weights.differs


@dataclass(frozen=True)
class Side:
    """One of the two models. arrays: its weights by name, where they can be read."""

    contents: Contents
    arrays: Mapping[str, Array]

    @cached_property
    def weights(self) -> dict[str, WeightEntry]:
        """The weights by name."""
        return {weight.name: weight for weight in self.contents.weights}


def difference(first: Side, second: Side) -> Difference:
    """What changed from the first to the second."""
    one, two = _layers(first), _layers(second)
    pairs = _matched(one, two)
    names = _names([(one[a].entry, two[b].entry) for a, b in pairs.items()])
    layers = _result(one, two, pairs, lambda a, b: _layer_changes(one[a], two[b], names))
    weights = _weight_pairs(first, second, [(one[a].entry, two[b].entry) for a, b in pairs.items()])
    found = [(a, b, _compared(first, second, a, b)) for a, b in weights.items()]
    changed = tuple(each for _, _, each in found if each is not None)
    return Difference(
        tuple(_interface(first.contents, second.contents)),
        layers[0],
        layers[1],
        _only(first.weights, second.weights, weights, sum(each is None and a == b for a, b, each in found)),
        changed,
    )


# ---- layers


@dataclass
class _Layer:
    """An entry by its path, with the text that says what it is; sizes in it are numbered, whatever they are called."""

    entry: LayerEntry
    outputs: str
    ops: tuple[str, ...]
    digest: Callable[[], str] = field(repr=False)

    @property
    def structure(self) -> tuple[object, ...]:
        return (self.entry.kind, self.outputs, self.ops, len(self.entry.weights), self.entry.parameters)


class _Sizes:
    """Numbers the named sizes of a model in their order: the names of fresh ones say nothing."""

    def __init__(self, contents: Contents) -> None:
        self._known: dict[str, str] = {}
        for tensor in contents.inputs:
            self(str(tensor))

    def __call__(self, text: str) -> str:
        head, bracket, sizes = text.partition("[")
        return head + bracket + _NAME.sub(lambda m: self._known.setdefault(m[0], f"n{len(self._known)}"), sizes)

    def within(self, text: str) -> str:
        """The text of an op, in which only names of sizes are replaced."""
        return _NAME.sub(lambda m: self._known.get(m[0], m[0]), text)


def _layers(side: Side) -> dict[str, _Layer]:
    """Every layer by its path, those inside others too. Of two of one name the second has a number."""
    sizes, found = _Sizes(side.contents), dict[str, _Layer]()
    pending = [("", entry) for entry in reversed(side.contents.layers)]
    while pending:
        above, entry = pending.pop()
        path, number = above + entry.name, 1
        while path in found:
            number += 1
            path = f"{above}{entry.name} ({number})"
        outputs = ", ".join(sizes(str(TensorEntry(each.dtype, each.shape))) for each in entry.outputs)
        ops = tuple(map(sizes.within, entry.ops))
        found[path] = _Layer(entry, outputs, ops, partial(_digest, entry, side.arrays))
        pending += [(f"{path}/", child) for child in reversed(entry.layers)]
    return found


def _digest(entry: LayerEntry, arrays: Mapping[str, Array]) -> str:
    """Of the numbers of its weights."""
    return _digest_of([arrays[name] for name in entry.weights if name in arrays])


def _digest_of(arrays: Iterable[Array]) -> str:
    found = sha256()
    for each in arrays:
        array = np.ascontiguousarray(each)
        found.update(repr(array.tolist()).encode() if array.dtype.hasobject else array.tobytes())
    return found.hexdigest()


def _matched(one: Mapping[str, _Layer], two: Mapping[str, _Layer]) -> dict[str, str]:
    """The path in the second model for each layer of the first that has one: by name, by weights, by structure."""
    pairs = {path: path for path in one if path in two}
    for key in (lambda layer: (*layer.structure, layer.digest()), lambda layer: layer.structure):
        taken = set(pairs.values())
        left: dict[tuple[object, ...], list[str]] = {}
        for path in reversed([path for path in two if path not in taken]):
            left.setdefault(key(two[path]), []).append(path)
        for path in [path for path in one if path not in pairs]:
            if alike := left.get(key(one[path])):
                pairs[path] = alike.pop()
    return pairs


def _names(pairs: Iterable[tuple[LayerEntry, LayerEntry]]) -> dict[str, str]:
    """What the layers, and the tensors of files that name them, are called in the second model."""
    found: dict[str, str] = {}
    for one, two in pairs:
        found.setdefault(one.name, two.name)
        for a, b in zip(one.outputs, two.outputs, strict=False):
            if a.name is not None and b.name is not None:
                found.setdefault(a.name, b.name)
    return found


def _layer_changes(one: _Layer, two: _Layer, names: Mapping[str, str]) -> tuple[Change, ...]:
    shown = {
        "kind": (_kind(one.entry), _kind(two.entry)),
        "outputs": (one.outputs, two.outputs),
        "ops": _apart(one.ops, two.ops),
        "calls": (str(one.entry.calls), str(two.entry.calls)),
        "inputs": (
            ", ".join(names.get(name, name) for name in one.entry.inputs),
            ", ".join(two.entry.inputs),
        ),
        "trainable": (_said(one.entry.trainable), _said(two.entry.trainable)),
        "shared with": (one.entry.shared_with or "", two.entry.shared_with or ""),
    }
    return tuple(Change(what, a or None, b or None) for what, (a, b) in shown.items() if a != b)


def _kind(entry: LayerEntry) -> str:
    """Inputs of graphs without layers are the same as inputs of layers."""
    return "InputLayer" if entry.kind == "Input" else entry.kind


def _apart(one: tuple[str, ...], two: tuple[str, ...]) -> tuple[str, str]:
    """The ops of one alone, and of the other alone; all, where only their order differs."""
    left, right = (tuple(each for each in a if each not in b) for a, b in ((one, two), (two, one)))
    if not left and not right:
        left, right = one, two
    return "; ".join(left), "; ".join(right)


def _said(trainable: bool | None) -> str:
    return "" if trainable is None else str(trainable).lower()


def _result(
    one: Mapping[str, _Layer],
    two: Mapping[str, _Layer],
    pairs: Mapping[str, str],
    compared: Callable[[str, str], tuple[Change, ...]],
) -> tuple[Matched, tuple[ChangedLayer, ...]]:
    found = [(a, b, compared(a, b)) for a, b in pairs.items()]
    changed = tuple(ChangedLayer(a, b, changes) for a, b, changes in found if changes)
    return _only(list(one), list(two), pairs, sum(a == b and not changes for a, b, changes in found)), changed


def _only(first: Iterable[str], second: Iterable[str], pairs: Mapping[str, str], same: int) -> Matched:
    taken = set(pairs.values())
    return Matched(
        tuple(name for name in first if name not in pairs),
        tuple(name for name in second if name not in taken),
        tuple((a, b) for a, b in pairs.items() if a != b),
        same,
    )


# ---- inputs, outputs, facts


def _interface(one: Contents, two: Contents) -> Iterator[Change]:
    """Inputs and outputs by name and place, and facts that both have."""
    for what, first, second in (("input", one.inputs, two.inputs), ("output", one.outputs, two.outputs)):
        known = {each.name: str(each) for each in first}, {each.name: str(each) for each in second}
        for name in dict.fromkeys([*known[0], *known[1]]):
            a, b = known[0].get(name), known[1].get(name)
            if a != b:
                yield Change(f"{what} {name}", a, b)
        order = [each.name for each in first], [each.name for each in second]
        if order[0] != order[1] and sorted(map(str, order[0])) == sorted(map(str, order[1])):
            yield Change(f"order of {what}s", ", ".join(map(str, order[0])), ", ".join(map(str, order[1])))
    facts = dict(one.facts), dict(two.facts)
    for label in facts[0].keys() & facts[1].keys() - _OF_THE_PROOF:
        if facts[0][label] != facts[1][label]:
            yield Change(label, facts[0][label], facts[1][label])


# ---- weights


def _weight_pairs(first: Side, second: Side, layers: Sequence[tuple[LayerEntry, LayerEntry]]) -> dict[str, str]:
    """The name in the second model for each weight of the first: by name, then by place in matched layers."""
    known = first.weights, second.weights
    pairs = {name: name for name in known[0] if name in known[1]}
    taken = set(pairs.values())
    for one, two in layers:
        if len(one.weights) != len(two.weights):
            continue
        for a, b in zip(one.weights, two.weights, strict=True):
            if a not in pairs and b not in taken and a in known[0] and b in known[1]:
                pairs[a] = b
                taken.add(b)
    _pair_by_numbers(first, second, pairs, taken)
    return {name: pairs[name] for name in known[0] if name in pairs}


def _pair_by_numbers(first: Side, second: Side, pairs: dict[str, str], taken: set[str]) -> None:
    """Pair what is left and has the same numbers, and more than one of them."""
    left: dict[tuple[object, ...], list[str]] = {}
    for name in reversed([name for name in second.weights if name not in taken]):
        left.setdefault(_identity(second, name), []).append(name)
    for name, weight in first.weights.items():
        if name not in pairs and weight.parameters > 1 and (alike := left.get(_identity(first, name))):
            pairs[name] = alike.pop()


def _identity(side: Side, name: str) -> tuple[object, ...]:
    """What two weights have in common that are the same; of one that cannot be read, its name."""
    weight, array = side.weights[name], side.arrays.get(name)
    return (weight.dtype, weight.shape, name if array is None else _digest_of([array]))


def _compared(first: Side, second: Side, a: str, b: str) -> ChangedWeight | None:
    """What differs between two weights; None if nothing does."""
    one, two = first.weights[a], second.weights[b]
    shown = {
        "dtype": (one.dtype, two.dtype),
        "shape": (str(list(one.shape)), str(list(two.shape))),
    }
    changes = tuple(Change(what, *pair) for what, pair in shown.items() if pair[0] != pair[1])
    if one.shape != two.shape or a not in first.arrays or b not in second.arrays:
        return ChangedWeight(a, b, changes) if changes else None
    numbers = distance(first.arrays[a], second.arrays[b])
    return ChangedWeight(a, b, changes, *numbers) if changes or numbers[0] else None


def distance(one: Array, two: Array) -> tuple[int | None, float | None, float | None]:
    """How many elements differ, the largest difference, and that by the largest magnitude of the first.

    Two NaN in the same place are equal. Without the last two where a NaN or infinity has no equal.
    """
    if one.dtype.hasobject or two.dtype.hasobject or "U" in (one.dtype.kind, two.dtype.kind):
        return int(np.sum(one != two)), None, None
    a, b = one.astype(np.float64), two.astype(np.float64)
    equal = (a == b) | (np.isnan(a) & np.isnan(b))
    differing = int(np.sum(~equal))
    with np.errstate(invalid="ignore"):
        apart = np.where(equal, 0.0, np.abs(a - b))
    largest = float(apart.max(initial=0.0))
    if not np.isfinite(largest):
        return differing, None, None
    scale = float(np.abs(a[np.isfinite(a)]).max(initial=0.0))
    return differing, largest, largest / scale if scale else None
