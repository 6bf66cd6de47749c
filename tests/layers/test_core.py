"""Core layers and wrappers against Keras's own with the same weights, on every backend."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging import at_three_sizes, check, floats, judge_of, randomize

import dagir
from dagir import layers, ops
from dagir.testing import assert_equivalent

SIZES = st.sampled_from([1, 2, 3, 5])
NAMES = st.sampled_from([None, "relu", "tanh", "softmax", "gelu", "leaky_relu"])


@given(SIZES, NAMES, st.booleans(), st.lists(SIZES, min_size=1, max_size=3), st.sampled_from([1, 3]))
def test_dense(units, activation, use_bias, shape, batch):
    kwargs = {"units": units, "activation": activation, "use_bias": use_bias}
    layer = layers.Dense(**kwargs)
    check(layer, [floats((batch, *shape))], judge_of(layer, **kwargs))


EQUATIONS = [
    ("ab,bc->ac", 2, (5,), "c"),
    ("abc,cd->abd", 3, (None, 5), "d"),
    ("abc,cde->abde", 3, (None, 3, 5), "de"),
    ("abc,cde->abde", 3, (None, 3, 5), "e"),
    ("abcd,cde->abe", 4, (None, 5), "e"),
    ("abc,bcd->ad", 3, (5,), "d"),
    ("abc,bd->adc", 3, (5, None), "d"),
    ("abc,cd->adb", 3, (5, None), None),
    ("...x,xy->...y", 3, 5, "y"),
    ("...x,xyz->...yz", 2, (3, 5), "z"),
    ("...x,xy->...y", 4, 5, None),
    ("ab...,bc->ac...", 4, (5,), "c"),
    ("ab...,bc->ac...", 3, (5,), None),
]


@pytest.mark.parametrize(("equation", "rank", "output_shape", "bias_axes"), EQUATIONS)
def test_einsum_dense(equation, rank, output_shape, bias_axes):
    @given(st.lists(st.sampled_from([2, 4, 7]), min_size=rank - 1, max_size=rank - 1), NAMES, st.sampled_from([1, 3]))
    def agrees(shape, activation, batch):
        kwargs = {"equation": equation, "output_shape": output_shape, "bias_axes": bias_axes, "activation": activation}
        layer = layers.EinsumDense(**kwargs)
        check(layer, [floats((batch, *shape))], judge_of(layer, **kwargs))

    agrees()


def test_einsum_dense_at_three_sizes():
    x, k_x = dagir.Input((None, 4)), keras.Input((None, 4))
    layer, judge = (home.layers.EinsumDense("abc,cde->abde", (None, 3, 2), bias_axes="e") for home in (dagir, keras))
    model, k_model = dagir.Model(x, layer(x)), keras.Model(k_x, judge(k_x))
    assert model.output.shape == (None, None, 3, 2)
    randomize(layer)
    judge.set_weights(layer.get_weights())
    at_three_sizes(model, k_model, lambda batch, time: floats((batch, time, 4)))


@pytest.mark.parametrize(
    ("kwargs", "shape", "message"),
    [
        ({"equation": "ab,bc", "output_shape": 3}, (4,), "does not take the equation"),
        ({"equation": "ab,bc->ac", "output_shape": 3}, (4, 5), "do not fit a value of rank 3"),
        ({"equation": "ab,bc->ac", "output_shape": (3, 4)}, (4,), "does not fit the subscripts 'ac'"),
        ({"equation": "abc,cd->abd", "output_shape": (7, 3)}, (4, 5), "axis 'b' of EinsumDense is 4 in x and 7"),
        ({"equation": "ab,bc->acd", "output_shape": (3, 4)}, (4,), "subscript 'd' of EinsumDense"),
        ({"equation": "ab,bc->ac", "output_shape": 3, "bias_axes": "z"}, (4,), "bias_axes 'z'"),
        ({"equation": "ab,bc->ac", "output_shape": 2.5}, (4,), "output_shape"),
        ({"equation": "ab,bc->ac", "output_shape": 3, "lora_rank": 2}, (4,), "takes no lora_rank"),
    ],
)
def test_einsum_dense_refuses(kwargs, shape, message):
    with pytest.raises((dagir.DagirError, TypeError), match=message):
        layers.EinsumDense(**kwargs)(dagir.Input(shape))


@given(SIZES, SIZES, st.booleans(), st.lists(SIZES, max_size=2), st.sampled_from([1, 3]))
def test_embedding(rows, width, mask_zero, shape, batch):
    kwargs = {"input_dim": rows, "output_dim": width, "mask_zero": mask_zero}
    layer = layers.Embedding(**kwargs)
    ids = np.random.default_rng(0).integers(0, rows, (batch, *shape)).astype("int32")
    check(layer, [ids], judge_of(layer, **kwargs))


@given(st.data())
def test_reversible_embedding(data):
    draw = data.draw
    kwargs = {
        "input_dim": draw(SIZES),
        "output_dim": draw(SIZES),
        "tie_weights": draw(st.booleans()),
        "mask_zero": draw(st.booleans()),
        "logit_soft_cap": draw(st.sampled_from([None, 0.7, 2])),
    }
    layer = layers.ReversibleEmbedding(**kwargs)
    batch, time = draw(st.sampled_from([1, 3])), draw(SIZES)
    ids = np.random.default_rng(0).integers(0, kwargs["input_dim"], (batch, time)).astype("int32")
    x = floats((batch, time, kwargs["output_dim"]))
    both = lambda layer, ids, x: [layer(ids), layer(x, reverse=True)]  # noqa: E731
    check(layer, [ids, x], judge_of(layer, **kwargs), both)


def test_reversible_embedding_at_three_sizes_with_its_mask():
    ids = dagir.Input((None,), dtype="int32")
    table = layers.ReversibleEmbedding(9, 4, mask_zero=True)
    hidden = table(ids)
    logits = table(ops.tanh(hidden), reverse=True)
    assert hidden.mask is not None
    assert logits.mask is None
    model = dagir.Model(ids, [hidden, logits])
    randomize(table)
    at_three_sizes(model, None, lambda batch, time: np.arange(batch * time).reshape(batch, time).astype("int32") % 9)
    with pytest.raises(dagir.DagirError, match="numbers as ids"):
        table(dagir.Input((3, 4), dtype="string"))


@given(st.sampled_from(["float32", "int32", "bool"]), st.lists(SIZES, max_size=3))
def test_identity(dtype, shape):
    layer = layers.Identity()
    check(layer, [floats((3, *shape)).astype(dtype)], keras.layers.Identity(dtype=dtype))


@given(st.sampled_from([0.0, -1.5, 2.0]), st.lists(SIZES, min_size=1, max_size=2), SIZES)
def test_masking(mask_value, shape, width):
    x = floats((3, *shape, width))
    x[0] = mask_value
    layer = layers.Masking(mask_value)
    check(layer, [x], keras.layers.Masking(mask_value))


@given(st.sampled_from([0.0, 0.3]), st.sampled_from([0.0, 0.2]), st.lists(SIZES, max_size=3))
def test_activity_regularization(l1, l2, shape):
    layer = layers.ActivityRegularization(l1, l2)
    model = check(layer, [floats((3, *shape))], keras.layers.ActivityRegularization(l1, l2))
    made = dagir.to_keras(model).layers[-1]
    assert type(made) is keras.layers.ActivityRegularization
    assert (made.l1, made.l2) == (l1, l2)


WRAPPED = {
    "Dense": ({"units": 3}, (5, 4)),
    "Conv2D": ({"filters": 3, "kernel_size": 2}, (5, 4, 2)),
    "Embedding": ({"input_dim": 7, "output_dim": 3}, (5,)),
    "EinsumDense": ({"equation": "abc,cd->abd", "output_shape": (None, 3)}, (5, 4)),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_spectral_normalization_is_the_layer_at_inference(name):
    @given(st.sampled_from([1, 3]), st.sampled_from([1, 3]))
    def agrees(power_iterations, batch):
        kwargs, shape = WRAPPED[name]
        kwargs = {**kwargs, "name": "inner"}
        layer = layers.SpectralNormalization(getattr(layers, name)(**kwargs), power_iterations)
        judge = keras.layers.SpectralNormalization(getattr(keras.layers, name)(**kwargs), power_iterations)
        x = floats((batch, *shape))
        if name == "Embedding":  # Keras casts what comes out to the dtype of the ids
            x = np.abs(x * 3).astype("int32")
        model = check(layer, [x], judge)
        made = dagir.to_keras(model).layers[-1]
        assert type(made) is keras.layers.SpectralNormalization
        assert made.power_iterations == power_iterations

    agrees()


def test_spectral_normalization_trains_in_keras_and_is_saved(tmp_path):
    x = dagir.Input((4,))
    layer = layers.SpectralNormalization(layers.Dense(3))
    model = dagir.Model(x, layer(x))
    randomize(layer)
    model.compile("sgd", "mse")
    before = layer.layer.kernel.array.copy()
    model.fit(floats((8, 4)), np.zeros((8, 3), "float32"), verbose=0)
    assert np.linalg.norm(layer.layer.kernel.array, 2) != pytest.approx(np.linalg.norm(before, 2), rel=1e-3)
    model.save(tmp_path / "m.dagir")
    again = dagir.load(tmp_path / "m.dagir")
    assert [w.name for w in again.weights] == [w.name for w in model.weights]
    with pytest.raises(dagir.ArgumentError, match="no kernel and no embeddings"):
        layers.SpectralNormalization(layers.ReLU())(x)
    with pytest.raises(dagir.ArgumentError, match="Wrapper takes a layer"):
        layers.Wrapper(3)


class Twice(layers.Wrapper):
    """A wrapper of a user's own."""

    def call(self, inputs):
        """x -> layer(x) * 2."""
        return self.layer(inputs) * 2.0


