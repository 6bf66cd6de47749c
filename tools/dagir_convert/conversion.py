"""The stages of a conversion: read, write to a folder beside the target, verify, move to the target, and report."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dagir
from dagir.equivalence import Report
from dagir.equivalence.certifying import measured
from dagir.errors import FileError, UnsupportedLayer
from dagir.ir.arrays import not_finite
from dagir.layers.unknown import unknown_layers
from dagir.modeling.interface import Interface
from dagir.ops.call import graphs_of, parameters_of
from dagir.precision.narrowing import Narrowed
from dagir.precision.options import metadata_of
from dagir.runtime.backend import FileSummary
from dagir.support.backend_names import ONNX
from dagir_convert import certified, sources, targets
from dagir_convert.console import Output, human_size
from dagir_convert.errors import UsageError
from dagir_convert.greetings import import_keras
from dagir_convert.summary import summary_of_target
from dagir_convert.witness import confirmation, require, runtime_witness, witness

_MOST_NAMES = 8


def load(source: sources.Source, output: Output) -> sources.Loaded:
    """Load a source; print a note if this runs a Python file."""
    if source.runs_code:
        output.note(f"running {source.path}, which is code, for {source.name}")
    for path in source.reading.custom:
        if path.is_file():
            output.note(f"running {path}, which is code, for the objects that {source.path} names")
    with output.step(f"reading {source}"):
        return sources.load(source)


def _whole(model: dagir.Model) -> dagir.Model:
    return model


def _require_known(model: dagir.Model, source: str) -> None:
    """Raise UnsupportedLayer for a part of a model with layers that are not known."""
    found = unknown_layers(graphs_of(model.graph))
    if not found:
        return
    first, names = found[0], ", ".join(layer.name for layer in found)
    facts = [(layer.name, f"{layer.original}: {layer.why}") for layer in found]
    raise UnsupportedLayer(
        f"{source}: layer {first.name!r} ({first.original}) is in the part, and is not known: {first.why}",
        facts=facts if len(found) > 1 else (),
        remedy=f"cut before or behind {names}, give their classes with --custom file.py, or, where only a shape is "
        "missing, give it with --opaque NAME=SIZES",
    )


@dataclass(frozen=True)
class Conversion:
    """The options of a conversion; `run` does it.

    change: applied to the model that was read. interface: the names and layouts of the file. with_keras: whether Keras
    runs the source too, and its answers are compared; None: only if the source is a Keras model in memory. is_part:
    whether `change` takes a part of the model.
    """

    source: sources.Source
    target: Path
    options: targets.Options
    output: Output
    change: Callable[[dagir.Model], dagir.Model] = _whole
    interface: Interface = field(default_factory=Interface)
    verify: bool = True
    with_keras: bool | None = None
    is_part: bool = False
    force: bool = False
    strict: bool = False
    as_json: bool = False
    metric: dagir.Metric | None = None

    def run(self) -> None:
        """Convert. If the target does not compute the same, raises VerificationError, and no file is left."""
        start = time.perf_counter()
        targets.check_target(self.target, self.source, self.options, self.force)
        loaded = load(self.source, self.output)
        read = self.change(loaded.model)
        _require_known(read, str(self.source))
        model = self._renamed(read)
        if self.target.suffix == ".keras" or self.with_keras:
            import_keras()
        facts: dict[str, Any] = {"source": str(self.source), "target": str(self.target), "ok": None}
        facts["warnings"] = self._warn(model)
        narrowed = self._narrowed(model, facts)
        written = model if narrowed is None else narrowed.model
        with targets.staging(self.target) as staged:
            self._write(written, staged, {} if narrowed is None else metadata_of(narrowed, {}))
            report = self._verify(loaded, read, model, written, staged, facts) if self.verify else None
            if report is not None and narrowed is not None:
                report = self._measured(report, model, narrowed, staged, facts)
            certified.write(staged, report, self.source, self._is_of_keras(loaded), self.output)
            summary = summary_of_target(staged, written)
            facts["bytes"] = sum(path.stat().st_size for path in staged.parent.iterdir())
            targets.publish(staged, self.target, self.force)
        labels = {label.replace(" ", "_").lower(): text for label, text in summary.facts}
        facts = {**labels, **facts, "nodes": sum(summary.op_counts.values())}  # what was found is no text of the file
        facts["total_seconds"] = round(time.perf_counter() - start, 2)
        self._tell(facts, summary, report)

    def _renamed(self, model: dagir.Model) -> dagir.Model:
        """The model with the names and layouts that the file shall have. Raises ArgumentError, UsageError."""
        with_layers = self.target.suffix in targets.WITH_LAYERS
        taken = {layer.name for layer in model.layers} if with_layers else set()
        for old, new in self.interface.names.items():
            if old in model.output_names and new in taken:
                raise UsageError(
                    f"--rename {old}={new}: a layer has this name, and outputs are called by their layers there",
                    remedy="choose a name that no layer has",
                )
        return self.interface.applied(model, for_keras=with_layers)

    def _is_of_keras(self, loaded: sources.Loaded) -> bool:
        return loaded.original is not None and self.source.format != ONNX

    def _warn(self, model: dagir.Model) -> list[str]:
        """Print warnings about a model to stderr, and return them. Raises FileError instead if `strict` is set."""
        pairs = [(weight.name, not_finite(weight.array)) for weight in parameters_of(model.graph)]
        found = [f"weight {name!r} holds {problem}" for name, problem in pairs if problem]
        if found and self.strict:
            more = [("others", ", ".join(found[1:4]))] if found[1:] else []
            remedy = "leave out --strict to convert it all the same"
            raise FileError(f"{self.source}: {found[0]}", facts=more, remedy=remedy)
        for line in found:
            self.output.note(f"warning: {line}")
        return found

    def _narrowed(self, model: dagir.Model, facts: dict[str, Any]) -> Narrowed | None:
        """The model in the precision that is asked for, if one is; what it costs is printed."""
        if not self.options.low.is_wanted:
            return None
        with self.output.step(f"narrowing {self.source}"):
            narrowed = self.options.low.applied(model)
        assert narrowed is not None
        facts["low_precision"] = narrowed.to_dict()
        if not self.as_json:
            for each in narrowed.closeness:
                self.output.say(f"{narrowed.precision} against float32, {each}")
            kept = [f"{name} ({reason})" for name, reason in narrowed.kept.items()]
            if kept:
                self.output.say(f"in float32: {', '.join(kept[:_MOST_NAMES])}{', ...' * (len(kept) > _MOST_NAMES)}")
        return narrowed

    def _write(self, model: dagir.Model, staged: Path, metadata: dict[str, str]) -> None:
        with self.output.step(f"writing {self.target.name}"):
            targets.write(model, staged, replace(self.options, source=self.source.path.name, metadata=metadata))

    def _verify(
        self,
        loaded: sources.Loaded,
        read: dagir.Model,
        model: dagir.Model,
        written: dagir.Model,
        staged: Path,
        facts: dict[str, Any],
    ) -> Report:
        """Compare the written file, and the source itself, with the model. Raises VerificationError.

        read: the model with the interface of the source. written: the model that was written, which is narrower than
        what was read if that is asked for.
        """
        tested = {self.target.suffix[1:]: targets.open_file(staged, written)}
        by_runtime = self.source.format == ONNX and not self.with_keras
        with self.output.step(f"opening {self.source} in {'onnxruntime' if by_runtime else 'Keras'}"):
            if by_runtime:
                original = runtime_witness(loaded, read, self.is_part)
            else:
                original = witness(loaded, read, self.with_keras, self.is_part)
            original = original.through(self.interface, read, model)
        if original.executable is not None and written is model:
            tested[original.name] = original.executable
        with self.output.bar(f"verifying {self.target.name}") as progress:
            report = dagir.verify(written, tested, progress=progress)
            if original.executable is not None and written is not model:
                reading = dagir.verify(model, {original.name: original.executable}, progress=progress)
                report = replace(report, rows=(*report.rows, *reading.rows))
        facts.update(report.to_dict(), confirmed_by=confirmation(report) or None)
        if not self.as_json:
            if written is not model:
                self.output.say("what was written against the float64 evaluation of its own graph:")
            self.output.show(report.table())
        elif not report.ok:
            print(json.dumps(facts, indent=2))
        require(report)
        if report.not_run:
            self.output.note(report.not_run)
        if original.missing:
            self.output.note(f"the reading of {self.source} is not confirmed by {original.by}: {original.missing}")
        return report

    def _measured(
        self, report: Report, model: dagir.Model, narrowed: Narrowed, staged: Path, facts: dict[str, Any]
    ) -> Report:
        """The report with how close what was written is to the model. Raises VerificationError."""
        exe = targets.open_file(staged, model) if self.metric is not None else None
        with self.output.step(f"measuring {self.target.name}"):
            found = measured(model, narrowed.closeness, exe, self.options.low.calibrate, self.metric)
        facts["measured"] = found
        if "score" in found and not self.as_json:
            score = found["score"]
            self.output.say(f"{score['metric']} {score['found']:.4f}, of the model {score['model']:.4f}")
        return replace(report, measured=found)

    def _tell(self, facts: dict[str, Any], summary: FileSummary, report: Report | None) -> None:
        if self.as_json:
            print(json.dumps(facts, indent=2))
            return
        parts = [str(self.target), human_size(facts["bytes"]), f"{facts['nodes']} node{'s' * (facts['nodes'] != 1)}"]
        parts += [f"opset {value.removeprefix('ai.onnx ')}" for name, value in summary.facts if name == "opset"]
        if report is not None:
            parts.append(f"max error {max((row.max_error for row in report.rows), default=0):.1e}")
        parts += [f"{facts['total_seconds']:.1f} s", *([] if self.verify else ["not verified"])]
        self.output.say(", ".join(parts))
