"""Keras models read from their files: what comes out computes what Keras computes, under the same names."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import warnings

import keras
import numpy as np
import pytest

import dagir
from convert.zoo import ZOO, build, feeds
from dagir.ir.arrays import release
from resident import needs_proc, printed


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Each model with its files, made once."""
    folder = tmp_path_factory.mktemp("zoo")
    known: dict[str, tuple[keras.Model, dict[str, str]]] = {}

    def get(name):
        if name not in known:
            made = build(name)
            paths = {suffix: str(folder / f"{name}.{suffix}") for suffix in ("keras", "h5")}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made.save(paths["keras"])
                made.save(paths["h5"])
            known[name] = made, paths
        return known[name]

    return get


def outputs_of(made, x):
    return [np.asarray(y) for y in keras.tree.flatten(made(x, training=False))]


def assert_same(read, made, x, tolerance=1e-5):
    ours = dagir.lower(read, "numpy")(x if not isinstance(x, (list, tuple)) else list(x))
    expected, found = outputs_of(made, x), [np.asarray(y) for y in keras.tree.flatten(ours)]
    assert len(expected) == len(found)
    for theirs, mine in zip(expected, found, strict=True):
        assert mine.shape == theirs.shape
        assert mine.dtype == theirs.dtype
        scale = max(1.0, float(np.abs(theirs.astype("float64")).max())) if theirs.size else 1.0
        np.testing.assert_allclose(mine.astype("float64"), theirs.astype("float64"), rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("name", ZOO)
def test_a_file_computes_what_keras_computes(saved, name, suffix):
    made, paths = saved(name)
    if (name, suffix) == ("lookups", "h5"):  # .h5 keeps no vocabulary that was adapted: Keras cannot read it either
        with pytest.raises(dagir.errors.UnsupportedLayer, match="has no vocabulary"):
            dagir.from_keras(paths[suffix])
        return
    read = dagir.from_keras(paths[suffix])
    tolerance = 2e-3 if name == "half" else 1e-5
    for batch in (1, 3):
        assert_same(read, made, feeds(made, batch), tolerance)


@pytest.mark.parametrize("name", ZOO)
def test_a_live_model_computes_what_keras_computes(saved, name):
    made, _ = saved(name)
    read = dagir.from_keras(made)
    assert read.name == made.name
    assert_same(read, made, feeds(made, 3), 2e-3 if name == "half" else 1e-5)
    assert [w.shape for w in read.weights] == [tuple(w.shape) for w in made.weights]
    if name != "shared_layer":
        assert {i.name for i in read.inputs} == {i._keras_history.operation.name for i in made.inputs}


@pytest.mark.parametrize("name", ZOO)
def test_names_types_and_weights_are_those_of_the_file(saved, name):
    made, paths = saved(name)
    read = dagir.from_keras(paths["keras"])
    assert read.name == made.name
    assert [layer.name for layer in read.layers] == [layer.name for layer in made.layers if layer.name in _names(read)]
    assert _names(made) <= _names(read)
    any_batch = isinstance(made, keras.Sequential)  # which its first call builds, and Keras calls on any other batch
    assert {v.name: (v.shape, str(v.dtype)) for v in read.inputs} == {
        v._keras_history.operation.name: ((None, *v.shape[1:]) if any_batch else tuple(v.shape), v.dtype)
        for v in made.inputs
    }
    assert read.count_params() == made.count_params()
    assert [w.shape for w in read.weights] == [tuple(w.shape) for w in made.weights]
    for mine, theirs in zip(read.weights, made.weights, strict=True):
        np.testing.assert_array_equal(mine.array, np.asarray(theirs))
    assert [w.shape for w in read.trainable_weights] == [tuple(w.shape) for w in made.trainable_weights]


def _names(made):
    return {layer.name for layer in made.layers}


def test_weights_are_parts_of_the_mapped_file(saved):
    _, paths = saved("residual")
    for suffix in ("keras", "h5"):
        for weight in dagir.from_keras(paths[suffix]).weights:
            assert not weight.array.flags.owndata
            assert not weight.array.flags.writeable


MEMORY = """
import sys, dagir, dagir_keras.reading.files.hdf5, dagir_onnx
from resident import forget_peak, resident
start = forget_peak()
model = dagir.from_keras(sys.argv[1])
dagir.to_onnx(model, sys.argv[2])
print((resident("VmHWM") - start) / sum(weight.array.nbytes for weight in model.weights))
"""


@needs_proc
def test_a_file_is_converted_in_less_memory_than_its_weights(tmp_path):
    x = keras.Input((16, 16, 256))
    y = x
    for _ in range(24):
        y = keras.layers.BatchNormalization()(keras.layers.Conv2D(256, 3, padding="same", kernel_initializer="ones")(y))
    keras.Model(x, y).save(tmp_path / "net.keras")
    assert float(printed(MEMORY, tmp_path / "net.keras", tmp_path / "net.onnx")) < 0.8


def test_what_is_let_go_of_comes_back(tmp_path):
    numbers = np.arange(1 << 15, dtype="float32")
    numbers.tofile(tmp_path / "numbers")
    mapped = np.memmap(tmp_path / "numbers", "float32", mode="r")
    for view in (mapped, mapped[5:-9], mapped.reshape(64, -1).T):
        before = np.array(view)
        release(view)
        np.testing.assert_array_equal(view, before)
    private = np.memmap(tmp_path / "numbers", "float32", mode="c")
    private[:] = 1  # of this process alone: the file would give the old numbers back
    release(private)
    assert (private == 1).all()


def test_shared_weights_are_one_parameter(saved):
    _, paths = saved("nested_models")
    read = dagir.from_keras(paths["keras"])
    assert len(read.weights) == 4
    assert read.get_layer("inner") is read.get_layer("middle").get_layer("inner")


def test_dicts_keep_their_names_and_order(saved):
    _, paths = saved("dict_inputs_and_outputs")
    read = dagir.from_keras(paths["keras"])
    assert read.input_names == ["zebra", "ant"]
    assert read.output_names == ["score", "again", "between"]
    _, paths = saved("shared_layer")
    read = dagir.from_keras(paths["keras"])
    assert read.input_names == ["right", "left"]
    assert read.output_names == ["difference"]


def test_raw_operations_bear_their_names(saved):
    made, paths = saved("raw_operations")
    read = dagir.from_keras(paths["keras"])
    assert read.output_names == made.output_names


def test_a_frozen_layer_stays_frozen(saved):
    _, paths = saved("frozen")
    read = dagir.from_keras(paths["keras"])
    assert not read.get_layer("keep").trainable
    assert read.get_layer("train").trainable


@pytest.mark.parametrize("name", ["residual", "masks_through_layers", "late_built", "raw_operations"])
def test_a_file_read_twice_becomes_the_same_bytes(saved, name):
    _, paths = saved(name)
    first, second = (
        dagir.to_onnx(dagir.from_keras(paths["keras"])).SerializeToString(deterministic=True) for _ in range(2)
    )
    assert first == second


def test_what_training_needs_reaches_keras_again(saved):
    _, paths = saved("initializers")
    again = dagir.to_keras(dagir.from_keras(paths["keras"]))
    kinds = [type(layer.kernel_initializer).__name__ for layer in again.layers[-5:]]
    assert kinds == ["VarianceScaling", "Orthogonal", "TruncatedNormal", "Constant", "GlorotUniform"]
    assert type(again.layers[-2].kernel_regularizer).__name__ == "L1L2"


def test_mixed_precision_computes_in_the_float32_of_its_weights(tmp_path):
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, dtype="mixed_float16")])
    made.save(tmp_path / "m.keras")
    read = dagir.from_keras(tmp_path / "m.keras")
    assert read.outputs[0].dtype == "float32"
    x = np.linspace(-1, 1, 8, dtype="float32").reshape(2, 4)
    kernel, bias = (np.asarray(w) for w in made.weights)
    np.testing.assert_allclose(dagir.lower(read)(x), x @ kernel + bias, atol=1e-6)


def test_a_file_becomes_onnx_without_tensorflow(saved, tmp_path):
    _, paths = saved("residual")
    script = f"""
        import sys
        from dagir_convert.command_line import app
        for verify in ("--no-verify", "--verify"):
            try:
                app(["convert", {paths["keras"]!r}, {str(tmp_path / "m.onnx")!r}, "--force", verify])
            except SystemExit as done:
                assert done.code == 0, done.code
            heavy = {{name.partition(".")[0] for name in sys.modules}} & {{"tensorflow", "keras", "torch", "jax"}}
            assert not heavy, heavy
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=120)
