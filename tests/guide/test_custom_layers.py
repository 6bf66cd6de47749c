"""Custom layers and mixing: one definition for Keras and dagir, the same numbers on every backend, and in files."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from dataclasses import dataclass

import numpy as np
import pytest

import dagir
from dagir import layers, ops
from dagir.errors import ArgumentError, BackendError
from dagir.ir.nest import flatten
from dagir.testing import assert_close
from guide import custom_layers as guide
from guide.test_networks import feeds, randomize

BACKENDS = ("numpy", "onnx", "keras")
NETWORKS = [
    guide.custom_dense,
    guide.rnn_around_a_model,
    guide.rnn_inside_a_model,
    guide.functional_perceptron,
    guide.subclassed_perceptron,
]


def check_everywhere(model, arrays=None, through_file=None):
    """All backends agree with the oracle; so does what Keras reads from a file. Returns the Keras model."""
    randomize(model)
    arrays = feeds(model, {"batch": 3, "time": 5}) if arrays is None else arrays
    expected = flatten(dagir.lower(model, "numpy", precision="float64")(arrays))
    made = {name: dagir.lower(model, name) for name in BACKENDS}
    for name, executable in made.items():
        for got, want in zip(flatten(executable(arrays)), expected, strict=True):
            assert_close(got, want, name)
    if through_file is not None:
        import keras

        made["keras"].save(through_file)
        loaded = keras.models.load_model(through_file)
        outputs = flatten(loaded(arrays if len(arrays) > 1 else arrays[0]))
        for got, want in zip(outputs, expected, strict=True):
            assert_close(np.asarray(got), want, "the loaded .keras file")
        assert len(loaded.trainable_weights) == len(made["keras"].artifact.trainable_weights)
    return made["keras"].artifact


@pytest.mark.parametrize("build", NETWORKS, ids=lambda build: build.__name__)
def test_the_same_class_in_keras_and_in_dagir(build, tmp_path):
    import keras

    keras.utils.clear_session()
    theirs = build(keras, keras.layers)
    dagir.clear_session()
    ours = build(dagir, layers)
    assert [weight.shape for weight in ours.weights] == [tuple(weight.shape) for weight in theirs.weights]
    assert ours.count_params() == theirs.count_params()
    assert [value.shape for value in ours.outputs] == [tuple(value.shape) for value in theirs.outputs]
    lowered = check_everywhere(ours, through_file=tmp_path / "m.keras")
    assert len(lowered.trainable_weights) == len(theirs.trainable_weights)
    theirs.set_weights(ours.get_weights())
    arrays = feeds(ours, {"batch": 3, "time": 5})
    assert_close(dagir.lower(ours, "numpy")(arrays), np.asarray(theirs(arrays[0])).astype("float64"), "Keras")


@pytest.mark.parametrize("build", NETWORKS, ids=lambda build: build.__name__)
def test_dagir_files_keep_custom_layers_without_their_classes(build, tmp_path):
    model = build(dagir, layers)
    randomize(model)
    model.save(tmp_path / "m.dagir")
    arrays = feeds(model, {"batch": 3, "time": 5})
    loaded = dagir.load(tmp_path / "m.dagir")
    np.testing.assert_array_equal(dagir.lower(loaded, "numpy")(arrays), dagir.lower(model, "numpy")(arrays))


# ---- scenario 12: the configuration


def test_the_configuration_restores_a_custom_layer_given_its_class():
    model = guide.custom_dense(dagir, layers)
    config = json.loads(json.dumps(model.get_config()))
    (record,) = [entry for entry in config["layers"] if entry["class"] == "CustomDense"]
    assert record["config"] == {"units": 10}
    again = dagir.Model.from_config(config, custom_objects={"CustomDense": guide.dense_class(dagir)})
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    assert [weight.shape for weight in again.weights] == [weight.shape for weight in model.weights]
    again.set_weights(model.get_weights())
    arrays = feeds(model, {"batch": 3, "time": 1})
    np.testing.assert_array_equal(dagir.lower(again, "numpy")(arrays), dagir.lower(model, "numpy")(arrays))
    with pytest.raises(ArgumentError, match=r"(?s)class CustomDense, which is not known.*custom_objects=") as caught:
        dagir.Model.from_config(config)
    assert "layer 'custom_dense'" in str(caught.value)
    with pytest.raises(ArgumentError, match=r"or is CustomDens or .*Dense meant"):
        dagir.Model.from_config(config, custom_objects={"CustomDens": guide.dense_class(dagir)})


def test_a_layer_that_hides_an_argument_says_so():
    class Hides(dagir.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)

        def call(self, x):
            return ops.relu(x)

        def get_config(self):
            return {}

    x = dagir.Input((3,))
    model = dagir.Model(x, Hides(3)(x))
    with pytest.raises(ArgumentError, match=r"(?s)Hides.*units"):
        dagir.Model.from_config(model.get_config(), custom_objects={"Hides": Hides})


class Wrapped(dagir.Layer):
    """Holds a layer that it was given, and one of its own."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner, self.out = inner, layers.Dense(2)

    def call(self, x):
        return self.out(self.inner(x))


