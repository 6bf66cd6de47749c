"""TensorLists, which tf.TensorArray and Keras's recurrences are made of: arrays, and what is written into them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim, SymbolicDim
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.dtypes import dtype_of
from dagir_keras.reading.tensorflow.graph_def import GraphFunction, GraphNode
from dagir_keras.reading.tensorflow.graph_reader import GraphReader, handler
from dagir_keras.reading.tensorflow.held import Missing, TensorList
from dagir_keras.reading.tensorflow.tensors import Tensor, dims, entries, shape_of, sized, tensor, value


def element_of(shape: Any) -> tuple[Dim | None, ...] | None:
    """The shape of the items as far as it is told: -1 for a size that is not, a scalar -1 for nothing."""
    found = entries(tensor(shape))
    if found is None or found.ndim == 0:
        return None
    return tuple(None if isinstance(size, int) and size < 0 else size for size in found.tolist())


def expect_list(operand: Any) -> TensorList:
    """The operand, which is a list. Raises Refused."""
    if not isinstance(operand, TensorList):
        raise Refused(f"takes a list of tensors, got {type(operand).__name__}")
    return operand


@handler("TensorListReserve")
def _reserve(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> TensorList:
    (count,) = dims(operands[1], "number of items")
    return TensorList(count, dtype_of(node.attribute("element_dtype")), element_of(operands[0]))


@handler("EmptyTensorList")
def _empty(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> TensorList:
    return TensorList(0, dtype_of(node.attribute("element_dtype")), element_of(operands[0]))


@handler("TensorArrayV3")
def _array(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Any:
    """The handle, which nothing needs, and the flow, which is the list."""
    (count,) = dims(operands[0], "number of items")
    shape = node.attribute("element_shape")
    element = None if shape is None else tuple(None if size < 0 else size for size in shape)
    made = TensorList(count, dtype_of(node.attribute("dtype")), element, grows=bool(node.attribute("dynamic_size")))
    return made, made


@handler("TensorListFromTensor")
def _from_tensor(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> TensorList:
    array = value(operands[0])
    return TensorList(array.type.shape[0], array.dtype, None, array)


@handler("TensorListGetItem")
def _get(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Tensor:
    listed = expect_list(operands[0]).filled()
    assert listed.array is not None
    known = entries(operands[1])
    if known is not None and known.ndim == 0 and isinstance(known.item(), int):
        return listed.array[known.item()]
    return ops.take(listed.array, value(operands[1]), axis=0)


@handler("TensorListSetItem")
def _set(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> TensorList:
    listed = replace(expect_list(operands[0]), grows=bool(node.attribute("resize_if_index_out_of_bounds")))
    if isinstance(operands[2], Missing):
        return listed.counted(operands[1])
    return listed.with_item(operands[1], value(operands[2]))


@handler("TensorListPushBack")
def _push(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> TensorList:
    listed = expect_list(operands[0])
    if isinstance(operands[1], Missing):
        return listed.counted(None)
    item = value(operands[1])
    if listed.length is not None:
        return listed.with_item(listed.length, item)
    if isinstance(listed.count, int) and listed.array is None:
        return replace(listed, grows=True).with_item(tensor(listed.count), item)
    if isinstance(listed.count, SymbolicDim):
        raise Refused("appends to a list whose length is known at run time only", "give tf.TensorArray a size")
    row = ops.expand_dims(item, 0)
    array = row if not listed.count else ops.concatenate([_array_of(listed), row], 0)
    return TensorList(listed.count + 1, listed.dtype, listed.element, array)


@handler("TensorListStack", "TensorListConcatV2", "TensorListConcat")
def _stack(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Any:
    array = _array_of(expect_list(operands[0]))
    if node.op == "TensorListStack":
        return array
    flat = ops.reshape(array, (array.type.shape[0] * array.type.shape[1], *array.type.shape[2:]))
    lengths = np.full(1, array.type.shape[1], object)
    return flat, ops.repeat(value(sized(lengths, dtype_of("int64"))), array.type.shape[0])


@handler("TensorListGather")
def _gather(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Any:
    return ops.take(_array_of(expect_list(operands[0])), value(operands[1]), axis=0)


@handler("TensorListScatterV2", "TensorListScatterIntoExistingList")
def _scatter(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> TensorList:
    if node.op == "TensorListScatterV2":
        items, indices, shape, count = operands
        (length,) = dims(count, "number of items")
        length = shape_of(indices)[0] if length == -1 else length
        listed = TensorList(length, value(items).dtype, element_of(shape))
    else:
        listed, items, indices = expect_list(operands[0]), operands[1], operands[2]
        if listed.length is not None:
            raise Refused("writes several items of a list that a loop makes longer", "write them one by one")
    rows = value(items)
    array = _array_of(listed, rows)
    places = ops.expand_dims(ops.cast(value(indices), "int32"), -1)
    return TensorList(listed.count, listed.dtype, None, ops.scatter_update(array, places, rows))


@handler("TensorListLength")
def _length(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Tensor:
    listed = expect_list(operands[0])
    if listed.length is not None:
        return ops.cast(listed.length, "int32")
    return sized(np.asarray(listed.count, object), dtype_of("int32"))


@handler("TensorListElementShape")
def _element_shape(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Tensor:
    kind = expect_list(operands[0]).item_type()
    if kind is None:
        raise Refused("asks for the shape of the items of a list, which nothing tells")
    array = np.empty(kind.rank, object)
    array[:] = kind.shape
    return sized(array, dtype_of(node.attribute("shape_type") or "int32"))


def _array_of(listed: TensorList, rows: Any = None) -> Any:
    kind = None if rows is None else rows.type.with_shape(rows.type.shape[1:])
    array = listed.filled(kind).array
    assert array is not None
    return array if listed.length is None else ops.take(array, ops.range_of(0, listed.length), axis=0)
