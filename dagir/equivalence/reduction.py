"""The smallest part of a model that still shows a divergence.

The part from the last right values to the first wrong value is cut out of both sides, with the sizes of the inputs that
showed the divergence. If that part alone does not show it (a kernel is fused with the nodes before it), the part is
extended backwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dagir.equivalence.bisection import Search, judge
from dagir.equivalence.oracle import Expected, Oracle
from dagir.ir.graph import Value
from dagir.ir.types import Array
from dagir.layers import Input
from dagir.modeling.model import Model
from dagir.modeling.subgraph import cut_out, nodes_between
from dagir.runtime.backend import Executable

_SAME = 0.1
"""The largest relative difference between the part's error and the whole model's error for them to be the same fault.
"""


@dataclass(frozen=True)
class Part:
    """A part of a graph as a separate model with fixed sizes, and the arrays for its inputs.

    inputs: by input name, the value of the whole graph that the input replaces.
    """

    model: Model
    inputs: Mapping[str, Value]
    feeds: Mapping[str, Array]


def part_before(search: Search, name: str, cut: Sequence[str]) -> Part:
    """The part that computes a point from other points (`cut`) and the inputs of the model."""
    graph_inputs = dict(zip(search.oracle.points.graph.inputs, search.arrays, strict=True))
    target = search.values[name]
    stops = {search.values[each]: each for each in cut}
    wanted = dict.fromkeys(value for value in (*stops, *graph_inputs) if value is not target)
    needed = {value for node in nodes_between(wanted, target) for value in node.inputs}
    feeds: dict[str, Array] = {}
    inputs: dict[str, Value] = {}
    replaced: dict[Value, Value] = {}
    for place, value in enumerate([each for each in wanted if each in needed]):
        title = f"minimal_input_{place}"
        array = graph_inputs[value] if value in graph_inputs else search.inside[stops[value]].array
        array = array.astype(value.dtype.numpy)
        source = Input(batch_shape=array.shape, dtype=str(value.dtype), name=title)
        inputs[title], feeds[title], replaced[value] = value, array, source
    return Part(cut_out(replaced, target, search.oracle.bind(search.arrays)), inputs, feeds)


def smallest(search: Search, name: str) -> tuple[Part, Executable] | None:
    """The smallest part that shows the divergence, and an executable of it; None if no part shows it.

    The first cut is at the nearest points, the next ones are one point further back each. The last part is the whole
    model up to the point.
    """
    cuts: list[list[str]] = []
    border = [each for node in search.neighbours(name) for each in search.outputs_of(node)]
    for _ in range(3):
        cuts.append(border)
        further = dict.fromkeys(node for each in border for node in search.neighbours(each))
        border = [each for node in further for each in search.outputs_of(node)]
    for cut in [*cuts, []]:
        try:
            found = _part_of_both(search, name, cut)
            if found is not None and _shows(*found, search, name):
                return found
        except Exception:  # the framework may refuse the part, and each framework has its own errors
            continue
    return None


def _part_of_both(search: Search, name: str, cut: Sequence[str]) -> tuple[Part, Executable] | None:
    part = part_before(search, name, cut)
    inputs = {title: _name_of(value, search) for title, value in part.inputs.items()}
    exe = search.exe.part(part.model, inputs, name, search.exe.bind(search.arrays))
    return None if exe is None else (part, exe)


def _name_of(value: Value, search: Search) -> str:
    points = search.oracle.points
    if value in points.names:
        return points.names[value]
    return search.exe.signature.inputs[points.graph.inputs.index(value)][0]


def _shows(part: Part, exe: Executable, search: Search, name: str) -> bool:
    """Whether the part is wrong in the same way as the whole; an incomplete part would be wrong in another way."""
    oracle = Oracle(part.model, search.oracle.samples)
    arrays = oracle.arrange(dict(part.feeds))
    (expected,) = oracle(arrays, np.random.default_rng(0))
    found = np.asarray(exe(arrays))
    (output,) = part.model.graph.outputs
    if judge(found, expected, output).ok:
        return False
    (seen,) = search.exe.observe(search.arrays, [name])
    return _is_alike(found, seen, search.inside[name])


def _is_alike(found: Array, seen: Array, right: Expected) -> bool:
    if right.budget is None:
        return bool(np.array_equal(found, seen))
    found, seen = found.astype(np.float64), seen.astype(np.float64)
    finite = np.isfinite(seen)
    if found.shape != seen.shape or not np.array_equal(finite, np.isfinite(found)):
        return False
    error = np.abs(seen - right.array)[finite & np.isfinite(right.array)].max(initial=0)
    if not finite.all() or not np.isfinite(right.array).all():
        return True  # NaN or infinity, at the same places
    return bool(np.abs(found - seen).max(initial=0) <= _SAME * error)


__all__ = ["Part", "part_before", "smallest"]
