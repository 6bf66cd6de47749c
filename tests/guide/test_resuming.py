"""Scenario 4: architecture, weights, training configuration and optimizer state in one file; fit goes on from there."""

from __future__ import annotations

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

import dagir
from dagir import layers
from dagir.modeling.training import TrainingState

GO_ON = """
import json, sys
import numpy as np
import dagir
model = dagir.load(sys.argv[1])
data = np.load(sys.argv[2])
model.fit(data["x"], data["y"], epochs=2, shuffle=False, verbose=0)
np.savez(sys.argv[3], *[weight.array for weight in model.weights])
print(json.dumps(model.evaluate(data["x"], data["y"], verbose=0)))
"""


class Scale(dagir.Layer):
    """A custom layer, whose class the other process does not have."""

    def build(self, input_shape):
        self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")

    def call(self, inputs):
        return inputs * self.factor


def network(custom=False):
    x = dagir.Input((8,), name="x")
    y = layers.BatchNormalization()(layers.Dense(16, activation="relu", kernel_initializer="he_normal")(x))
    y = layers.Dropout(0.3, seed=11)(y)
    if custom:
        y = Scale()(y)
    return dagir.Model(x, layers.Dense(3, activation="softmax")(y), name="resumed")


def compiled(model, optimizer="adam"):
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 96)
    arrays = {"x": (rng.normal(size=(96, 8)) + y[:, None]).astype("float32"), "y": y}
    np.savez(tmp_path / "data.npz", **arrays)
    return arrays


@pytest.mark.parametrize("custom", [False, True], ids=["built-in", "custom"])
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_two_epochs_saved_and_two_more_elsewhere_are_four(data, tmp_path, optimizer, custom):
    start = network(custom)
    straight, interrupted = compiled(start, optimizer), network(custom)
    interrupted.set_weights(start.get_weights())
    compiled(interrupted, optimizer)

    straight.fit(data["x"], data["y"], epochs=4, shuffle=False, verbose=0)
    interrupted.fit(data["x"], data["y"], epochs=2, shuffle=False, verbose=0)
    interrupted.save(tmp_path / "half.dagir")
    paths = [str(tmp_path / name) for name in ("half.dagir", "data.npz", "whole.npz")]
    done = subprocess.run([sys.executable, "-c", GO_ON, *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    resumed = np.load(paths[2])
    for place, weight in enumerate(straight.weights):
        np.testing.assert_array_equal(resumed[f"arr_{place}"], weight.array, err_msg=weight.name)
    assert json.loads(done.stdout.splitlines()[-1]) == straight.evaluate(data["x"], data["y"], verbose=0)


def test_a_model_that_was_compiled_and_never_trained_keeps_how(data, tmp_path):
    compiled(network(), keras.optimizers.SGD(0.25, momentum=0.5)).save(tmp_path / "m.dagir")
    loaded = dagir.load(tmp_path / "m.dagir")
    loaded.fit(data["x"], data["y"], verbose=0)
    assert float(loaded._trainer.model.optimizer.momentum) == 0.5


def test_loading_imports_no_framework(tmp_path):
    compiled(network()).save(tmp_path / "m.dagir")
    code = "import sys, dagir; dagir.load(sys.argv[1]); print('keras' in sys.modules, 'tensorflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "m.dagir")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False False"


def test_a_configuration_that_names_anything_else_is_refused(data):
    model = network()
    evil = {"module": "os", "class_name": "system", "config": "true"}
    model.restore_training(TrainingState("keras", {"optimizer": evil, "loss": "mse"}, ()))
    with pytest.raises(dagir.FileError, match=r"names os\.system, which is none of Keras's"):
        model.fit(data["x"], data["y"])


def test_an_optimizer_state_of_another_optimizer_is_refused(data):
    model = compiled(network(), "adam")
    model.fit(data["x"], data["y"], verbose=0)
    other = network()
    state = model.training_state
    other.restore_training(TrainingState("keras", state.config, state.arrays[:-3]))
    with pytest.raises(dagir.FileError, match="not that of this model's optimizer"):
        other.fit(data["x"], data["y"])
