"""From Keras to ONNX and back: Keras's own layers, trainable, channels-last, in a file that plain Keras loads."""

from __future__ import annotations

import keras
import numpy as np
import onnx
import pytest
from keras import layers as L

import dagir
from dagir import layers

UNFOLDED = ("fold-batchnorm", "fold-scales")


def network():
    x = keras.Input((12, 12, 3), name="x")
    y = L.ReLU()(L.BatchNormalization()(L.Conv2D(6, 3, strides=2, padding="same", use_bias=False)(x)))
    z = L.ReLU(6.0)(L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same")(y)))
    y = L.MaxPooling2D()(L.Add()([y, z]))
    y = L.Concatenate()([y, L.Conv2D(4, 1, activation="silu")(y)])
    return keras.Model(x, L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D()(y)))


def randomized(model):
    rng = np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(rng.uniform(0.2, 0.9, variable.shape))
    return model


def there_and_back(model, **how):
    return dagir.to_keras(dagir.from_onnx(dagir.to_onnx(dagir.from_keras(model), **how)))


def counted(model):
    found: dict[str, int] = {}
    for layer in model.layers:
        if layer.weights:
            found[type(layer).__name__] = found.get(type(layer).__name__, 0) + 1
    return found


def test_unfolded_the_layers_and_their_trainable_weights_come_back():
    model = randomized(network())
    again = there_and_back(model, disable=UNFOLDED)
    assert counted(again) == counted(model)
    sizes = [sum(int(np.prod(each.shape)) for each in made.trainable_variables) for made in (model, again)]
    assert sizes[0] == sizes[1]
    assert all(layer.data_format == "channels_last" for layer in again.layers if hasattr(layer, "data_format"))
    assert [type(layer).__name__ for layer in again.layers].count("Permute") == 0


def test_normalizations_without_gamma_or_beta_come_back_as_they_train():
    x = keras.Input((9, 9, 3), name="x")
    y = L.BatchNormalization(scale=False, momentum=0.75)(L.Conv2D(40, 3, use_bias=False)(x))
    y = L.BatchNormalization(center=False, epsilon=0.5)(L.Conv2D(40, 3)(L.ReLU()(y)))
    model = randomized(keras.Model(x, y))
    again = there_and_back(model, disable=UNFOLDED)
    assert counted(again) == counted(model)
    variables = [sorted((each.path.rpartition("/")[2], each.trainable) for each in m.weights) for m in (model, again)]
    assert variables[0] == variables[1]
    norms = [layer for layer in again.layers if isinstance(layer, L.BatchNormalization)]
    assert [round(layer.momentum, 6) for layer in norms] == [0.75, 0.99]
    image = np.random.default_rng(1).normal(size=(4, 9, 9, 3)).astype("float32")
    for training in (False, True):  # with statistics of the data too: those of the file are no 0 and 1
        found = next(iter(again(image, training=training).values()))
        np.testing.assert_allclose(found, model(image, training=training), rtol=1e-4, atol=1e-4)
    again = there_and_back(model)
    np.testing.assert_allclose(next(iter(again(image).values())), model(image), rtol=1e-4, atol=1e-4)


def test_pools_with_the_padding_of_keras_come_back():
    x = keras.Input((9, 12, 3), name="x")
    pools = [L.AveragePooling2D(3, 1, "same"), L.MaxPooling2D(3, 2, "same"), L.AveragePooling2D(2, padding="valid")]
    y = x
    for pool in pools:
        y = pool(y)
    again = there_and_back(keras.Model(x, y), disable=UNFOLDED)
    kept = [layer for layer in again.layers if hasattr(layer, "pool_size")]
    assert [(type(layer), layer.padding) for layer in kept] == [(type(layer), layer.padding) for layer in pools]


def test_numbers_of_a_network_that_do_not_train_do_not_train_after():
    x = keras.Input((6, 6, 3), name="x")
    y = L.Conv2D(8, 3)(L.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])(x))
    model = keras.Model(x, L.ReLU(6.0)(y * np.arange(8, dtype="float32")))
    again = there_and_back(model, disable=UNFOLDED)
    assert again.count_params() > model.count_params()  # the numbers are there, as weights
    assert sum(int(np.prod(each.shape)) for each in again.trainable_variables) == 3 * 3 * 3 * 8 + 8
    assert any(type(layer).__name__ == "ReLU" for layer in again.layers)


