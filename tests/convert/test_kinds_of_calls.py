"""Calls as people write them, one case for each kind: the model in memory is taken, and answers as Keras does."""

from __future__ import annotations

from functools import partial

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops as K

import dagir
from convert import agreement

agrees = partial(agreement.agrees, atol=1e-5, rtol=1e-5)
_DRAWN = np.random.default_rng(0)
ROWS = (2, 5)  # batch sizes, the second of which no model was built with


def floats(*shape):
    return _DRAWN.normal(size=shape).astype("float32")


def own(call, name="own", **members):
    """A layer with this call; members: attributes by name, each made of the layer in its `build`."""

    def build(self, shape):
        for key, make in members.items():
            setattr(self, key, make(self))

    return type("Own", (L.Layer,), {"call": call, "build": build})(name=name)


def functional(layer, shape):
    x = keras.Input(shape)
    return keras.Model(x, layer(x))


# ---- masks that are numbers

MASKED = {
    "softmax": (lambda x, mask: L.Softmax()(x, mask=mask), (4, 3)),
    "softmax over two axes": (lambda x, mask: L.Softmax(axis=(1, 2))(x, mask=mask), (4, 3)),
    "attention": (lambda x, mask: L.Attention()([x, x], mask=[mask, mask]), (4,)),
    "additive attention": (lambda x, mask: L.AdditiveAttention()([x, x], mask=[None, mask]), (4,)),
    "pooling": (lambda x, mask: L.GlobalAveragePooling1D()(x, mask=mask), (4,)),
    "a recurrence": (lambda x, mask: L.GRU(2)(x, mask=mask), (4,)),
    "heads": (lambda x, mask: L.MultiHeadAttention(2, 3)(x, x, value_mask=mask), (4,)),
    "heads, pairs": (lambda x, mask: L.MultiHeadAttention(2, 3)(x, x, attention_mask=mask), (4, 4)),
}


@pytest.mark.parametrize("dtype", ["int32", "uint8", "float32"])
@pytest.mark.parametrize("name", MASKED)
def test_masks_that_are_numbers(name, dtype):
    call, shape = MASKED[name]
    x, mask = keras.Input((4, 3)), keras.Input(shape, dtype=dtype)
    made = keras.Model([x, mask], call(x, mask))
    kept = _DRAWN.integers(0, 3, (2, *shape)) * (0.4 if dtype == "float32" else 1)
    kept[:, 0] = 1  # a row that is all masked is NaN in some layers
    agrees(made, [floats(2, 4, 3), kept.astype(dtype)])


# ---- functions of Keras's backend, and those written with them