@given(SIZES, st.lists(SIZES, min_size=1, max_size=2))
def test_a_wrapper_of_one_s_own(units, shape):
    dagir.clear_session()
    x = dagir.Input(shape)
    layer = Twice(layers.Dense(units), name="twice")
    model = dagir.Model(x, layer(x))
    randomize(layer)
    assert [w.name for w in model.weights] == ["twice/dense/kernel", "twice/dense/bias"]
    assert_equivalent(model, [floats((3, *shape))])


def test_lambda_is_traced():
    x = dagir.Input((None, 4))
    scale = lambda x, factor=1.0: ops.square(x) * factor  # noqa: E731
    layer = layers.Lambda(scale, arguments={"factor": 3.0}, name="squared")
    model = dagir.Model(x, layer(x))
    assert model.output.shape == (None, None, 4)
    k_x = keras.Input((None, 4))
    judge = keras.layers.Lambda(lambda x, factor: keras.ops.square(x) * factor, arguments={"factor": 3.0})
    at_three_sizes(model, keras.Model(k_x, judge(k_x)), lambda batch, time: floats((batch, time, 4)))


@given(st.booleans(), st.lists(SIZES, min_size=1, max_size=2))
def test_lambda_on_several_values_and_masks(masked, shape):
    a, b = dagir.Input(shape), dagir.Input(shape)
    mask = (lambda inputs, mask: ops.greater(inputs[0][..., 0], 0)) if masked else None
    layer = layers.Lambda(lambda pair: [pair[0] + pair[1], pair[0] * pair[1]], mask=mask)
    both = layer([a, b])
    assert (both[0].mask is not None) == masked
    assert_equivalent(dagir.Model([a, b], both), [floats((3, *shape), 0), floats((3, *shape), 1)])


