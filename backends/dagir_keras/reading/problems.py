"""Collects the layers that cannot be read, so that one error names all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from dagir.errors import BackendError, DagirError, FileError, UnsafeFile, UnsupportedLayer

LOAD = "load the file with keras.models.load_model and give dagir.from_keras the model, whose calls are then traced"
RULE = (
    "pass custom_objects={{{0!r}: a dagir Layer class}} or its class of Keras, "
    "register one with dagir_keras.reading.rule({0!r})"
)
REGISTER = f"{RULE}, or {LOAD}"


@dataclass(frozen=True)
class Problem:
    """One layer that cannot be read. unsafe: it would run code, or open files or connections."""

    path: str
    kind: str
    reason: str
    remedy: str | None = None
    unsafe: bool = False
    hostile: bool = False  # no file of a Keras user has such a thing


class Refused(Exception):
    """Raised where a layer cannot be read, caught where its path is known."""

    _keras_call_info_injected = True  # without it Keras raises a copy, which lacks the remedy

    def __init__(self, reason: str, remedy: str | None = None, unsafe: bool = False, hostile: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.remedy, self.unsafe, self.hostile = reason, remedy, unsafe or hostile, hostile


class Untraceable(Refused):
    """Raised where the call of a layer asks a tensor or a size for a number that exists at run time only."""


class Decided(Refused):
    """Raised for what no other way of reading the same call may take: it fails, or acts, whatever it is given."""


class OutsideTable(Untraceable):
    """Raised where a call uses a function of TensorFlow that the table has not, or not with these arguments."""


def of_chance(function: str) -> Refused:
    """The refusal of a call that draws random numbers where none of training is traced."""
    return Refused(
        f"its call draws random numbers at inference ({function}), and a graph gives the same answer each time",
        "draw under `if training:` only; or draw them with a fixed seed, as keras.random.normal(shape, seed=1), which "
        "gives the same numbers each time; or take the noise as an input of the model, and draw it outside",
    )


_NAMED = 3
"""The nodes of one op that an error names."""
_ODD = "its configuration is not what Keras writes"


class KerasChanged(BackendError):
    """This Keras lacks something without a public name that reading models in memory takes."""


class Problems:
    """All that was refused so far.

    of_nodes: whether they are nodes of a graph of TensorFlow, which are many, and told by their ops; else layers.
    """

    def __init__(self, of_nodes: bool = False) -> None:
        self._found: list[Problem] = []
        self._of_nodes = of_nodes

    @contextmanager
    def at(self, path: str, kind: str) -> Iterator[None]:
        """Within it, an error that refuses a layer is added to the problems, and not raised further."""
        try:
            yield
        except Refused as refused:
            told = (refused.reason, refused.remedy, refused.unsafe, refused.hostile)
            self._found.append(Problem(path, kind, *told))
        except UnsafeFile as error:
            self._found.append(Problem(path, kind, error.summary, error.remedy, unsafe=True, hostile=True))
        except (FileError, RecursionError, KerasChanged):
            raise
        except DagirError as error:
            self._found.append(Problem(path, kind, error.summary, error.remedy))
        except Exception as error:  # a configuration that Keras would not write can raise anything
            text = str(error).splitlines()[0] if str(error) else "no more is known"
            self._found.append(Problem(path, kind, f"{_ODD}: {type(error).__name__}: {text[:200]}"))

    def note(self, problem: Problem) -> None:
        """Add one that was found elsewhere."""
        self._found.append(problem)

    def forget(self, count: int) -> None:
        """Forget all but the first `count`: the layers are shown as opaque."""
        del self._found[count:]

    def become(self, found: Iterable[Problem]) -> None:
        """Hold these, and no others: those that there were before something was tried."""
        self._found[:] = found

    @property
    def found(self) -> tuple[Problem, ...]:
        """All of them."""
        return tuple(self._found)

    def as_refusal(self) -> Refused:
        """The first problem, as the exception that refuses the layer around it."""
        first = self._found[0] if self._found else Problem("", "", "a layer inside it cannot be taken")
        where = f"{first.path} ({first.kind}): " if first.path else ""
        return Refused(f"{where}{first.reason}", first.remedy, first.unsafe)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._found)

    def require_none(self, source: str) -> None:
        """Raise UnsafeFile or UnsupportedLayer with every problem, or nothing."""
        if self._found:
            raise self._error(source)

    def _error(self, source: str) -> DagirError:
        found = list(dict.fromkeys(self._found))  # a function may be called twice
        worst = [problem for problem in found if problem.unsafe]
        first = (worst or found)[0]
        facts: list[tuple[str, str]] = []
        if len(found) == 1:
            noun = "node" if self._of_nodes else "layer"
            what = f"{noun} {first.path!r} ({first.kind}) cannot be taken: {first.reason}"
        elif self._of_nodes:
            what, facts = f"{len(found)} nodes cannot be taken, of {_counted(found)}", _by_op(found)
        else:
            what = f"{len(found)} layers cannot be taken"
            facts = [(problem.path, f"{problem.kind}: {problem.reason}") for problem in found]
        remedies = dict.fromkeys(problem.remedy for problem in [*worst, *found] if problem.remedy)
        kind = UnsafeFile if worst else UnsupportedLayer
        return kind(f"{source}: {what}", facts=facts, remedy="; ".join(remedies) or None)


def _counted(found: Iterable[Problem]) -> str:
    """Each op with how many nodes of it there are, where these are several."""
    counts = Counter(problem.kind for problem in found)
    return ", ".join(op if number == 1 else f"{op} ({number})" for op, number in counts.items())


def _by_op(found: Iterable[Problem]) -> list[tuple[str, str]]:
    """A fact for each op and reason, with the names of the first nodes."""
    names: dict[tuple[str, str], list[str]] = {}
    for problem in found:
        names.setdefault((problem.kind, problem.reason), []).append(repr(problem.path))
    facts = []
    for (op, reason), nodes in names.items():
        shown = ", ".join(nodes[:_NAMED]) + (f" and {len(nodes) - _NAMED} more" if len(nodes) > _NAMED else "")
        facts.append((op, f"{reason}; {'node' if len(nodes) == 1 else f'{len(nodes)} nodes:'} {shown}"))
    return facts


def refuse_input(name: str, option: str) -> NoReturn:
    """Raise Refused for an input that is not a dense tensor, or may be left out."""
    raise Refused(
        f"its input {name!r} has {option}=True, and dagir's inputs are dense, and each is fed",
        f"build the model with Input(...) without {option}=True, and call it on dense arrays",
    )
