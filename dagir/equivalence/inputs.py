"""Draw inputs for verification from a seed, with several sizes, and with integer ids that are valid table indices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from dagir.errors import ArgumentError
from dagir.ir.dims import Dim, evaluate, substitute, symbols
from dagir.ir.graph import Graph, Node, Value
from dagir.ir.types import Array, DType, TensorType
from dagir.ops import (
    Call,
    Cast,
    Clip,
    Embedding,
    Gather,
    GatherElements,
    GatherND,
    If,
    Lookup,
    ScatterElements,
    ScatterUpdate,
    Where,
)
from dagir.ops.call import graphs_of
from dagir.ops.partial import operand
from dagir.support.integers import whole

Limits = dict[Value, list[Dim]]

_BATCHES = ((1, "normal"), (3, "normal"), (17, "spread"), (8, "edges"))
_MOST_ELEMENTS = 1 << 14
_MOST_DRAWN = 1 << 30  # elements: 8 GiB in float64, and verifying needs several times as much
_MOST_PRODUCTS = 300_000_000  # limit of ids times weights, in the case that reads tables
_MOST_READ = 1 << 23  # limit of elements read from tables in one run: 64 MiB in float64
_LARGEST_SCALE = 256.0
_EDGES: tuple[Callable[[Array, DType], Array], ...] = (
    lambda row, dtype: np.zeros_like(row),
    lambda row, dtype: np.ones_like(row),
    lambda row, dtype: -np.abs(row) - 1,
    lambda row, dtype: row * 50,
    # Small, but large enough that a fraction of it is still a normal number. TensorFlow flushes subnormal numbers to
    # zero, and gives -inf for log and 0 for x ** 0.5, where the oracle has finite numbers. Its square is 0 everywhere.
    lambda row, dtype: np.sign(row) * (1 + np.abs(row)) * float(dtype.tiny) ** 0.75,
    lambda row, dtype: np.abs(row),
    lambda row, dtype: np.round(row * 2) / 2,  # ties, and numbers at the steps of floor and round
    lambda row, dtype: row * 1000,
)
WIDE = ("scales", "edges")
"""Kinds of drawn inputs whose numbers are so large that a correct model may overflow its dtypes."""
_LADDERS = ((5, 16, 9, 32, 19, 64, 37, 75, 128, 224, 256), (8, 16, 32, 64, 128, 256))  # used in turn by the cases


@dataclass(frozen=True)
class Plan:
    """One case to run. tried: named sizes to try in order, until the graph accepts them. kind: how to draw.

    instead: what is tried after that, for a graph that accepts the sizes of another case alone, as a batch of 1.
    """

    tried: tuple[dict[str, int], ...]
    kind: str = "normal"
    instead: tuple[dict[str, int], ...] = ()


def size_plans(graph: Graph) -> list[Plan]:
    """The cases to run: a batch of 1, a batch of 3, and for small inputs also a batch of 17 and one of edge values.

    The batch of 17 is larger if more samples are needed to read every row of the tables that inputs index, and if these
    cost little. If the inputs are not small, the rows of the batch of 3 have different scales, so that large numbers
    (which a ReLU6 cuts off) occur. Named sizes other than the batch are first tried with different values, then equal.
    """
    batches, others = _free_sizes(graph)
    if not batches and not others:
        scaled = any(value.dtype.is_float for value in graph.inputs)
        return [Plan(({},)), *[Plan(({},), "scales")] * scaled, *_if_small(graph, [Plan(({},), "edges")])]
    cases = _BATCHES if batches else _BATCHES[:2]
    plans = [
        Plan(_tried(dict.fromkeys(batches, batch), others, _ladder(graph, batches, others, _LADDERS[case % 2])), kind)
        for case, (batch, kind) in enumerate(cases)
    ]
    more = [_reading_tables(graph, plan, batches) for plan in _if_small(graph, plans[2:])]
    has_edges = any(plan.kind == "edges" for plan in more)
    first, *rest = [plans[0], plans[1] if has_edges else replace(plans[1], kind="scales"), *more]
    return [first, *(replace(plan, instead=first.tried) for plan in rest)]


def _free_sizes(graph: Graph) -> tuple[list[str], list[str]]:
    """The named sizes of the inputs: those that are the size of a first axis, and the others."""
    shapes = [value.type.shape for value in graph.inputs]
    names = list(dict.fromkeys(name for shape in shapes for size in shape for name in sorted(symbols(size))))
    first = [symbols(shape[0]) for shape in shapes if shape]
    batches = [name for name in names if {name} in first]
    return batches, [name for name in names if name not in batches]


def _ladder(graph: Graph, batches: Sequence[str], others: Sequence[str], ladder: Sequence[int]) -> Sequence[int]:
    """The sizes to try; where the graph is empty at all of them, the least at which it is not, as far as dims tell."""
    sizes = [size for node in graph.nodes for value in node.outputs for size in value.type.shape]
    dims = [size for size in dict.fromkeys(sizes) if symbols(size) and symbols(size) <= {*batches, *others}]

    def holds(size: int) -> bool:
        known = {**dict.fromkeys(batches, 1), **dict.fromkeys(others, size)}
        return all(evaluate(dim, known) > 0 for dim in dims)

    if not others or any(map(holds, ladder)):
        return ladder
    most = next((size for size in (max(ladder) << step for step in range(1, 12)) if holds(size)), None)
    if most is None:
        return ladder
    least = most // 2  # at which it does not hold
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if holds(middle) else (middle, most)
    return most + 1, most


def _tried(batch: Mapping[str, int], others: Sequence[str], ladder: Sequence[int]) -> tuple[dict[str, int], ...]:
    """The choices of sizes to try, in order: for each step of the ladder, the other sizes different, then equal."""
    tried: list[dict[str, int]] = []
    for size in ladder if others else ladder[:1]:
        for apart in (1 if size % 8 else 8, 0):  # multiples of 8 stay so: some networks halve their images
            sizes = {**batch, **{name: size + place * apart for place, name in enumerate(others)}}
            tried += [sizes] * (sizes not in tried)
    return tuple(tried)


def _if_small(graph: Graph, plans: Sequence[Plan]) -> list[Plan]:
    """The plans whose inputs are small. For large inputs the batch of 3 finds faults as well."""
    return [plan for plan in plans if sum(_elements(graph, plan.tried[0]).values()) <= _MOST_ELEMENTS]


def _elements(graph: Graph, sizes: Mapping[str, int]) -> dict[Value, int]:
    return {value: prod(evaluate(size, sizes) for size in value.type.shape) for value in graph.inputs}


def _reading_tables(graph: Graph, plan: Plan, batches: Sequence[str]) -> Plan:
    """The "spread" case with enough samples to read every row of each table, or fewer if these would cost too much."""
    if plan.kind != "spread":
        return plan
    sizes = plan.tried[0]
    each = _elements(graph, {**sizes, **dict.fromkeys(batches, 1)})
    rows = {value: count for value, count in table_rows(graph).items() if each.get(value)}
    needed = max((-(-count // each[value]) for value, count in rows.items()), default=0)
    if all(needed <= sizes[name] for name in batches):
        return plan
    tables = [p for p in graph.parameters if len(p.shape) > 1 and p.shape[0] in rows.values()]
    weights = sum(prod(p.shape) for p in graph.parameters if p not in tables)
    ids = max(each[value] for value in rows)
    read = ids * max((prod(p.shape[1:]) for p in tables), default=1) + sum(each.values())
    affordable = min(_MOST_PRODUCTS // max(weights * ids, 1), _MOST_READ // read)
    more = {**sizes, **{name: max(sizes[name], min(needed, affordable)) for name in batches}}
    return Plan((more, *plan.tried), plan.kind)


def draw(
    graph: Graph,
    sizes: Mapping[str, int],
    rng: np.random.Generator,
    kind: str = "normal",
    limits: Limits | None = None,
) -> list[Array]:
    """An array for each input. Floats are normally distributed, with some zeros; ids are valid indices of their tables.

    kind: "spread" for rows of somewhat different magnitudes, "scales" for rows of very different magnitudes, "edges"
    for rows of zeros, ones, large numbers and similar. limits: the bounds of inputs that index something, found in the
    graph by default. Raises MemoryError.
    """
    if sum(_elements(graph, sizes).values()) > _MOST_DRAWN:  # the system may kill the process, without an error
        raise MemoryError
    known = index_limits(graph) if limits is None else limits
    words = _words(graph)
    return [
        _text(value.type, sizes, words, rng)
        if value.dtype is DType.STRING
        else _draw(value.type, sizes, known.get(value, []), rng, kind)
        for value in graph.inputs
    ]


def _draw(
    type: TensorType, sizes: Mapping[str, int], limits: Sequence[Dim], rng: np.random.Generator, kind: str
) -> Array:
    shape = tuple(evaluate(size, sizes) for size in type.shape)
    dtype = type.dtype
    if limits:
        known = (substitute(limit, sizes) for limit in limits)
        bound = min((limit if isinstance(limit, int) else 1 for limit in known), default=1)
        ids = _ids(shape, max(bound, 1), rng)
        return (ids if kind == "spread" else _padded(ids, rng)).astype(dtype.numpy)
    if dtype.is_float:
        numbers = np.where(rng.random(shape) < 0.1, 0.0, rng.standard_normal(shape))
        return _shaped(_padded(numbers, rng) if len(shape) == 3 else numbers, kind, rng, dtype).astype(dtype.numpy)
    if dtype.is_integer:
        return _integers(shape, dtype, rng).astype(dtype.numpy)
    return _codes(shape, dtype, rng) if dtype.is_code else rng.random(shape) < 0.5


def _codes(shape: tuple[int, ...], dtype: DType, rng: np.random.Generator) -> Array:
    """Codes of 8 bits and less: whole numbers from their whole range, or powers of two and what lies between."""
    low, high = dtype.bounds
    if "float" not in dtype.value:
        return rng.integers(int(low), int(high) + 1, shape).astype(dtype.numpy)
    numbers = np.exp2(rng.uniform(-4, 2, shape)) * (1 if low >= 0 else rng.choice([-1, 1], shape))
    return np.asarray(np.clip(numbers, low, high), np.float32).astype(dtype.numpy)


def _ids(shape: tuple[int, ...], bound: int, rng: np.random.Generator) -> Array:
    """Ids below a bound: the largest and 0 in the first row; every other id occurs once before any is repeated."""
    count = prod(shape)
    inner = max(bound - 2, 0)
    ends = np.array([bound - 1, 0][: min(bound, count)], np.int64)
    once = rng.choice(inner, min(inner, count - len(ends)), replace=False) + 1
    ids = np.concatenate([ends, once, rng.integers(0, bound, count - len(ends) - len(once))])
    first = count // shape[0] if shape and shape[0] else count
    rng.shuffle(ids[max(first, len(ends)) :])
    rng.shuffle(ids[:first])
    return ids.reshape(shape)


def _integers(shape: tuple[int, ...], dtype: DType, rng: np.random.Generator) -> Array:
    """Integers of 8 bits from the whole range, with its ends; of 16 bits up to 9999; of more bits from -9 to 9.

    Integers of many bits are small because they may be counts or indices.
    """
    small = rng.integers(0 if dtype.startswith("u") else -9, 10, shape)
    if dtype.numpy.itemsize > 2:
        return small
    ends = np.iinfo(dtype.numpy)
    low, high = max(int(ends.min), -9999), min(int(ends.max), 9999)
    numbers = np.where(rng.random(shape) < 0.25, small, rng.integers(low, high + 1, shape))
    flat = numbers.reshape(-1)
    flat[rng.permutation(flat.size)[:2]] = [low, high][: min(flat.size, 2)]
    return flat.reshape(shape)


def _padded(numbers: Array, rng: np.random.Generator) -> Array:
    """Zeros in the last steps of some rows, and in a few other steps, as in masked sequences."""
    if numbers.ndim < 2 or numbers.shape[1] < 2 or len(numbers) < 2:
        return numbers
    steps = np.arange(numbers.shape[1])
    lengths = rng.integers(1, numbers.shape[1] + 1, len(numbers))
    kept = (steps < lengths[:, None]) & (rng.random(numbers.shape[:2]) > 0.1)
    kept[0] = True
    return np.asarray(numbers * kept.reshape(kept.shape + (1,) * (numbers.ndim - 2)))


def _shaped(numbers: Array, kind: str, rng: np.random.Generator, dtype: DType) -> Array:
    """Scale or replace the rows along the first axis, as `kind` says."""
    if kind == "normal" or numbers.ndim == 0 or not numbers.size:
        return numbers
    rows = numbers.reshape(len(numbers), -1).copy()
    if kind == "spread":
        rows *= rng.permutation(np.exp2(np.linspace(-2, 3, len(rows))))[:, None]
    elif kind == "scales":
        rows *= np.geomspace(_LARGEST_SCALE, 1, len(rows))[:, None]
    else:
        for place, row in enumerate(rows):
            rows[place] = _EDGES[place % len(_EDGES)](row, dtype)
    return np.asarray(rows.reshape(numbers.shape))


def _words(graph: Graph) -> list[str]:
    """The strings to draw from: the keys of the graph's lookups, and some that are no keys."""
    known = [key for node in graph.nodes if isinstance(node.op, Lookup) for key in node.op.keys if isinstance(key, str)]
    return [*dict.fromkeys(known), "", "unknown", "Ω"]


