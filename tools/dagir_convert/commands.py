"""What each command does, free of the command line: models and paths in, tables and facts out."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagir
from dagir.errors import FileError
from dagir.ir.arrays import not_finite
from dagir.ops.call import Call, graphs_of, parameters_of
from dagir.runtime.backend import FileSummary
from dagir_convert import certified, comparing, sources, targets
from dagir_convert.console import Output, counts_table, entries_table, human_size
from dagir_convert.greetings import import_keras
from dagir_convert.witness import NAME, confirmation, require, witness


def load(source: sources.Source, output: Output) -> sources.Loaded:
    """Load a source, and say so where that runs a file."""
    if source.runs_code:
        output.note(f"running {source.path}, which is code, for {source.name}")
    with output.step(f"reading {source}"):
        return sources.load(source)


def convert(
    source: sources.Source,
    target: Path,
    options: targets.Options,
    *,
    change: Callable[[dagir.Model], dagir.Model] = lambda model: model,
    verify: bool,
    with_keras: bool | None = None,
    is_part: bool = False,
    force: bool,
    strict: bool = False,
    output: Output,
    as_json: bool,
) -> None:
    """Read, write beside the target, verify what was written, rename. Raises VerificationError and leaves nothing.

    change: what is done to the model that was read. with_keras: whether Keras runs the source too, and is compared;
    None: where the source is a Keras model in memory. is_part: `change` takes a part of it.
    """
    start = time.perf_counter()
    targets.check_target(target, source, options, force)
    loaded = load(source, output)
    model = change(loaded.model)
    if target.suffix == ".keras" or with_keras:
        import_keras()
    report = None
    facts: dict[str, Any] = {"source": str(source), "target": str(target), "ok": None}
    facts["warnings"] = _warn(model, source, strict, output)
    with targets.staging(target) as staged:
        with output.step(f"writing {target.name}"):
            targets.write(model, staged, replace(options, source=source.path.name))
        if verify:
            tested = {target.suffix[1:]: targets.open_file(staged, model)}
            with output.step(f"opening {source} in Keras"):
                original = witness(loaded, model, with_keras, is_part)
            if original.executable is not None:
                tested[NAME] = original.executable
            with output.bar(f"verifying {target.name}") as progress:
                report = dagir.verify(model, tested, progress=progress)
            facts.update(report.to_dict(), confirmed_by=confirmation(report) or None)
            if not as_json:
                output.show(report.table())
            if not report.ok and as_json:
                print(json.dumps(facts, indent=2))
            require(report)
            if original.missing:
                output.note(f"the reading of {source} is not confirmed by Keras: {original.missing}")
        certified.write(staged, report, source, loaded.original is not None, output)
        summary = _summary(staged, model)
        facts["bytes"] = sum(path.stat().st_size for path in staged.parent.iterdir())
        targets.publish(staged, target, force)
    facts.update(nodes=sum(summary.op_counts.values()), **{k.replace(" ", "_").lower(): v for k, v in summary.facts})
    facts["total_seconds"] = round(time.perf_counter() - start, 2)
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    parts = [str(target), human_size(facts["bytes"]), f"{facts['nodes']} nodes"]
    parts += [f"opset {value.removeprefix('ai.onnx ')}" for name, value in summary.facts if name == "opset"]
    if report is not None:
        parts.append(f"max error {max((row.max_error for row in report.rows), default=0):.1e}")
    output.say(", ".join([*parts, f"{facts['total_seconds']:.1f} s", *([] if verify else ["not verified"])]))


def _warn(model: dagir.Model, source: sources.Source, strict: bool, output: Output) -> list[str]:
    """What is odd about a model, told on stderr. Raises FileError where `strict` is asked for."""
    pairs = [(weight.name, not_finite(weight.array)) for weight in parameters_of(model.graph)]
    found = [f"weight {name!r} holds {problem}" for name, problem in pairs if problem]
    if found and strict:
        more = [("others", ", ".join(found[1:4]))] if found[1:] else []
        raise FileError(f"{source}: {found[0]}", facts=more, remedy="leave out --strict to convert it all the same")
    for line in found:
        output.note(f"warning: {line}")
    return found


def _summary(path: Path, model: dagir.Model) -> FileSummary:
    if path.suffix == ".onnx":
        return dagir.backend("onnx").describe(path)
    return summarize(model)


def summarize(model: dagir.Model) -> FileSummary:
    """What a model of ours holds, nested models opened up."""
    counts: Counter[str] = Counter()
    parameters = parameters_of(model.graph)
    for graph in graphs_of(model.graph):
        counts.update(type(node.op).__name__ for node in graph.nodes if not isinstance(node.op, Call))
    inputs, outputs = ([(name, str(type)) for name, type in side] for side in _sides(model))
    sizes = [parameter.dtype.numpy.itemsize * _count(parameter.shape) for parameter in parameters]
    return FileSummary(tuple(inputs), tuple(outputs), dict(counts), len(parameters), sum(sizes))


def _sides(model: dagir.Model) -> tuple[Any, Any]:
    return model.signature.inputs, model.signature.outputs


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def inspect(source: sources.Source, output: Output, as_json: bool) -> None:
    """Print inputs, outputs, op counts and weights. Raises BackendError for a format that is not read."""
    if sources.MODEL_FILES.get(source.path.suffix) == "onnx":
        summary = dagir.backend("onnx").describe(source.path)
    else:
        summary = summarize(load(source, output).model)
    if as_json:
        data = {
            "inputs": dict(summary.inputs),
            "outputs": dict(summary.outputs),
            "op_counts": dict(summary.op_counts),
            "weights": summary.weights,
            "weight_bytes": summary.weight_bytes,
            **dict(summary.facts),
        }
        print(json.dumps(data, indent=2))
        return
    output.show(entries_table(summary.inputs, summary.outputs))
    output.show(counts_table("op", summary.op_counts))
    nodes = sum(summary.op_counts.values())
    output.say(f"{source}: {nodes} nodes, {summary.weights} weights of {human_size(summary.weight_bytes)}")
    for label, text in summary.facts:
        output.say(f"{label}: {text}")


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
    force: bool = False,
) -> None:
    """Compare two models, or run the certificate of one file again. Raises VerificationError where they differ."""
    comparing.check_ends(html, reproduce, force)
    if second is None:
        report = certified.run_again(first, output)
    else:
        report, model = comparing.compare(first, second, load, output, seed=seed)
        if each_pass and model is not None:
            comparing.check_passes(model, output)
    comparing.show(report, output, as_json, html, reproduce, force)
