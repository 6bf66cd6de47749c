"""The commands without the parsing of the command line: they take models and paths, and print tables and facts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import dagir
from dagir_convert import certified, comparing, sources, targets
from dagir_convert.console import Output, human_size
from dagir_convert.conversion import load


def sensitivity(
    source: sources.Source,
    output: Output,
    as_json: bool,
    *,
    precision: str,
    calibrate: Path | None,
    most: int,
    seed: int,
) -> None:
    """Print what narrowing each node costs. Raises ArgumentError, FeedError, FileError."""
    model = load(source, output).model
    with output.step(f"analysing {source}"):
        found = dagir.sensitivity(model, calibrate, precision, seed=seed)
    if as_json:
        print(found.to_json())
        return
    output.show(found.table(most))
    output.say(f"all {len(found)} nodes in {precision}: the outputs move by {found.whole:.2g} of their size")


def plot(source: sources.Source, target: Path, *, shapes: bool, nested: bool, force: bool, output: Output) -> None:
    """Draw a model into a .png, .svg, .pdf or .dot file. Raises UsageError, BackendError, FileError."""
    targets.refuse_existing(target, force)
    model = load(source, output).model
    with output.step(f"drawing {target.name}"):
        dagir.plot(model, target, show_shapes=shapes, expand_nested=nested)
    output.say(f"{target}, {human_size(target.stat().st_size)}")


def verify(
    first: sources.Source,
    second: sources.Source | None,
    output: Output,
    as_json: bool,
    *,
    html: Path | None = None,
    reproduce: Path | None = None,
    each_pass: bool = False,
    seed: int = 0,
    named: Sequence[str] = (),
    inputs: Path | None = None,
    thresholds: dagir.Thresholds = dagir.Thresholds(),  # noqa: B008  # it never changes
    metric: dagir.Metric | None = None,
    force: bool = False,
) -> None:
    """Compare two models, or run the certificate of one file again. Raises VerificationError if they differ."""
    comparing.check_ends(html, reproduce, force)
    if second is None:
        report = certified.run_again(first, output)
        comparing.show(
            report, output, as_json, html, reproduce, force, require=partial(certified.require, source=first)
        )
    else:
        names = comparing.name_pairs(named)
        report, model = comparing.compare(
            first, second, load, output, seed=seed, names=names, inputs=inputs, thresholds=thresholds, metric=metric
        )
        if each_pass and model is not None:
            comparing.check_passes(model, output)
        comparing.show(report, output, as_json, html, reproduce, force, inputs)
