"""Tables and features of the domain ai.onnx.ml, on numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import DType
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule
from dagir_onnx.importing.tensors import constant

ML = "ai.onnx.ml"
_KINDS = (("int64s", "default_int64"), ("strings", "default_string"), ("floats", "default_float"))


@rule("LabelEncoder", domain=ML)
def _label_encoder(call: NodeCall) -> Value:
    """The value of each key, and the default elsewhere."""
    keys, values, default = _keys(call), _values(call), _default(call)
    x, stored = call.input(0), call.attribute("values_tensor")
    if isinstance(keys[0], float) or isinstance(default, float):
        found = _through_floats(call, x, keys, values, default)
    else:
        found = ops.lookup(ops.cast(x, DType.INT64) if x.dtype.is_integer else x, keys, values, default)
    return found if stored is None else ops.cast(found, DType.of(stored.dtype))


def _through_floats(call: NodeCall, x: Value, keys: Sequence[Any], values: Sequence[Any], default: Any) -> Value:
    """A table from or to floats, by comparing with each key."""
    if isinstance(keys[0], str) or isinstance(default, str):
        raise call.refused("it is a table between floats and text", "look text up before the model")
    table = np.asarray(keys, x.dtype.numpy)
    found = np.asarray([*values, default], np.float32 if isinstance(default, float) else np.int64)
    given = ops.expand_dims(x, x.ndim)
    hits = ops.equal(given, constant(table))
    if np.isnan(table.astype(np.float64)).any():
        hits = ops.logical_or(hits, ops.logical_and(ops.isnan(given), constant(np.isnan(table))))
    place = ops.where(
        ops.any(hits, -1), ops.argmax(ops.cast(hits, "int32"), -1), constant(np.asarray(len(table), np.int32))
    )
    return ops.take(constant(found), place, 0)


def _keys(call: NodeCall) -> Sequence[Any]:
    return _entries(call, "keys")


def _values(call: NodeCall) -> Sequence[Any]:
    if call.version < 2:  # the places of texts
        return list(range(len(call.attribute("classes_strings", []))))
    return _entries(call, "values")


def _entries(call: NodeCall, what: str) -> Sequence[Any]:
    if call.version < 2 and what == "keys":
        return call.attribute("classes_strings", [])
    tensor = call.attribute(f"{what}_tensor")
    if tensor is not None:
        return tensor.tolist()
    for kind, _ in _KINDS:
        found = call.attribute(f"{what}_{kind}")
        if found:
            return found
    raise call.refused(f"it has no {what}")


def _default(call: NodeCall) -> Any:
    tensor = call.attribute("default_tensor")
    if tensor is not None:
        return tensor.reshape(()).item()
    first = _values(call)[0]
    if isinstance(first, str):
        return call.attribute("default_string", "_Unused")
    if isinstance(first, float):
        return float(call.attribute("default_float", -0.0))
    return call.attribute("default_int64", -1)


@rule("ArrayFeatureExtractor", domain=ML)
def _array_feature_extractor(call: NodeCall) -> Value:
    """Columns of the last axis."""
    x, places = call.input(0), call.input(1)
    found = ops.take(x, ops.reshape(places, (-1,)), x.ndim - 1)
    return ops.expand_dims(found, 0) if x.ndim == 1 else found


@rule("Binarizer", domain=ML)
def _binarizer(call: NodeCall) -> Value:
    x = call.input(0)
    limit = constant(np.asarray(call.attribute("threshold", 0.0), x.dtype.numpy))
    return ops.cast(ops.greater(x, limit), x.dtype)


@rule("Scaler", domain=ML)
def _scaler(call: NodeCall) -> Value:
    x = ops.cast(call.input(0), DType.FLOAT32)
    offset = np.asarray(call.attribute("offset", [0.0]), np.float32)
    scale = np.asarray(call.attribute("scale", [1.0]), np.float32)
    return ops.multiply(ops.subtract(x, constant(offset)), constant(scale))


@rule("Normalizer", domain=ML)
def _normalizer(call: NodeCall) -> Value:
    """Rows over their largest element, the sum of their absolute values, or their length, as onnxruntime does it."""
    x, kind = ops.cast(call.input(0), DType.FLOAT32), call.attribute("norm", "MAX")
    if kind == "MAX":
        norm = ops.max(x, -1, True)
    elif kind == "L1":
        norm = ops.sum(ops.absolute(x), -1, True)
    else:
        norm = ops.sqrt(ops.sum(ops.square(x), -1, True))
    return ops.where(ops.equal(norm, 0), x, ops.divide(x, norm))


@rule("Imputer", domain=ML)
def _imputer(call: NodeCall) -> Value:
    """Numbers in place of those that stand for what is missing."""
    x = call.input(0)
    kind = "floats" if x.dtype.is_float else "int64s"
    filling = constant(np.asarray(call.attribute(f"imputed_value_{kind}", [0]), x.dtype.numpy))
    wanted = call.attribute(f"replaced_value_{kind[:-1]}", 0)
    missing = ops.isnan(x) if np.isnan(wanted) else ops.equal(x, constant(np.asarray(wanted, x.dtype.numpy)))
    return ops.where(missing, filling, x)


@rule("OneHotEncoder", domain=ML)
def _one_hot_encoder(call: NodeCall) -> Value:
    known = call.attribute("cats_int64s")
    if not known:
        raise call.refused("its categories are texts", "look them up before the model")
    if not call.attribute("zeros", 1):
        raise call.refused("it is an error for it to meet an unknown category", "set its attribute zeros to 1")
    x = ops.expand_dims(ops.cast(call.input(0), DType.INT64), call.input(0).ndim)
    return ops.cast(ops.equal(x, constant(np.asarray(known, np.int64))), DType.FLOAT32)


@rule("FeatureVectorizer", domain=ML)
def _feature_vectorizer(call: NodeCall) -> Value:
    """Columns of numbers side by side."""
    parts = [ops.cast(call.input(place), DType.FLOAT32) for place in range(len(call.tensors))]
    if [each.type.shape[1:] for each in parts] != [(size,) for size in call.attribute("inputdimensions", [])]:
        raise call.refused("its inputs are no matrices with as many columns as its inputdimensions say")
    return ops.concatenate(parts, 1) if len(parts) > 1 else parts[0]
