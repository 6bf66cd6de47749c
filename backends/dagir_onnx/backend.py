"""The ONNX backend: passes, emission, onnxruntime."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from dagir.backend import Backend, graph_of, signature
from dagir.errors import ArgumentError
from dagir.graph import Graph
from dagir.model import Model
from dagir.passes import DEPLOY, run
from dagir_onnx.executable import OnnxExecutable, check_device
from dagir_onnx.lowering import check_opset, model_proto
from dagir_onnx.rules import rules


class OnnxBackend(Backend):
    """Deploys: the graph with every pass, as ONNX, on onnxruntime."""

    name = "onnx"
    rules = rules

    def lower(
        self,
        model: Model | Graph,
        *,
        device: str = "cpu",
        opset: int | None = None,
        disable: Collection[str] = (),
        session_options: Any = None,
        **unknown: Any,
    ) -> OnnxExecutable:
        """device: "cpu" or "cuda", never another in silence. opset: of the ai.onnx domain. disable: passes by name.

        Raises BackendError where the device is absent, UnsupportedOp where ONNX lacks an op.
        """
        if unknown:
            known = "device, opset, disable, session_options"
            raise ArgumentError(f"the onnx backend has no option {sorted(unknown)[0]!r}", remedy=f"it has: {known}")
        check_device(device)
        interface = signature(model)
        graph = run(graph_of(model), DEPLOY, disable)
        proto, initializers = model_proto(graph, interface, check_opset(opset))
        return OnnxExecutable(graph_of(model), interface, proto, initializers, device, session_options)
