"""Training on several devices by tf.distribute: the same weights as on one, in a process that has two."""

from __future__ import annotations

import os
import subprocess
import sys

SCRIPT = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import numpy as np
import dagir
from dagir import layers

def network():
    x = dagir.Input((6,), name="x")
    y = layers.Dense(1)(layers.Dense(5, activation="tanh")(x))
    model = dagir.Model(x, y)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=each.shape).astype("float32") for each in model.weights])
    return model

def trained(model, strategy):
    with strategy.scope():
        model.compile("sgd", "mse")
    rows = np.random.default_rng(1).normal(size=(64, 6)).astype("float32")
    model.fit(rows, rows[:, :1] * 2, epochs=2, batch_size=16, shuffle=False, verbose=0)
    return model

mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert mirrored.num_replicas_in_sync == 2
together = trained(network(), mirrored)
alone = trained(network(), tf.distribute.get_strategy())
for one, two in zip(alone.get_weights(), together.get_weights(), strict=True):
    np.testing.assert_allclose(one, two, atol=1e-6)
assert not np.allclose(together.get_weights()[0], network().get_weights()[0], atol=1e-4)
assert dagir.verify(together, ("onnx",)).ok
"""


def test_two_devices_train_as_one():
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=600, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-2000:]