def _text(type: TensorType, sizes: Mapping[str, int], words: Sequence[str], rng: np.random.Generator) -> Array:
    shape = tuple(evaluate(size, sizes) for size in type.shape)
    return np.asarray(rng.choice(words, shape), type.dtype.numpy)


def partial_sources(graph: Graph) -> list[int]:
    """The indices of inputs that integer divisors and powers are computed from: some numbers must be avoided there."""
    inner = [each for each in graphs_of(graph) if each is not graph]
    if any(operand(node) is not None for each in inner for node in each.nodes):
        return [place for place, value in enumerate(graph.inputs) if value.dtype is not DType.STRING]
    pending = [value for node in graph.nodes if (value := operand(node)) is not None]
    seen: set[Value] = set()
    while pending:
        value = pending.pop()
        if value not in seen:
            seen.add(value)
            pending.extend(source for source in (value.node.inputs if value.node else ()) if source is not None)
    return [place for place, value in enumerate(graph.inputs) if value in seen and value.dtype is not DType.STRING]


def calm(arrays: Sequence[Array], places: Sequence[int], step: int) -> list[Array]:
    """The arrays, with those at `places` changed so that fewer numbers computed from them are zero or negative.

    step: below CALM_STEPS. 0 changes nothing; then come no zeros, no negative numbers, small numbers, one number only.
    """
    found = list(arrays)
    for place in places if step else ():
        given = arrays[place]
        numbers = given if given.dtype.kind == "f" else given.astype(np.int64)
        if step < len(_CALMER):
            numbers = _CALMER[step](numbers)
        else:
            numbers = np.full_like(numbers, step - len(_CALMER) + 1 + place)
        if given.dtype.kind == "f":  # halves, which rounding errors do not turn into another integer
            numbers = np.trunc(numbers) + np.copysign(0.5, numbers)
        ends = None if given.dtype.kind not in "iu" else np.iinfo(given.dtype)
        numbers = numbers if ends is None else np.clip(numbers, int(ends.min), min(int(ends.max), 2**63 - 1))
        found[place] = numbers.astype(given.dtype)
    return found


