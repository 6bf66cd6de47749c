"""Axes of unknown size cut into parts: the parts are all of the axis, or the run fails. Judged by the other runtime."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument

import dagir
from convert.drawn_nodes import model_of, runtime_answers
from dagir import ops
from dagir.errors import DagirError, ShapeError

onnxruntime.set_default_logger_severity(4)
BACKENDS = ("numpy", "onnx", "keras")
SIZES = range(9)

SPLITS = {
    "of these sizes": (18, [np.array([2, 3])], 2, {}),
    "of one size": (18, [np.array([4])], 1, {}),
    "equal": (13, [], 3, {}),
    "equal but the last": (18, [], 3, {"num_outputs": 3}),
    "equal but the last of many": (18, [], 4, {"num_outputs": 4}),
}


def _of_size(size):
    return np.arange(2 * size, dtype="float32").reshape(2, size)


def _answers(runs, given):
    """The answer of each backend, None where it refuses."""
    found = {}
    for backend, run in runs.items():
        try:
            answer = run(given)
            found[backend] = list(answer.values()) if isinstance(answer, dict) else [answer]
        except DagirError:
            found[backend] = None
    return found


def _agree(found, wanted):
    for backend, answers in found.items():
        assert (answers is None) == (wanted is None), backend
        for one, other in zip(answers or (), wanted or (), strict=True):
            np.testing.assert_array_equal(one, other, backend)


@pytest.mark.parametrize("name", SPLITS)
def test_onnx_split(name):
    opset, more, count, attributes = SPLITS[name]
    stored = tuple(range(1, 1 + len(more)))
    given = [_of_size(6), *more]
    model = model_of("Split", given, ("float32",) * count, opset, free=[(0, 1)], stored=stored, axis=1, **attributes)
    read = dagir.from_onnx(model)
    runs = {backend: dagir.lower(read, backend) for backend in BACKENDS}
    for size in SIZES:
        try:
            wanted = list(runtime_answers(model, {"in0": _of_size(size)}).values())
        except (Fail, InvalidArgument):
            wanted = None
        _agree(_answers(runs, {"in0": _of_size(size)}), wanted)


FUNCTIONS = {
    "sizes": lambda x: tf.split(x, [2, 3], axis=1),
    "the rest": lambda x: tf.split(x, [2, -1, 1], axis=-1),
    "equal": lambda x: tf.split(x, 3, axis=1),
    "unstack": lambda x: tf.unstack(x, num=4, axis=1),
    "of the data": lambda x: tf.split(x, tf.stack([tf.cast(tf.reduce_sum(x[:, :0]), tf.int32) + 2, 3]), axis=1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_tensorflow(name):
    function = tf.function(FUNCTIONS[name], input_signature=[tf.TensorSpec([2, None], tf.float32, name="x")])
    read = dagir.from_tensorflow(function)
    runs = {backend: dagir.lower(read, backend) for backend in BACKENDS}
    for size in SIZES:
        try:
            wanted = [each.numpy() for each in function(tf.constant(_of_size(size)))]
        except tf.errors.InvalidArgumentError:
            wanted = None
        found = {
            backend: each and [array for answer in each for array in (answer if isinstance(answer, list) else [answer])]
            for backend, each in _answers(runs, _of_size(size)).items()
        }
        _agree(found, wanted)


BY_DATA = """<ir_version: 9, opset_import: ["" : 18]>
cut (float[2, n] x, int64[2] sizes) => (float[2, a] y, float[2, b] z)
{ y, z = Split<axis = 1>(x, sizes) }"""


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("sizes", [(2, 2), (2, 4), (-1, 6), (6, -1)])
def test_sizes_of_the_data_that_are_not_all_of_the_axis(backend, sizes):
    read = dagir.from_onnx(onnx.parser.parse_model(BY_DATA))
    run = dagir.lower(read, backend)
    assert run({"x": _of_size(5), "sizes": np.array([2, 3])})["z"].shape == (2, 3)
    with pytest.raises(DagirError):
        run({"x": _of_size(5), "sizes": np.array(sizes)})


def test_the_error_names_the_node_and_the_size():
    x = dagir.Input(batch_shape=("n",), name="x")
    run = dagir.lower(dagir.Model(x, ops.unstack(x, num=3)))
    with pytest.raises(ShapeError, match=r"n == 3[\s\S]*Reshape[\s\S]*n=4"):
        run(np.zeros(4, "float32"))


def test_equal_parts_of_a_known_size_that_are_not_equal():
    model = model_of("Split", [_of_size(5)], ("float32",) * 2, 13, axis=1)
    with pytest.raises(DagirError, match="cuts an axis of 5 into 2 equal parts"):
        dagir.from_onnx(model)
