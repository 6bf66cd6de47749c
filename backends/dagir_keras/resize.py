"""Resizing."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops as K

from dagir import ops
from dagir_keras.rules import rules


@rules.rule(ops.UpSample)
def upsample(op: ops.UpSample, x: Any) -> Any:
    if op.interpolation == "bilinear":  # the layer, because it works out sizes that are known at run time only
        return keras.layers.UpSampling2D(op.factors, op.data_format, op.interpolation)(x)
    for axis, factor in zip(op.spatial_axes, op.factors, strict=True):
        x = K.repeat(x, factor, axis=axis)
    return x