_CALMER: tuple[Callable[[Array], Array], ...] = (
    lambda numbers: numbers,
    lambda numbers: np.where(np.abs(numbers) < 1, 1, numbers),
    lambda numbers: np.maximum(np.abs(numbers), 1),
    lambda numbers: 1 + np.abs(numbers) % 9,
    lambda numbers: 4 + np.abs(numbers) % 9,
)
CALM_STEPS = len(_CALMER) + 5


def table_rows(graph: Graph) -> dict[Value, int]:
    """For each input that indexes tables of fixed size, the number of rows that all of these tables have."""
    known = {v: [limit for limit in limits if isinstance(limit, int)] for v, limits in index_limits(graph).items()}
    return {value: min(limits) for value, limits in known.items() if limits}


def index_limits(graph: Graph) -> Limits:
    """For each input that is used as an index, directly or through casts and reshapes, the sizes that bound it."""
    limits: Limits = {}
    origins: dict[Value, frozenset[Value]] = {value: frozenset([value]) for value in graph.inputs}
    for node in graph.nodes:
        operands = [frozenset() if value is None else origins.get(value, frozenset()) for value in node.inputs]
        for place, limit in _bounds(node.op, [value for value in node.inputs if value is not None]):
            for source in operands[place]:
                limits.setdefault(source, []).append(limit)
        origins.update((output, carried) for output in node.outputs if (carried := _carried(node, operands, output)))
    return limits


