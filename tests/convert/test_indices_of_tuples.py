"""Tuples of indices in files and functions: read as their writers mean them, and refused where one is out of range."""

from __future__ import annotations

import numpy as np
import onnx.parser
import onnxruntime
import pytest
import tensorflow as tf

import dagir
from dagir import ops
from dagir.errors import DagirError

X = np.arange(24, dtype="float32").reshape(2, 3, 4)
BACKENDS = ("numpy", "onnx", "keras")


def onnx_model(text):
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> net {text}')


GATHERED = {
    "of all axes": ("(float[2, 3, 4] x, int64[K, 3] i)", 0, [[0, 1, 2], [-1, -3, -4]], [[[0, 3, 0]], [[0, -4, 0]]]),
    "of some": ("(float[2, 3, 4] x, int64[K, 2] i)", 0, [[1, 0], [-2, 2]], [[[0, 3]], [[-3, 5]], [[0, 5]]]),
    "of a batch": ("(float[2, 3, 4] x, int64[2, 2] i)", 1, [[2, 3], [-3, -1]], [[[0, 4], [0, 0]], [[-4, 5], [0, 0]]]),
    "of unknown sizes": ("(float[A, B, 4] x, int64[A, K, 1] i)", 1, [[[2]], [[-3]]], [[[0], [3]], [[-4], [0]]]),
}


@pytest.mark.parametrize("name", GATHERED)
def test_gathering_is_one_node_and_answers_as_onnxruntime(name):
    inputs, batch, good, bads = GATHERED[name]
    proto = onnx_model(f"{inputs} => (float y) {{ y = GatherND <batch_dims = {batch}> (x, i) }}")
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    model = dagir.from_onnx(proto)
    assert [type(node.op) for node in model.graph.nodes] == [ops.GatherND]
    assert [node.op_type for node in dagir.to_onnx(model).graph.node] == ["GatherND"]
    good = np.asarray(good, "int64")
    (wanted,) = session.run(None, {"x": X, "i": good})
    for backend in BACKENDS:
        executable = dagir.lower(model, backend)
        np.testing.assert_array_equal(executable([X, good])["y"], wanted)
        for bad in bads:
            wrong = np.asarray(bad, "int64").reshape(-1, *good.shape[1:])
            with pytest.raises(DagirError, match="an index is out of range"):
                executable([X, wrong])
    assert dagir.verify(model, BACKENDS).ok


@pytest.mark.parametrize("bad", [-4, -5, 3])
def test_scattering_below_the_first_index_writes_nowhere(bad):
    proto = onnx_model("(float[3, 4] x, int64[1, 1] i, float[1, 4] u) => (float[3, 4] y) { y = ScatterND (x, i, u) }")
    model = dagir.from_onnx(proto)
    for backend in BACKENDS:
        executable = dagir.lower(model, backend)
        written = executable([X[0], np.asarray([[-3]]), -X[1, :1]])["y"]
        np.testing.assert_array_equal(written, [-X[1, 0], *X[0, 1:]])
        with pytest.raises(DagirError, match="an index is out of range"):
            executable([X[0], np.asarray([[bad]]), X[1, :1]])


@pytest.mark.parametrize("bad", [[0, 4], [2, 1], [-1, 5]])
def test_what_tensorflow_refuses_is_refused(bad):
    @tf.function(input_signature=[tf.TensorSpec((2, 4), name="x"), tf.TensorSpec((None, 2), tf.int32, name="i")])
    def picked(x, i):
        return tf.gather_nd(x, i) + 1.0

    model = dagir.from_tensorflow(picked)
    good = np.asarray([[0, 3], [1, 0]], "int32")
    for backend in BACKENDS:
        executable = dagir.lower(model, backend)
        np.testing.assert_array_equal(executable([X[0, :2], good]), picked(X[0, :2], good))
        with pytest.raises(DagirError, match="an index is out of range"):
            executable([X[0, :2], np.asarray([bad], "int32")])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bad", [[0, 4], [0, -4], [2, 0], [-3, 5]])
def test_the_backends_tell_it_themselves_where_weights_decide_the_indices(backend, bad):
    """Indices that cost a product are not looked at before the run."""
    proto = onnx_model(
        "(float[2, 3] x, float[K, 2] f) => (float[K] y) <float[2, 2] w = {1, 0, 0, 1}>"
        "{ p = MatMul (f, w) i = Cast <to = 7> (p) y = GatherND (x, i) }"
    )
    executable = dagir.lower(dagir.from_onnx(proto), backend)
    given = np.asarray([[0, 2], [-1, -3]], "float32")
    np.testing.assert_array_equal(executable([X[0, :2, :3], given])["y"], X[0, [0, 1], [2, 0]])
    with pytest.raises(DagirError):
        executable([X[0, :2, :3], np.asarray([bad], "float32")])
