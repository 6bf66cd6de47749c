"""Sizes known at run time only: by their names on every backend, and refused at the call where they are None."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import ops
from dagir.errors import ArgumentError

TAKES_A_SIZE = {
    "resize": lambda x, n: ops.image.resize(x, (n, 4)),
    "resize width": lambda x, n: ops.image.resize(x, (4, n), "nearest"),
    "arange": lambda x, n: ops.arange(n),
    "tile": lambda x, n: ops.tile(x, (1, n, 1, 1)),
    "one_hot": lambda x, n: ops.one_hot(ops.cast(x, "int32"), n),
    "pad": lambda x, n: ops.pad(x, ((0, 0), (0, n), (0, 0), (0, 0))),
    "repeat": lambda x, n: ops.repeat(x, n, 1),
    "eye": lambda x, n: ops.eye(n),
    "tri": lambda x, n: ops.tri(n),
    "full": lambda x, n: ops.full((n, 2), 0.0),
    "reshape": lambda x, n: ops.reshape(x, (n, -1)),
    "broadcast_to": lambda x, n: ops.broadcast_to(x[..., :1], (n, 1, 1, 5)),
}


@pytest.mark.parametrize("name", TAKES_A_SIZE)
def test_no_size_is_refused_at_the_call(name):
    x = dagir.Input((None, None, 3), name="x")
    with pytest.raises(ArgumentError):
        TAKES_A_SIZE[name](x, x.shape[1])


@pytest.mark.parametrize("size", [2.5, "four", None, True])
def test_a_resize_of_a_file_has_whole_sizes(size):
    x = dagir.Input((4, 4, 3), name="x")
    if size is True:
        assert ops.image.resize(x, (size, 2)).shape == (None, 1, 2, 3)
        return
    with pytest.raises(ArgumentError):
        ops.image.resize(x, (size, 2))
    with pytest.raises(ArgumentError):
        ops.Resize((size, 2)).infer(x.type)


@given(st.data())
def test_images_resized_to_sizes_of_the_run(data):
    how = data.draw(st.sampled_from(["nearest", "bilinear", "bicubic"]))
    first = data.draw(st.booleans())
    shape = (3, None, None) if first else (None, None, 3)
    x = dagir.Input(shape, name="x")
    small = dagir.layers.MaxPooling2D(2, data_format="channels_first" if first else "channels_last")(x)
    height, width = (ops.shape(x)[axis] for axis in ((2, 3) if first else (1, 2)))
    size = data.draw(st.sampled_from([(height, width), (height * 2, width + 1), (5, width), (width, height)]))
    y = ops.image.resize(small, size, how, data_format="channels_first" if first else None)
    model = dagir.Model(x, y)
    array = np.random.default_rng(0).normal(size=(2, 3, 7, 6) if first else (2, 7, 6, 3)).astype("float32")
    wanted = dagir.lower(model, "numpy")(array)
    for found in (dagir.lower(model, "onnx")(array), dagir.lower(model, "keras")(array)):
        np.testing.assert_allclose(found, wanted, atol=1e-4)
    np.testing.assert_allclose(np.asarray(dagir.to_keras(model)(array)), wanted, atol=1e-4)
    assert dagir.verify(model).ok
