"""Poolings: the largest or the mean of windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dagir import ops
from dagir.ir.graph import Value, apply
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import Tensor, tensor, value
from dagir_keras.reading.tensorflow.windows import Window


def _pooled(
    op: type[Any], x: Any, ksize: Any, strides: Any, padding: Any, data_format: Any, explicit: Any = None
) -> Tensor:
    given = value(tensor(x))
    window = Window.of(given.ndim - 2, data_format)
    how = window.padding(padding, explicit)
    if not isinstance(how, str) and op is ops.AveragePool:
        raise Refused("it is a mean over explicit padding")
    size, steps = window.spatial(ksize, "ksize"), window.spatial(strides, "strides")
    return apply(op(size, steps, how, window.layout), given)


@raw("MaxPool", "MaxPool3D")
def max_pool_raw(
    input: Tensor, ksize: Any, strides: Any, padding: Any, data_format: Any = None, explicit_paddings: Any = None
) -> Tensor:
    return _pooled(ops.MaxPool, input, ksize, strides, padding, data_format, explicit_paddings)


@raw("MaxPoolV2")
def max_pool_2(input: Tensor, ksize: Tensor, strides: Tensor, padding: Any, data_format: Any = None) -> Tensor:
    return _pooled(ops.MaxPool, input, ksize, strides, padding, data_format)


@raw("AvgPool", "AvgPool3D")
def average_pool_raw(value: Tensor, ksize: Any, strides: Any, padding: Any, data_format: Any = None) -> Tensor:
    return _pooled(ops.AveragePool, value, ksize, strides, padding, data_format)


def _of_api(op: type[Any]) -> Callable[..., Tensor]:
    def rule(
        input: Any, ksize: Any = None, strides: Any = None, padding: Any = "VALID", data_format: Any = None
    ) -> Tensor:
        return _pooled(op, input, ksize, strides, padding, data_format)

    return rule


for _name, _op in (("max", ops.MaxPool), ("avg", ops.AveragePool)):
    function(
        *(f"nn.{_name}_pool", f"nn.{_name}_pool1d", f"nn.{_name}_pool2d", f"nn.{_name}_pool3d"),
        *(f"compat.v1.nn.{_name}_pool", f"compat.v1.nn.{_name}_pool2d", f"compat.v1.nn.{_name}_pool_v2"),
    )(_of_api(_op))


@function("nn.pool", "compat.v1.nn.pool")
def pool(
    input: Any,
    window_shape: Any,
    pooling_type: str,
    strides: Any = None,
    padding: Any = "VALID",
    data_format: Any = None,
    dilations: Any = None,
    dilation_rate: Any = None,
) -> Tensor:
    rates = dilations if dilations is not None else dilation_rate
    op = {"MAX": ops.MaxPool, "AVG": ops.AveragePool}.get(pooling_type)
    rank = value(tensor(input)).ndim - 2
    if op is None or any(rate != 1 for rate in Window.of(rank, data_format).spatial(rates, "dilations")):
        raise Refused(f"it pools by {str(pooling_type)[:20]} with the dilations {rates}")
    return _pooled(op, input, window_shape, strides, padding, data_format)


@function("keras.backend.pool2d", "keras.backend.pool3d")
def _pool_of_keras(
    x: Any, pool_size: Any, strides: Any = 1, padding: str = "valid", data_format: Any = None, pool_mode: str = "max"
) -> Tensor:
    return pool(x, pool_size, pool_mode.upper(), strides, padding.upper(), data_format)


@function("image.extract_patches", "compat.v1.extract_image_patches", "compat.v1.image.extract_image_patches")
def extract_patches(
    images: Any, sizes: Any = None, strides: Any = None, rates: Any = None, padding: Any = None, ksizes: Any = None
) -> Tensor:
    window = Window.of(2, None)
    given: Value = value(tensor(images))
    return ops.image.extract_patches(
        given,
        window.spatial(sizes if sizes is not None else ksizes, "sizes"),
        window.spatial(strides, "strides"),
        window.spatial(rates, "rates"),
        str(padding).lower(),
    )


@raw("ExtractImagePatches")
def _extract_patches_raw(images: Tensor, ksizes: Any, strides: Any, rates: Any, padding: Any) -> Tensor:
    return extract_patches(images, ksizes, strides, rates, padding)
