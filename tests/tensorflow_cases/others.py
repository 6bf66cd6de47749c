"""What is made of sizes alone, and functions of TensorFlow 1."""

from __future__ import annotations

import numpy as np

from tensorflow_cases.table import Arguments, Draw, binary, function, unary

unary("compat.v1.to_float", "compat.v1.to_double", "compat.v1.to_bfloat16", dtypes=("float32", "int32"))
unary("compat.v1.to_int32", "compat.v1.to_int64")
unary("compat.v1.ones_like", "compat.v1.zeros_like", "convert_to_tensor", dtypes=("float32", "int32"))
binary("__operators__.eq", "__operators__.ne", dtypes=("int32",))
binary("compat.v1.div", low=1, high=5, dtypes=("float32", "int32"), numbers=False)


@function("zeros", "ones")
def _zeros(draw: Draw) -> Arguments:
    return (list(draw.shape()),), {"dtype": draw.one("float32", "int32")}


@function("fill")
def _fill(draw: Draw) -> Arguments:
    return (list(draw.shape()), draw.one(2, 0.5, draw.floats(()))), {}


@function("eye")
def _eye(draw: Draw) -> Arguments:
    return (draw.int(1, 4),), {"num_columns": draw.one(None, 3), "batch_shape": draw.one(None, [2])}


@function("range")
def _range(draw: Draw) -> Arguments:
    return draw.one((5,), (1, 7, 2), (6, 0, -2), (0.5, 2.0, 0.25), (3.0,), (2, 2)), {}


@function("linspace")
def _linspace(draw: Draw) -> Arguments:
    return (draw.one(0.0, -1.0), 2.0, draw.int(2, 6)), {}


@function("ensure_shape")
def _ensure(draw: Draw) -> Arguments:
    shape = draw.shape()
    return (draw.floats(shape), [None, *shape[1:]]), {}


@function("identity_n", "linalg.global_norm")
def _several(draw: Draw) -> Arguments:
    return ([draw.floats(draw.shape()) for _ in range(draw.int(1, 3))],), {}


@function("shape_n")
def _shapes(draw: Draw) -> Arguments:
    return ([draw.floats(draw.shape()) for _ in range(2)],), {}


@function("broadcast_dynamic_shape")
def _broadcast(draw: Draw) -> Arguments:
    shape = draw.shape()
    return (list(shape), list(draw.broadcasting(shape))), {}


@function("linalg.tensor_diag")
def _diag(draw: Draw) -> Arguments:
    return (draw.floats((draw.int(1, 4),)),), {}


@function("nn.normalize_moments")
def _normalize(draw: Draw) -> Arguments:
    return (draw.floats((), 2, 5), draw.floats((3,)), draw.floats((3,)), draw.one(None, draw.floats((3,)))), {}


@function("compat.v1.batch_gather")
def _batch_gather(draw: Draw) -> Arguments:
    return (draw.floats((2, 3, 2)), draw.ints((2, 4), 0, 3)), {}


@function("compat.v1.math.in_top_k")
def _in_top_k(draw: Draw) -> Arguments:
    return (draw.floats((3, 4)), draw.ints((3,), 0, 4), draw.int(1, 4)), {}


@function("compat.v1.nn.relu_layer", "compat.v1.nn.xw_plus_b")
def _dense(draw: Draw) -> Arguments:
    return (draw.floats((2, 3)), draw.floats((3, 4)), draw.floats((4,))), {}


@function("compat.v1.where")
def _rows(draw: Draw) -> Arguments:
    shape = draw.shape(2, 3)
    return (draw.bools(draw.one(shape[:1], shape)), draw.floats(shape), draw.floats(shape)), {}


@function("compat.v1.image.resize_bicubic")
def _bicubic(draw: Draw) -> Arguments:
    return (draw.floats((2, 4, 5, 3)), [draw.int(2, 9), draw.int(2, 9)]), {"half_pixel_centers": True}


@function("compat.v1.nn.fused_batch_norm")
def _fused(draw: Draw) -> Arguments:
    vectors = [draw.floats((3,), 0.2, 2) for _ in range(4)]
    return (draw.floats((2, 4, 4, 3)), *vectors), {"epsilon": draw.one(1e-3, 0.1), "is_training": False}


@function("compat.v1.placeholder_with_default")
def _default(draw: Draw) -> Arguments:
    x = draw.floats(draw.shape())
    return (x, list(np.shape(x))), {}


@function("quantization.fake_quant_with_min_max_args")
def _fake_quantized(draw: Draw) -> Arguments:
    options = {"min": draw.one(-2.5, 0.0), "max": 3.1, "num_bits": draw.one(4, 8), "narrow_range": draw.flag()}
    return (draw.floats((2, 5), -4.0, 4.0),), options


@function("quantization.fake_quant_with_min_max_vars_per_channel")
def _fake_quantized_by_channel(draw: Draw) -> Arguments:
    ends = draw.floats((3,), -3.0, -0.5), draw.floats((3,), 0.5, 3.0)
    return (draw.floats((4, 3), -4.0, 4.0), *ends), {"num_bits": draw.one(4, 8), "narrow_range": draw.flag()}