def network_of_all_sorts():
    """Shared layers, nested and sequential models, raw ops, constants, a wrapped layer, dicts."""
    CustomDense = guide.dense_class(dagir)
    a, b = dagir.Input((4,), name="a"), dagir.Input(("time", 4), name="b")
    shared = layers.Dense(4, activation=ops.relu)
    inner_in = dagir.Input((4,))
    inner = dagir.Model(inner_in, shared(inner_in) * 2, name="inner")
    stack = dagir.Sequential([layers.Dense(4), layers.Dropout(0.5), CustomDense(4)], name="stack")
    summed = ops.sum(Wrapped(layers.LSTM(2))(b), axis=-1, keepdims=True)
    x = shared(inner(a)) + np.arange(4, dtype="float32") + inner(stack(a))
    return dagir.Model({"a": a, "b": b}, {"x": x, "y": layers.concatenate([x, summed])}, name="sorts")


@pytest.mark.parametrize("way", ["clone", "config"])
def test_clones_have_the_architecture_and_new_weights_and_share_what_was_shared(way):
    model = network_of_all_sorts()
    if way == "clone":
        again = dagir.clone(model)
    else:
        config = json.loads(json.dumps(model.get_config()))
        again = dagir.Model.from_config(
            config, custom_objects={"CustomDense": guide.dense_class(dagir), "Wrapped": Wrapped}
        )
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    assert [weight.shape for weight in again.weights] == [weight.shape for weight in model.weights]
    assert not set(again.weights) & set(model.weights)
    assert again.name == "sorts" and again.signature == model.signature
    kernel = next(i for i, w in enumerate(model.weights) if len(w.shape) == 2)
    assert not np.array_equal(again.weights[kernel].array, model.weights[kernel].array)
    randomize(model)
    again.set_weights(model.get_weights())
    arrays = feeds(model, {"batch": 3, "time": 5})
    for got, want in zip(
        flatten(dagir.lower(again, "numpy")(arrays)), flatten(dagir.lower(model, "numpy")(arrays)), strict=True
    ):
        np.testing.assert_array_equal(got, want)


def test_a_network_of_all_sorts_on_all_backends():
    check_everywhere(network_of_all_sorts())


# ---- scenario 13: subclassed models


def test_a_subclassed_model_is_a_model_once_called():
    mlp = guide.perceptron_class(dagir, layers)(name="mlp")
    with pytest.raises(ArgumentError, match=r"(?s)'mlp' has no graph yet.*call it on an Input"):
        dagir.lower(mlp)
    x = dagir.Input((32,))
    mlp(x)
    assert [layer.name for layer in mlp.layers if layer.weights] == ["dense", "dense_1"]
    assert mlp.count_params() == 32 * 64 + 64 + 64 * 10 + 10
    keras_model = check_everywhere(mlp)
    assert [type(layer).__name__ for layer in keras_model.layers] == ["InputLayer", "Dense", "Dense"]
    longer = dagir.Model(y := dagir.Input((7, 32)), mlp(y))  # another rank: call runs again, on the same layers
    assert set(longer.weights) == set(mlp.weights)
    check_everywhere(longer)
    assert type(mlp).from_config(mlp.get_config()).name == "mlp"


