"""Scenarios 4 and 19: kept in one file and restored from it; weights alone, and the architecture alone."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import dagir
from dagir import layers
from dagir.ir.nest import flatten
from guide import autoencoder, custom_layers, ensemble, mnist, shared_embedding, tickets, toy_resnet
from guide.test_networks import feeds, randomize

NETWORKS = [mnist, autoencoder, ensemble, tickets, toy_resnet, shared_embedding]
by_name = pytest.mark.parametrize("network", NETWORKS, ids=lambda module: module.__name__.rsplit(".", 1)[-1])


def save_delete_restore(K, load, path):
    """The guide's steps, for either namespace: the predictions before, those after, and the losses that follow."""
    model = mnist.build(K, K.layers)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 784)).astype("float32"), rng.integers(0, 10, 64)
    model.set_weights([rng.normal(0, 0.1, weight.shape) for weight in model.weights])
    model.compile(optimizer="rmsprop", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=16, shuffle=False, verbose=0)
    before = np.asarray(model.predict(x))
    model.save(path)
    del model
    model = load(path)
    after = np.asarray(model.predict(x))
    losses = model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0).history
    return before, after, losses


def test_saved_deleted_and_restored_as_in_keras(tmp_path):
    theirs = save_delete_restore(keras, keras.models.load_model, tmp_path / "m.keras")
    ours = save_delete_restore(dagir, dagir.load, tmp_path / "m.dagir")
    for before, after, _ in (theirs, ours):
        np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-4, atol=1e-6)
    for key, values in theirs[2].items():
        np.testing.assert_allclose(ours[2][key], values, rtol=1e-4, err_msg=key)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.dagir", "m.keras"]


def answers(model, arrays):
    return flatten(dagir.lower(model, "numpy")(arrays))


def assert_same(first, second, arrays):
    for got, want in zip(answers(first, arrays), answers(second, arrays), strict=True):
        np.testing.assert_array_equal(got, want)


@by_name
def test_json_holds_the_architecture_and_a_safetensors_file_the_weights(network, tmp_path):
    model = network.model()
    randomize(model)
    model.save_weights(tmp_path / "w.safetensors")
    text = model.to_json()
    again = dagir.model_from_json(text)
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    assert again.signature == model.signature
    assert again.to_json() == text
    again.load_weights(tmp_path / "w.safetensors")
    assert_same(again, model, feeds(model, {"batch": 3, "time": 5}))
    tensors = load_file(tmp_path / "w.safetensors")
    assert len(tensors) == len(model.weights)
    np.testing.assert_array_equal(tensors[model.weights[0].name], model.weights[0].array)


def test_weights_find_a_model_whose_default_names_are_others(tmp_path):
    model, other = mnist.model(), mnist.model()
    randomize(model)
    assert [weight.name for weight in other.weights] != [weight.name for weight in model.weights]
    model.save_weights(tmp_path / "w.safetensors")
    other.load_weights(tmp_path / "w.safetensors")
    assert_same(other, model, feeds(model, {"batch": 2, "time": 1}))


def small(units=3):
    x = dagir.Input((4,), name="x")
    return dagir.Model(x, layers.Dense(units, name="head")(x))


def test_weights_that_do_not_fit_are_one_error_and_change_nothing(tmp_path):
    path, model = tmp_path / "w.safetensors", small()
    before = [array.copy() for array in model.get_weights()]

    def refused(summary, remedy=""):
        with pytest.raises(dagir.FileError) as caught:
            model.load_weights(path)
        assert caught.value.summary == f"{path}: {summary}" and remedy in (caught.value.remedy or "")
        for weight, array in zip(model.weights, before, strict=True):
            np.testing.assert_array_equal(weight.array, array)

    refused("there is no such file")
    small(5).save_weights(path)
    refused("head/kernel: is float32[4, 5], the model's weight is float32[4, 3]")
    save_file({"heads/kernel": np.ones((4, 3), "float32"), "head/bias": np.ones(3, "float32")}, path)
    refused("has no weight 'head/kernel'", "heads/kernel is in the file")
    tensors = {"head/kernel": np.ones((4, 3), "float32"), "head/bias": np.ones(3, "float32")}
    save_file({**tensors, "more": np.ones(1)}, path)
    refused("holds 'more', which is no weight of the model")
    save_file({**tensors, "head/bias": np.ones(3)}, path)
    refused("head/bias: is float64[3], the model's weight is float32[3]")
    path.write_bytes(path.read_bytes()[:-1])
    refused("head/kernel: is truncated: its bytes end at 72, the file has 71")
    with pytest.raises(dagir.ArgumentError, match=r"kept in a \.safetensors file, got 'w\.npz'"):
        model.load_weights("w.npz")
    with pytest.raises(dagir.FileError, match="exists already"):
        model.save_weights(path, overwrite=False)


def test_json_with_custom_layers_needs_their_classes():
    model = custom_layers.custom_dense(dagir, layers)
    text = model.to_json(indent=2)
    with pytest.raises(dagir.ArgumentError, match="class CustomDense, which is not known"):
        dagir.model_from_json(text)
    again = dagir.model_from_json(text, custom_objects={"CustomDense": custom_layers.dense_class(dagir)})
    again.set_weights(model.get_weights())
    assert_same(again, model, feeds(model, {"batch": 3, "time": 1}))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "JSON: is no valid JSON"),
        ("[1, 2]", "it is a list"),
        ("{}", "'layers'"),
        ('{"layers": [], "model": 0}', "the configuration is damaged"),
        ('{"layers": 3, "model": 0}', "TypeError"),
        ('{"model": 0, "model": 1}', "the key 'model' stands twice"),
        ("[" * 100_000, "the JSON is nested too deep"),
        (
            '{"layers": [{"class": "os.system", "name": "x", "config": {}}], "model": 0}',
            "os.system, which is not known",
        ),
    ],
)
def test_json_of_something_else_is_one_error(text, problem):
    with pytest.raises(dagir.ArgumentError) as caught:
        dagir.model_from_json(text)
    assert problem in caught.value.summary


def test_json_is_plain_data():
    data = json.loads(mnist.model().to_json())
    assert data["name"] == "mnist_model"
    assert [record["class"] for record in data["layers"]] == ["Dense", "Dense", "Dense", "Model"]
