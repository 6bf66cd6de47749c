"""Resizing."""

from __future__ import annotations

from typing import Any

import keras
from keras import backend
from keras import ops as K

from dagir import ops
from dagir.errors import UnsupportedOp
from dagir_keras.engine import ON_TENSORFLOW, TITLE
from dagir_keras.rules import rules


@rules.rule(ops.UpSample)
def upsample(op: ops.UpSample, x: Any) -> Any:
    if op.interpolation == "bilinear":  # the layer: it computes sizes that are known at run time only
        dtype = backend.standardize_dtype(x.dtype)
        if dtype == "float64":
            remedy = "cast the input to float32 before upsampling"
            raise UnsupportedOp(f"{TITLE} interpolates no float64", remedy=remedy)
        layer = keras.layers.UpSampling2D(op.factors, op.data_format, op.interpolation, dtype="float32")
        return layer(x) if dtype == "float32" else K.cast(layer(K.cast(x, "float32")), dtype)
    for axis, factor in zip(op.spatial_axes, op.factors, strict=True):
        x = K.repeat(x, factor, axis=axis)
    return x


@rules.rule(ops.Resize)
def resize(op: ops.Resize, x: Any) -> Any:
    dtype = backend.standardize_dtype(x.dtype)
    if op.interpolation == "nearest":
        return _resized(op, x)
    if dtype == "float64":
        raise UnsupportedOp(f"{TITLE} interpolates no float64", remedy="cast the input to float32 before resizing")
    return K.cast(_resized(op, K.cast(x, "float32")), dtype)


def _resized(op: ops.Resize, x: Any) -> Any:
    """Not keras.ops.image.resize where a size is known at run time only: it compares the sizes with 0."""
    antialias = op.antialias and op.interpolation != "nearest"
    if not ON_TENSORFLOW or all(isinstance(size, int) for size in op.size):
        return K.image.resize(x, op.size, op.interpolation, antialias, data_format=op.data_format)
    first = op.data_format == "channels_first"
    import tensorflow as tf

    images = K.transpose(x, (0, 2, 3, 1)) if first else x
    y = tf.image.resize(
        images, tf.stack([tf.cast(size, tf.int32) for size in op.size]), op.interpolation, antialias=antialias
    )
    return K.transpose(y, (0, 3, 1, 2)) if first else y


@rules.rule(ops.Window)
def window(op: ops.Window, x: Any) -> Any:
    parts = [slice(None)] * len(x.shape)
    for axis, start, size in zip(op.axes, op.starts, op.sizes, strict=True):
        parts[axis] = slice(start, start + size)
    return x[tuple(parts)]
