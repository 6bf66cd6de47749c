"""Taking apart and putting together: scenarios 5-7, 10 and 11, and what users ask for beyond them."""

from __future__ import annotations

import numpy as np
import pytest

import dagir
from dagir import layers, ops
from dagir.errors import ArgumentError
from dagir.ir.nest import flatten
from dagir.testing import assert_close
from guide import autoencoder, ensemble, shared_embedding
from guide.test_networks import feeds, randomize

BACKENDS = ("numpy", "onnx", "keras")


def agree(model, arrays):
    """The outputs, after all backends have given them."""
    expected = flatten(dagir.lower(model, "numpy", precision="float64")(arrays))
    for name in BACKENDS:
        for got, want in zip(flatten(dagir.lower(model, name)(arrays)), expected, strict=True):
            assert_close(got, want, name)
    return expected


def small_vgg(K, L):
    """VGG's pattern of blocks, small."""
    image = K.Input((16, 16, 3), name="image")
    x = image
    for block, (filters, count) in enumerate([(4, 2), (6, 2), (8, 3)], start=1):
        for number in range(1, count + 1):
            x = L.Conv2D(filters, 3, padding="same", activation="relu", name=f"block{block}_conv{number}")(x)
        x = L.MaxPooling2D(2, strides=2, name=f"block{block}_pool")(x)
    x = L.Flatten(name="flatten")(x)
    x = L.Dense(16, activation="relu", name="fc1")(x)
    return K.Model(image, L.Dense(5, activation="softmax", name="predictions")(x), name="small_vgg")


def image():
    return [np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype("float32")]


# ---- scenario 11


def test_all_layers_of_a_network_are_features_in_one_line():
    vgg = small_vgg(dagir, layers)
    features = dagir.Model(vgg.input, [layer.output for layer in vgg.layers])
    assert set(features.weights) == set(vgg.weights) and len(features.weights) == len(vgg.weights)
    found = agree(features, image())
    assert len(found) == len(vgg.layers) == 14
    np.testing.assert_array_equal(found[0], image()[0])
    last = dagir.lower(vgg, "numpy", precision="float64")(image())
    np.testing.assert_array_equal(found[-1], last)
    proto = dagir.lower(features, "onnx").artifact
    assert sum(np.prod(tensor.dims) for tensor in proto.graph.initializer) < 1.1 * vgg.count_params()


def test_keras_gives_the_same_features():
    import keras

    theirs = small_vgg(keras, keras.layers)
    ours = small_vgg(dagir, layers)
    ours.set_weights(theirs.get_weights())
    theirs = keras.Model(theirs.input, [layer.output for layer in theirs.layers])
    ours = dagir.Model(ours.input, [layer.output for layer in ours.layers])
    for got, want in zip(dagir.lower(ours, "numpy")(image()), theirs(image()[0]), strict=True):
        assert_close(got, np.asarray(want).astype("float64"), "Keras")


@pytest.mark.parametrize("loaded", [False, True])
def test_extraction_by_layer_by_name_and_by_value(loaded, tmp_path):
    vgg = small_vgg(dagir, layers)
    randomize(vgg)
    if loaded:
        vgg.save(tmp_path / "m.dagir")
        vgg = dagir.load(tmp_path / "m.dagir")
    layer = vgg.get_layer("block2_conv2")
    ways = [layer, "block2_conv2", layer.output]
    models = [dagir.extract(vgg, way) for way in ways]
    results = [agree(model, image())[0] for model in models]
    assert results[0].shape == (2, 8, 8, 6)
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
    assert {w.name.split("/")[0] for w in models[1].weights} == {f"block{b}_conv{c}" for b in (1, 2) for c in (1, 2)}
    head = dagir.extract(vgg, "predictions", inputs="block2_conv2")
    np.testing.assert_allclose(agree(head, [results[0].astype("float32")])[0], agree(vgg, image())[0], rtol=1e-5)
    both = dagir.extract(vgg, {"early": "block1_pool", "late": ["fc1", "predictions"]})
    assert agree(both, image())[1].shape == (2, 16)
    assert isinstance(both.output, dict)


