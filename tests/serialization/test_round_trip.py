"""What is saved and loaded computes the same numbers, with the same sharing, names and structures."""

from __future__ import annotations

import numpy as np
import pytest
import safetensors
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import layers, ops, testing
from dagir.ir.graph import Op
from dagir.ir.nest import flatten, map_structure
from dagir.ir.rewriter import same_op
from dagir.modeling.model import Model
from guide import autoencoder, ensemble, mnist, shared_embedding, tickets, toy_resnet

OPS = sorted(
    (cls for cls in vars(ops).values() if isinstance(cls, type) and issubclass(cls, Op) and cls is not ops.Call),
    key=lambda cls: cls.__name__,
)


def again(model, path, **options):
    model.save(path)
    return dagir.load(path, **options)


def feeds(model, batch=3, seed=0):
    rng = np.random.default_rng(seed)
    shapes = [[size if isinstance(size, int) else batch for size in value.type.shape] for value in model.inputs]
    return [rng.normal(size=shape).astype(v.dtype.numpy) for shape, v in zip(shapes, model.inputs, strict=True)]


def run(model, arrays, backend="numpy"):
    named = dict(zip(model.input_names, arrays, strict=True))
    return dagir.lower(model, backend)(named)


def test_the_networks_of_the_guide(tmp_path):
    for network in (autoencoder, ensemble, mnist, shared_embedding, tickets, toy_resnet):
        model = network.model()
        loaded = again(model, tmp_path / "m.dagir")
        assert described(loaded) == described(model)
        assert all(type(a) is type(b) for a, b in zip(model.layers, loaded.layers, strict=True))


def assert_same(first, second, backend="numpy"):
    arrays = feeds(first)
    wanted, found = run(first, arrays, backend), run(second, arrays, backend)
    assert map_structure(lambda _: None, wanted) == map_structure(lambda _: None, found)
    for a, b in zip(flatten(wanted), flatten(found), strict=True):
        np.testing.assert_array_equal(a, b)


def described(model):
    """All that is seen of a model from outside."""
    return {
        "name": model.name,
        "inputs": model.signature.inputs,
        "outputs": model.signature.outputs,
        "layers": [(type(layer).__name__, layer.name, layer.trainable) for layer in model.layers],
        "weights": [(weight.name, weight.type, weight.trainable) for weight in model.weights],
        "text": str(model.graph),
    }


@st.composite
def small_models(draw, depth=1):
    """Several inputs and outputs, shared layers, shared values, nested models, dicts, lists and tuples."""
    sources = [dagir.Input((draw(st.integers(1, 4)),), name=f"in{depth}_{i}") for i in range(draw(st.integers(1, 3)))]
    pool = list(sources)
    made = []
    for _ in range(draw(st.integers(1, 6))):
        x = draw(st.sampled_from(pool))
        step = draw(st.sampled_from([dense, shared, joined, summed, constant, reshaped, nested]))
        pool.append(step(draw, x, pool, made, depth))
    outputs = list(dict.fromkeys(draw(st.lists(st.sampled_from(pool[len(sources) :]), min_size=1, max_size=3))))
    structure = draw(
        st.sampled_from(
            [
                outputs,
                tuple(outputs),
                {f"out{i}": value for i, value in enumerate(outputs)},
                [outputs[0], {"more": tuple(outputs)}],
                outputs[0],
            ]
        )
    )
    needed = dagir.Graph(sources, flatten(structure)).nodes
    read = {value for node in needed for value in node.inputs} | set(flatten(structure))
    inputs = [value for value in sources if value in read]
    inputs = {f"feed{i}": value for i, value in enumerate(inputs)} if depth and draw(st.booleans()) else inputs
    model = Model(inputs, structure, trainable=draw(st.booleans()))
    for weight in model.weights:
        weight.assign(np.random.default_rng(len(weight.name)).normal(size=weight.shape))
    return model


def dense(draw, x, pool, made, depth):
    activation = draw(st.sampled_from([None, "tanh", "gelu", ops.sigmoid]))
    made.append((x.shape[-1], layers.Dense(draw(st.integers(1, 4)), activation, use_bias=draw(st.booleans()))))
    return made[-1][1](x)


