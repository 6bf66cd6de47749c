"""Variables of TensorFlow: read, gathered from, and never assigned at inference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dagir.ir.graph import Value
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.dtypes import dtype_of
from dagir_keras.reading.tensorflow.graph_def import GraphFunction, GraphNode
from dagir_keras.reading.tensorflow.graph_reader import GraphReader, handler
from dagir_keras.reading.tensorflow.held import Variable
from dagir_keras.reading.tensorflow.registry import call_raw_op
from dagir_keras.reading.tensorflow.tensors import tensor


@handler("VarHandleOp")
def _handle(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Variable:
    return reader.resources.variable(node)


@handler("Variable", "VariableV2")
def _reference(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Value:
    return reader.resources.variable(node).parameter.value


@handler("ReadVariableOp")
def _read(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Value:
    return _weight(operands[0])


@handler("VariableShape")
def _shape(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Any:
    return call_raw_op("Shape", [_weight(operands[0])], {"out_type": dtype_of(node.attribute("out_type") or 3)})


@handler("ResourceGather")
def _gather(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Any:
    batch = node.attribute("batch_dims") or 0
    return call_raw_op("GatherV2", [_weight(operands[0]), operands[1], tensor(batch)], {"batch_dims": batch})


@handler("ResourceGatherNd")
def _gather_nd(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Any:
    return call_raw_op("GatherNd", [_weight(operands[0]), operands[1]], {})


@handler("AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp", "Assign", "AssignAdd", "AssignSub")
def _assigned(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Any:
    raise Refused("gives the variable that it assigns", "compute with values alone")


def _weight(operand: Any) -> Value:
    if not isinstance(operand, Variable):
        raise Refused(f"reads a resource that is no variable: {type(operand).__name__}")
    return operand.parameter.value