def test_named_values_are_found():
    x = dagir.Input((3,), name="x")
    y = dagir.apply(ops.Relu(), x * 2, name="kept")
    model = dagir.Model(x, layers.Dense(2)(y))
    assert dagir.extract(model, "kept").output is y
    assert dagir.extract(model, "dense", inputs="kept").inputs == [y]
    assert dagir.extract(model, "x").output is x


def test_wrong_names_are_answered_with_the_nearest():
    vgg = small_vgg(dagir, layers)
    with pytest.raises(ArgumentError, match="no layer or value 'block2_conv9'") as caught:
        dagir.extract(vgg, "block2_conv9")
    assert "did you mean block2_conv2" in str(caught.value)
    model = autoencoder.build(dagir, layers)
    with pytest.raises(ArgumentError, match="did you mean encoder/conv2d_1"):
        dagir.extract(model, "encoder/conv2d_11")
    with pytest.raises(ArgumentError, match="did you mean encoder/global_max_pooling2d"):
        dagir.extract(model, "global_max_pooling2d")
    with pytest.raises(ArgumentError, match="'fc1' is not called in model"):
        dagir.extract(model, vgg.get_layer("fc1"))
    with pytest.raises(ArgumentError, match="a Value, a layer or a name, got 3"):
        dagir.extract(vgg, 3)
    with pytest.raises(ArgumentError, match="extract takes a Model, got Graph"):
        dagir.extract(vgg.graph, "fc1")


# ---- scenarios 5, 6, 7 and 10: one graph of layers, models as layers, ensembles, shared layers


def digits(count=2):
    return [np.random.default_rng(1).normal(size=(count, 28, 28, 1)).astype("float32")]


def test_two_models_over_one_graph_and_models_as_layers():
    encoder, whole = autoencoder.one_graph(dagir, layers)
    code = agree(encoder, digits())[0]
    cut = dagir.extract(whole, whole.output, inputs=encoder.output)
    np.testing.assert_allclose(agree(cut, [code.astype("float32")])[0], agree(whole, digits())[0], rtol=1e-4, atol=1e-6)
    nested = autoencoder.build(dagir, layers)
    agree(nested, digits())
    inner = nested.get_layer("encoder")
    assert set(inner.weights) <= set(nested.weights)


def test_the_inside_of_a_nested_model_is_computed_from_the_outer_input():
    model = autoencoder.build(dagir, layers)
    randomize(model)
    inner = model.get_layer("encoder")
    ways = ["encoder/conv2d_1", inner.get_layer("conv2d_1"), inner.get_layer("conv2d_1").output]
    alone = agree(dagir.Model(inner.input, inner.get_layer("conv2d_1").output), digits())[0]
    for way in ways:
        part = dagir.extract(model, way)
        assert part.inputs == model.inputs
        np.testing.assert_array_equal(agree(part, digits())[0], alone)
        assert len(part.weights) == 4
    mixed = dagir.extract(model, ["encoder/conv2d_1", "encoder", "decoder/reshape", model.output])
    found = agree(mixed, digits())
    np.testing.assert_array_equal(found[0], alone)
    np.testing.assert_array_equal(found[3], agree(model, digits())[0])
    assert len(mixed.weights) == len(model.weights)
    assert [value.type for value in mixed.outputs][2].shape[1:] == (4, 4, 1)
    tail = dagir.extract(model, "decoder", inputs="encoder/conv2d_1")
    np.testing.assert_allclose(agree(tail, [alone.astype("float32")])[0], found[3], rtol=1e-4, atol=1e-6)


def test_models_inside_models_inside_models():
    x = dagir.Input((4,))
    inner = dagir.Model(x, layers.Dense(3, name="last")(layers.Dense(5, name="deep")(x)), name="inner")
    y = dagir.Input((4,))
    middle = dagir.Model(y, ops.tanh(inner(y)), name="middle")
    z = dagir.Input((4,), name="z")
    outer = dagir.Model(z, middle(ops.relu(z)), name="outer")
    randomize(outer)
    part = dagir.extract(outer, ["middle/inner/deep", "middle/inner", "middle"])
    arrays = [np.random.default_rng(0).normal(size=(3, 4)).astype("float32")]
    deep, last, top = agree(part, arrays)
    assert deep.shape == (3, 5)
    np.testing.assert_array_equal(top, np.tanh(last))
    np.testing.assert_array_equal(top, agree(outer, arrays)[0])