def test_lambda_of_a_function_that_keras_has_by_name():
    x = dagir.Input((4,))
    assert_equivalent(dagir.Model(x, layers.Lambda(ops.relu)(x)), [floats((3, 4))])


def test_lambda_functions_get_masks_and_training():
    x = layers.Masking()(dagir.Input((3, 2)))
    seen = []
    layers.Lambda(lambda x, mask, training: seen.append((mask, training)) or x + 1)(x)
    assert seen == [(x.mask, None)]


def test_no_file_brings_a_function_back(tmp_path):
    x = dagir.Input((4,))
    model = dagir.Model(x, layers.Lambda(lambda x: ops.exp(x) + 1, name="grown")(x))
    model.save(tmp_path / "m.dagir")
    again = dagir.load(tmp_path / "m.dagir")  # the graph of the call is there, its function is not
    array = floats((3, 4))
    assert np.array_equal(dagir.lower(again, "numpy")(array), dagir.lower(model, "numpy")(array))
    assert type(again.get_layer("grown")) is not layers.Lambda
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None, "closure": None}}
    for function in (code, {"class_name": "function", "config": "os.system"}, "relu"):
        with pytest.raises(dagir.DagirError, match="never loads from a file"):
            layers.Lambda.from_config({"function": function, "name": "grown"})
    with pytest.raises(dagir.ArgumentError, match="Lambda takes a function, got dict"):
        layers.Lambda(code)


