"""SavedModels that TensorFlow writes here, and what a user does with the model that was read; judged by TensorFlow."""

from __future__ import annotations

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from keras import layers as L

import dagir
from dagir.errors import ArgumentError, FileError, UnsupportedLayer

pytestmark = pytest.mark.filterwarnings("ignore")


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def answers(folder, signature="serving_default", **given):
    """TensorFlow's own, of a SavedModel."""
    function = tf.saved_model.load(str(folder)).signatures[signature]
    return {name: each.numpy() for name, each in function(**{k: tf.constant(v) for k, v in given.items()}).items()}


def exported(network, folder):
    for weight in network.weights:
        weight.assign(np.abs(np.random.default_rng(0).normal(0.3, 0.3, weight.shape)))
    network.export(folder, verbose=False)
    return folder


NETWORKS = {
    "depthwise": lambda: [keras.Input((6, 6, 3), name="x"), L.DepthwiseConv2D(3), L.BatchNormalization(), L.Flatten()],
    "recurrent": lambda: [keras.Input((None, 3), name="x"), L.LSTM(4, return_sequences=True), L.Dense(2)],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_read_becomes_a_keras_model_that_is_saved_and_trains(name, tmp_path):
    folder = exported(keras.Sequential(NETWORKS[name]()), tmp_path / "net")
    model = dagir.from_tensorflow(folder)
    given = {"x": drawn(2, 6, 6, 3) if name == "depthwise" else drawn(2, 5, 3)}
    (wanted,) = answers(folder, **given).values()
    dagir.to_keras(model).save(tmp_path / "net.keras")
    (found,) = tf.nest.flatten(keras.saving.load_model(tmp_path / "net.keras")(given))
    np.testing.assert_allclose(found, wanted, 1e-4, 1e-5)
    again = dagir.from_keras(tmp_path / "net.keras")
    for backend in ("numpy", "onnx"):
        (found,) = tf.nest.flatten(dagir.lower(again, backend)(given))
        np.testing.assert_allclose(found, wanted, 1e-4, 1e-5)
    before = [weight.numpy() for weight in model.trainable_weights]
    model.compile("sgd", "mse")
    model.fit(given, {key: wanted + 1 for key in model.output_names}, epochs=1, verbose=0)
    assert before and all((old != new.array).any() for old, new in zip(before, model.trainable_weights, strict=True))


class Apart(tf.Module):
    """Signatures of several inputs: of rows that are as many, and of others."""

    @tf.function(input_signature=[tf.TensorSpec([None, 3], name="x"), tf.TensorSpec([None, 3], name="y")])
    def joined(self, x, y):
        return {"sum": x + y, "both": tf.concat([x, y], -1)}

    @tf.function(input_signature=[tf.TensorSpec([None, 3], name="x"), tf.TensorSpec([None, 3], name="y")])
    def crossed(self, x, y):
        return {"scores": tf.matmul(x, y, transpose_b=True)}

    @tf.function(input_signature=[tf.TensorSpec([None, 3], name="x"), tf.TensorSpec([None], tf.int32, name="spare")])
    def partly(self, x, spare):
        return {"y": tf.nn.relu(x)}


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    folder, module = tmp_path_factory.mktemp("saved") / "net", Apart()
    names = ("joined", "crossed", "partly")
    tf.saved_model.save(module, folder, {name: getattr(module, name).get_concrete_function() for name in names})
    return folder


def test_inputs_have_one_batch_only_where_the_ops_need_it(apart):
    assert [str(x.type.shape[0]) for x in dagir.from_tensorflow(apart, signature="joined").inputs] == ["batch"] * 2
    crossed = dagir.from_tensorflow(apart, signature="crossed")
    given = {"x": drawn(2, 3), "y": drawn(5, 3, seed=1)}
    for backend in ("numpy", "onnx"):
        found = dagir.lower(crossed, backend)(given)["scores"]
        np.testing.assert_allclose(found, answers(apart, "crossed", **given)["scores"], 1e-5, 1e-5)


def test_an_input_that_no_output_needs_stays(apart):
    model = dagir.from_tensorflow(apart, signature="partly")
    assert model.input_names == ["spare", "x"]


def test_signatures_are_listed_with_what_they_take(apart):
    for wanted in (None, "cross"):
        with pytest.raises(ArgumentError) as refused:
            dagir.from_tensorflow(apart, signature=wanted)
        assert "'crossed' ('x', 'y' -> 'scores')" in str(refused.value)


def test_shapes_and_arrays_of_the_user_replace_inputs(apart):
    model = dagir.from_tensorflow(apart, signature="joined", inputs={"x": (4, 3), "y": np.ones((4, 3))})
    assert model.input_names == ["x"] and model.inputs[0].shape == (4, 3)
    given = drawn(4, 3)
    np.testing.assert_allclose(dagir.lower(model, "onnx")(given)["sum"], given + 1, 1e-6)
    with pytest.raises(ArgumentError, match="has no input 'z'"):
        dagir.from_tensorflow(apart, signature="joined", inputs={"z": (4, 3)})


# ---- graphs of TensorFlow 1, frozen

V1 = tf.compat.v1


def weight(name, *shape):
    return V1.get_variable(name, initializer=drawn(*shape, seed=len(name)) * 0.5)


def placeholder(*shape, dtype=tf.float32):
    return V1.placeholder(dtype, shape, "x")


def convolution():
    x = placeholder(None, 6, 6, 3)
    y = tf.nn.bias_add(tf.nn.conv2d(x, weight("kernel", 3, 3, 3, 4), 1, "SAME"), weight("bias", 4))
    fixed = np.full(4, 0.1, "float32"), np.full(4, 2.0, "float32")
    y, *_ = V1.nn.fused_batch_norm(y, weight("scale", 4), weight("offset", 4), *fixed, is_training=False)
    return x, tf.identity(tf.nn.softmax(tf.reduce_mean(y, [1, 2])), "y")


def branch():
    x, w = placeholder(None, 4), weight("w", 4, 4)
    chosen = tf.cond(tf.reduce_sum(x) > 0, lambda: tf.matmul(x, w), lambda: x * 2.0)
    return x, tf.identity(chosen, "y")


def counted():
    x, w = placeholder(None, 4), weight("w", 4, 4)
    _, y = tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, tf.tanh(tf.matmul(a, w))), [tf.constant(0), x])
    return x, tf.identity(y, "y")


