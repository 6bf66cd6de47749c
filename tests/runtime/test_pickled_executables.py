"""An executable in a pickle is its model with the weights of the lowering; it is lowered again where it is read."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import dagir
from dagir import layers, ops

SCRIPT = (
    "import pickle, sys, numpy as np; run, x = pickle.load(sys.stdin.buffer); sys.stdout.buffer.write(run(x).tobytes())"
)


def network():
    x = dagir.Input((4,), name="x")
    return dagir.Model(x, layers.Dense(3, activation="tanh")(x))


@pytest.mark.parametrize("backend", ["numpy", "onnx"])
def test_the_weights_are_those_of_the_lowering(backend):
    model, x = network(), np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
    executable = dagir.lower(model, backend)
    wanted = executable(x)
    model.weights[0].assign(model.weights[0].numpy() + 1)
    for again in (pickle.loads(pickle.dumps(executable)), copy.deepcopy(executable)):
        assert again is not executable
        np.testing.assert_array_equal(again(x), wanted)
    assert np.abs(dagir.lower(model, backend)(x) - wanted).max() > 0.01


def test_another_process_answers_the_same():
    executable, x = dagir.lower(network(), "onnx"), np.ones((2, 4), "float32")
    given = pickle.dumps((executable, x))
    done = subprocess.run([sys.executable, "-c", SCRIPT], input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.frombuffer(done.stdout, "float32").reshape(2, 3), executable(x))


def test_options_travel():
    again = pickle.loads(pickle.dumps(dagir.lower(network(), "onnx", opset=18)))
    assert again.artifact.opset_import[0].version == 18


def test_files_and_bare_graphs_stay(tmp_path):
    model = network()
    path = dagir.to_onnx(model, tmp_path / "net.onnx")
    with pytest.raises(dagir.BackendError, match="of a file cannot be"):
        pickle.dumps(dagir.backend("onnx").open(path, model))
    x = dagir.Input((2,), name="x")
    with pytest.raises(dagir.BackendError, match=r"bare graph.*(?s:.*)Model.from_graph"):
        pickle.dumps(dagir.lower(dagir.Graph([x], [ops.tanh(x)])))