def test_ensembles_and_shared_layers():
    model = ensemble.model()
    assert len(model.weights) == 6
    agree(model, feeds(model, {"batch": 3, "time": 1}))
    shared = shared_embedding.model()
    assert len(shared.weights) == 1
    agree(shared, feeds(shared, {"batch": 3, "time": 5}))
    one = dagir.extract(shared, "embedding:1")
    assert len(one.inputs) == 1
    with pytest.raises(ArgumentError, match=r"(?s)'embedding' is called 2 times.*embedding:0 to embedding:1"):
        dagir.extract(shared, "embedding")
    with pytest.raises(ArgumentError, match="there is no call 2"):
        dagir.extract(shared, "embedding:2")


def test_nested_models_whose_layers_have_the_same_names():
    def tower(name):
        x = dagir.Input((4,))
        return dagir.Model(x, layers.Dense(3, name="last")(layers.Dense(3, name="first")(x)), name=name)

    a, b = dagir.Input((4,), name="a"), dagir.Input((4,), name="b")
    model = dagir.Model([a, b], tower("left")(a) + tower("right")(b))
    part = dagir.extract(model, ["left/first", "right/first"])
    agree(part, feeds(part, {"batch": 2, "time": 1}))
    assert [value.name for value in part.outputs] == ["left/first", "right/first"]


def test_the_same_model_called_twice_shares_and_is_told_apart():
    x = dagir.Input((4,))
    tower = dagir.Model(x, layers.Dense(3)(x), name="tower")
    a, b = dagir.Input((4,), name="a"), dagir.Input((4,), name="b")
    model = dagir.Model([a, b], layers.Concatenate()([tower(a), tower(b)]))
    assert len(model.weights) == 2
    part = dagir.extract(model, "tower/dense:1")
    assert part.inputs == [b]
    agree(part, feeds(part, {"batch": 2, "time": 1}))


# ---- beyond the guide: joining, replacing


def test_two_models_are_joined_by_calling_one_on_the_other():
    vgg = small_vgg(dagir, layers)
    x = dagir.Input((16,), name="features")
    head = dagir.Model(x, layers.Dense(2, activation="softmax")(x), name="head")
    joined = dagir.Model(vgg.input, head(dagir.extract(vgg, "fc1").output))
    assert len(joined.weights) == len(vgg.weights)
    assert agree(joined, image())[0].shape == (2, 2)


def test_a_part_is_replaced_and_the_rest_keeps_its_weights():
    vgg = small_vgg(dagir, layers)
    before = agree(vgg, image())[0]
    other = dagir.replace(
        vgg,
        {"predictions": layers.Dense(7, name="seven"), "block1_pool": layers.AveragePooling2D(2), "fc1": ops.tanh},
    )
    assert agree(other, image())[0].shape == (2, 7)
    assert [layer.name for layer in other.layers][-2:] != ["fc1", "predictions"]
    assert set(other.weights) & set(vgg.weights) == set(vgg.weights) - {
        *vgg.get_layer("fc1").weights,
        *vgg.get_layer("predictions").weights,
    }
    made = dagir.lower(other, "keras").artifact
    assert "AveragePooling2D" in [type(layer).__name__ for layer in made.layers]
    np.testing.assert_array_equal(agree(vgg, image())[0], before)
    x = dagir.Input((2, 2, 8))
    inner = dagir.Model(x, layers.Conv2D(8, 1)(x), name="inner")
    agree(dagir.replace(vgg, {vgg.get_layer("block3_pool"): lambda v: inner(layers.MaxPooling2D(2)(v))}), image())


def test_what_cannot_be_replaced_is_said():
    vgg = small_vgg(dagir, layers)
    with pytest.raises(ArgumentError, match="a layer, a model, a function or a Value, got 3"):
        dagir.replace(vgg, {"fc1": 3})
    with pytest.raises(ArgumentError, match="'image' is no layer of model 'small_vgg' itself"):
        dagir.replace(vgg, {"image": ops.relu})
    with pytest.raises(ArgumentError, match=r"(?s)no layer or value 'fc3'.*did you mean fc1"):
        dagir.replace(vgg, {"fc3": ops.relu})
