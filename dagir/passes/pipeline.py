"""What a pass is, and how a pipeline of them runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from dagir.errors import ArgumentError, DagirError
from dagir.ir.graph import Graph, Value
from dagir.ir.naming import Namer
from dagir.ir.rewriter import rebuild
from dagir.ir.verifier import check


@dataclass(frozen=True)
class Pass:
    """Graph -> Graph. The old graph is not changed; the same object is returned if there is nothing to rewrite."""

    name: ClassVar[str] = "pass"

    def __call__(self, graph: Graph) -> Graph:
        """Rewrite the graph."""
        raise NotImplementedError(f"{type(self).__name__} rewrites nothing")


Pipeline: TypeAlias = Sequence[tuple[Pass, str]]


def run(graph: Graph, pipeline: Pipeline, disable: Collection[str] = ()) -> Graph:
    """The graph after every pass of the pipeline, those named in `disable` left out. Raises ArgumentError.

    An error that a pass raises names the pass, and the passes that ran before it.
    """
    names = [step.name for step, _ in pipeline]
    for name in disable:
        if name not in names:
            raise ArgumentError(f"there is no pass {name!r}", remedy=f"passes: {', '.join(dict.fromkeys(names))}")
    done: list[str] = []
    graph = _cut_off(graph) if pipeline else graph
    for step, _ in pipeline:
        if step.name not in disable:
            with _named(step, done):
                after = step(graph)
                if _between_passes and after is not graph:
                    check(after, unused_inputs=True)
            graph = after
            done.append(step.name)
    return graph


def _cut_off(graph: Graph) -> Graph:
    """The graph with inputs that nothing makes: where a model was cut, a pass must not see the nodes before the cut."""
    if all(value.node is None for value in graph.inputs):
        return graph
    namer = Namer()
    names = [namer(value.name) for value in graph.inputs]
    inputs = [
        value if value.node is None else Value(value.type, name=name)
        for value, name in zip(graph.inputs, names, strict=True)
    ]
    return rebuild(graph, lambda node, operands: None, inputs=inputs)


_between_passes = False


def check_between_passes(wanted: bool = True) -> None:
    """Set whether `run` checks every graph that a pass made; the tests of the project switch it on."""
    global _between_passes  # noqa: PLW0603  # one switch for the whole process, like python -X dev
    _between_passes = wanted


@contextmanager
def _named(step: Pass, done: Sequence[str]) -> Iterator[None]:
    """A context whose errors name the pass, and the passes that ran before it."""
    before = ", ".join(done) or "none"
    try:
        yield
    except DagirError as error:
        if all(label != "pass" for label, _ in error.facts):  # otherwise a pass of an inner pipeline is named already
            error.fact("pass", step.name).fact("passes before", before)
        raise
    except Exception as error:  # a bug in the pass: the traceback shows where, the note shows which pass
        error.add_note(f"in pass {step.name}; passes before: {before}")
        raise