def test_the_numbers_come_back_and_it_trains_and_is_saved_for_plain_keras(tmp_path):
    model = randomized(network())
    x = np.random.default_rng(1).normal(size=(8, 12, 12, 3)).astype("float32")
    for how in ({"disable": UNFOLDED}, {}):
        again = there_and_back(model, **how)
        ((name, found),) = again(x).items()
        np.testing.assert_allclose(np.asarray(found), np.asarray(model(x)), rtol=1e-4, atol=1e-6)
        assert all(type(layer).__module__.startswith("keras.") for layer in again.layers)
        again.save(tmp_path / "m.keras")
        loaded = keras.models.load_model(tmp_path / "m.keras")
        loaded.compile(keras.optimizers.SGD(0.05), {name: "mse"})
        targets = {name: np.random.default_rng(2).normal(size=(8, 3)).astype("float32")}
        losses = loaded.fit(x, targets, epochs=3, verbose=0).history["loss"]
        assert losses[-1] < losses[0]


def test_names_that_tensorflow_takes_for_no_scope_train_and_are_saved(tmp_path):
    x = dagir.Input((3,), name="serving x:0")
    scale = dagir.Parameter(
        "scale;2", dagir.TensorType(dagir.DType.FLOAT32, (3,)), array=np.full(3, 2, "float32"), trainable=True
    )
    inner = dagir.Sequential([dagir.Input((3,)), layers.Dense(3, name="in:0")], name="ü")
    y = layers.Dense(2, name="head:0")(inner(x) * scale)
    model = dagir.Model(x, {"b:0": y, "b;0": layers.Dense(2, name="head;0")(y), "a": y + 1})
    made, batch = dagir.to_keras(model), np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    assert list(made.output) == ["b_0", "b_0_1", "a"]
    made.save(tmp_path / "m.keras")
    targets = {name: np.ones((4, 2), "float32") for name in made.output}
    loaded = keras.models.load_model(tmp_path / "m.keras")
    loaded.compile("sgd", dict.fromkeys(targets, "mse"))
    losses = loaded.fit(batch, targets, epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]
    assert dagir.verify(model, {"keras": "keras", "file": tmp_path / "m.keras"}, batch).ok
    model.compile("sgd", dict.fromkeys(model.output, "mse"))
    before = inner.weights[0].array.copy()
    model.fit(batch, dict.fromkeys(model.output, targets["a"]), verbose=0)
    assert not np.array_equal(inner.weights[0].array, before)


@pytest.mark.parametrize(
    ("call", "steps", "shapes"),
    [
        ("MatMul (flat, w)", "t, n", {"w": (8, 3)}),
        ("GRU <hidden_size: int = 3> (flat, w, r)", "t, 1, n", {"w": (1, 9, 8), "r": (1, 9, 3)}),
    ],
)
def test_a_layer_has_its_weights_where_keras_loses_the_size(call, steps, shapes, tmp_path):
    """Behind a reshape that merges axes beside two unknown sizes, Keras knows none of the three."""
    rng = np.random.default_rng(0)
    proto = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : 17]>
        g (float[t, n, 2, 4] x) => (float[{steps}, 3] y) {{ flat = Reshape (x, sizes) y = {call} }}"""
    )
    arrays = {name: rng.normal(size=shape).astype("float32") for name, shape in shapes.items()}
    arrays["sizes"] = np.int64([0, 0, -1])
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in arrays.items())
    model = dagir.from_onnx(proto)
    net = dagir.to_keras(model)
    assert net.trainable_weights
    assert dagir.verify(model, {"keras": net}).ok
    net.save(tmp_path / "net.keras")
    assert dagir.verify(model, tmp_path / "net.keras").ok


def test_a_file_of_keras_keeps_the_shape_of_what_is_empty(tmp_path):
    """A mask of no steps, as an exporter writes it for padding that the example did not have."""
    proto = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]> g (float[b, 5, 2] x) => (float[b, 5, 2] y) {
        sizes = Shape (x) first = Constant <value_ints: ints = [0]> () rest = Constant <value_ints: ints = [0, 2]> ()
        batch = Gather (sizes, first) shape = Concat <axis: int = 0> (batch, rest) none = ConstantOfShape (shape)
        two = Constant <value_float: float = 2.0> () more = Add (none, two) y = Concat <axis: int = 1> (x, more) }"""
    )
    model = dagir.from_onnx(proto)
    net = dagir.to_keras(model)
    net.save(tmp_path / "net.keras")
    assert dagir.verify(model, {"net": net}).ok
    assert dagir.verify(model, tmp_path / "net.keras").ok
