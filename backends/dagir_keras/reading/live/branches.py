"""Python's `if` on a size or a scalar that is known at run time only: the call is run once for each answer.

Each run gives what that branch computes, and the condition chooses which one runs, as `keras.ops.cond` does. A branch
that raises an error is left out: Keras would raise it too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

from dagir import ops
from dagir.errors import DagirError
from dagir.ir.dims import Dim, SymbolicDim, evaluate, max_dim, provably_equal, substitute, symbol, symbols
from dagir.ir.graph import Value, next_serial
from dagir.ir.nest import flatten, pack
from dagir.ir.operands import as_value
from dagir.ops.control_flow import choose
from dagir.support.location import Location
from dagir_keras.reading.problems import Refused, Untraceable

_MOST_QUESTIONS = 5
NOT_THE_USERS = {"keras", "tensorflow", "numpy", "optree", "dagir", "dagir_keras"}


@dataclass(frozen=True)
class Comparison:
    """`left relation right`, as left - right against 0. never_negative: what is known of that difference."""

    relation: str
    difference: Dim
    never_negative: bool = False

    def assumed(self, held: bool) -> Mapping[str, Dim]:
        """What named sizes are, in terms of others, where the comparison holds, or where it does not."""
        relation = self.relation if held else _NEGATED[self.relation]
        if self.never_negative:
            relation = {"<=": "==", "!=": ">"}.get(relation, relation)
        name = _name_of(self.difference)
        if name is not None:
            return _solved(name, relation, self.difference)
        return _divided(self.difference) if relation == "==" else {}


_NEGATED = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_LARGEST_DIVISOR = 64
_REST = symbol("rest_of_a_size")


def _name_of(difference: Dim) -> str | None:
    """The named size s of s + c or c - s; None for another form."""
    if not isinstance(difference, SymbolicDim):
        return None
    parts = [(monomial, factor) for monomial, factor in difference.terms if monomial]
    if len(parts) != 1 or abs(parts[0][1]) != 1 or len(parts[0][0]) != 1:
        return None
    atom = parts[0][0][0]
    return atom if isinstance(atom, str) else None


def _solved(name: str, relation: str, difference: Dim) -> Mapping[str, Dim]:
    size = symbol(name)
    rising = isinstance(difference - size, int)
    zero = size - difference if rising else size + difference  # what the size is where the difference is 0
    if not rising:
        relation = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(relation, relation)
    found = {"==": zero, ">": zero + 1 + _REST, ">=": zero + _REST, "<": zero - 1 - _REST, "<=": zero - _REST}
    return {name: found[relation]} if relation in found else {}


def _divided(difference: Dim) -> Mapping[str, Dim]:
    """{time: n * rest} for what is 0 just where n divides time, such as `-time % n`."""
    names = symbols(difference)
    name = next(iter(names)) if len(names) == 1 else ""
    for divisor in range(2, _LARGEST_DIVISOR if name else 0):
        periodic = substitute(difference, {name: symbol(name) + divisor}) == difference
        if periodic and substitute(difference, {name: divisor * _REST}) == 0:
            others = [evaluate(difference, {name: each}) for each in range(1, divisor)]
            return {name: divisor * _REST} if all(others) else {}
    return {}


@dataclass(frozen=True, eq=False)
class Question:
    """A boolean of the graph of which Python wants True or False.

    refusal: where it cannot be had. comparison: what it compares, where that is sizes. line: where it was asked.
    """

    condition: Value
    refusal: Untraceable
    comparison: Comparison | None = None
    line: str = ""

    def same(self, left: Dim, right: Dim, held: bool) -> bool:
        """Whether two sizes are equal wherever the answer is `held`."""
        assumed = self.comparison.assumed(held) if self.comparison is not None else {}
        return provably_equal(substitute(left, assumed), substitute(right, assumed)) is True


class Answers:
    """The answers that one run of a call gets, and the questions that it asked."""

    def __init__(self) -> None:
        self.given: list[bool] = []
        self.asked: list[Question] = []
        self.place = 0

    def answer(self, question: Question) -> bool:
        """The answer of this run: False to a new question."""
        if self.place == len(self.given):
            if self.place == _MOST_QUESTIONS:
                raise question.refusal
            self.given.append(False)
            self.asked.append(replace(question, line=line_of_the_user()))
        self.place += 1
        return self.given[self.place - 1]

    def advance(self) -> bool:
        """Go on to the next answers. False: all were given."""
        while self.given and self.given[-1]:
            self.given.pop()
            self.asked.pop()
        if self.given:
            self.given[-1] = True
        self.place = 0
        return bool(self.given)


@dataclass(frozen=True)
class _Path:
    """One run: its answers and questions, and what it gave, or the error that it raised."""

    given: tuple[bool, ...]
    asked: tuple[Question, ...]
    outcome: Any
    error: Exception | None = None


def line_of_the_user() -> str:
    """The innermost line of the present call that is outside dagir and the frameworks."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in NOT_THE_USERS:
        frame = frame.f_back
    return f", at {Location(frame.f_code.co_filename, frame.f_lineno)}" if frame is not None else ""