def until():
    x, w = placeholder(None, 4), weight("w", 4, 4)

    def step(a):
        return tf.cond(tf.reduce_max(a) > 2, lambda: a * 0.25, lambda: tf.tanh(tf.matmul(a, w)) * 0.5)

    return x, tf.identity(tf.while_loop(lambda a: tf.reduce_sum(tf.abs(a)) > 1, step, [x]), "y")


def nested():
    x = placeholder(None, 4)

    def outer(i, a):
        _, b = tf.while_loop(lambda j, b: j <= i, lambda j, b: (j + 1, tf.sin(b) + a), [tf.constant(0), a])
        return i + 1, b

    return x, tf.identity(tf.while_loop(lambda i, a: i < 3, outer, [tf.constant(0), x])[1], "y")


def recurrent():
    """As tf.compat.v1.nn.dynamic_rnn has it: a TensorArray that is taken apart, and one that is stacked."""
    x, inward, around = placeholder(None, None, 3), weight("inward", 3, 4), weight("around", 4, 4)
    steps = tf.transpose(x, [1, 0, 2])
    length = tf.shape(steps)[0]
    rows = tf.TensorArray(tf.float32, size=length).unstack(steps)

    def step(i, state, found):
        state = tf.tanh(tf.matmul(rows.read(i), inward) + tf.matmul(state, around))
        return i + 1, state, found.write(i, state)

    begin = (tf.constant(0), tf.zeros([tf.shape(x)[0], 4]), tf.TensorArray(tf.float32, size=length))
    _, _, found = tf.while_loop(lambda i, *_: i < length, step, begin)
    return x, tf.transpose(found.stack(), [1, 0, 2], name="y")


GRAPHS = {each.__name__: each for each in (convolution, branch, counted, until, nested, recurrent)}


