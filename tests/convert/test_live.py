"""Keras models and layers that live in this process: custom layers are traced, weights are not copied."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops as K

import dagir
from convert.zoo import randomize
from dagir.errors import UnsupportedLayer
from engines import ENGINE

RNG = np.random.default_rng(3)


class Scale(L.Layer):
    def build(self, shape):
        self.gamma = self.add_weight(shape=(shape[-1],), initializer="ones", name="gamma")

    def call(self, inputs):
        return inputs * self.gamma


class Gate(L.Layer):
    """Weights of its own, layers inside, an argument for training, two inputs and a dict as output."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.dense, self.scale, self.drop = L.Dense(units, name="inner"), Scale(name="scale"), L.Dropout(0.5)
        self.branches = [L.Dense(units, activation="tanh") for _ in range(2)]

    def build(self, shape):
        self.shift = self.add_weight(shape=(), name="shift")

    def call(self, x, context, training=None):
        y = self.scale(K.sigmoid(self.dense(x) + self.shift))
        if training:
            y = y + K.mean(y)
        for branch in self.branches:
            y = y * branch(context) + K.cast(K.shape(y)[-1], "float32")
        return {"gated": self.drop(y, training=training), "mean": K.mean(y, axis=-1, keepdims=True)}


class Classifier(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.body = keras.Sequential([L.Dense(6, activation="relu"), Scale()])
        self.head = L.Dense(3)

    def call(self, inputs, training=False):
        return K.softmax(self.head(self.body(inputs)) + inputs[:, :3])


def check(made, x, read=None):
    read = read or dagir.from_keras(made)
    ours = keras.tree.flatten(dagir.lower(read, "numpy")(x))
    theirs = keras.tree.flatten(made(x, training=False))
    for mine, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, K.convert_to_numpy(expected), atol=1e-5)
    return read


def array(*shape):
    return RNG.normal(size=shape).astype("float32")


def gated():
    a, b = keras.Input((4,), name="a"), keras.Input((5,), name="b")
    made = keras.Model([a, b], L.Dense(2)(Gate(3, name="gate")(a, context=b)["gated"]))
    randomize(made)
    return made


def test_a_custom_layer_is_traced_with_its_weights_and_layers():
    made = gated()
    read = check(made, [array(3, 4), array(3, 5)])
    assert sorted(w.shape for w in read.weights) == sorted(tuple(w.shape) for w in made.weights)
    assert read.get_layer("gate").name == "gate"
    proto = dagir.to_onnx(read)
    assert any("gate" in node.name for node in proto.graph.node)
    assert all(len(layer._inbound_nodes) == 0 for layer in made.get_layer("gate").branches)


def test_a_traced_model_runs_everywhere(tmp_path):
    read = dagir.from_keras(gated())
    report = dagir.verify(read, backends=("numpy", "onnx", "keras"))
    assert report.ok, str(report)
    read.save(tmp_path / "m.dagir")
    x = [array(2, 4), array(2, 5)]
    again = dagir.load(tmp_path / "m.dagir")
    np.testing.assert_array_equal(dagir.lower(again)(x), dagir.lower(read)(x))


def test_a_subclassed_model_that_was_called():
    made = Classifier(name="classifier")
    made(array(2, 4))
    randomize(made)
    read = check(made, array(5, 4))
    assert read.name == "classifier"


def test_a_functional_model_that_was_never_called(tmp_path):
    """Keras's own export refuses it."""
    x = keras.Input((4,), name="x")
    model = keras.Model(x, keras.layers.Dense(3, name="y")(x))
    with pytest.raises(ValueError, match="never called"):
        model.export(tmp_path / "m.onnx", format="onnx", verbose=False)
    check(model, array(2, 4))


def test_a_subclassed_model_that_was_never_called():
    made = Classifier()
    with pytest.raises(UnsupportedLayer, match="shapes of its inputs are not known"):
        dagir.from_keras(made)
    read = dagir.from_keras(made, inputs=dagir.Input((4,), name="features"))
    assert read.input_names == ["features"]
    check(made, array(2, 4), read)