FUNCTIONS = {
    **{name: getattr(keras.activations, name) for name in ("relu", "mish", "hard_silu", "sparsemax", "glu")},
    "relu with arguments": lambda x: keras.activations.relu(x, negative_slope=0.1, max_value=1.0, threshold=0.2),
    "cast": lambda x: keras.src.backend.cast(x, "int32") * 2,
    "a product": lambda x: keras.src.backend.numpy.matmul(x, keras.src.backend.numpy.transpose(x)),
    "of nn": lambda x: keras.src.backend.nn.softmax(keras.src.backend.convert_to_tensor(x), axis=0),
    "clipped by tensors": lambda x: K.clip(x, K.min(x, 1, keepdims=True) / 2, K.mean(x)),
    "clipped by arrays": lambda x: K.clip(x, np.array([-1.0, 0, 0, 0.5]), 1),
    "crossing bounds": lambda x: K.clip(x, K.ones_like(x), 0.0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_on_tensors(name):
    made = functional(own(lambda self, x: FUNCTIONS[name](x)), (4,))
    agrees(made, *(floats(rows, 4) for rows in ROWS))


def test_relu_between_layers_of_a_functional_model():
    x = keras.Input((4,))
    made = keras.Model(x, keras.activations.relu(L.Dense(3)(x), max_value=1.0))
    agrees(made, floats(3, 4) * 3)


def test_the_backend_of_a_preprocessing_layer():
    class Rescaled(L.Rescaling):
        def call(self, inputs):
            return self.backend.numpy.abs(self.backend.cast(inputs, "float32")) / self.scale

    agrees(functional(Rescaled(2.0), (4,)), floats(3, 4))


def test_functions_of_the_backend_keep_weights():
    layer = own(
        lambda self, x: x * keras.src.backend.numpy.exp(self.scale),
        scale=lambda self: self.add_weight(shape=(4,), initializer="ones"),
    )
    assert len(agrees(functional(layer, (4,)), floats(3, 4)).weights) == 1


def test_clip_keeps_the_weights_that_bound_it():
    bound = {"low": lambda self: self.add_weight(initializer="zeros"), "high": lambda self: self.add_weight()}
    read = agrees(functional(own(lambda self, x: K.clip(x, self.low, self.high), **bound), (4,)), floats(3, 4))
    assert len(read.weights) == 2


# ---- what a call returns

with_none = own(lambda self, x: (x + 1, None), name="inner")
with_size = own(lambda self, x: (x + 1, K.shape(x)[0], 3, "text"), name="inner")
constant = own(lambda self, x: K.arange(4, dtype="float32"), name="inner")


RETURNS = {
    "None beside a tensor": lambda self, x: with_none(x)[0] * 2,
    "a size and a number": lambda self, x: K.reshape(with_size(x)[0], (with_size(x)[1], with_size(x)[2] - 2, -1)),
    "a constant": lambda self, x: x * constant(x),
}


@pytest.mark.parametrize("name", RETURNS)
def test_what_inner_calls_return(name):
    agrees(functional(own(RETURNS[name]), (4,)), *(floats(rows, 4) for rows in ROWS))


def test_a_constant_beside_a_tensor():
    agrees(functional(own(lambda self, x: (x, K.convert_to_tensor(np.eye(3, dtype="float32")))), (4,)), floats(3, 4))


def test_a_configuration_that_its_writer_forgot_to_return():
    layer = own(lambda self, x: x + 1)
    type(layer).get_config = lambda self: None
    agrees(functional(layer, (4,)), floats(3, 4))


# ---- tensors of sizes


def _pixels(x):
    return K.concatenate([K.expand_dims(K.shape(x)[0], -1), K.convert_to_tensor([-1, 2])], 0)


SIZES = {
    "an array of sizes": lambda x: x * K.cast(K.array([K.shape(x)[0], 4]), "float32")[0],
    "numbers beside sizes": lambda x: K.cast(K.stack([K.shape(x)[1], 3, 7]) * 2, "float32") + K.sum(x),
    "a tensor of tensors": lambda x: K.convert_to_tensor([[x[0, 0, 0], x[0, 0, 1]], [x[0, 1, 0], x[1, 0, 0]]]),
    "reshape": lambda x: K.reshape(x, K.stack([K.shape(x)[0] * K.shape(x)[1], -1])),
    "reshape by parts": lambda x: K.reshape(x, _pixels(x)),
    "reshape by a product": lambda x: K.reshape(x, (K.prod(K.stack(K.shape(x)[:2])), 2)),
    "broadcast_to": lambda x: K.broadcast_to(K.arange(2), K.concatenate([K.stack(K.shape(x)[:2]), K.array([2])])),
    "zeros": lambda x: K.zeros(K.array(K.shape(x))) + x,
    "taken": lambda x: K.reshape(x, K.take(K.array([2, K.shape(x)[1], K.shape(x)[0]]), [2, 1, 0], axis=0)),
}


@pytest.mark.parametrize("name", SIZES)
def test_tensors_of_sizes(name):
    made = functional(own(lambda self, x: SIZES[name](x)), (None, 2))
    agrees(made, floats(2, 4, 2), floats(3, 6, 2))


def test_tile_by_a_tensor_of_sizes():
    class Tiled(keras.Model):  # Keras cannot infer the shape in a functional model
        def call(self, x):
            return K.tile(K.ones((1, 2, 1)), K.stack([K.shape(x)[0], 2, 1])) * x

    made = Tiled()
    made(floats(2, 4, 3))
    agrees(made, floats(2, 4, 3), floats(3, 4, 3))


# ---- models inside models, given other sizes than those they were built with


def nested(shape):
    x = keras.Input(shape)
    return keras.Model(x, L.Dense(2)(x))


@pytest.mark.parametrize(("inner", "outer"), [((1,), ()), ((4,), (4, 1)), ((4, 1), (4,))])
def test_a_nested_model_takes_one_axis_more_or_less(inner, outer):
    agrees(functional(nested(inner), outer), floats(3, *outer))


def test_a_nested_model_with_two_batches():
    a, b = keras.Input((2, 3)), keras.Input((4, 3))
    inner = keras.Model([a, b], L.Attention()([a, b]))
    layer = own(
        lambda self, x: inner([K.expand_dims(self.latent, 0), x]),
        latent=lambda self: self.add_weight(shape=(2, 3)),
    )
    agrees(functional(layer, (4, 3)), *(floats(rows, 4, 3) for rows in ROWS))


def test_a_sequential_inside_takes_other_lengths():
    class Outer(keras.Model):
        def __init__(self):
            super().__init__()
            self.stack = keras.Sequential([L.Conv1D(4, 3, padding="same", activation="relu"), L.Dense(2)])

        def call(self, x):
            return self.stack(x)

    made = Outer()
    made(floats(2, 12, 3))
    read = dagir.from_keras(made, inputs=dagir.Input((None, 3)))
    agrees(made, floats(2, 7, 3), floats(3, 12, 3), read=read)


@pytest.mark.parametrize("in_a_file", [False, True])
def test_the_batch_that_built_a_sequential_is_no_bound(in_a_file, tmp_path):
    made = keras.Sequential([L.Dense(8, activation="relu"), L.Dense(2)])
    made(floats(7, 4))
    made.save(tmp_path / "net.keras")
    read = dagir.from_keras(tmp_path / "net.keras" if in_a_file else made)
    agrees(made, floats(3, 4), floats(7, 4), read=read)


# ---- ids

IDS = {
    "Embedding": lambda: L.Embedding(9, 3),
    "masked": lambda: keras.Sequential([L.Embedding(9, 3, mask_zero=True), L.LSTM(2)]),
    "one_hot": lambda: L.CategoryEncoding(9, "multi_hot"),
    "lookup": lambda: L.IntegerLookup(vocabulary=[1, 2, 5]),
    "bins": lambda: L.Discretization([1.0, 3.0, 4.5]),
    "steps": lambda: L.TimeDistributed(L.Embedding(9, 3)),
    "steps of one_hot": lambda: L.TimeDistributed(L.CategoryEncoding(9, "one_hot")),
}


@pytest.mark.parametrize("name", IDS)
def test_floats_are_taken_as_ids(name):
    shape = (4, 5) if name == "steps" else (5, 1) if name.startswith("steps") else (5,)
    made = functional(IDS[name](), shape)
    agrees(made, *(_DRAWN.integers(0, 9, (rows, *shape)).astype("float32") + np.float32(0.25) for rows in ROWS))


@pytest.mark.parametrize("name", ["Embedding", "one_hot", "lookup", "bins"])
def test_layers_of_dagir_take_floats_as_ids(name):
    theirs = IDS[name]()
    config = {key: value for key, value in theirs.get_config().items() if key != "name"}
    x = dagir.Input((5,))
    mine = getattr(dagir.layers, type(theirs).__name__).from_config(config)
    read = dagir.Model(x, mine(x))
    ids = _DRAWN.integers(0, 9, (3, 5)).astype("float32") + np.float32(0.5)
    expected = np.asarray(theirs(ids))
    mine.set_weights([np.asarray(weight) for weight in theirs.weights])
    for backend in ("numpy", "onnx"):
        np.testing.assert_array_equal(dagir.lower(read, backend)(ids), expected)


# ---- subclassed models


def subclassed(call, **members):
    def construct(self):
        keras.Model.__init__(self)
        for name, make in members.items():
            setattr(self, name, make())

    return type("Own", (keras.Model,), {"__init__": construct, "call": call})()


def test_ids_of_a_subclassed_model():
    by_layer = subclassed(lambda self, x: K.max(self.table(x), 1), table=lambda: L.Embedding(9, 3))
    by_take = subclassed(lambda self, x: K.take(K.arange(9.0), x))
    for made in (by_layer, by_take):
        made(np.ones((2, 5), "int32"))
        read = agrees(made, _DRAWN.integers(0, 9, (3, 5)).astype("int32"))
        assert str(read.inputs[0].dtype) == "int32"


def test_numbers_that_a_call_casts_itself_stay_floats():
    made = subclassed(lambda self, x: K.cast(x, "int32") * 2)
    made(floats(2, 5))
    agrees(made, floats(3, 5) * 3)


def test_text_of_a_subclassed_model():
    made = subclassed(
        lambda self, x: self.table(self.words(x)),
        words=lambda: L.StringLookup(vocabulary=["a", "b"]),
        table=lambda: L.Embedding(3, 2),
    )
    words = np.array([["a", "q"], ["b", "b"]])
    expected = np.asarray(made(keras.ops.convert_to_tensor(words)))
    read = dagir.from_keras(made)
    for backend in ("numpy", "onnx"):
        np.testing.assert_array_equal(dagir.lower(read, backend)(words), expected)


def test_ids_beside_features_of_a_subclassed_model():
    made = subclassed(
        lambda self, inputs: K.sum(K.take(K.ones((9, 3)), inputs["ids"], axis=0), 1) + self.head(inputs["x"]),
        head=lambda: L.Dense(3),
    )
    feed = {"ids": np.array([[1, 2], [3, 8], [0, 0]], "int32"), "x": floats(3, 4)}
    made(feed)
    agrees(made, feed)


PLACES = {
    "by name": lambda: {"x": dagir.Input((4,)), "y": dagir.Input((None,))},
    "by place": lambda: [dagir.Input((4,)), dagir.Input((None,))],
}


@pytest.mark.parametrize("name", PLACES)
def test_several_arguments_of_a_call(name):
    made = subclassed(
        lambda self, x, y=None, training=False: self.head(x) - K.sum(y, 1, keepdims=True), head=lambda: L.Dense(3)
    )
    x, y = floats(3, 4), floats(3, 5)
    expected = np.asarray(made(x, y=y))
    with pytest.raises(dagir.DagirError, match=r"inputs=\{'x': dagir.Input\(...\), 'y': dagir.Input\(...\)\}"):
        dagir.from_keras(made)
    read = dagir.from_keras(made, inputs=PLACES[name]())
    for backend in ("numpy", "onnx"):
        np.testing.assert_allclose(dagir.lower(read, backend)([x, y]), expected, atol=1e-5)


def test_layers_made_in_a_call():
    def pooled(self, x):
        height, width = K.shape(x)[1], K.shape(x)[2]
        coarse = K.mean(x, (1, 2), keepdims=True)
        return L.Concatenate()([L.Resizing(height, width, interpolation="bilinear")(coarse), L.ZeroPadding2D(0)(x)])

    made = subclassed(pooled)
    made(floats(2, 4, 6, 3))
    read = dagir.from_keras(made, inputs=dagir.Input((None, None, 3)))
    agrees(made, floats(1, 5, 3, 3), floats(2, 4, 6, 3), read=read)


# ---- Python's branches on sizes and scalars


def padded(self, x):
    missing = -K.shape(x)[1] % 4
    return K.pad(x, [[0, 0], [0, missing], [0, 0]]) if missing else x


def padded_otherwise(self, x):
    missing = (4 - K.shape(x)[1] % 4) % 4
    if missing > 0:
        x = K.pad(x, [[0, 0], [0, missing], [0, 0]])
    return K.flip(x, 1)


def checked(self, x):
    if x.shape[1] == 0:
        raise ValueError("empty")
    assert len(x.shape) == 3 and x.shape[1] >= 1
    return x * 2


def several(self, x):
    if K.shape(x)[0] > 2:
        return x + 1 if x.shape[1] > 5 else x + 2
    return x + 3


BRANCHES = {
    "padded": padded,
    "padded otherwise": padded_otherwise,
    "checked": checked,
    "several": several,
    "two layers": lambda self, x: self.one(x) if x.shape[1] > 4 else self.other(x),
    "the smaller": lambda self, x: x[:, : min(K.shape(x)[1], 4)],
    "on data": lambda self, x: self.one(x) if K.sum(x) > 0 else self.other(x),
    "among numbers": lambda self, x: x if x.shape[0] in (1, 3) else -x,
}


@pytest.mark.parametrize("name", BRANCHES)
def test_branches_on_sizes(name):
    made = subclassed(BRANCHES[name], one=lambda: L.Dense(3), other=lambda: L.Dense(3))
    made.one.build((None, None, 3)), made.other.build((None, None, 3))
    made(floats(2, 8, 3))
    read = dagir.from_keras(made, inputs=dagir.Input((None, 3)))
    agrees(made, floats(2, 8, 3), floats(3, 5, 3), floats(1, 3, 3), read=read)


def summed(x):
    total = 0.0
    for step in range(x.shape[1]):
        total = total + x[:, step]
    return total


def test_a_loop_over_a_size_needs_the_size():
    made = subclassed(lambda self, x: summed(x))
    made(floats(2, 8, 3))
    with pytest.raises(dagir.DagirError, match=r"(?s)range.*of the size.*give the input a fixed size"):
        dagir.from_keras(made, inputs=dagir.Input((None, 3)))
    agrees(made, floats(2, 5, 3), read=dagir.from_keras(made, inputs=dagir.Input((5, 3))))


def test_a_functional_model_with_inputs_of_fixed_sizes():
    class Summed(L.Layer):
        def call(self, x):
            return summed(x)

        def compute_output_shape(self, shape):
            return (shape[0], shape[2])

        def compute_output_spec(self, x):
            return keras.KerasTensor(self.compute_output_shape(x.shape))

    made = functional(Summed(), (None, 3))
    agrees(made, floats(2, 5, 3), read=dagir.from_keras(made, inputs=dagir.Input((5, 3))))


# ---- chance

DRAWS = {
    "keras.random.normal": lambda x: x + keras.random.normal((4,)),
    "keras.random.uniform": lambda x: x * keras.random.uniform(K.shape(x), seed=keras.random.SeedGenerator(1)),
    "np.random.uniform": lambda x: x + np.random.uniform(size=(4,)).astype("float32"),
}


@pytest.mark.parametrize("name", DRAWS)
def test_draws_at_inference_are_refused_by_name(name):
    made = functional(own(lambda self, x: DRAWS[name](x)), (4,))
    with pytest.raises(dagir.DagirError, match=rf"draws random numbers at inference \({name}\)") as error:
        dagir.from_keras(made)
    assert "seed=1" in str(error.value) and "as an input" in str(error.value)


def test_draws_from_a_fixed_seed_are_constants():
    agrees(functional(own(lambda self, x: x + keras.random.normal((4,), seed=1)), (4,)), floats(3, 4))


def test_inputs_of_a_subclassed_model_with_batches_of_their_own():
    def call(self, inputs):
        nodes, edges = inputs
        messages = K.take(self.head(nodes), edges[:, 1], axis=0)
        return nodes[:, :2] + K.segment_sum(messages, edges[:, 0], num_segments=6)

    made = subclassed(call, head=lambda: L.Dense(2))
    feed = [floats(6, 3), _DRAWN.integers(0, 6, (9, 2)).astype("int32")]
    made(feed)
    agrees(made, feed, [floats(6, 3), _DRAWN.integers(0, 6, (4, 2)).astype("int32")])


def test_ids_that_are_cut_apart_and_compared_with_padding():
    def call(self, inputs):
        pairs, words = inputs["pairs"], inputs["words"]
        known = K.cast(K.not_equal(words, 0), "float32")[:, :, None]
        return self.users(pairs[:, 0]) + self.items(pairs[:, 1]) + K.sum(self.users(words) * known, 1)

    made = subclassed(call, users=lambda: L.Embedding(9, 3), items=lambda: L.Embedding(7, 3))
    feed = {"pairs": _DRAWN.integers(0, 7, (2, 2)).astype("int32"), "words": np.array([[1, 0], [3, 8]], "int32")}
    made(feed)
    agrees(made, feed)