_answers: ContextVar[Answers | None] = ContextVar("_answers", default=None)


def answer(question: Question) -> bool:
    """True or False for Python; the other one is given in another run. Raises the question's refusal."""
    answers = _answers.get()
    if answers is None:
        raise question.refusal
    return answers.answer(question)


def explored(run: Callable[[], Any]) -> Any:
    """What `run` gives, whatever the answers to its questions are. Raises what it raises, Refused."""
    answers, since = Answers(), next_serial()
    paths: list[_Path] = []
    while True:
        token = _answers.set(answers)
        outcome, raised = None, None
        try:
            outcome = run()
        except (Refused, DagirError):
            raise
        except Exception as error:
            raised = error
        finally:
            _answers.reset(token)
        paths.append(_Path(tuple(answers.given), tuple(answers.asked), outcome, raised))
        if not answers.advance():
            break
    found = _joined(paths, 0, since)
    if found.error is not None:
        raise found.error
    return found.outcome


def _joined(paths: Sequence[_Path], depth: int, since: int) -> _Path:
    """The paths that share their first answers, as one. since: they were all run after this serial number."""
    if len(paths) == 1:
        return paths[0]
    negative = _joined([path for path in paths if not path.given[depth]], depth + 1, since)
    positive = _joined([path for path in paths if path.given[depth]], depth + 1, since)
    if negative.error is not None:
        return positive
    if positive.error is not None:
        return negative
    question = paths[0].asked[depth]
    return _Path(negative.given, negative.asked, _chosen(question, positive.outcome, negative.outcome, since))


@dataclass(frozen=True, eq=False)
class _Pair:
    """What the two branches give, of one shape."""

    positive: Value
    negative: Value


def _chosen(question: Question, positive: Any, negative: Any, since: int) -> Any:
    left, right = flatten(positive), flatten(negative)
    if len(left) != len(right):
        raise _apart(question, "a different number of tensors")
    found = [_one_of(question, *pair) for pair in zip(left, right, strict=True)]
    pairs = [each for each in found if isinstance(each, _Pair)]
    made = iter(choose(question.condition, [p.positive for p in pairs], [p.negative for p in pairs], since))
    return pack(positive, [next(made) if isinstance(each, _Pair) else each for each in found])


def _one_of(question: Question, positive: Any, negative: Any) -> Any:
    """What both branches give, or the pair of what they give."""
    if not isinstance(positive, Value) and not isinstance(negative, Value):
        if isinstance(positive, (int, SymbolicDim)) and isinstance(negative, (int, SymbolicDim)):
            return _one_size(question, positive, negative)
        if positive is negative or (type(positive) is type(negative) in (str, float, bool) and positive == negative):
            return positive
    try:
        first, second = as_value(positive), as_value(negative)
    except (TypeError, ValueError, DagirError):
        raise _apart(question, "a tensor in one, and none in the other") from None
    if first.dtype is not second.dtype or first.ndim != second.ndim:
        raise _apart(question, f"{first.type} in one, {second.type} in the other")
    pairs = zip(first.type.shape, second.type.shape, strict=True)
    shape = [_one_size(question, *pair) for pair in pairs]
    return _Pair(_of_shape(first, shape), _of_shape(second, shape))


def _one_size(question: Question, positive: Dim, negative: Dim) -> Dim:
    """A size that is right in both branches: that of one which, where the other is selected, is equal to its size."""
    for size in (positive, negative):
        if question.same(size, positive, held=True) and question.same(size, negative, held=False):
            return size
    raise _apart(question, f"an axis of size {positive} in one, {negative} in the other")


def _of_shape(value: Value, shape: Sequence[Dim]) -> Value:
    """The value, padded and cut to a shape that it has already where the branch is the one to be selected."""
    for axis, size in enumerate(shape):
        held = value.type.shape[axis]
        if held == size:
            continue
        pads = [(0, max_dim(size - held, 0) if place == axis else 0) for place in range(value.ndim)]
        value = ops.pad(value, pads)
        value = value[tuple(slice(0, size) if place == axis else slice(None) for place in range(value.ndim))]
        value = ops.broadcast_to(value, [*value.type.shape[:axis], size, *value.type.shape[axis + 1 :]])
    return value


def _apart(question: Question, what: str) -> Refused:
    refusal = question.refusal
    return Untraceable(f"{refusal.reason}{question.line}, and the two branches give {what}", refusal.remedy)