@pytest.mark.parametrize("functions", [False, True], ids=["frames", "functions"])
@pytest.mark.parametrize("name", GRAPHS)
def test_a_frozen_graph_of_tensorflow_1(name, functions, tmp_path):
    """Its branches and loops are nodes of the graph itself, or functions; at two batches and two lengths."""
    (V1.enable_control_flow_v2 if functions else V1.disable_control_flow_v2)()
    try:
        with tf.Graph().as_default() as graph, V1.Session() as session:
            x, y = GRAPHS[name]()
            session.run(V1.global_variables_initializer())
            frozen = V1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["y"])
            shapes = [
                [b if i == 0 else n if size is None else size for i, size in enumerate(x.shape)] for b, n in SIZES
            ]
            cases = [(given := drawn(*shape) * 2, session.run(y, {x: given})) for shape in shapes]
    finally:
        V1.enable_control_flow_v2()
    (tmp_path / "net.pb").write_bytes(frozen.SerializeToString())
    model = dagir.from_tensorflow(tmp_path / "net.pb")
    assert (model.input_names, model.output_names) == (["x"], ["y"])
    for given, wanted in cases:
        for backend in ("numpy", "onnx"):
            np.testing.assert_allclose(dagir.lower(model, backend)(given)["y"], wanted, 1e-4, 1e-5, err_msg=backend)


SIZES = [(2, 5), (3, 1)]


def test_the_constants_of_a_frozen_graph_are_weights(tmp_path, called, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with tf.Graph().as_default() as graph, V1.Session() as session:
        convolution()
        session.run(V1.global_variables_initializer())
        frozen = V1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["y"])
    (tmp_path / "net.pb").write_bytes(frozen.SerializeToString())
    model = dagir.from_tensorflow("net.pb")
    trained = {each.name for each in model.trainable_weights}
    assert trained == {"kernel", "bias", "scale", "offset"} and len(model.non_trainable_weights) == 2
    assert called("net.pb", "net.onnx", "--outputs", "Mean,y")[0] == 0
    assert called("verify", "net.pb", "net.onnx", "--outputs", "Mean,y")[0] == 0
    assert called("net.pb", "net.onnx", "--outputs", "Mean,y", "--input", "x=1,6,6,3", "--force")[0] == 0
    session = onnxruntime.InferenceSession("net.onnx")
    assert [each.name for each in session.get_outputs()] == ["Mean", "y"]
    assert session.get_inputs()[0].shape == [1, 6, 6, 3]
    part = dagir.from_tensorflow("net.pb", inputs={"Mean": (None, 4)})
    assert (part.input_names, part.output_names) == (["Mean"], ["y"])
    code, _, err = called("net.pb", "other.onnx", "--outputs", "Meen")
    assert code == 2 and "no node 'Meen'" in err
    code, _, err = called("net.onnx", "net.dagir", "--outputs", "y")
    assert code == 2 and "--outputs is for graphs of TensorFlow" in err


def test_what_is_no_frozen_graph_says_what_it_is(tmp_path, apart):
    (tmp_path / "net.pb").write_bytes((apart / "saved_model.pb").read_bytes())
    with pytest.raises(FileError, match="is the file of a SavedModel"):
        dagir.from_tensorflow(tmp_path / "net.pb")
    assert dagir.from_tensorflow(apart / "saved_model.pb", signature="joined").output_names == ["both", "sum"]
    (tmp_path / "net.pb").write_text("node {\n}")
    with pytest.raises(FileError, match="as text"):
        dagir.from_tensorflow(tmp_path / "net.pb")
    with tf.Graph().as_default() as graph:
        tf.nn.relu(weight("w", 3) + placeholder(None, 3))
        (tmp_path / "net.pb").write_bytes(graph.as_graph_def().SerializeToString())
    with pytest.raises(UnsupportedLayer, match="numbers are not in the graph") as refused:
        dagir.from_tensorflow(tmp_path / "net.pb", outputs="Relu")
    assert "convert_variables_to_constants" in refused.value.remedy


def switched():
    """A graph for training and for inference: dropout under a condition that is False by default."""
    x, training = placeholder(None, 4), V1.placeholder_with_default(False, [], "training")
    dropped = tf.cond(training, lambda: tf.nn.dropout(x, 0.5), lambda: x * 2.0)
    kept = tf.cond(tf.logical_not(training), lambda: dropped + 1.0, lambda: tf.random.normal(tf.shape(x)))
    return x, tf.identity(tf.cond(tf.reduce_sum(x) > 0, lambda: kept, lambda: -kept), "y")


