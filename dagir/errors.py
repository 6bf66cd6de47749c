"""Every error that dagir raises on purpose. A message is one line of what is wrong, then facts, then the remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from dagir.support.location import user_line
from dagir.support.printable import printable
from dagir.support.short_traceback import short_traceback


class DagirError(Exception):
    """The root of all errors of dagir.

    summary: one line, in the field's words. remedy: how to mend it. marks: for an operand of the
    failing op (by position), the axes that are wrong; whoever applies the op draws them. facts: (label, text)
    pairs shown below the summary; each caller on the way up may add its own.

    >>> layers.Dense(3.5)
    Traceback (most recent call last):
        ...
    dagir.errors.ArgumentError: Dense takes a positive int for units, got 3.5...
    """

    exit_code: ClassVar[int] = 2
    located: ClassVar[bool] = False  # whether the user's line that made the call is part of the message

    def __init__(
        self,
        summary: str,
        *,
        remedy: str | None = None,
        marks: Mapping[int, Sequence[int]] | None = None,
        facts: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(summary)
        self.summary = summary
        self.remedy = remedy
        self.marks: Mapping[int, Sequence[int]] = marks or {}
        self.facts: list[tuple[str, str]] = list(facts)
        self._location = user_line() if self.located else None

    def fact(self, label: str, text: str) -> DagirError:
        """Add one fact, and return the same error, so that it can be raised in one line."""
        self.facts.append((label, text))
        return self

    def __str__(self) -> str:
        facts = self.facts
        if self._location is not None and all(label != "called at" for label, _ in facts):
            facts = [*facts, ("called at", str(self._location))]
        facts = [(printable(label), text) for label, text in facts]
        width = max((len(label) for label, _ in facts), default=0)
        lines = [printable(self.summary)]
        for label, text in facts:
            first, *rest = map(printable, text.split("\n"))
            lines.append(f"  {label.ljust(width)}  {first}".rstrip())
            lines.extend(f"  {' ' * width}  {line}".rstrip() for line in rest)
        if self.remedy:
            lines.append(f"  remedy: {printable(self.remedy)}")
        return "\n".join(lines)

    def _render_traceback_(self) -> list[str]:
        """What IPython and notebooks show: the user's lines and the message, without the frames inside dagir."""
        return short_traceback(self)


class ShapeError(DagirError):
    """Shapes or ranks that do not fit.

    >>> ops.matmul(np.ones((2, 3)), np.ones((2, 3)))
    Traceback (most recent call last):
        ...
    dagir.errors.ShapeError: matmul needs equal inner sizes, got 3 and 2...
    """

    located = True


class DTypeError(DagirError):
    """A dtype that an op does not take, or dtypes that differ: dagir never casts in silence.

    >>> ops.sqrt(np.int32([4]))
    Traceback (most recent call last):
        ...
    dagir.errors.DTypeError: the op takes float values, operand 0 is int32...
    """

    located = True


class ArgumentError(DagirError):
    """An argument of a layer, op or function that is out of range or of the wrong kind.

    >>> layers.Dense(0)
    Traceback (most recent call last):
        ...
    dagir.errors.ArgumentError: Dense takes a positive int for units, got 0...
    """

    located = True


class InvalidGraph(DagirError):
    """A graph that breaks an invariant: a dangling input, a cycle, a name used twice, a type that does not follow.

    >>> dagir.Model([], dagir.Input((3,)))
    Traceback (most recent call last):
        ...
    dagir.errors.InvalidGraph: the outputs depend on input 'input_layer', which is not among the inputs...
    """

    located = True


class FeedError(DagirError):
    """Arrays given to an executable that do not fit its inputs.

    >>> dagir.lower(dagir.Model([], ops.zeros((2,))))(1.0)
    Traceback (most recent call last):
        ...
    dagir.errors.FeedError: 0 inputs are needed, got one...
    """

    located = True


class UnsupportedOp(DagirError):
    """A backend has no rule for an op, and says what it has.

    >>> dagir.Rules("mine")[ops.Tanh]
    Traceback (most recent call last):
        ...
    dagir.errors.UnsupportedOp: mine has no rule for Tanh...
    """

    exit_code = 4


class UnsupportedLayer(DagirError):
    """Layers of another framework's model that dagir cannot take: all of them at once, each with its path and why."""

    exit_code = 4


class BackendError(DagirError):
    """A backend that is not installed, or a device that is not there.

    >>> dagir.backend("abacus")
    Traceback (most recent call last):
        ...
    dagir.errors.BackendError: there is no backend 'abacus'...
    """

    exit_code = 4


class VerificationError(DagirError):
    """What was lowered does not agree with what was given.

    >>> dagir.VerificationError("the answers differ").exit_code
    3
    """

    exit_code = 3


class FileError(DagirError):
    """A file that is missing, damaged, unsafe, or in the way.

    >>> dagir.load("missing.dagir")
    Traceback (most recent call last):
        ...
    dagir.errors.FileError: missing.dagir: there is no such file
    """

    exit_code = 5


class UserCodeError(DagirError):
    """An exception inside a function of the user's: a rule of an op, the `call` of a layer, an activation.

    The message names the function, what it raised, and the line; the exception itself is the `__cause__`.

    >>> layers.Dense(3, activation=lambda x: 1 / 0)(dagir.Input((4,)))
    Traceback (most recent call last):
        ...
    dagir.errors.UserCodeError: <lambda> raised ZeroDivisionError: division by zero...
    """


class NonFiniteWarning(UserWarning):
    """A weight holds NaN or infinity; dagir-convert --strict makes it an error."""


class DeclarationWarning(UserWarning):
    """A file declares what its graph contradicts, or leaves open which of its branches is taken; the graph decides."""


class UnsafeFile(FileError):
    """A file made to run code, to reach other files, or to exhaust memory; or one that looks like it."""
