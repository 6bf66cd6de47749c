"""Chains: nodes that follow each other and work on one row of numbers at a time, run block by block.

A chain is a convolution, a Linear, or neither, and then functions of one element at a time: normalization by channel,
activations, residual additions. A block of rows goes through all of them while it is in a core's cache; values that
nothing else reads are never whole in memory. Each node computes what its own rule computes, bit by bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from math import prod
from typing import Any, TypeAlias

import numpy as np

from dagir import ops
from dagir.ir.dims import substitute
from dagir.ir.graph import Constant, Node, Op, Parameter, Value
from dagir.ir.types import Array, DType, Shape
from dagir.support.threads import for_each
from dagir_numpy.conv import convolve
from dagir_numpy.linear import project
from dagir_numpy.norm import scale_and_shift
from dagir_numpy.pointwise import BLOCK, kernels

Source: TypeAlias = int | Value  # a slot of the chain, or a value from outside
Read: TypeAlias = Callable[[Value], Array]
Pick: TypeAlias = Callable[[int, int], Array]
Step: TypeAlias = tuple[Callable[..., None], int, list[int | Pick]]  # what is called, the slot it writes, its operands

LEAST = 16 * 1024  # bytes of a result; below, what a chain saves is less than it takes to set up

_FIRST: dict[type, Callable[..., Array]] = {ops.Conv: convolve, ops.Linear: project}


@dataclass(frozen=True)
class Part:
    """What one node of a chain computes, or two that are done in one."""

    op: Op
    inputs: tuple[Value | None, ...]
    output: Value


@dataclass(frozen=True)
class Move:
    """One part of a chain after the first: where its operands are, and the slot that it writes into."""

    op: Op
    sources: tuple[Source | None, ...]
    target: int

    @cached_property
    def is_fixed(self) -> bool:
        """Whether all that it reads from outside are weights and constants."""
        outside = [source for source in self.sources if isinstance(source, Value)]
        return all(isinstance(value.source, (Parameter, Constant)) for value in outside)


@dataclass(frozen=True)
class Prepared:
    """The steps of a move at one shape, for one set of arrays. split: see `_Rows`."""

    shape: tuple[int, ...]
    arrays: tuple[Array, ...]
    steps: tuple[Step, ...]
    split: bool

    def fits(self, shape: tuple[int, ...], arrays: Sequence[Array | int | None]) -> bool:
        """Whether the shape and the arrays are the same ones: the array of a weight is never written into."""
        read = [array for array in arrays if isinstance(array, np.ndarray)]
        return self.shape == shape and all(a is b for a, b in zip(self.arrays, read, strict=True))


@dataclass(frozen=True, eq=False)
class Chain:
    """first: the node that makes the rows, if any. results: the values that others read, by slot. slots: how many.

    Slot 0 is the rows that `first` makes; scratch is what comes after the results. prepared: what a run prepared of
    the weights of each move, for the next run.
    """

    nodes: tuple[Node, ...]
    first: Node | None
    moves: tuple[Move, ...]
    results: tuple[Value, ...]
    slots: int
    prepared: dict[int, Prepared] = field(default_factory=dict)

    def run(self, read: Read, sizes: dict[str, Any], precision: DType | None) -> list[Array] | None:
        """The arrays of the results. None where the nodes must be run one by one."""
        type = self.results[0].type
        shape = tuple(size for size in (substitute(size, sizes) for size in type.shape) if isinstance(size, int))
        dtype = np.dtype((precision or type.dtype).numpy)
        if dtype not in (np.float32, np.float64) or len(shape) < len(type.shape):
            return None
        if prod(shape) * dtype.itemsize < LEAST:
            return None
        rows = _Rows(self, shape, dtype)
        keep = precision is None  # else the arrays are made for this run
        return rows.run(read) if rows.prepare(read, keep) else None


class _Rows:
    """One run of a chain, at known sizes."""

    def __init__(self, chain: Chain, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.chain, self.shape, self.dtype = chain, shape, dtype
        self.width, self.height = shape[-1], prod(shape[:-1])
        self.entry = self.height // shape[0]
        self.split = False  # whether an operand has a row for each entry of the batch
        self.steps: list[Step] = []
        self.others: list[Array] = []

    def prepare(self, read: Read, keep: bool) -> bool:
        """Read the operands. False where one of them does not fit. keep: what is made of weights, for the next run."""
        for place, move in enumerate(self.chain.moves):
            arrays = [read(source) if isinstance(source, Value) else source for source in move.sources]
            prepared = self.chain.prepared.get(place) if keep else None
            if prepared is None or not prepared.fits(self.shape, arrays):
                prepared = self._prepared(move, arrays)
                if prepared is None:
                    return False
                if keep and move.is_fixed:
                    self.chain.prepared[place] = prepared
            self.steps += prepared.steps
            self.split |= prepared.split
        return True

    def _prepared(self, move: Move, arrays: Sequence[Array | int | None]) -> Prepared | None:
        operands = list(arrays)
        if isinstance(move.op, ops.BatchNorm):
            operands[1:] = scale_and_shift(move.op, *arrays[1:])  # type: ignore[arg-type]  # no slots but the first
        sources = [self._source(operand) for operand in operands if operand is not None]
        if any(source is None for source in sources):
            return None
        read = tuple(array for array in arrays if isinstance(array, np.ndarray))
        split = any(self._is_by_entry(array) for array in read)
        return Prepared(self.shape, read, tuple(_steps(move, sources)), split)  # type: ignore[arg-type]

    def _is_by_entry(self, array: Array) -> bool:
        """Whether an operand has a row for each entry of the batch."""
        shape = (1,) * (len(self.shape) - array.ndim) + array.shape
        return shape != self.shape and shape[0] == self.shape[0] > 1

    def _source(self, array: Array | int) -> int | Pick | None:
        """How a block gets its part of an operand. None where the operand spreads over the rows in another way."""
        if isinstance(array, int):
            return array
        shape = (1,) * (len(self.shape) - array.ndim) + array.shape
        if array.dtype != self.dtype or len(shape) != len(self.shape) or shape[-1] not in (1, self.width):
            return None
        if shape == self.shape:
            whole = array.reshape(self.height, self.width)
            return lambda start, stop: whole[start:stop]
        if set(shape[:-1]) <= {1}:
            return self._row(array.reshape(-1))
        if shape[0] == self.shape[0] and set(shape[1:-1]) <= {1}:
            entries, entry = array.reshape(shape[0], shape[-1]), self.entry
            return lambda start, stop: entries[start // entry]
        return None

    def _row(self, row: Array) -> Pick:
        """One row for all: repeated for a block, where that is less work than many short loops."""
        rows = BLOCK // self.width
        if self.height < 4 * rows:
            return lambda start, stop: row
        block = np.empty((rows, self.width), self.dtype)
        block[...] = row
        return lambda start, stop: block[: stop - start] if stop - start <= rows else row

    def run(self, read: Read) -> list[Array]:
        first, results = self.chain.first, self.chain.results
        self.others = [np.empty((self.height, self.width), self.dtype) for _ in results[1:]]
        if first is None:
            y = np.empty(self.shape, self.dtype)
            target, step = y.reshape(self.height, self.width), max(1, BLOCK // self.width)
            starts = range(0, self.height, step)
            for_each(lambda start: self.finish(target[start : start + step], start), starts, y.nbytes)
        else:
            operands = [None if value is None else read(value) for value in first.inputs]
            operands += [None] * (3 - len(operands))
            y = _FIRST[type(first.op)](first.op, *operands, self.finish)
        return [y, *(other.reshape(self.shape) for other in self.others)]

    def finish(self, rows: Array, start: int) -> None:
        """Take a block of rows through the chain, in parts that stay in the cache together with their operands."""
        stop, step = start + len(rows), _even(len(rows), max(1, BLOCK // self.width))
        while start < stop:
            end = min(stop, start + step)
            if self.split:
                end = min(end, (start // self.entry + 1) * self.entry)
            self._finish(rows[: end - start], start, end)
            rows, start = rows[end - start :], end

    def _finish(self, rows: Array, start: int, stop: int) -> None:
        scratch = self.chain.slots - 1 - len(self.others)
        slots = [rows, *(other[start:stop] for other in self.others), *(np.empty_like(rows) for _ in range(scratch))]
        for write, target, sources in self.steps:
            write(slots[target], *[slots[s] if isinstance(s, int) else s(start, stop) for s in sources])


def _even(count: int, most: int) -> int:
    """The size of parts of at most so many, as even as they come."""
    return -(-count // -(-count // most))


def _steps(move: Move, sources: list[int | Pick]) -> Iterator[Step]:
    op = move.op
    if not isinstance(op, ops.BatchNorm):
        yield partial(kernels[type(op)], op), move.target, sources
        return
    x, scale, shift = sources
    yield partial(kernels[ops.Multiply], op), move.target, [x, scale]
    yield partial(kernels[ops.Add], op), move.target, [move.target, shift]


def chained(nodes: Sequence[Node], start: int, read_outside: Callable[[Value, int], bool]) -> Chain | None:
    """The chain that begins at a node, if at least two nodes make one.

    read_outside(value, end): whether an output, or a node from `end` on, reads a value.
    """
    node = nodes[start]
    starts = type(node.op) in _FIRST and getattr(node.op, "data_format", "channels_last") == "channels_last"
    if not (starts or _fits(node, None)) or not node.output.type.shape:
        return None
    inside, end = {node.output}, start + 1
    while end < len(nodes) and _fits(nodes[end], node.output) and not inside.isdisjoint(nodes[end].inputs):
        inside.add(nodes[end].output)
        end += 1
    return None if end == start + 1 else _allotted(nodes[start:end], starts, lambda value: read_outside(value, end))


def _fits(node: Node, like: Value | None) -> bool:
    """Whether a node works on one row at a time: all its operands have its dtype, and its rows or parts of one."""
    if type(node.op) not in kernels and not isinstance(node.op, ops.BatchNorm):
        return False
    value = node.outputs[0]
    if not value.dtype.is_float or (like is not None and value.type != like.type) or not value.type.shape:
        return False
    if isinstance(node.op, ops.BatchNorm):
        return node.op.axis == len(value.type.shape) - 1 > 0
    operands = [each for each in node.inputs if each is not None]
    return all(each.dtype is value.dtype and _spreads(each.type.shape, value.type.shape) for each in operands)


def _spreads(part: Shape, whole: Shape) -> bool:
    if part == whole:
        return True
    part = (1,) * (len(whole) - len(part)) + part
    if len(part) != len(whole) or part[-1] not in (1, whole[-1]):
        return False
    return part[0] in (1, whole[0]) and all(size == 1 for size in part[1:-1])


def _allotted(nodes: Sequence[Node], starts: bool, is_result: Callable[[Value], bool]) -> Chain:
    """Slots for the values: one that nothing reads any more is written over."""
    first, final = nodes[0].output, nodes[-1].output
    head = first if starts and is_result(first) else final
    results = (head, *(node.output for node in nodes if node.output is not head and is_result(node.output)))
    parts = _limited(nodes[1:] if starts else nodes, results)
    slots = _Slots(parts, results)
    if starts:
        slots.of[first] = 0
    elif head is final:
        slots.free.append(0)
    moves = tuple(Move(part.op, slots.read_by(part), slots.written_by(part)) for part in parts)
    return Chain(tuple(nodes), nodes[0] if starts else None, moves, results, slots.count)


def _limited(nodes: Sequence[Node], results: Sequence[Value]) -> list[Part]:
    """The nodes as parts; a Relu that only the Minimum of a number after it reads is one part with that."""
    reads = Counter(value for node in nodes for value in node.inputs)
    parts: list[Part] = []
    for node in nodes:
        last, most = parts[-1] if parts else None, _most(node)
        relu = last if last is not None and isinstance(last.op, ops.Relu) and last.output is node.inputs[0] else None
        if relu is None or most is None or reads[relu.output] > 1 or relu.output in results:
            parts.append(Part(node.op, node.inputs, node.output))
        else:
            parts[-1] = Part(ops.Clip(0.0, most), relu.inputs, node.output)
    return parts


def _most(node: Node) -> float | None:
    """The number that a Minimum limits its first operand to."""
    limit = node.inputs[1] if isinstance(node.op, ops.Minimum) else None
    if limit is None or not isinstance(limit.source, Constant) or limit.source.array.size != 1:
        return None
    most = limit.source.array.item()
    return most if most >= 0 else None


class _Slots:
    """of: the slot of each value. free: slots that may be written into. Results have slots of their own, the first."""

    def __init__(self, parts: Sequence[Part], results: Sequence[Value]) -> None:
        self.homes = {value: slot for slot, value in enumerate(results)}
        self.of: dict[Value, int] = {}
        self.free: list[int] = []
        self.count = len(results)
        self._last = {value: part for part in parts for value in part.inputs if value is not None}

    def read_by(self, part: Part) -> tuple[Source | None, ...]:
        """Where the operands of a part are."""
        return tuple(None if value is None else self.of.get(value, value) for value in part.inputs)

    def written_by(self, part: Part) -> int:
        """The slot for what a part makes: one of its operands' where nothing reads that later."""
        operands = [value for value in dict.fromkeys(part.inputs) if value is not None and value in self.of]
        self.free += [self.of[v] for v in operands if self._last[v] is part and v not in self.homes]
        if part.output in self.homes:
            slot = self.homes[part.output]
        elif self.free:
            slot = self.free.pop()
        else:
            slot, self.count = self.count, self.count + 1
        self.of[part.output] = slot
        return slot
