"""The ways to run one ONNX model that may give different answers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, ValueInfoProto
from onnx.reference import ReferenceEvaluator

from dagir.ir.graph import Graph
from dagir.ir.types import Array
from dagir.modeling.model import Model
from dagir.runtime.backend import Backend, Executable, graph_of, signature
from dagir.runtime.feeds import as_strings
from dagir_onnx.onnxruntime_late import onnxruntime
from dagir_onnx.points import as_written, marked_points

LEVELS = {"off": "ORT_DISABLE_ALL", "basic": "ORT_ENABLE_BASIC", "extended": "ORT_ENABLE_EXTENDED"}


def onnx_variants(backend: Backend, model: Model | Graph) -> dict[str, Callable[[], Executable]]:
    """Functions that make the executables."""
    found: dict[str, Callable[[], Executable]] = {backend.name: lambda: backend.lower(model)}
    for name, level in LEVELS.items():
        found[f"onnx, optimizer {name}"] = lambda level=level: backend.lower(model, session_options=_options(level))  # type: ignore[misc]
    found["onnx, no passes"] = lambda: backend.lower(model, disable=_passes(backend))
    found["onnx reference"] = lambda: Reference(backend, model)
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        found["onnx, cuda"] = lambda: backend.lower(model, device="cuda")
    return found


def _passes(backend: Backend) -> tuple[str, ...]:
    """Those that may be left out: ONNX has no calls, so models are inlined in any case."""
    return tuple({step.name for step, _ in backend.pipeline} - {"inline"})


def _options(level: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    return options


class Reference(Executable):
    """onnx's own evaluator in Python, on the file as dagir writes it. Slow, but independent of onnxruntime."""

    def __init__(self, backend: Backend, model: Model | Graph) -> None:
        super().__init__(graph_of(model), signature(model))
        self.artifact = backend.lower(model).artifact
        self._evaluator = ReferenceEvaluator(self.artifact)

    def points(self) -> Mapping[str, str]:
        """The points that a node of the file makes, and the node's name."""
        return {name: point.node for name, point in marked_points(self.artifact).items()}

    def observe(self, arrays: Sequence[Array], names: Sequence[str]) -> list[Array]:
        """The evaluator on the model with more outputs."""
        points = marked_points(self.artifact)
        watched = ModelProto()
        watched.CopyFrom(self.artifact)
        del watched.graph.output[:]
        watched.graph.output.extend(ValueInfoProto(name=points[name].tensor) for name in names)
        found = self._evaluate(ReferenceEvaluator(watched), arrays)
        return [as_written(array, points[name]) for array, name in zip(found, names, strict=True)]

    def _run(self, arrays: Sequence[Array]) -> list[Array]:
        return self._evaluate(self._evaluator, arrays)

    def _evaluate(self, evaluator: ReferenceEvaluator, arrays: Sequence[Array]) -> list[Array]:
        names = [name for name, _ in self.signature.inputs]
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = evaluator.run(None, dict(zip(names, arrays, strict=True)))
        return [as_strings(np.asarray(array)) for array in found]