def test_a_subclassed_model_takes_a_structure_and_training():
    class Two(dagir.Model):
        def __init__(self):
            super().__init__()
            self.dense, self.drop = layers.Dense(3), layers.Dropout(0.5)
            self.scale = self.add_weight((3,), "ones", name="scale")

        def call(self, inputs, training=None):
            return {"out": self.drop(self.dense(inputs["p"]) * self.scale, training=training), "q": inputs["q"] + 1}

    p, q = dagir.Input((4,), name="p"), dagir.Input((2,), name="q")
    two = Two()
    check_everywhere(dagir.Model([p, q], two({"p": p, "q": q})))
    assert [weight.shape for weight in two.weights] == [(3,), (4, 3), (3,)]
    with pytest.raises(ArgumentError, match="one list or dict of values"):
        two(p, q)


# ---- scenarios 15-17: layers inside layers, structures, training, masks


class Noisy(dagir.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense, self.drop, self.norm = layers.Dense(4), layers.Dropout(0.5), layers.BatchNormalization()

    def call(self, x, training=None):
        return self.norm(self.drop(self.dense(x), training=training), training=training)


class MaskedMean(dagir.Layer):
    """Takes the mask as a value, and lets none out."""

    def call(self, x, mask=None):
        weights = ops.expand_dims(ops.cast(mask, "float32"), -1)
        return ops.sum(x * weights, axis=1) / (ops.sum(weights, axis=1) + 1e-3)


class PassesMasks(dagir.Layer):
    supports_masking = True

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(5, activation="tanh")

    def call(self, x):
        return self.dense(x)


class Shortens(dagir.Layer):
    """Makes a mask of its own from the one it gets."""

    def call(self, x):
        return x[:, 1:]

    def compute_mask(self, inputs, mask=None):
        return mask[:, 1:]


class Nested(dagir.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.custom, self.noisy = guide.dense_class(dagir)(3), layers.Dense(3)
        self.stack = dagir.Sequential([layers.Dense(4, activation="relu"), layers.Dense(3)])

    def call(self, inputs, scale=1.0):
        left = self.custom(inputs["a"]) * scale + self.noisy(inputs["b"][0])
        return {"sum": left, "rest": [self.stack(inputs["b"][1]), ops.relu(left)]}


def masked_model(*middle):
    ids = dagir.Input((None,), dtype="int32", name="ids")
    x = layers.Embedding(50, 4, mask_zero=True)(ids)
    for layer in middle:
        x = layer(x)
    return ids, x


def ids_with_padding():
    ids = np.random.default_rng(0).integers(1, 50, (3, 6)).astype("int32")
    ids[0, 2:], ids[1, 5:] = 0, 0
    return [ids]


@pytest.mark.parametrize(
    ("middle", "last"),
    [
        ([MaskedMean], None),
        ([PassesMasks], layers.LSTM),
        ([PassesMasks, Shortens], layers.LSTM),
        ([Shortens, PassesMasks, MaskedMean], None),
    ],
    ids=["read", "passed", "made", "all"],
)
def test_masks_reach_custom_layers_and_leave_them(middle, last, tmp_path):
    ids, x = masked_model(*[cls() for cls in middle])
    model = dagir.Model(ids, last(3)(x) if last else x)
    made = check_everywhere(model, ids_with_padding(), tmp_path / "m.keras")
    assert type(made.layers[1]).__name__ == "Embedding"


def test_structures_and_arguments_and_layers_inside_layers(tmp_path):
    a, b, c = (dagir.Input((size,), name=name) for name, size in zip("abc", (2, 3, 5), strict=True))
    out = Nested()({"a": a, "b": [b, c]}, scale=0.5)
    check_everywhere(dagir.Model([a, b, c], out), through_file=None)
    model = dagir.Model([a, b, c], [out["sum"], *out["rest"]])
    made = check_everywhere(model, through_file=tmp_path / "m.keras")
    inside = [type(layer).__name__ for layer in made._flatten_layers()]
    assert inside.count("Dense") == 3


def test_a_shared_custom_layer_is_one_layer_of_keras(tmp_path):
    a, b = dagir.Input((4,), name="a"), dagir.Input((4,), name="b")
    shared = guide.dense_class(dagir)(3)
    model = dagir.Model([a, b], shared(a) - shared(ops.relu(b)))
    made = check_everywhere(model, through_file=tmp_path / "m.keras")
    assert len(made.weights) == 2


def test_a_weight_in_two_traced_layers_is_refused_by_keras_files(tmp_path):
    a, b = dagir.Input((4,), name="a"), dagir.Input((7, 4), name="b")
    shared = guide.dense_class(dagir)(3)
    model = dagir.Model([a, b], [shared(a), shared(b)])
    check_everywhere(model)
    with pytest.raises(BackendError, match=r"custom_dense.*shares"):
        dagir.lower(model, "keras").save(tmp_path / "m.keras")
    assert not (tmp_path / "m.keras").exists()


def test_custom_layers_train_as_keras_layers_do():
    import keras

    def build(K, L):
        inputs = K.Input((6,))
        x = guide.dense_class(K)(5)(inputs)
        return K.Model(inputs, L.Dense(1)(x))

    ours, theirs = build(dagir, layers), build(keras, keras.layers)
    theirs.set_weights(ours.get_weights())
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 6)).astype("float32"), rng.normal(size=(64, 1)).astype("float32")
    losses = []
    for model in (ours, theirs):
        model.compile(optimizer="sgd", loss="mse")
        losses.append(model.fit(x, y, epochs=3, batch_size=16, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    for got, want in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


def test_dropout_and_statistics_inside_a_custom_layer_train_and_frozen_ones_stay(tmp_path):
    inputs = dagir.Input((6,))
    noisy, frozen = Noisy(), guide.dense_class(dagir)(4)
    frozen.trainable = False
    model = dagir.Model(inputs, frozen(noisy(inputs)))
    made = dagir.lower(model, "keras").artifact
    x = np.random.default_rng(0).normal(size=(32, 6)).astype("float32") + 3
    assert not np.allclose(made(x, training=True), made(x, training=True))
    assert np.array_equal(made(x, training=False), made(x, training=False))
    before = {weight: weight.array.copy() for weight in model.weights}
    model.compile(optimizer="sgd", loss="mse")
    model.fit(x, np.zeros((32, 4), "float32"), epochs=2, verbose=0)
    changed = {weight.name for weight in model.weights if not np.array_equal(weight.array, before[weight])}
    assert changed == {weight.name for weight in noisy.weights}
    dagir.lower(model, "keras").save(tmp_path / "m.keras")
    import keras

    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert len(loaded.trainable_weights) == 4
    assert not np.allclose(loaded(x, training=True), loaded(x, training=True))


class ProjectsBack(dagir.Layer):
    """Reads the weight of a layer that is not inside it."""

    def __init__(self, embedding, **kwargs):
        super().__init__(**kwargs)
        self.embedding = embedding

    def call(self, x):
        return ops.matmul(x, ops.transpose(self.embedding.embeddings))


@pytest.mark.parametrize("way", ["op", "layer"])
def test_a_weight_that_is_read_outside_its_layer_stays_one_weight(way):
    ids = dagir.Input((None,), dtype="int32", name="ids")
    embedding = layers.Embedding(20, 6)
    x = layers.Dense(6, activation="tanh")(embedding(ids))
    y = ProjectsBack(embedding)(x) if way == "layer" else ops.matmul(x, ops.transpose(embedding.embeddings))
    model = dagir.Model(ids, y)
    made = check_everywhere(model, ids_of(20))
    assert len(made.weights) == 3
    model.compile(optimizer="sgd", loss="mse")
    target = np.random.default_rng(0).normal(size=(3, 6, 20)).astype("float32")
    before = embedding.embeddings.array.copy()
    model.fit(ids_of(20)[0], target, epochs=2, verbose=0)
    assert (embedding.embeddings.array != before).any(axis=1).all()  # rows that no id looked up too
    check_everywhere(model, ids_of(20))


def ids_of(count):
    return [np.random.default_rng(0).integers(0, count // 2, (3, 6)).astype("int32")]


def test_what_is_frozen_inside_a_nested_model_stays_frozen():
    a, b = dagir.Input((4,)), dagir.Input((4,))
    frozen = guide.dense_class(dagir)(3)
    frozen.trainable = False
    inner = dagir.Model(a, layers.Dense(3)(frozen(a)), name="inner")
    model = dagir.Model(b, layers.Dense(2)(inner(b)))
    assert len(dagir.lower(model, "keras").artifact.trainable_weights) == 4 == len(model.trainable_weights)


def test_a_state_as_long_as_the_batch_is_at_run_time(tmp_path):
    class Recurrent(dagir.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.left, self.right = layers.Dense(3), layers.Dense(3)

        def call(self, x):
            state = ops.zeros((ops.shape(x)[0], 3))
            for t in range(x.shape[1]):
                state = ops.tanh(self.left(x[:, t]) + self.right(state))
            return state

    x = dagir.Input((4, 2))
    check_everywhere(dagir.Model(x, Recurrent()(x)), through_file=tmp_path / "m.keras")
    with pytest.raises(ArgumentError, match=r"(?s)axis 0 of the shape \(None, 3\) is None.*ops.shape\(x\)\[0\]"):
        ops.zeros((x.shape[0], 3))
    assert ops.ones_like(x).type == x.type and ops.full((2,), 7, "int32").dtype == "int32"


def test_a_file_without_the_class_becomes_a_keras_file_but_no_clone(tmp_path):
    guide.custom_dense(dagir, layers).save(tmp_path / "m.dagir")
    loaded = dagir.load(tmp_path / "m.dagir")
    check_everywhere(loaded, through_file=tmp_path / "m.keras")
    with pytest.raises(ArgumentError, match="loaded without its class CustomDense, so it cannot be made anew"):
        dagir.clone(loaded)
    whole = dagir.load(tmp_path / "m.dagir", custom_objects={"CustomDense": guide.dense_class(dagir)})
    assert [weight.shape for weight in dagir.clone(whole).weights] == [(4, 10), (10,)]


# ---- a custom op: a class, and a rule for each backend


@dataclass(frozen=True)
class Cubed(dagir.Op):
    """x: f[*s] -> f[*s], scale * x**3."""

    scale: float = 1.0

    def infer(self, x):
        return (x,)


def cubed_rules():
    import dagir_keras.rules  # imports keras, which most tests here do without
    import dagir_numpy.rules
    import dagir_onnx.rules

    if Cubed in dagir_numpy.rules.rules:
        return

    @dagir_numpy.rules.rules.rule(Cubed)
    @dagir_keras.rules.rules.rule(Cubed)
    def array_rule(op, x):
        return op.scale * x**3

    @dagir_onnx.rules.rules.rule(Cubed)
    def onnx_rule(op, emit, x):
        scale = emit.constant(np.asarray(op.scale, x.type.dtype.numpy))
        return emit("Mul", emit("Mul", x, emit("Mul", x, x)), scale)


def test_a_custom_op_with_a_rule_for_each_backend():
    cubed_rules()

    class Cubic(dagir.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = layers.Dense(3)

        def call(self, x):
            return dagir.apply(Cubed(0.5), self.dense(x))

    x = dagir.Input((4,))
    check_everywhere(dagir.Model(x, Cubic()(dagir.apply(Cubed(2.0), x))))


def test_a_custom_op_is_refused_by_files_with_its_name(tmp_path):
    cubed_rules()

    class Cubic(dagir.Layer):
        def call(self, x):
            return dagir.apply(Cubed(), x)

    x = dagir.Input((4,))
    model = dagir.Model(x, Cubic()(x))
    with pytest.raises(BackendError, match=r"Cubed is not one of dagir.ops"):
        dagir.lower(model, "keras").save(tmp_path / "m.keras")
    assert not (tmp_path / "m.keras").exists()


# ---- from the shell


def test_the_tool_writes_a_keras_file_with_a_custom_layer(tmp_path):
    (tmp_path / "net.py").write_text(
        textwrap.dedent("""
        import dagir
        from dagir import layers, ops

        class Gate(dagir.Layer):
            def build(self, shape):
                self.w = self.add_weight((shape[-1],), "random_normal", name="w")
            def call(self, x):
                return x * ops.sigmoid(x * self.w)

        def net():
            x = dagir.Input((6,), name="x")
            return dagir.Model(x, layers.Dense(2)(Gate()(x)), name="net")
        """)
    )
    done = subprocess.run(
        [sys.executable, "-c", "from dagir_convert.command_line import main; main()", "net.py:net", "net.keras"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "net.keras").exists()