@pytest.mark.parametrize("name", ["TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "Hashing"])
def test_foreign_layers_are_refused_by_name(name):
    assert hasattr(keras.layers, name)
    with pytest.raises(dagir.ArgumentError, match=f"(?s)layers.{name} is not offered: it .*remedy"):
        getattr(layers, name)


def test_an_unknown_layer_names_the_nearest():
    with pytest.raises(dagir.ArgumentError, match="did you mean Conv2D"):
        layers.Conv2d  # noqa: B018
    assert not hasattr(layers, "Nothing")


@pytest.mark.parametrize("policy", ["float64", np.float64, keras.DTypePolicy("float64")])
def test_dtype_policies(policy):
    assert layers.Dense(3, dtype=policy).dtype == "float64"
    assert layers.Dense(3, dtype=keras.saving.serialize_keras_object(keras.DTypePolicy("float64"))).dtype == "float64"
    for mixed in ("mixed_float16", keras.DTypePolicy("mixed_bfloat16")):
        with pytest.raises(dagir.ArgumentError, match=r"(?s)keeps weights in float32 .* dtype="):
            layers.Dense(3, dtype=mixed)


def test_what_only_training_needs_reaches_keras():
    kwargs = {
        "kernel_initializer": dagir.initializers.HeNormal(seed=3),
        "bias_initializer": {"class_name": "Constant", "config": {"value": 0.5}},
        "kernel_regularizer": "l2",
        "bias_regularizer": keras.regularizers.L1(0.1),
        "activity_regularizer": {"class_name": "L2", "config": {"l2": 0.3}},
        "kernel_constraint": keras.constraints.NonNeg(),
        "bias_constraint": "max_norm",
    }
    x = dagir.Input((4,))
    layer = layers.Dense(3, **kwargs)
    model = dagir.Model(x, layer(x))
    assert np.all(layer.bias.array == 0.5)
    made = dagir.to_keras(model).layers[-1]
    assert type(made.kernel_initializer) is keras.initializers.HeNormal
    assert type(made.bias_initializer) is keras.initializers.Constant
    assert type(made.kernel_regularizer) is keras.regularizers.L2
    assert type(made.bias_regularizer) is keras.regularizers.L1
    assert type(made.activity_regularizer) is keras.regularizers.L2
    assert type(made.kernel_constraint) is keras.constraints.NonNeg
    assert type(made.bias_constraint) is keras.constraints.MaxNorm
    assert layers.Dense.from_config(layer.get_config()).get_config() == layer.get_config()
