"""`name:k` is Keras's call k of a shared layer or model: from memory, from a file, and wherever the model goes."""

from __future__ import annotations

import copy

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers as kl

import dagir
from dagir.display.layer_graph import anatomy

WIDTH = 3


def encoder():
    x = keras.Input((WIDTH,))
    return keras.Model(x, kl.Dense(WIDTH, activation="tanh", name="inner")(x), name="encoder")


def masked():
    x = keras.Input((WIDTH,))
    steps = kl.Masking()(kl.Reshape((1, WIDTH))(x))
    return keras.Model(x, kl.LSTM(WIDTH, name="memory")(steps), name="masked")


def stack():
    return keras.Sequential([keras.Input((WIDTH,)), kl.Dense(WIDTH, activation="tanh")], name="stack")


def shared():
    return {
        "proj": kl.Dense(WIDTH, activation="tanh", name="proj"),
        "norm": kl.LayerNormalization(name="norm"),
        "encoder": encoder(),
        "masked": masked(),
        "stack": stack(),
    }


def drawn(data):
    """A model in which shared layers and models are called on this and that."""
    pool, layers = [keras.Input((WIDTH,), name=name) for name in ("left", "right")], shared()
    for _ in range(data.draw(st.integers(2, 6))):
        name = data.draw(st.sampled_from(sorted(layers)))
        pool.append(layers[name](pool[data.draw(st.integers(0, len(pool) - 1))]))
    order = data.draw(st.permutations(pool[2:]))
    kept = order[: data.draw(st.integers(1, len(order)))]
    joined = kl.Concatenate(name="join")([*kept, *pool[:2]])
    return keras.Model(pool[:2], kl.Dense(2, name="out")(joined))


def calls_of(model):
    """For each layer that is called in a model: what goes into and comes out of its calls, in Keras's order."""
    nodes = {id(node) for nodes in model._nodes_by_depth.values() for node in nodes}
    return {
        layer.name: [node for node in layer._inbound_nodes if id(node) in nodes]
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
    }


def known(model):
    """The number of a call among those of its layer, by its node."""
    return {id(node): place for nodes in calls_of(model).values() for place, node in enumerate(nodes)}


def source(tensor, numbers):
    layer, index, output = tensor._keras_history
    return f"{layer.name}[{numbers.get(id(layer._inbound_nodes[index]), 0)}][{output}]"


def check(judge, models):
    rng = np.random.default_rng(0)
    arrays = dict(zip(("left", "right"), rng.normal(size=(2, 2, WIDTH)).astype("float32"), strict=True))
    numbers = known(judge)
    for how, model in models.items():
        parts = {part.name: part for part in anatomy(model).parts}
        for name, nodes in calls_of(judge).items():
            if name in parts:
                found = [[str(source) for source in call.sources] for call in parts[name].calls]
                assert found == [[source(t, numbers) for t in node.input_tensors] for node in nodes], (how, name)
            if name not in shared():
                continue
            for place, node in enumerate(nodes):
                wanted = keras.Model(judge.inputs, [*node.outputs, judge.output])(list(arrays.values()))[0]
                features = dagir.extract(model, f"{name}:{place}")
                given = [arrays[name] for name in features.input_names]
                np.testing.assert_allclose(
                    dagir.lower(features)(*given), np.asarray(wanted), atol=1e-5, err_msg=f"{how} {name}:{place}"
                )


def ways(judge, folder):
    """The model by every way that a model takes into dagir, and within it."""
    judge.save(folder / "judge.keras")
    live = dagir.from_keras(judge)
    live.save(folder / "live.dagir")
    found = {"live": live, "file": dagir.from_keras(folder / "judge.keras"), "dagir": dagir.load(folder / "live.dagir")}
    found["copy"] = copy.deepcopy(found["file"])
    found["configuration"] = dagir.Model.from_config(live.get_config())
    found["configuration"].set_weights(live.get_weights())
    found["part"] = dagir.extract(live, ["out"], inputs=["left", "right"])
    return found


@given(data=st.data())
def test_calls_of_shared_layers_and_models(data, tmp_path_factory):
    judge = drawn(data)
    models = ways(judge, tmp_path_factory.mktemp("calls"))
    how = data.draw(st.sampled_from(sorted(models)))
    check(judge, {how: models[how]})


def siamese(backwards):
    left, right = keras.Input((WIDTH,), name="left"), keras.Input((WIDTH,), name="right")
    layers = shared()
    towers = [layers["proj"](layers["encoder"](layers["masked"](x))) for x in (left, right)]
    return keras.Model(
        [left, right], kl.Dense(2, name="out")(kl.Concatenate(name="join")(towers[::-1] if backwards else towers))
    )


@pytest.mark.parametrize("backwards", [False, True])
def test_towers(backwards, tmp_path):
    judge = siamese(backwards)
    models = ways(judge, tmp_path)
    check(judge, models)
    for how, model in models.items():
        for place, name in enumerate(("left", "right")):
            for path in ("encoder", "encoder/inner", "masked/memory"):
                assert dagir.extract(model, f"{path}:{place}").input_names == [name], (how, path, place)
        # an opened model still knows which call is which
        opened = dagir.extract(model, ["encoder/inner:1", "out"])
        assert dagir.extract(opened, "proj:0").input_names == ["left"]
        assert dagir.extract(opened, "proj:1").input_names == ["right"]


def test_layers_written_here_are_numbered_as_they_were_called():
    left, right = dagir.Input((3,), name="left"), dagir.Input((3,), name="right")

    class Block(dagir.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = dagir.layers.Dense(3, name="dense")

        def call(self, x):
            return self.dense(x) + self.dense(x * 2)

    block = Block(name="block")
    first, second = block(left), block(right)
    model = dagir.Model([left, right], [second, first])
    names = [dagir.extract(model, f"block/dense:{k}").input_names for k in range(4)]
    assert names == [["left"], ["left"], ["right"], ["right"]]
    assert [dagir.extract(model, f"block:{k}").input_names for k in range(2)] == [["left"], ["right"]]
