"""Resizing."""

from __future__ import annotations

from typing import Any

import keras
from keras import backend
from keras import ops as K

from dagir import ops
from dagir.errors import UnsupportedOp
from dagir_keras.rules import rules


@rules.rule(ops.UpSample)
def upsample(op: ops.UpSample, x: Any) -> Any:
    if op.interpolation == "bilinear":  # the layer, because it works out sizes that are known at run time only
        dtype = backend.standardize_dtype(x.dtype)
        if dtype == "float64":
            remedy = "cast the input to float32 before upsampling"
            raise UnsupportedOp("TensorFlow interpolates no float64", remedy=remedy)
        layer = keras.layers.UpSampling2D(op.factors, op.data_format, op.interpolation, dtype="float32")
        return layer(x) if dtype == "float32" else K.cast(layer(K.cast(x, "float32")), dtype)
    for axis, factor in zip(op.spatial_axes, op.factors, strict=True):
        x = K.repeat(x, factor, axis=axis)
    return x


@rules.rule(ops.Resize)
def resize(op: ops.Resize, x: Any) -> Any:
    dtype = backend.standardize_dtype(x.dtype)
    if op.interpolation == "nearest":
        return K.image.resize(x, op.size, "nearest", data_format=op.data_format)
    if dtype == "float64":
        raise UnsupportedOp("TensorFlow interpolates no float64", remedy="cast the input to float32 before resizing")
    y = K.image.resize(K.cast(x, "float32"), op.size, op.interpolation, op.antialias, data_format=op.data_format)
    return K.cast(y, dtype)


@rules.rule(ops.Window)
def window(op: ops.Window, x: Any) -> Any:
    parts = [slice(None)] * len(x.shape)
    for axis, start, size in zip(op.axes, op.starts, op.sizes, strict=True):
        parts[axis] = slice(start, start + size)
    return x[tuple(parts)]
