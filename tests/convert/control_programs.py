"""Programs with nested control flow, drawn, and written as the source of a layer's `call`, which autograph can read.

A program is a list of steps; a step is (kind, number, blocks), of which the number chooses how it is written. Four
variables go through all of them: x, float32[n, 3], v, float64[3], k, int32[], b, bool[]. A call gets x0 and m, int32[],
and reads the weights of its layer in bodies of any depth.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from hypothesis import strategies as st

Step: TypeAlias = tuple[Any, ...]
Emit: TypeAlias = Callable[["Writer", int, Sequence[Any]], None]

VARIABLES = "x, v, k, b"

PLAIN = (
    "x = tf.sin(x)",
    "x = x * 0.5 - 1.0",
    "x = tf.nn.relu(x) - 0.25",
    "x = tf.nn.softmax(x)",
    "x = tf.matmul(x, self.w)",
    "x = tf.nn.bias_add(x, self.c)",
    "x = self.dense(x)",
    "x = tf.einsum('ij,kj->ik', x, self.w) * 0.5",
    "x = x - tf.reduce_mean(x, 0, keepdims=True)",
    "x = tf.cumsum(x, 1) / 3.0",
    "x = tf.ensure_shape(tf.reshape(tf.transpose(x), tf.shape(x)), (None, 3))",
    "x = tf.gather(x, [2, 0, 1], axis=1)",
    "x = tf.concat([x[:, 1:], -x[:, :1]], 1)",
    "x = x + x0[:1]",
    "x = tf.maximum(x, tf.reduce_mean(x0))",
    "x = x + tf.cast(v, tf.float32)",
    "x = x * tf.cast(k, tf.float32) * 0.3",
    "x = tf.where(b, x, -x * 0.5)",
    "x = tf.where(x > 0.0, x, self.c)",
    "x = tf.sort(x, axis=1)",
    "x = tf.reverse(x, [0])",
    "x = x / (tf.norm(x, axis=1, keepdims=True) + 1.0)",
    "x = tf.pad(x[:, :2], [[0, 0], [1, 0]])",
    "x = tf.stack(tf.unstack(x, axis=1)[::-1], axis=1)",
    "x = x + tf.one_hot(k % 3, 3)",
    "x = keras.ops.tanh(x @ self.w)",
    "x = x * keras.ops.sigmoid(x) + keras.ops.mean(x)",
    "v = tf.tanh(v) * 0.5",
    "v = tf.cast(tf.reduce_mean(x, 0), tf.float64) - v",
    "v = tf.reverse(v, [0]) + tf.cast(self.c, tf.float64)",
    "v = tf.where(b, v, tf.zeros_like(v))",
    "v = tf.tensor_scatter_nd_update(v, [[k % 3]], tf.constant([0.5], tf.float64))",
    "k = k + 1",
    "k = (k * 3 + 1) % 7",
    "k = tf.shape(x)[0] - k",
    "k = tf.where(b, m, k)",
    "k = tf.abs(k - m) % 5 + tf.cast(b, tf.int32)",
    "b = tf.logical_not(b)",
    "b = tf.reduce_sum(x) > 0.37",
    "b = k % 2 == 0",
    "b = tf.logical_and(b, m > 1)",
    "b = tf.reduce_any(v > 0.13)",
)
TESTS = (
    "b",
    "k > 2",
    "m > 1",
    "tf.reduce_sum(x) > 0.37",
    "tf.shape(x)[0] % 2 == 0",
    "tf.reduce_max(x) < tf.cast(tf.shape(x)[0], tf.float32) + 0.21",
    "tf.logical_or(b, k < 1)",
    "tf.reduce_any(v > 0.13)",
    "tf.reduce_mean(x) > -9.0",
)
IN_PYTHON = ("not b", "b and m > 1", "k < 2 or b", "0 < k < 4", "x.shape[1] == 3", "m")
"""Tests that only Python's own statements take."""