def test_a_stack_that_was_never_built():
    made = keras.Sequential([L.Dense(4), L.LSTM(3)])
    with pytest.raises(UnsupportedLayer, match="never built"):
        dagir.from_keras(made)
    read = dagir.from_keras(made, inputs=dagir.Input((None, 2), name="steps"))
    assert [str(value.type) for value in read.graph.inputs] == ["float32[batch, steps_dim1, 2]"]
    check(made, array(2, 5, 2), read)


def test_a_stack_of_ids_that_was_never_built_takes_them_as_keras_documents():
    """Ids [batch, length], of the dtype that Keras's own build gives them; the user's stack stays without an input."""
    made = keras.Sequential([L.Embedding(9, 4), L.LSTM(3)])
    ids = np.arange(10).reshape(2, 5) % 9
    read = dagir.from_keras(made)
    assert [str(value.type).split("[")[0] for value in read.graph.inputs] == ["float32"]
    assert [value.type.rank for value in read.graph.inputs] == [2]
    with pytest.raises(AttributeError, match="no defined inputs"):
        _ = made.inputs
    randomize(made)
    read = dagir.from_keras(made)
    check(made, ids.astype("float32"), read)
    chosen = keras.Sequential([L.Embedding(9, 4), L.LSTM(3)])
    taken = dagir.from_keras(chosen, inputs=dagir.Input((None,), dtype="int32", name="ids"))
    assert [str(value.type) for value in taken.graph.inputs] == ["int32[batch, ids_dim1]"]
    check(chosen, ids.astype("int32"), taken)


def test_a_stack_of_ids_that_needs_a_length_is_not_taken_unbuilt():
    made = keras.Sequential([L.Embedding(9, 4), L.Flatten(), L.Dense(3)])
    with pytest.raises(UnsupportedLayer, match="never built"):
        dagir.from_keras(made)
    ids = np.arange(10, dtype="float32").reshape(2, 5) % 9
    made(ids)
    check(made, ids)


class Shapeless(L.Layer):
    """Keras finds no shape for what it gives, so that a Sequential with it has no graph."""

    def call(self, x):
        return x * 2

    def compute_output_shape(self, input_shape):
        raise NotImplementedError


def test_a_stack_whose_shapes_keras_does_not_find():
    made = keras.Sequential([keras.Input((4,), name="x"), Shapeless(), L.Dense(3)])
    with pytest.raises(UnsupportedLayer, match=r"Keras never built its layer 'dense\w*'"):
        dagir.from_keras(made)
    made(array(2, 4))
    randomize(made)
    read = check(made, array(5, 4))
    assert read.input_names == ["x"]


def test_keras_layers_in_a_graph_of_dagir():
    dense, scale, inner = L.Dense(3, activation="tanh"), Scale(), keras.Sequential([L.Dense(2), Scale()])
    x = array(4, 5)
    expected = K.convert_to_numpy(inner(scale(dense(x))))
    a = dagir.Input((5,), name="a")
    y = dagir.from_keras(dense)(a)
    y = dagir.from_keras(inner)(dagir.from_keras(scale)(y))
    model = dagir.Model(a, dagir.ops.relu(y))
    np.testing.assert_allclose(dagir.lower(model)(x), np.maximum(expected, 0), atol=1e-6)
    np.testing.assert_allclose(dagir.lower(model, "onnx")(x), np.maximum(expected, 0), atol=1e-6)


def test_a_layer_that_keras_never_built_begins_anew():
    layer = dagir.from_keras(L.Conv1D(3, 2, name="fresh"))
    y = layer(dagir.Input((6, 2)))
    assert layer.name == "fresh"
    assert y.shape == (None, 5, 3)


def test_a_shared_custom_layer_is_one_layer():
    a, scale = keras.Input((3,), name="a"), Scale(name="scale")
    made = keras.Model(a, scale(scale(a) + 1))
    randomize(made)
    read = check(made, array(2, 3))
    assert len(read.weights) == 1


def test_a_weight_that_is_read_outside_its_layer_is_one_weight():
    ids = keras.Input((None,), dtype="int32", name="ids")
    table = L.Embedding(7, 4, name="table")
    made = keras.Model(ids, K.matmul(table(ids), K.transpose(table.embeddings)))
    randomize(made)
    read = check(made, np.array([[0, 3, 6]], "int32"))
    assert len(read.graph.parameters) == 1


