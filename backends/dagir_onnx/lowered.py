"""A model as an ONNX model without its weights: the passes, the nodes, and which value each of them makes."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from onnx import ModelProto

from dagir.ir.graph import Graph, Value
from dagir.modeling.model import Model
from dagir.passes import DEPLOY
from dagir.runtime.backend import signature
from dagir.runtime.probes import points_and_bodies_after, points_of
from dagir_onnx.emitter import Tensor
from dagir_onnx.lowering import model_proto
from dagir_onnx.points import mark_bodies, mark_points
from dagir_onnx.targets import choose_opset


def lowered(
    model: Model | Graph,
    *,
    opset: int | None = None,
    target: str | None = None,
    metadata: Mapping[str, str] = {},
    kernels: str = "cpu",
    disable: Collection[str] = (),
) -> tuple[ModelProto, dict[str, Tensor]]:
    """The ONNX model, and the initializers to put into it or beside it. kernels: the device whose kernels run it.

    Raises UnsupportedOp where ONNX lacks an op, ArgumentError for an unknown pass, opset or target.
    """
    interface = signature(model)
    graph, standings, held = points_and_bodies_after(points_of(model), DEPLOY, disable)
    inside: dict[Value, list[str]] = {}
    proto, initializers = model_proto(graph, interface, choose_opset(opset, target, graph), metadata, kernels, inside)
    mark_points(proto, graph, interface, standings)
    mark_bodies(proto, held, inside)
    return proto, initializers


__all__ = ["lowered"]