def shared(draw, x, pool, made, depth):
    fitting = [layer for size, layer in made if size == x.shape[-1]]
    return draw(st.sampled_from(fitting))(x) if fitting else dense(draw, x, pool, made, depth)


def joined(draw, x, pool, made, depth):
    return ops.concatenate([x, draw(st.sampled_from(pool))], -1)


def summed(draw, x, pool, made, depth):
    return x * draw(st.sampled_from([other for other in pool if other.type == x.type]))


def constant(draw, x, pool, made, depth):
    return ops.clip(x, -np.inf, draw(st.floats(-1, 1, width=32))) + np.arange(x.shape[-1], dtype="float32")


def reshaped(draw, x, pool, made, depth):
    return ops.reshape(ops.expand_dims(x, 1), (-1, x.shape[-1]))


def nested(draw, x, pool, made, depth):
    if depth == 0:
        return ops.relu(x)
    source = dagir.Input((x.shape[-1],))
    model = Model(source, layers.Dense(3)(layers.Dense(2, "relu")(source)))
    result = model(x)
    return result + model(x * 2) if draw(st.booleans()) else result


@given(model=small_models())
def test_a_drawn_model_comes_back(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("drawn") / "model.dagir"
    loaded = again(model, path)
    assert described(loaded) == described(model)
    assert_same(model, loaded)
    twice = again(loaded, path)
    assert described(twice) == described(model)
    assert_same(model, twice)
    with safetensors.safe_open(path, framework="np") as file:  # the library reads what was written
        for name in file.keys():  # noqa: SIM118  # not a dict
            file.get_tensor(name)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)
def test_every_op_comes_back(op, tmp_path):
    if op not in testing.covered():
        pytest.skip("no strategy yet")

    @given(st.data())
    def comes_back(data):
        graph, _ = data.draw(testing.cases(op)).graph()
        if not graph.inputs:
            return
        model = Model(list(graph.inputs), list(graph.outputs))
        loaded = again(model, tmp_path / "op.dagir")
        pairs = zip(loaded.graph.nodes, graph.nodes, strict=True)
        assert all(same_op(found.op, wanted.op) for found, wanted in pairs)
        assert [value.type for value in loaded.outputs] == [value.type for value in graph.outputs]

    comes_back()


@pytest.mark.parametrize("backend", ["numpy", "onnx"])
def test_backends_run_what_was_loaded(backend, tmp_path):
    x = dagir.Input(("time", 3), name="x")
    hidden = layers.Dense(5, "relu")(x)
    model = Model(x, {"y": layers.Dense(2)(hidden), "mean": hidden[:, 0] * 2})
    assert_same_times(model, again(model, tmp_path / "m.dagir"), backend)


def assert_same_times(first, second, backend):
    for batch, time in ((1, 7), (3, 2)):
        array = np.random.default_rng(0).normal(size=(batch, time, 3)).astype("float32")
        for key, wanted in dagir.lower(first, backend)(array).items():
            np.testing.assert_array_equal(dagir.lower(second, backend)(array)[key], wanted)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_every_float_dtype_of_weights(dtype, tmp_path):
    x = dagir.Input((3,), dtype=dtype)
    model = Model(x, layers.Dense(4, dtype=dtype)(x))
    loaded = again(model, tmp_path / "m.dagir")
    for old, new in zip(model.weights, loaded.weights, strict=True):
        assert new.dtype == dtype and new.array.dtype == old.array.dtype
        assert old.array.tobytes() == new.array.tobytes()


@pytest.mark.parametrize("dtype", [dtype for dtype in dagir.DType if dtype is not dagir.DType.STRING])
def test_every_dtype_of_constants(dtype, tmp_path):
    x = dagir.Input((3,), dtype=dtype)
    held = np.asarray([0, 1, 1]).astype(dtype.numpy)
    model = Model(x, ops.where(np.array([True, False, True]), x, held))
    loaded = again(model, tmp_path / "m.dagir")
    assert any(held.tobytes() == c.array.tobytes() and c.array.dtype == held.dtype for c in loaded.graph.constants)