def twice():
    dense = L.Dense(3)
    made = keras.Sequential([keras.Input((3,)), dense, L.ReLU(), dense])
    randomize(made)
    return made


def test_a_layer_twice_in_a_stack():
    read = check(twice(), array(2, 3))
    assert len(read.weights) == 2


@pytest.mark.xfail(strict=True, reason="Keras 3.15 writes a layer that stands twice in a Sequential into the file once")
def test_keras_reads_back_a_layer_twice_in_a_stack(tmp_path):
    made = twice()
    made.save(tmp_path / "m.keras")
    x = array(2, 3)
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(K.convert_to_numpy(again(x)), K.convert_to_numpy(made(x)), atol=1e-6)


def test_weights_are_the_memory_of_the_variables():
    made = keras.Sequential([keras.Input((3,)), L.Dense(2)])
    read = dagir.from_keras(made)
    kernel = read.weights[0].array
    assert not kernel.flags.owndata or ENGINE in ("torch", "numpy")  # PyTorch assigns in place
    before = kernel.copy()
    made.layers[0].kernel.assign(np.ones((3, 2)))
    np.testing.assert_array_equal(kernel, before)


class UsesNumPy(L.Layer):
    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)

    def call(self, x):
        return K.convert_to_tensor(np.sin(np.asarray(x)))


class Inverts(L.Layer):
    def call(self, x):
        return x * K.norm(x, 2, (0, 1))


def test_everything_that_cannot_be_taken_is_told_at_once():
    x = keras.Input((4,), name="x")
    inner_input = keras.Input((4,))
    inner = keras.Model(inner_input, Inverts(name="inverting")(inner_input), name="inner")
    made = keras.Model(x, L.Dense(2)(UsesNumPy(name="numpy")(inner(x)) + UsesNumPy(name="again")(x)))
    with pytest.raises(UnsupportedLayer) as caught:
        dagir.from_keras(made)
    text = str(caught.value)
    assert "3 layers cannot be taken" in text
    assert "inner/inverting" in text
    assert "numpy" in text
    assert "again" in text
    assert "custom_objects={'UsesNumPy': a dagir Layer class}" in text


def test_the_user_can_give_a_rule():
    x = keras.Input((4,), name="x")
    made = keras.Model(x, UsesNumPy(name="sine")(x))

    class Sine(dagir.Layer):
        def call(self, inputs):
            return dagir.ops.sin(inputs)

    read = dagir.from_keras(made, custom_objects={"UsesNumPy": Sine})
    assert read.get_layer("sine").name == "sine"
    x = array(2, 4)
    np.testing.assert_allclose(dagir.lower(read)(x), np.sin(x), atol=1e-6)


def test_lambda_layers_of_a_live_model_are_traced():
    x = keras.Input((4,), name="x")
    check(keras.Model(x, L.Lambda(lambda t: K.square(t) + 1)(x)), array(2, 4))


def test_a_custom_activation_is_traced():
    x = keras.Input((4,), name="x")
    made = keras.Model(x, L.Dense(3, activation=lambda t: K.tanh(t) * 2)(x))
    check(made, array(2, 4))


def test_a_call_with_training_is_refused():
    x = keras.Input((4,), name="x")
    made = keras.Model(x, L.Dropout(0.5, name="always")(x, training=True))
    with pytest.raises(UnsupportedLayer, match=r"always.*training=True"):
        dagir.from_keras(made)


class Swapped(L.Layer):
    """Uses its weights in another order than it makes them."""

    def build(self, shape):
        self.first = self.add_weight(shape=(shape[-1],), name="first")
        self.second = self.add_weight(shape=(shape[-1],), name="second")

    def call(self, x):
        return (x + self.second) * self.first

    def compute_output_shape(self, shape):
        return shape


def test_a_custom_layer_in_a_wrapper_keeps_its_weights_apart():
    x = keras.Input((4, 3), name="x")
    made = keras.Model(x, L.TimeDistributed(Swapped())(x))
    randomize(made)
    check(made, array(2, 4, 3))


def test_a_call_that_cannot_be_traced_is_told_where_it_is_called():
    layer = dagir.from_keras(UsesNumPy(name="sine"))
    with pytest.raises(UnsupportedLayer, match="cannot be traced"):
        layer(dagir.Input((3,)))