@pytest.mark.parametrize("functions", [False, True], ids=["switches", "functions"])
def test_a_placeholder_counts_as_its_default(functions, tmp_path):
    """So that what is random in training only is not refused; a user can take the placeholder as an input."""
    (V1.enable_control_flow_v2 if functions else V1.disable_control_flow_v2)()
    try:
        with tf.Graph().as_default() as graph, V1.Session() as session:
            x, y = switched()
            cases = [(given := drawn(*shape), session.run(y, {x: given})) for shape in ((2, 4), (3, 4))]
            (tmp_path / "net.pb").write_bytes(graph.as_graph_def().SerializeToString())
    finally:
        V1.enable_control_flow_v2()
    model = dagir.from_tensorflow(tmp_path / "net.pb", outputs="y")
    assert model.input_names == ["x"]
    for given, wanted in cases:
        np.testing.assert_allclose(dagir.lower(model, "onnx")(given)["y"], wanted, 1e-5)
    with pytest.raises(UnsupportedLayer, match="draws random numbers"):
        dagir.from_tensorflow(tmp_path / "net.pb", inputs=["x", "training"], outputs="y")


DILATED = {
    "conv1d": lambda x, w: tf.nn.convolution(x, w[0, 0], padding="VALID", dilations=3),
    "conv1d same": lambda x, w: tf.nn.convolution(x, w[0, 0], padding="SAME", dilations=2),
    "conv2d by blocks": lambda x, w: tf.nn.with_space_to_batch(
        x, dilation_rate=[2, 3], padding="SAME", filter_shape=[3, 3],
        op=lambda y, spatial, padding: tf.nn.conv2d(y, w[0], 1, padding),
    ),
    "depthwise": lambda x, w: tf.nn.depthwise_conv2d(x, w[0], [1, 1, 1, 1], "SAME", dilations=[2, 2]),
    "conv3d": lambda x, w: tf.nn.convolution(x, w, padding="VALID", dilations=[1, 2, 2]),
}  # fmt: skip


@pytest.mark.parametrize("name", DILATED)
@pytest.mark.parametrize("known", [True, False])
def test_a_convolution_of_blocks_is_one_with_dilation(name, known):
    rank = {"conv1d": 3, "conv3d": 5}.get(name.split()[0], 4)
    w, shape = drawn(3, 3, 3, 2, 2), (*(2, 9, 10, 11)[: rank - 1], 2)
    spec = tf.TensorSpec(shape if known else [None] * (rank - 1) + [2], name="x")
    read = dagir.from_tensorflow(tf.function(lambda x: DILATED[name](x, w), input_signature=[spec]))
    kinds = [type(node.op).__name__ for node in read.graph.nodes]
    assert "Transpose" not in kinds and sum("Conv" in kind for kind in kinds) == 1
    for sizes in (shape, shape) if known else (shape, (1, *[size + 3 for size in shape[1:-1]], 2)):
        x = drawn(*sizes, seed=1)
        np.testing.assert_allclose(dagir.lower(read, "onnx")(x), DILATED[name](x, w), atol=1e-5)


def test_blocks_that_are_no_convolution_stay_blocks():
    def shuffled(x):
        y = tf.space_to_batch(x, [2, 2], [[0, 0], [0, 0]])
        return tf.batch_to_space(
            tf.nn.conv2d(y, np.ones((1, 1, 2, 2), "float32"), 2, "VALID"), [2, 2], [[0, 0], [0, 0]]
        )

    x = drawn(2, 8, 8, 2)
    read = dagir.from_tensorflow(tf.function(shuffled, input_signature=[tf.TensorSpec([2, 8, 8, 2])]))
    np.testing.assert_allclose(dagir.lower(read, "onnx")(x), shuffled(x), atol=1e-5)


def test_a_keras_model_that_tensorflow_saved(tmp_path):
    """tf.saved_model.save writes copies of the variables of a Keras 3 model; the objects tell which is which."""
    x = keras.Input((None, 3), name="x")
    y = L.BatchNormalization()(L.Conv1D(4, 3, dilation_rate=2, padding="same", activation="relu")(x))
    network = keras.Model(x, L.Dense(2)(y))
    for number, weight in enumerate(network.weights):
        weight.assign(np.abs(drawn(*weight.shape, seed=number)) + 0.1)
    tf.saved_model.save(network, str(tmp_path / "net"))
    read = dagir.from_tensorflow(tmp_path / "net")
    assert len(read.weights) == len(network.weights)
    assert {weight.name for weight in read.trainable_weights} == {each.path for each in network.trainable_weights}
    given = drawn(2, 7, 3)
    (answer,) = keras.tree.flatten(dagir.lower(read, "onnx")(given))
    np.testing.assert_allclose(answer, network(given), rtol=1e-5, atol=1e-5)
