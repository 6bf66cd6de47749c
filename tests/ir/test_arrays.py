"""What is looked at in the array of a weight, at what cost, and whose memory it is."""

from __future__ import annotations

import numpy as np
import pytest

import dagir
from dagir import initializers, layers, ops
from dagir.ir.arrays import not_finite
from dagir.ir.graph import Parameter
from dagir.ir.types import type_of
from effort import allocated

SIZE = 1 << 21


@pytest.fixture(params=[0, 2], ids=["aligned", "as a zip lays it"])
def numbers(request):
    return np.zeros(SIZE * 4 + 4, np.uint8)[request.param : request.param + SIZE * 4].view(np.float32)


def test_numbers_are_looked_at_without_a_copy(numbers):
    assert allocated(lambda: not_finite(numbers)) < numbers.nbytes // 8


@pytest.mark.parametrize("place", [0, SIZE // 2, SIZE - 1])
def test_one_number_of_many_is_found(numbers, place):
    numbers[place] = np.nan
    assert not_finite(numbers) == f"1 NaN of {SIZE} numbers"
    numbers[place] = -np.inf
    assert not_finite(numbers) == f"1 infinite of {SIZE} numbers"
    numbers[place] = 3e38  # whose square is infinite
    assert not_finite(numbers) == ""


# ---- whose memory: nobody but the model writes to its weights, nobody but the user to what came out

ONES = np.ones((1, 4), "float32")


def dense(**options):
    x = dagir.Input((4,), name="x")
    return dagir.Model(x, layers.Dense(1, use_bias=False, name="d", **options)(x))


def runs(model):
    return [float(dagir.lower(model, backend)(ONES)[0, 0]) for backend in ("numpy", "onnx")]


def ways_in():
    """How a user's array becomes part of a model."""

    def assigned(array):
        model = dense()
        model.weights[0].assign(array)
        return model

    def assigned_read_only(array):
        view = array.view()
        view.flags.writeable = False
        return assigned(view)

    def set_in_a_list(array):
        model = dense()
        model.set_weights([array])
        return model

    def operand(array):
        x = dagir.Input((4,), name="x")
        return dagir.Model(x, ops.matmul(x, array))

    def constant(array):
        return operand(dagir.Constant(array))

    def parameter(array):
        return operand(Parameter("w", type_of(array), array=array))

    def initial(array):
        return dense(kernel_initializer=array)

    def initial_by_a_function(array):
        model = dense(kernel_initializer=lambda shape, dtype: array)
        assert model.weights[0].array.shape == (4, 1)
        return model

    return list(locals().values())


@pytest.mark.parametrize("way", ways_in(), ids=lambda way: way.__name__)
def test_what_a_user_gave_may_change_without_the_model(way):
    array = np.ones((4, 1), "float32")
    model = way(array)
    array[:] = 7
    assert runs(model) == [4, 4]
    assert array.flags.writeable


def test_weights_are_handed_out_as_copies():
    model = dense(kernel_initializer="ones")
    for array in (*model.get_weights(), *model.layers[1].get_weights(), model.weights[0].numpy()):
        array[:] = 7
    assert runs(model) == [4, 4]
    with pytest.raises(ValueError, match="read-only"):
        model.weights[0].array[:] = 0


@pytest.mark.parametrize("make", ["from_bytes", "cast"])
def test_what_nobody_can_write_to_is_not_copied(make):
    weight = Parameter("w", dagir.TensorType(dagir.DType.FLOAT32, (SIZE,)))
    array = np.frombuffer(bytes(SIZE * 4), np.float32) if make == "from_bytes" else np.zeros(SIZE, np.float64)
    assert allocated(lambda: weight.assign(array)) < array.nbytes // 8 + (SIZE * 4 if make == "cast" else 0)


def test_initial_weights_are_made_once():
    weight = Parameter("w", dagir.TensorType(dagir.DType.FLOAT32, (SIZE,)), initializers.Zeros())
    assert allocated(lambda: weight.array) < 3.5 * SIZE * 4  # drawn in float64


@pytest.mark.parametrize("backend", ["numpy", "onnx"])
@pytest.mark.parametrize("ran", [True, False], ids=["after a run", "before it ran"])
def test_an_executable_keeps_the_weights_that_it_was_lowered_with(backend, ran):
    x = dagir.Input((4,), name="x")
    inner = dense(kernel_initializer="ones")
    y = layers.BatchNormalization()(layers.Dense(3, kernel_initializer="ones")(x))  # folded: derived from weights
    model = dagir.Model(x, [inner(x), y])
    exe = dagir.lower(model, backend)
    before = [array.copy() for array in dagir.lower(model, "numpy")(ONES)]
    if ran:
        exe(ONES)
    for weight in model.weights:
        weight.assign(weight.array + 3)
    for array, wanted in zip(exe(ONES), before, strict=True):
        assert np.allclose(array, wanted, atol=1e-5)
    assert np.allclose(dagir.lower(model, backend)(ONES)[0], 16)


@pytest.mark.parametrize("backend", ["numpy", "onnx"])
def test_what_comes_out_is_the_users_alone(backend):
    x = dagir.Input((4,), name="x")
    y = ops.exp(x)
    model = dagir.Model(x, [layers.Identity()(x), y, layers.Identity()(y), ops.reshape(x, (-1, 2, 2)), x[:, 1:]])
    fed = ONES.copy()
    outputs = dagir.lower(model, backend)(fed)
    before = [array.copy() for array in outputs]
    for place, array in enumerate(outputs):
        array[:] = 9
        assert np.array_equal(fed, ONES)
        assert all(np.array_equal(a, b) for a, b in zip(outputs[place + 1 :], before[place + 1 :], strict=True))


def test_outputs_that_lie_apart_are_not_copied():
    x = dagir.Input((SIZE,), name="x")
    exe = dagir.lower(dagir.Model(x, [ops.negative(x), ops.exp(x)]), "numpy")
    fed = np.zeros((1, SIZE), "float32")
    assert allocated(lambda: exe(fed)) < 2.5 * fed.nbytes
