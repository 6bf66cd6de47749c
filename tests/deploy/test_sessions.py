"""How a session of onnxruntime is made: threads, providers by name, warming up."""

from __future__ import annotations

import pickle

import numpy as np
import onnxruntime
import pytest

import dagir
from dagir import layers

X = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")


@pytest.fixture(scope="module")
def model():
    x = dagir.Input((4,), name="x")
    return dagir.Model(x, layers.Dense(3, activation="tanh")(x))


@pytest.mark.parametrize("providers", [["CPU"], ["CPUExecutionProvider"], [("CPU", {})]])
def test_threads_and_providers_reach_the_session_and_its_copy(model, providers):
    executable = dagir.lower(model, "onnx", threads=1, providers=providers)
    wanted = dagir.lower(model, "onnx")(X)
    for each in (executable, pickle.loads(pickle.dumps(executable))):
        each.warm_up()
        assert each.session.get_session_options().intra_op_num_threads == 1
        assert each.session.get_providers() == ["CPUExecutionProvider"]
        np.testing.assert_array_equal(each(X), wanted)


def test_files_are_opened_with_them_too(model, tmp_path):
    path = dagir.to_onnx(model, tmp_path / "net.onnx")
    opened = dagir.backend("onnx").open(path, model, threads=2, providers=["CPU"])
    assert opened.session.get_session_options().intra_op_num_threads == 2


def test_warming_up_makes_the_session_of_the_calls(model):
    executable = dagir.lower(model, "onnx")
    executable.warm_up()
    session = executable.session
    executable(X)
    assert executable.session is session
    dagir.lower(model, "numpy").warm_up()


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"providers": ["CoreML"]}, dagir.BackendError, "provider 'CoreMLExecutionProvider' was asked for"),
        ({"providers": "CPU"}, dagir.ArgumentError, "providers is a list"),
        ({"providers": ["CPU"], "device": "cuda"}, dagir.ArgumentError, "a device or providers, not both"),
        ({"threads": 0}, dagir.ArgumentError, "threads is a positive int, got 0"),
        ({"threads": True}, dagir.ArgumentError, "threads is a positive int"),
        ({"treads": 1}, dagir.ArgumentError, "no option .treads(?s:.*)threads, providers"),
    ],
)
def test_what_cannot_be_is_told_at_once(model, options, error, words):
    with pytest.raises(error, match=words):
        dagir.lower(model, "onnx", **options)


def test_threads_belong_in_session_options_where_those_are_given(model):
    with pytest.raises(dagir.ArgumentError, match="threads or session_options"):
        dagir.lower(model, "onnx", threads=1, session_options=onnxruntime.SessionOptions())


@pytest.mark.skipif("AzureExecutionProvider" not in onnxruntime.get_available_providers(), reason="no such build")
def test_nodes_that_would_be_left_to_the_cpu_are_named(model):
    executable = dagir.lower(model, "onnx", providers=["Azure"])
    with pytest.raises(dagir.BackendError, match=r"no Azure kernel for \d nodes.*(?s:.*)add 'CPU'"):
        executable(X)
    np.testing.assert_allclose(
        dagir.lower(model, "onnx", providers=["Azure", "CPU"])(X), dagir.lower(model)(X), atol=1e-6
    )


def test_a_size_that_does_not_fit_says_whose_it_is(model):
    with pytest.raises(dagir.ShapeError) as caught:
        dagir.to_onnx(model, None, input_shapes={"x": (1, 5)})
    text = str(caught.value)
    assert text.startswith("the layers do not take these sizes of inputs: the last axis of x is 5, the weights")
    assert "x as (1, 5)" in text
    assert "x as float32[batch, 4]" in text
