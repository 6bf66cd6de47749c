"""What the ops say of themselves: each states how it rounds, and drawn cases hold every trait, both ways."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from dagir import ops, testing
from dagir.equivalence.noise import seems_exact
from dagir.ir.graph import Op
from dagir.ir.rounding import Rounding
from dagir.runtime.backend import backend

OPS = sorted(
    (cls for cls in vars(ops).values() if isinstance(cls, type) and issubclass(cls, Op) and cls is not ops.Call),
    key=lambda cls: cls.__name__,
)
OF_ANY_INPUT = {
    ops.If: "its branches decide",
    ops.Loop: "its body decides",
    ops.Scan: "its body decides",
    ops.Lookup: "its tables are of ints and strings",
}
EVERY_OP = pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)


@cache
def cases_of(op):
    """Cases of an op, with their results."""
    found = []

    @settings(max_examples=100, derandomize=True, database=None, phases=[Phase.generate], deadline=None)
    @given(st.data())
    def draw(data):
        case = data.draw(testing.cases(op))
        found.append((case, evaluated(case)))

    draw()
    return found


def drawn(op, look):
    """What `look` finds in each case of an op; without those that tell nothing, where it is None."""
    found = (look(case, results) for case, results in cases_of(op))
    return [each for each in found if each is not None]


def evaluated(case):
    """The results of the op on the case's arrays."""
    graph, feeds = case.graph()
    with np.errstate(all="ignore"):
        return backend("numpy").lower(graph)(feeds)


def is_float(array):
    return array is not None and array.dtype.kind == "f"


@EVERY_OP
def test_states_how_it_rounds(op):
    """A default is not enough: whoever writes an op says that it is exact, or how it rounds."""
    assert isinstance(vars(op).get("rounding"), Rounding), f"{op.__name__} does not state its rounding"


@EVERY_OP
def test_is_exact_where_it_says_so(op):
    def exact(case, _):
        if not case.op.how_it_rounds().exact:
            return None
        seen = []

        def look(node, operands, apply):
            seen.append(seems_exact(node, operands, apply))
            return apply(operands, None)

        graph, feeds = case.graph()
        with np.errstate(all="ignore"):
            backend("numpy").lower(graph).trace(feeds, look)
        return all(seen)

    assert all(drawn(op, exact)), f"{op.__name__} rounds, though it says that it is exact"


def mixed(array):
    """Other numbers, neither in the order of the given ones nor a multiple of them; the same of the same number."""
    with np.errstate(all="ignore"):
        return np.asarray(array * array + array * array.dtype.type(0.75) + array.dtype.type(0.5), array.dtype)


@EVERY_OP
def test_moves_numbers_and_no_more_where_it_says_so(op):
    """What moves only does the same to any numbers: it commutes with every function of them."""

    def moves(case, plain):
        floats = [array for array in case.arrays if is_float(array)]
        if not floats or not all(map(is_float, plain)) or not any(result.size for result in plain):
            return None
        if {array.dtype for array in floats} != {result.dtype for result in plain}:
            return False
        arrays = tuple([mixed(array) if is_float(array) else array for array in case.arrays])
        other = evaluated(replace(case, arrays=arrays))
        pairs = zip(plain, other, strict=True)
        return all(np.array_equal(mixed(a), b, equal_nan=True) for a, b in pairs)

    found = drawn(op, moves)
    if op in OF_ANY_INPUT or (not found and not op.moves_only):
        return
    assert found and all(found) == op.moves_only, f"{op.__name__}.moves_only says {op.moves_only}, cases say otherwise"


@EVERY_OP
def test_works_element_by_element_where_it_says_so(op):
    """Elements that change places in all operands change places in the result, and nothing else happens to them."""
    rng = np.random.default_rng(0)

    def elementwise(case, plain):
        if any(array is None for array in case.arrays):
            return False
        whole = np.broadcast_shapes(*(array.shape for array in case.arrays)) if _broadcast(case.arrays) else None
        if len(plain) != 1 or plain[0].shape != whole:
            return False
        order = rng.permutation(plain[0].size)
        moved = [np.broadcast_to(a, whole).reshape(-1)[order].reshape(whole).copy() for a in case.arrays]
        try:
            (other,) = evaluated(testing.OpCase(case.op, tuple(moved)))
        except Exception:  # an operand that may not grow: what it is has a meaning of its own
            return False
        wanted = plain[0].reshape(-1)[order].reshape(whole)
        return other.shape == whole and (
            np.allclose(other, wanted, rtol=1e-5, atol=1e-6, equal_nan=True)
            if other.dtype.kind == "f"
            else np.array_equal(other, wanted)
        )

    found = drawn(op, elementwise)
    if not op.random and op not in OF_ANY_INPUT:  # noise may be one for several elements
        assert all(found) == op.elementwise, f"{op.__name__}.elementwise says {op.elementwise}, cases say otherwise"


def _broadcast(arrays):
    try:
        np.broadcast_shapes(*(array.shape for array in arrays))
    except ValueError:
        return False
    return True


@EVERY_OP
def test_yields_nothing_below_0_where_it_says_so(op):
    """Of operands with numbers below 0 among them: where none comes out in any case, the op should say so."""

    def nonnegative(case, every):
        floats = [array for array in case.arrays if is_float(array)]
        signed = any((array < 0).any() for array in floats)
        results = [result for result in every if is_float(result)]
        if not results:
            return None
        holds = all(not (result < 0).any() for result in results)
        return holds if case.op.is_nonnegative() or signed else None

    found = drawn(op, nonnegative)
    if found and op is not ops.Clip:  # a matter of its bounds
        assert all(found) == op.nonnegative, f"{op.__name__}.nonnegative says {op.nonnegative}, cases say otherwise"


def test_a_clip_is_nonnegative_where_its_least_is():
    assert ops.Clip(0.0, 6.0).is_nonnegative() and not ops.Clip(-1.0, 1.0).is_nonnegative()


@EVERY_OP
def test_fields_agree_with_traits(op):
    """Noise has a seed, and what has a data_format is bound to a layout."""
    names = {field.name for field in fields(op)}
    assert op.random == ("seed" in names)
    assert op.bound_to_layout == ("data_format" in names)
    assert not op.needs_elements or names & {"axis", "axes"}


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
@pytest.mark.parametrize("op", [op for op in OPS if "keepdims" in {field.name for field in fields(op)}])
def test_needs_elements_where_it_says_so(op):
    """NumPy has no largest of nothing, and NaN for its mean."""
    axes = {"axis": 0} if "axis" in {field.name for field in fields(op)} else {"axes": (0,)}
    nothing = np.zeros(0, bool if getattr(op, "accepts", "number") == "bool" else "float32")
    try:
        has_answer = not np.isnan(backend("numpy").rules[op](op(**axes, keepdims=False), nothing)).any()
    except ValueError:
        has_answer = False
    assert op.needs_elements is not has_answer