BOUNDS = ("m", "2", "tf.shape(x)[0]", "k % 4", "0", "tf.minimum(m, 3)")
FIRST_ROWS = ("tf.zeros([3])", "self.c", "x0[0]", "tf.cast(v, tf.float32)")

kinds: dict[str, Emit] = {}


def kind(*names: str) -> Callable[[Emit], Emit]:
    def register(emit: Emit) -> Emit:
        kinds.update(dict.fromkeys(names, emit))
        return emit

    return register


class Writer:
    """The lines of a program, and how deep it stands."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._depth = 0
        self._names = count(1)

    def line(self, text: str) -> None:
        self.lines.append("    " * self._depth + text)

    def name(self, stem: str) -> str:
        return f"{stem}_{next(self._names)}"

    @contextmanager
    def within(self) -> Iterator[None]:
        self._depth += 1
        yield
        self._depth -= 1

    def steps(self, block: Sequence[Step]) -> None:
        for name, number, *blocks in block:
            if name == "plain":
                self.line(PLAIN[number % len(PLAIN)])
            else:
                kinds[name](self, number, blocks)

    def block(self, head: str, block: Sequence[Step], *last: str) -> None:
        """A statement of Python with a body; x and k stay small in it."""
        self.line(head)
        assigned = assigned_in(block)
        with self.within():
            self.steps(block)
            if "x" in assigned:
                self.line("x = tf.clip_by_value(x, -4.0, 4.0)")
            if "k" in assigned:
                self.line("k = tf.clip_by_value(k, -9, 9)")
            for text in last or (() if assigned else ("pass",)):
                self.line(text)

    def part(self, block: Sequence[Step]) -> str:
        """A function from the four variables to the four."""
        name = self.name("part")
        self.block(f"def {name}(x, v, k, b):", block, f"return {VARIABLES}")
        return name


def assigned_in(block: Sequence[Step]) -> list[str]:
    """Which of the variables a block assigns."""
    found = set()
    for name, number, *blocks in block:
        if name == "plain":
            found.add(PLAIN[number % len(PLAIN)][0])
        elif name in ROWWISE:
            found.add("x")
        else:
            found.update(*(assigned_in(each) for each in blocks))
            found |= {"x"} if name.startswith("for_") else set()
    return [name for name in "xvkb" if name in found]


def carried(number: int, blocks: Sequence[Any]) -> str:
    """The variables that a function of control flow gives: those that its bodies assign, or all."""
    assigned = sorted({name for block in blocks for name in assigned_in(block)}, key="xvkb".index)
    return VARIABLES if number % 3 == 0 or not assigned else ", ".join(assigned)


def picked(part: str, names: str) -> str:
    """What a part gives, of which these variables are taken."""
    if names == VARIABLES:
        return f"{part}({VARIABLES})"
    places = [VARIABLES.split(", ").index(name) for name in names.split(", ")]
    return f"[{part}({VARIABLES})[i] for i in {places}]" if len(places) > 1 else f"{part}({VARIABLES})[{places[0]}]"


def row(part: str, given: str) -> str:
    """What a part makes of one row of x."""
    return f"{part}({given}[None], v, k, b)[0][0]"


def test_of(number: int) -> str:
    return TESTS[number % len(TESTS)]


def bound_of(number: int) -> str:
    return BOUNDS[number % len(BOUNDS)]


# ---- statements of Python, by autograph


@kind("if")
def _if(writer: Writer, number: int, blocks: Sequence[Any]) -> None:
    tests = TESTS + IN_PYTHON
    writer.block(f"if {tests[number % len(tests)]}:", blocks[0])
    if len(blocks) > 1:
        writer.block("else:", blocks[1])


@kind("for_range")
def _for_range(writer: Writer, number: int, blocks: Sequence[Any]) -> None:
    place, ends = writer.name("i"), number // len(BOUNDS) % 4
    last = [f"x = x * 0.9 + 0.1 * tf.cast({place}, tf.float32)"]
    if ends == 1:
        last += [f"if {test_of(number)}:", "    break"]
    if ends == 2:
        last = [f"if {test_of(number)}:", "    continue", *last]
    ends_at = f"1, tf.maximum({bound_of(number)}, 1)" if ends == 3 else f"tf.maximum({bound_of(number)}, 0)"
    writer.block(f"for {place} in tf.range({ends_at}):", blocks[0], *last)


@kind("for_rows")
def _for_rows(writer: Writer, number: int, blocks: Sequence[Any]) -> None:
    place = writer.name("row")
    rows = ("x0", "tf.transpose(x)", "self.w + 1.0")[number % 3]
    writer.block(f"for {place} in {rows}:", blocks[0], f"x = x * 0.9 + 0.1 * tf.reduce_sum({place})")


@kind("for_python")
def _for_python(writer: Writer, number: int, blocks: Sequence[Any]) -> None:
    place = writer.name("i")
    writer.block(f"for {place} in range({number % 3}):", blocks[0], f"x = x * 0.9 + 0.1 * {place}")


@kind("while")
def _while(writer: Writer, number: int, blocks: Sequence[Any]) -> None:
    place = writer.name("i")
    writer.line(f"{place} = {('0', 'tf.constant(0)')[number % 2]}")
    tests = (f"{place} < {bound_of(number)}", f"{place} < 3 and {test_of(number)}", f"{place} < m and x.shape[1] == 3")
    writer.block(f"while {tests[number // 2 % 3]}:", blocks[0], f"{place} += 1")


# ---- functions of TensorFlow and of keras.ops


@kind("cond")
def _cond(writer: Writer, number: int, blocks: Sequence[Any]) -> None:
    _branch(writer, number, blocks, "tf")


@kind("keras_cond")
def _keras_cond(writer: Writer, number: int, blocks: Sequence[Any]) -> None:
    _branch(writer, number, blocks, "keras.ops")


def _branch(writer: Writer, number: int, blocks: Sequence[Any], module: str) -> None:
    names = carried(number, blocks)
    sides = [picked(writer.part(block), names) for block in blocks]
    if len(sides) == 1:
        sides.append(names if "," not in names else f"[{names}]" if names != VARIABLES else f"({names})")
    writer.line(f"{names} = {module}.cond({test_of(number)}, lambda: {sides[0]}, lambda: {sides[1]})")


@kind("case")
def _case(writer: Writer, number: int, blocks: Sequence[Any]) -> None:
    parts = [writer.part(block) for block in blocks]
    first, last = parts[0], parts[-1]
    pairs = ", ".join(f"({test_of(number + i)}, lambda: {each}({VARIABLES}))" for i, each in enumerate((first, last)))
    writer.line(f"{VARIABLES} = tf.case([{pairs}], default=lambda: ({VARIABLES}))")


@kind("switch_case")
def _switch_case(writer: Writer, number: int, blocks: Sequence[Any]) -> None:
    parts = [f"lambda: {writer.part(block)}({VARIABLES})" for block in blocks]
    default = (f", default=lambda: ({VARIABLES})", "")[number % 2]
    writer.line(f"{VARIABLES} = tf.switch_case({('k', 'm', 'k - 1')[number % 3]}, [{', '.join(parts)}]{default})")


@kind("keras_switch")
def _keras_switch(writer: Writer, number: int, blocks: Sequence[Any]) -> None:
    parts = [writer.part(block) for block in blocks]
    writer.line(f"{VARIABLES} = keras.ops.switch({('k', 'm', 'k - 1')[number % 3]}, [{', '.join(parts)}], {VARIABLES})")


@kind("while_loop")
def _while_loop(writer: Writer, number: int, blocks: Sequence[Any]) -> None:
    _loop(writer, number, blocks, "tf")


@kind("keras_while_loop")
def _keras_while_loop(writer: Writer, number: int, blocks: Sequence[Any]) -> None:
    _loop(writer, number, blocks, "keras.ops")


def _loop(writer: Writer, number: int, blocks: Sequence[Any], module: str) -> None:
    part, names, place = writer.part(blocks[0]), carried(number, blocks), writer.name("i")
    again = (f"{place} < {bound_of(number)}", f"tf.logical_and({place} < 4, {test_of(number)})")[number // 6 % 2]
    most = ("", ", maximum_iterations=2", ", maximum_iterations=m")[number // 12 % (3 if module == "tf" else 2)]
    step = picked(part, names)
    step = f"({place} + 1, {step})" if "," not in names else f"({place} + 1, *{step})"
    arguments = f"{place}, {names}"
    writer.line(
        f"_, {names} = {module}.while_loop(lambda {arguments}: {again}, lambda {arguments}: {step}, (0, {names}){most})"
    )


@kind("fori_loop")
def _fori_loop(writer: Writer, number: int, blocks: Sequence[Any]) -> None:
    part, place = writer.part(blocks[0]), writer.name("i")
    low = ("0", "1", "-1")[number // 6 % 3]
    writer.line(
        f"{VARIABLES} = keras.ops.fori_loop({low}, {bound_of(number)}, "
        f"lambda {place}, s: {part}(s[0] + 0.1 * tf.cast({place}, tf.float32), *s[1:]), ({VARIABLES}))"
    )


@kind("call")
def _call(writer: Writer, number: int, blocks: Sequence[Any]) -> None:
    part = writer.part(blocks[0])
    writer.line(f"{VARIABLES} = tf.function({part})({VARIABLES})")


# ---- along the rows of x


@kind("map_fn")
def _map_fn(writer: Writer, number: int, blocks: Sequence[Any]) -> None:
    part = writer.part(blocks[0])
    if number % 3 == 0:
        writer.line(f"x = tf.map_fn(lambda r: {row(part, 'r')}, x)")
    elif number % 3 == 1:
        writer.line(f"x = tf.map_fn(lambda rs: {row(part, 'rs[0]')} * rs[1][0], (x, tf.cos(x)), tf.float32)")
    else:
        both = f"lambda r: ({row(part, 'r')}, tf.reduce_sum(r) > 0.13)"
        writer.line(f"x, some = tf.map_fn({both}, x, fn_output_signature=(tf.float32, tf.bool))")
        writer.line("x = tf.where(some[:, None], x, x * 0.5)")


@kind("scan")
def _scan(writer: Writer, number: int, blocks: Sequence[Any]) -> None:
    part = writer.part(blocks[0])
    reverse = ("", ", reverse=True")[number // 8 % 2]
    step = row(part, "(c * 0.5 + r)")
    if number // 4 % 2:
        writer.line(f"x = tf.scan(lambda c, r: {step}, x{reverse})")
        return
    first = FIRST_ROWS[number % 4]
    if number // 16 % 2:
        step = row(part, "(c[0] * 0.5 + r)")
        writer.line(f"x, ks = tf.scan(lambda c, r: ({step}, c[1] + 1), x, initializer=({first}, k){reverse})")
        writer.line("x = x + 0.1 * tf.cast(ks, tf.float32)[:, None]")
        return
    writer.line(f"x = tf.scan(lambda c, r: {step}, x, initializer={first}{reverse})")


@kind("fold")
def _fold(writer: Writer, number: int, blocks: Sequence[Any]) -> None:
    part, function = writer.part(blocks[0]), ("foldl", "foldr")[number % 2]
    first = f", initializer={FIRST_ROWS[number // 4 % 4]}" if number // 2 % 2 else ""
    writer.line(f"x = x * 0.5 + tf.{function}(lambda c, r: {row(part, '(c * 0.5 + r)')}, x{first})")


@kind("keras_scan")
def _keras_scan(writer: Writer, number: int, blocks: Sequence[Any]) -> None:
    part, reverse = writer.part(blocks[0]), (", reverse=True", "")[number // 4 % 2]
    first = FIRST_ROWS[number % 4]
    writer.line(
        f"last, x = keras.ops.scan(lambda c, r: ({row(part, '(c * 0.5 + r)')}, c - r), {first} + 0.0, x{reverse})"
    )
    writer.line("x = x + last")


@kind("keras_map")
def _keras_map(writer: Writer, number: int, blocks: Sequence[Any]) -> None:
    writer.line(f"x = keras.ops.map(lambda r: {row(writer.part(blocks[0]), 'r')}, x)")


@kind("written")
def _written(writer: Writer, number: int, blocks: Sequence[Any]) -> None:
    """A list of the rows, written one by one, and read again."""
    part, rows, place = writer.part(blocks[0]), writer.name("rows"), writer.name("i")
    size = ("tf.shape(x)[0]", "0, dynamic_size=True")[number % 2]
    shape = (", element_shape=[3]", "")[number // 2 % 2]
    index = (place, f"tf.shape(x)[0] - 1 - {place}")[number // 4 % 2]
    writer.line(f"{rows} = tf.TensorArray(tf.float32, {size}{shape}, clear_after_read=False)")
    writer.line(f"for {place} in tf.range(tf.shape(x)[0]):")
    writer.line(f"    {rows} = {rows}.write({index}, {row(part, f'x[{place}]')})")
    last = (
        f"{rows}.stack()",
        f"tf.map_fn(lambda i: {rows}.read(i), tf.range(tf.shape(x)[0]), tf.float32)",
        f"{rows}.gather(tf.range(tf.shape(x)[0])[::-1])",
    )
    writer.line(f"x = tf.ensure_shape({last[number // 8 % 3]}, (None, 3))")


@kind("read")
def _read(writer: Writer, number: int, blocks: Sequence[Any]) -> None:
    """A list of the rows, read one by one into a sum."""
    part, rows, place, total = writer.part(blocks[0]), writer.name("rows"), writer.name("i"), writer.name("sum")
    writer.line(f"{rows} = tf.TensorArray(tf.float32, size=tf.shape(x)[0], clear_after_read=False).unstack(x)")
    writer.line(f"{total} = {FIRST_ROWS[number % 4]} + 0.0")
    writer.line(f"for {place} in tf.range({rows}.size()):")
    writer.line(f"    {total} = {row(part, f'({rows}.read({place}) + {total} * 0.5)')}")
    writer.line(f"x = x * 0.5 + {total}")


ROWWISE = ("map_fn", "scan", "fold", "keras_scan", "keras_map", "written", "read")

_numbers = st.integers(0, 999)
_plain = st.tuples(st.just("plain"), st.integers(0, len(PLAIN) - 1))


def _nested(inner: Any) -> Any:
    block = st.lists(inner, min_size=1, max_size=3)
    one, two = [name for name in kinds if name not in TWO], sorted(TWO)
    return (
        st.tuples(st.sampled_from(one), _numbers, block)
        | st.tuples(st.sampled_from(two), _numbers, block, block)
        | st.tuples(st.sampled_from(two), _numbers, block)
    )


TWO = {"if", "cond", "keras_cond", "case", "switch_case", "keras_switch"}

programs = st.lists(st.recursive(_plain, _nested, max_leaves=6), min_size=1, max_size=4)


def source(program: Sequence[Step]) -> str:
    """The text of the call."""
    writer = Writer()
    first = ["x, k, b = x0, m + 1, m > 0", "v = tf.constant([0.5, -1.0, 2.0], tf.float64)"]
    writer.line("def call(self, x0, m):")
    with writer.within():
        for text in first:
            writer.line(text)
        writer.steps(program)
        writer.line(f"return {VARIABLES}")
    return "\n".join(writer.lines) + "\n"


_files = count(1)


def compiled(text: str) -> Callable[..., Any]:
    """The function, whose source `inspect` finds."""
    name = f"<drawn call {next(_files)}>"
    linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
    found: dict[str, Any] = {"__name__": "drawn_call", "tf": tf, "keras": keras, "np": np}
    exec(compile(text, name, "exec"), found)
    return found["call"]
