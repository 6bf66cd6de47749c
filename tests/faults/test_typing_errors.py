"""What a user of Keras mistypes, at the call that is wrong."""

from __future__ import annotations

import pytest

import dagir
from dagir import layers

X = dagir.Input((3,), name="x")
STEPS = dagir.Input((5, 3), name="steps")
CASES = {
    "an argument of Input": (
        lambda: dagir.Input((3,), nmae="x"),
        "Input takes no argument 'nmae'",
        "did you mean name",
    ),
    "a regularizer": (
        lambda: layers.Dense(3, kernel_regularizer="l3", name="head"),
        "Dense 'head' takes no kernel_regularizer 'l3'",
        "l2",
    ),
    "a regularizer of every layer": (
        lambda: layers.ReLU(activity_regularizer="l3"),
        "ReLU takes no activity_regularizer 'l3'",
        "l1",
    ),
    "a regularizer that is a number": (
        lambda: layers.Conv1D(3, 2, bias_regularizer=0.01),
        r"Conv1D takes no bias_regularizer 0\.01",
        "keras.regularizers",
    ),
    "a constraint": (
        lambda: layers.LSTM(3, recurrent_constraint="nonneg"),
        "LSTM takes no recurrent_constraint 'nonneg'",
        "non_neg",
    ),
    "a layer that is not recurrent": (
        lambda: layers.Bidirectional(layers.Dense(3, name="d"))(STEPS),
        "Bidirectional takes a recurrent layer, got the Dense 'd'",
        "LSTM",
    ),
    "None in arithmetic": (lambda: X + None, "takes values of the graph, numbers and arrays, got NoneType", ""),
    "an object in arithmetic": (lambda: X * [object()], "takes values of the graph, numbers and arrays, got list", ""),
    "input_shape": (
        lambda: dagir.Sequential([layers.Dense(3, input_shape=(8,))]),
        "Dense takes no argument 'input_shape'",
        "dagir.Input(shape=",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_message(name):
    call, message, remedy = CASES[name]
    with pytest.raises(dagir.ArgumentError, match=message) as caught:
        call()
    assert remedy in (caught.value.remedy or "")
    assert __file__ in str(caught.value)


@pytest.mark.parametrize("given", ["l1", "L2", "OrthogonalRegularizer", "mine>Own", {"class_name": "L1"}, abs, None])
def test_what_keras_knows_is_taken(given):
    assert layers.Dense(3, kernel_regularizer=given).get_config()["kernel_regularizer"] is given


@pytest.mark.parametrize(
    ("arguments", "message", "remedy"),
    [
        (("adamm", "mse"), "optimizer identifier: adamm", "did you mean adam"),
        (("adam", "msee"), "loss identifier: msee", "did you mean mse"),
    ],
)
def test_compile_names_the_model(arguments, message, remedy):
    pytest.importorskip("keras")
    model = dagir.Model(X, layers.Dense(1)(X), name="net")
    with pytest.raises(dagir.ArgumentError, match=r"^model 'net' cannot be compiled: ") as caught:
        model.compile(*arguments)
    assert message in str(caught.value) and remedy in caught.value.remedy


def test_compile_names_an_unknown_argument():
    pytest.importorskip("keras")
    model = dagir.Model(X, layers.Dense(1)(X), name="net")
    with pytest.raises(dagir.ArgumentError, match="unexpected keyword argument 'metric'"):
        model.compile("adam", "mse", metric=["mae"])
