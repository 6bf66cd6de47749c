"""dagir-convert diff: what changed between two models, printed as text or JSON, and what that does to the outputs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

import dagir
from dagir.display.contents import contents_of, weights_of
from dagir.equivalence.inputs import draw, size_plans
from dagir.equivalence.samples import read_samples
from dagir.errors import ArgumentError, DagirError, FeedError
from dagir.ir.nest import flatten
from dagir.ir.types import Array
from dagir.support.backend_names import NUMPY, ONNX
from dagir_convert import across, sources
from dagir_convert.console import Output
from dagir_convert.conversion import load
from dagir_convert.difference import Difference, Matched, Side, difference, distance
from dagir_convert.sheets import Sheet

SCHEMA = 1
"""The version of the JSON; it grows where a field changes its meaning or goes."""


@dataclass(frozen=True)
class OutputDifference:
    """An output of both models on the same inputs, as ChangedWeight is for a weight."""

    name: str
    elements: int | None
    max_abs: float | None
    max_rel: float | None


@dataclass(frozen=True)
class Numbers:
    """The outputs of both models on the same inputs; or the reason why there are none."""

    outputs: tuple[OutputDifference, ...] = ()
    reason: str | None = None

    @property
    def differ(self) -> bool:
        """Whether any output does."""
        return any(each.elements != 0 for each in self.outputs)


@dataclass
class _Source:
    """One of the two, read at most once. By its nodes if both are .onnx files, else as a model."""

    source: sources.Source
    output: Output
    _model: dagir.Model | None = None

    def model(self) -> dagir.Model:
        if self._model is None:
            self._model = load(self.source, self.output).model
        return self._model

    def side(self, by_nodes: bool) -> Side:
        if by_nodes:
            onnx = dagir.backend(ONNX)
            return Side(onnx.contents(self.source.path), onnx.arrays(self.source.path))
        model = self.model()
        return Side(contents_of(model), {name: weight.array for name, weight in weights_of(model).items()})


def diff(
    first: sources.Source,
    second: sources.Source,
    output: Output,
    as_json: bool,
    *,
    run: bool = True,
    seed: int = 0,
    inputs: Path | None = None,
) -> bool:
    """Print what changed. Returns whether anything did. Raises what reading raises."""
    one, two = _Source(first, output), _Source(second, output)
    by_nodes, is_across = first.format == second.format == ONNX, _of_nodes(first) is not _of_nodes(second)
    with output.step(f"comparing {first} and {second}"):
        sides = one.side(by_nodes), two.side(by_nodes)
        found = difference(*(_alike(*sides, _of_nodes(first)) if is_across else sides))
    may_differ = found.differs or is_across  # of layers and nodes not all is compared
    if not may_differ or not run:
        numbers = Numbers(reason="--no-run says not to run them" if may_differ else "there is nothing to compare")
    else:
        numbers = _numbers(one, two, seed, inputs)
    differs = found.differs or numbers.differ
    if as_json:
        facts = {**_to_dict(first, second, found, numbers), "matched": across.HOW if is_across else None}
        print(json.dumps(facts, indent=2))
    else:
        if is_across:
            output.say(across.HOW)
        _show(first, second, found, numbers, output)
    return differs


def _of_nodes(source: sources.Source) -> bool:
    """Whether a source has nodes and no layers."""
    return source.format == ONNX or source.of_tensorflow


def _alike(first: Side, second: Side, nodes_first: bool) -> tuple[Side, Side]:
    """Both sides told by the layers of the one that has them, and weights of the same numbers by the same names."""
    layers, nodes = (second, first) if nodes_first else (first, second)
    contents = across.told_alike(layers.contents, nodes.contents)
    one, two = replace(layers, contents=contents[0]), replace(nodes, contents=contents[1])
    return (two, one) if nodes_first else (one, two)


def _numbers(one: _Source, two: _Source, seed: int, inputs: Path | None) -> Numbers:
    """The outputs of both in their own dtypes by the NumPy interpreter, on inputs that are drawn for the first."""
    try:
        models = one.model(), two.model()
        with one.output.step("running both"):
            answers = _run((one, two), models, seed, inputs)
    except (DagirError, MemoryError) as error:
        reason = str(error) or "no memory holds the inputs"
        return Numbers(reason=reason.splitlines()[0])
    ends = [model.output_names for model in models]
    names = dict(zip(*ends, strict=False)) if len(ends[0]) == len(ends[1]) else {}
    found = []
    for name, array in answers[0].items():
        other = answers[1].get(name, answers[1].get(names.get(name, "")))
        if other is not None:
            told = distance(array, other) if array.shape == other.shape else (None, None, None)
            found.append(OutputDifference(name, *told))
    return Numbers(tuple(found), None if found else "no output is in both")


def _run(
    sides: tuple[_Source, _Source], models: tuple[dagir.Model, dagir.Model], seed: int, inputs: Path | None
) -> list[dict[str, Array]]:
    """The outputs by name, of both models. Raises FeedError, FileError, ArgumentError."""
    executables = [dagir.lower(model, NUMPY) for model in models]
    feeds = _by_name_or_place(*models)
    refused: DagirError | None = None
    for arrays in _drawn(models[0], seed) if inputs is None else [_given(sides[0], models[0], inputs)]:
        found = []
        for side, model, exe, names in zip(sides, models, executables, feeds, strict=True):
            feed = dict(zip(names, arrays, strict=True))
            try:
                found.append(_named(model, exe(feed)))
            except DagirError as error:
                refused = refused or _refusal(error, side, model, feed)
                break
        else:
            return found
    raise refused or ArgumentError("no inputs could be drawn")


def _refusal(error: DagirError, side: _Source, model: dagir.Model, feed: Mapping[str, object]) -> FeedError:
    """The refusal of inputs by one of the two, in one line: which, what it takes, and what it was given."""
    takes = ", ".join(f"{name} {value.type}" for name, value in zip(model.input_names, model.inputs, strict=True))
    given = ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in _arrays(feed))
    return FeedError(
        f"{side.source}: {error.summary} (it takes {takes or 'nothing'}, and is given {given or 'nothing'})"
    )


def _arrays(feed: Mapping[str, object]) -> list[tuple[str, Array]]:
    return [(name, np.asarray(array)) for name, array in feed.items()]


def _drawn(model: dagir.Model, seed: int) -> Iterator[list[Array]]:
    """Inputs of a batch of 1, at the sizes that a graph may take, in turn."""
    plan = size_plans(model.graph)[0]
    for sizes in plan.tried:
        yield draw(model.graph, sizes, np.random.default_rng(seed))


def _given(side: _Source, model: dagir.Model, path: Path) -> list[Array]:
    samples = read_samples(path, model.input_names)
    try:
        return dagir.lower(model, NUMPY).arrange((samples,))
    except DagirError as error:
        raise _refusal(error, side, model, samples) from None


def _by_name_or_place(one: dagir.Model, two: dagir.Model) -> tuple[list[str], list[str]]:
    """The inputs of both in one order. Raises ArgumentError where they are not as many, or their types differ."""
    first, second = one.input_names, two.input_names
    if len(first) != len(second):
        raise ArgumentError(f"one has {len(first)} inputs, the other {len(second)}")
    return first, first if sorted(first) == sorted(second) else second


def _named(model: dagir.Model, answer: object) -> dict[str, Array]:
    return dict(zip(model.output_names, flatten(answer), strict=True))


# ---- printing


def _to_dict(first: sources.Source, second: sources.Source, found: Difference, numbers: Numbers) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "first": str(first),
        "second": str(second),
        "same": not (found.differs or numbers.differ),
        "interface": [asdict(each) for each in found.interface],
        "layers": {**_matched(found.layers), "changed": [asdict(each) for each in found.changed_layers]},
        "weights": {**_matched(found.weights), "changed": [asdict(each) for each in found.changed_weights]},
        "outputs": [asdict(each) for each in numbers.outputs],
        "not_run": numbers.reason,
    }


def _matched(found: Matched) -> dict[str, object]:
    return {
        "same": found.same,
        "removed": list(found.removed),
        "added": list(found.added),
        "renamed": [{"first": a, "second": b} for a, b in found.renamed],
    }


def _show(first: sources.Source, second: sources.Source, found: Difference, numbers: Numbers, output: Output) -> None:
    changes = Sheet(("", "what", str(first), str(second)))
    for row in _rows(found):
        changes.add(*row)
    if changes.rows:
        changes.print(output)
    _show_weights(found, output)
    if found.differs or numbers.outputs:
        _show_numbers(numbers, output)
    output.say(_verdict(first, second, found, numbers))


def _rows(found: Difference) -> Iterator[tuple[str, str, str, str]]:
    """A mark, what, and how each of the two has it: ~ changed, > renamed, - removed, + added."""
    for change in found.interface:
        yield "~", change.what, change.first or "", change.second or ""
    for layer in found.changed_layers:
        yield from (("~", f"{layer.name}: {c.what}", c.first or "", c.second or "") for c in layer.changes)
    for what, matched in (("layer", found.layers), ("weight", found.weights)):
        yield from ((">", what, name, other) for name, other in matched.renamed)
        yield from (("-", what, name, "") for name in matched.removed)
        yield from (("+", what, "", name) for name in matched.added)


def _show_weights(found: Difference, output: Output) -> None:
    sheet = Sheet(("weight", "what", ">elements", ">max abs", ">max rel"))
    for each in found.changed_weights:
        what = ", ".join(f"{change.what} {change.first} -> {change.second}" for change in each.changes)
        sheet.add(each.name, what, *_told(each.elements, each.max_abs, each.max_rel))
    if sheet.rows:
        sheet.print(output)


def _show_numbers(numbers: Numbers, output: Output) -> None:
    if numbers.reason is not None:
        output.say(f"not run on the same inputs: {numbers.reason}")
        return
    sheet = Sheet(("output on the same inputs", ">elements", ">max abs", ">max rel"))
    for each in numbers.outputs:
        sheet.add(each.name, *_told(each.elements, each.max_abs, each.max_rel))
    sheet.print(output)


def _told(elements: int | None, largest: float | None, relative: float | None) -> list[str]:
    if elements is None:
        return ["?", "", ""]
    return [f"{elements:,}", *("" if number is None else f"{number:.2g}" for number in (largest, relative))]


def _verdict(first: sources.Source, second: sources.Source, found: Difference, numbers: Numbers) -> str:
    if not found.differs and not numbers.differ:
        return f"{first} and {second} are the same: {found.layers.same} layers, {found.weights.same} weights"
    parts = []
    for what, matched, changed in (
        ("layers", found.layers, len(found.changed_layers)),
        ("weights", found.weights, len(found.changed_weights)),
    ):
        counts = {
            "changed": changed,
            "renamed": len(matched.renamed),
            "removed": len(matched.removed),
            "added": len(matched.added),
            "the same": matched.same,
        }
        parts.append(f"{what}: " + (", ".join(f"{n} {word}" for word, n in counts.items() if n) or "none"))
    return f"{first} and {second} differ; {'; '.join(parts)}"