def test_weights_are_mapped_shared_and_assignable(tmp_path):
    x = dagir.Input((4,))
    layer = layers.Dense(4)
    model = Model(x, layer(layer(x)))
    path = tmp_path / "m.dagir"
    loaded = again(model, path)
    kernel = loaded.get_layer("dense").kernel
    assert len(loaded.weights) == 2 and loaded.graph.parameters[0] is kernel
    assert not kernel.array.flags.owndata and not kernel.array.flags.writeable
    kernel.assign(np.ones((4, 4)))
    loaded.save(path)  # over the file that the other weights are mapped from
    once_more = dagir.load(path)
    np.testing.assert_array_equal(once_more.get_layer("dense").kernel.array, np.ones((4, 4)))


def test_nested_models_and_extraction_stay_shared(tmp_path):
    source = dagir.Input((3,))
    encoder = Model(source, layers.Dense(2, name="code")(source), name="encoder")
    a, b = dagir.Input((3,), name="a"), dagir.Input((3,), name="b")
    model = Model([a, b], encoder(a) + encoder(b))
    loaded = again(model, tmp_path / "m.dagir")
    inner = loaded.get_layer("encoder")
    calls = [node.op for node in loaded.graph.nodes if isinstance(node.op, ops.Call)]
    assert type(inner) is Model and all(call.graph is inner.graph for call in calls) and len(calls) == 2
    assert inner.get_layer("code").kernel in loaded.weights
    cut = dagir.extract(loaded, "encoder:1")
    assert cut.input_names == ["b"]
    assert_same(cut, again(cut, tmp_path / "cut.dagir"))


def test_a_model_cut_in_the_middle(tmp_path):
    x = dagir.Input((3,))
    hidden = layers.Dense(4)(x)
    tail = Model(hidden, layers.Dense(2)(ops.relu(hidden)))
    assert_same(tail, again(tail, tmp_path / "m.dagir"))


def test_sequential_stays_sequential(tmp_path):
    model = dagir.Sequential([dagir.Input((3,)), layers.Dense(4, "relu"), layers.Dense(2)])
    loaded = again(model, tmp_path / "m.dagir")
    assert type(loaded) is dagir.Sequential
    assert_same(model, loaded)
    loaded.pop()
    assert loaded.output.shape == (None, 4)


def test_a_sequential_built_inside_another_model(tmp_path):
    inner = dagir.Sequential([layers.Dense(4), layers.Dense(2)])
    x = dagir.Input((3,))
    model = Model(x, inner(x))
    loaded = again(model, tmp_path / "m.dagir")
    assert described(loaded) == described(model)
    assert_same(model, loaded)


def test_masks_locations_and_unused_outputs_are_kept(tmp_path):
    ids = dagir.Input((None,), dtype="int32")
    embedded = layers.Embedding(5, 2, mask_zero=True)(ids)
    model = Model(ids, embedded)
    loaded = again(model, tmp_path / "m.dagir")
    assert loaded.output.mask is not None
    mask = Model(loaded.input, loaded.output.mask).predict(np.array([[1, 0, 3]], "int32"))
    np.testing.assert_array_equal(mask, [[True, False, True]])
    assert loaded.graph.nodes[0].location.short == model.graph.nodes[0].location.short
    assert loaded.graph.nodes[0].location.file == "test_round_trip.py"


def test_a_chain_of_100_000_nodes(tmp_path):
    x = dagir.Input((2,))
    y = x
    for _ in range(100_000):
        y = ops.relu(y)
    loaded = again(Model(x, y), tmp_path / "m.dagir")
    assert len(loaded.graph.nodes) == 100_000


def test_loaded_models_become_real_keras_layers(tmp_path):
    keras = pytest.importorskip("keras")
    x = dagir.Input((3,))
    shared_layer = layers.Dense(3, "relu")
    model = Model(x, layers.Dense(2, "softmax")(shared_layer(shared_layer(x))))
    loaded = again(model, tmp_path / "m.dagir")
    native = dagir.lower(loaded, "keras").artifact
    assert [type(layer) for layer in native.layers] == [keras.layers.InputLayer, keras.layers.Dense, keras.layers.Dense]
    array = feeds(model)[0]
    np.testing.assert_allclose(native.predict(array, verbose=0), run(model, [array]), atol=1e-6)
