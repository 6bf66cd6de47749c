"""Symbolic sizes: one form for one function, the numbers that Python gives, and text that reads back."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from dagir.errors import ArgumentError
from dagir.ir import dims
from dagir.ir.dim_bounds import at_most_one, never_empty

NAMES = ("batch", "time", "n")
SIZES = st.fixed_dictionaries({name: st.integers(0, 40) for name in NAMES})


class Expression:
    """A size beside the function that it stands for."""

    def __init__(self, dim, meaning):
        self.dim, self.meaning = dim, meaning

    def __repr__(self):
        return str(self.dim)


def leaf():
    names = [Expression(dims.symbol(name), lambda sizes, name=name: sizes[name]) for name in NAMES]
    numbers = st.integers(0, 9).map(lambda number: Expression(number, lambda sizes: number))
    return st.sampled_from(names) | numbers


def combine(children):
    def binary(make, mean):
        return st.builds(
            lambda a, b: Expression(make(a.dim, b.dim), lambda sizes: mean(a.meaning(sizes), b.meaning(sizes))),
            children,
            children,
        )

    def with_number(make, mean):
        return st.builds(
            lambda a, k: Expression(make(a.dim, k), lambda sizes: mean(a.meaning(sizes), k)),
            children,
            st.integers(1, 5),
        )

    return (
        binary(lambda a, b: a + b, lambda a, b: a + b)
        | binary(lambda a, b: a - b, lambda a, b: a - b)
        | binary(dims.min_dim, min)
        | binary(dims.max_dim, max)
        | with_number(lambda a, k: a * k, lambda a, k: a * k)
        | with_number(lambda a, k: a // k, lambda a, k: a // k)
        | with_number(lambda a, k: a % k, lambda a, k: a % k)
        | with_number(dims.ceil_div, lambda a, k: -(-a // k))
    )


EXPRESSIONS = st.recursive(leaf(), combine, max_leaves=6)


@given(EXPRESSIONS, SIZES)
def test_a_size_is_the_number_that_python_gives(expression, sizes):
    assert dims.evaluate(expression.dim, sizes) == expression.meaning(sizes)


@given(EXPRESSIONS)
def test_text_reads_back(expression):
    assert dims.parse(str(expression.dim)) == expression.dim
    assert hash(dims.parse(str(expression.dim))) == hash(expression.dim)


@given(EXPRESSIONS, EXPRESSIONS, EXPRESSIONS)
def test_one_function_has_one_form(a, b, c):
    a, b, c = a.dim, b.dim, c.dim
    assert a + b == b + a and (a + b) + c == a + (b + c)
    assert a - a == 0 and a + 0 == a and a * 1 == a
    assert dims.min_dim(a, b) == dims.min_dim(b, a) and dims.max_dim(a, b) == dims.max_dim(b, a)
    assert (a + b) * 2 == a * 2 + 2 * b


@st.composite
def spatial(draw):
    """What chains of strided, padded and pooled axes have for a size."""
    size = dims.symbol("time")
    for step in draw(st.lists(st.sampled_from("+-/^"), max_size=5)):
        k = draw(st.integers(1, 5))
        size = {
            "+": lambda s, k: s + k,
            "-": lambda s, k: s - k,
            "/": lambda s, k: s // k,
            "^": dims.ceil_div,
        }[step](size, k)
    return size


@given(spatial(), st.integers(1, 6), st.integers(1, 6))
def test_divisions_have_one_form(a, p, q):
    assert a // p // q == a // (p * q)
    assert (a * p) // p == a
    assert (a * p + a * q) // (p + q) == a
    assert (a + p) // p == a // p + 1


@given(EXPRESSIONS, SIZES)
def test_what_a_form_shows_is_so(a, sizes):
    for each in (a, Expression(dims.min_dim(a.dim, 1), lambda sizes: min(a.meaning(sizes), 1))):
        if at_most_one(each.dim):
            assert each.meaning(sizes) <= 1
        if never_empty(each.dim):
            assert each.meaning({name: size + 1 for name, size in sizes.items()}) >= 1


@given(EXPRESSIONS, EXPRESSIONS, SIZES)
def test_what_is_proved_is_so(a, b, sizes):
    verdict = dims.provably_equal(a.dim, b.dim)
    if verdict is not None:
        assert (a.meaning(sizes) == b.meaning(sizes)) is verdict


@given(EXPRESSIONS, EXPRESSIONS, SIZES)
def test_substitution_is_composition(outer, inner, sizes):
    assume(inner.meaning(sizes) >= 0)  # a name stands for a size
    replaced = dims.substitute(outer.dim, {"n": inner.dim})
    assert dims.evaluate(replaced, sizes) == outer.meaning({**sizes, "n": inner.meaning(sizes)})


@given(EXPRESSIONS, SIZES)
def test_only_its_names_matter(expression, sizes):
    kept = {name: sizes[name] for name in dims.symbols(expression.dim)}
    assert dims.evaluate(expression.dim, kept) == expression.meaning(sizes)
    for name in kept:
        fewer = {other: size for other, size in kept.items() if other != name}
        with pytest.raises(KeyError, match=name):
            dims.evaluate(expression.dim, fewer)


@given(st.text(max_size=30))
@example("__import__('os')")
@example("a.b")
@example("a if b else c")
@example("1e3")
@example("-" * 9999 + "a")
@example("(" * 500 + "a" + ")" * 500)
@example("a//0")
@example("*".join(["(a+b+c+d)"] * 99))
def test_text_is_a_size_or_refused(text):
    try:
        dim = dims.parse(text)
    except ArgumentError:
        return
    assert isinstance(dim, (int, dims.SymbolicDim))


def test_division_by_a_size():
    time, heads = dims.symbol("time"), dims.symbol("heads")
    assert (time * heads) // heads == time
    assert time // time == 1
    text = str((time + 1) // heads)
    assert dims.parse(text) == (time + 1) // heads
    assert dims.evaluate((time + 1) // heads, {"time": 6, "heads": 2}) == 3


def test_a_size_has_no_truth_and_no_order():
    time = dims.symbol("time")
    with pytest.raises(ArgumentError, match="not known until run time"):
        bool(time)
    with pytest.raises(TypeError):
        time < 3  # noqa: B015
    with pytest.raises(ArgumentError, match="identifier"):
        dims.symbol("a b")
    with pytest.raises(ArgumentError, match="divided by 0"):
        time // 0
