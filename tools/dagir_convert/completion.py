"""What a shell completes: names of layers, inputs and outputs are those of the file that the line names.

Nothing is run for it: a source that is code has no completions, and so has a file that cannot be read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import typer

from dagir.display.contents import Contents
from dagir.passes import DEPLOY
from dagir.support.backend_names import KERAS
from dagir_convert import inspecting, sources
from dagir_convert.command_classes import WORDS
from dagir_convert.console import Output


def layers(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of layers, and in an .onnx file of tensors; behind a comma the next one."""
    found = _contents(ctx)
    if found is None:
        return []
    names = [layer.name for layer in found.layers]
    names += [output.name for layer in found.layers for output in layer.outputs if output.name]
    return _listed(names, incomplete)


def inputs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of inputs."""
    found = _contents(ctx)
    return [] if found is None else _fitting([each.name or "" for each in found.inputs], incomplete)


def sizes(ctx: typer.Context, incomplete: str) -> list[str]:
    """Inputs with the sizes that they have: image=batch,28,28,1."""
    found = _contents(ctx)
    if found is None:
        return []
    shown = [f"{each.name}={','.join(map(str, each.shape or ()))}" for each in found.inputs]
    return _fitting(shown, incomplete)


def ends(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of inputs and outputs, as the old ones of OLD=NEW."""
    found = _contents(ctx)
    if found is None:
        return []
    return _fitting([f"{each.name}=" for each in (*found.inputs, *found.outputs)], incomplete)


def passes(incomplete: str) -> list[str]:
    """Names of passes of a conversion to ONNX."""
    return _fitting(dict.fromkeys(type(step).__name__ for step, _ in DEPLOY), incomplete)


def one_of(*words: str) -> Callable[[str], list[str]]:
    """A completer that offers these words."""

    def complete(incomplete: str) -> list[str]:
        return _fitting(words, incomplete)

    return complete


def _contents(ctx: typer.Context) -> Contents | None:
    """What the first model on the line holds; None where there is none that can be read."""
    for word in ctx.meta.get(WORDS, ()):
        with contextlib.suppress(Exception):  # a line that is not complete yet is no fault of anybody's
            source = sources.parse(word)
            if source.runs_code:
                return None
            opaque = sources.Reading(opaque={} if source.format == KERAS else None)
            return inspecting.contents(replace(source, reading=opaque), Output(quiet=True))
    return None


def _fitting(names: Sequence[str] | dict[str, None], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _listed(names: Sequence[str], incomplete: str) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in _fitting(dict.fromkeys(names), last)]