def _carried(node: Node, origins: Sequence[frozenset[Value]], output: Value) -> frozenset[Value]:
    """The inputs that an index in this output comes from: through integer ops, casts, and ops that move elements.

    Floats that become indices also pass a clip, and a choice of another number where they are NaN.
    """
    carries_all = output.dtype.is_integer or isinstance(node.op, (Cast, Clip, Where))
    found = [
        origin
        for value, origin in zip(node.inputs, origins, strict=True)
        if carries_all or (node.op.moves_only and value is not None and value.dtype is output.dtype)
    ]
    return frozenset().union(*found)


def _bounds(op: object, inputs: Sequence[Value]) -> Iterator[tuple[int, Dim]]:
    """Pairs (index of an operand, the size that its elements must be less than)."""
    if isinstance(op, Embedding):
        yield 0, inputs[1].type.shape[0]
    elif isinstance(op, (Gather, GatherElements, ScatterElements)):
        yield 1, inputs[0].type.shape[op.axis]
    elif isinstance(op, (GatherND, ScatterUpdate)):
        first = op.batch_dims if isinstance(op, GatherND) else 0
        yield from ((1, size) for size in inputs[0].type.shape[first : first + _depth(inputs[1])])
    elif isinstance(op, Call):
        yield from _bounds_inside(op.graph, 0)
    elif isinstance(op, If):
        yield from _bounds_inside(op.then_branch, 1)
        yield from _bounds_inside(op.else_branch, 1)


def _depth(indices: Value) -> int:
    """How many axes the tuples of indices are for."""
    depth = indices.type.shape[-1]
    return depth if isinstance(depth, int) else 0


def _bounds_inside(graph: Graph, first: int) -> Iterator[tuple[int, Dim]]:
    """Those of the graph inside an op, whose inputs are the operands from `first` on."""
    inner = index_limits(graph)
    for place, value in enumerate(graph.inputs, start=first):
        yield from ((place, limit) for limit in inner.get(value, []) if isinstance(limit, int))


def checked_sizes(given: object) -> list[Mapping[str, int]] | None:
    """The choices of sizes as a list; a dict is a single choice. Raises ArgumentError."""
    if given is None:
        return None
    choices = [given] if isinstance(given, Mapping) else given
    if not isinstance(choices, Sequence) or not choices or not all(isinstance(each, Mapping) for each in choices):
        raise ArgumentError(
            f"sizes takes one or more choices of the named sizes, got {given!r}",
            remedy="sizes=[{'batch': 1, 'time': 16}, {'batch': 3, 'time': 5}], or leave it out",
        )
    return [{name: whole(f"size {name!r}", size, 0) for name, size in each.items()} for each in choices]
