"""A layer of dagir's beside Keras's own with the same weights, on the same inputs."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np

import dagir
from dagir import layers
from dagir.ir.nest import flatten
from dagir.testing import assert_close, assert_equivalent


def randomize(holder, seed=0):
    """Draw every weight, so that none is left at 0 or 1."""
    rng = np.random.default_rng(seed)
    for weight in holder.weights:
        low = 0.2 if "variance" in weight.name else -0.7
        weight.assign(rng.uniform(low, 0.7, weight.shape))


def model_over(layer, shapes, mask=False, states=(), dtype="float32"):
    """A model of one layer, over a batch of any size; None in a shape is a size of its own name."""
    x = dagir.Input(shapes, name="x", dtype=dtype)
    inputs, more = [x], {}
    if mask:
        inputs.append(dagir.Input((x.type.shape[1],), dtype="bool", name="mask"))
        more["mask"] = inputs[-1]
    if states:
        more["initial_state"] = [dagir.Input(shape, name=f"s{i}") for i, shape in enumerate(states)]
        inputs.extend(more["initial_state"])
    model = dagir.Model(inputs, layer(x, **more))
    randomize(layer)
    return model


def compare(make, shape, x, mask=None, states=(), theirs=None):
    """make: from dagir.layers or keras.layers to the layer. All backends agree with Keras's own. Returns the model."""
    ours, judge = make(layers), (theirs or make)(keras.layers)
    model = model_over(ours, shape, mask is not None, [state.shape[1:] for state in states])
    more = {} if mask is None else {"mask": mask}
    if states:
        more["initial_state"] = [keras.ops.convert_to_tensor(state) for state in states]
    want = judge(x, **more)  # builds it
    assert [w.shape for w in judge.weights] == [w.shape for w in ours.weights]
    judge.set_weights(ours.get_weights())
    want = [np.asarray(leaf) for leaf in keras.tree.flatten(judge(x, **more))]
    feeds = [x, *([] if mask is None else [mask]), *states]
    oracle = flatten(dagir.lower(model, "numpy", precision="float64")(feeds))
    for place, (expected, found) in enumerate(zip(want, oracle, strict=True)):
        assert_close(expected, found, f"Keras's own layer, output {place}")
    assert_equivalent(model, feeds)
    return model


def op_types(model, **options):
    """The types of the nodes of the ONNX graph."""
    return [node.op_type for node in dagir.lower(model, "onnx", **options).artifact.graph.node]


def same_paths(make, shape):
    """Weights have Keras's paths and order, with Keras's default names."""
    keras.utils.clear_session()
    dagir.clear_session()
    ours, theirs = make(layers), make(keras.layers)
    ours(dagir.Input(shape))
    theirs(keras.Input(shape))
    assert [w.name for w in ours.weights] == [w.path for w in theirs.weights]


def survives(model, feeds, tmp_path, custom=None, from_graph=True):
    """The model comes back from a file, from its configuration and as a clone; Keras saves what it became."""
    want = flatten(dagir.lower(model, "numpy")(feeds))
    model.save(tmp_path / "m.dagir")
    for objects in ([None] if from_graph else []) + [custom]:
        again = dagir.load(tmp_path / "m.dagir", custom_objects=objects)
        assert [weight.name for weight in again.weights] == [weight.name for weight in model.weights]
        for found, expected in zip(flatten(dagir.lower(again, "numpy")(feeds)), want, strict=True):
            assert np.array_equal(found, expected)
        assert_equivalent(again, feeds, ("keras",))
    others = [dagir.clone(model), dagir.Model.from_config(model.get_config(), custom_objects=custom)]
    for other in others:
        for weight, source in zip(other.weights, model.weights, strict=True):
            weight.assign(source.array)
        for found, expected in zip(flatten(dagir.lower(other, "numpy")(feeds)), want, strict=True):
            assert np.array_equal(found, expected)
    lowered = dagir.lower(model, "keras")
    lowered.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for found, expected in zip(keras.tree.flatten(loaded(feeds)), want, strict=True):
        assert_close(np.asarray(found), expected, "the .keras file")
