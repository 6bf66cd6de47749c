"""Functions and SavedModels of TensorFlow, judged by TensorFlow: their graphs, variables, branches, loops and lists."""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from keras import layers as L
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

import dagir
from dagir.errors import ArgumentError, DagirError, FileError, UnsafeFile, UnsupportedLayer

pytestmark = pytest.mark.filterwarnings("ignore")


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def agrees(read, function, *cases, backends=("numpy", "onnx")):
    """The model computes what the function does."""
    for given in cases:
        wanted = tf.nest.flatten(function(*map(tf.constant, given)))
        for backend in backends:
            found = tf.nest.flatten(dagir.lower(read, backend)(*given))
            for got, want in zip(found, wanted, strict=True):
                assert got.shape == want.shape
                np.testing.assert_allclose(got, want, 2e-5, 2e-5, err_msg=backend)


class Affine(tf.Module):
    """Two variables of one name, which only their identity tells apart."""

    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable(drawn(3, 4), name="w")
        self.bias = tf.Variable(drawn(4, seed=1), name="w", trainable=False)

    @tf.function(input_signature=[tf.TensorSpec([None, 3], name="img")])
    def __call__(self, img):
        return {"logits": img @ self.kernel + self.bias, "image": img * 2.0}

    @tf.function(input_signature=[tf.TensorSpec([None, 3], name="img")])
    def halved(self, img):
        return img / 2.0


def test_variables_are_weights_by_identity():
    module = Affine()
    model = dagir.from_tensorflow(module)
    assert model.input_names == ["img"] and sorted(model.output_names) == ["image", "logits"]
    (kernel, bias) = model.graph.parameters
    assert (kernel.trainable, bias.trainable) == (True, False)
    np.testing.assert_array_equal(bias.array, module.bias)
    given = drawn(5, 3)
    for name, want in module(given).items():
        np.testing.assert_allclose(dagir.lower(model, "onnx")(given)[name], want, 1e-5, 1e-5)
    np.testing.assert_allclose(dagir.lower(dagir.from_tensorflow(module, signature="halved"))(given), given / 2)


def looping(x, n):
    y = tf.matmul(x, WEIGHT)
    if tf.reduce_sum(y) > 0:  # noqa: SIM108  # autograph makes a branch of it
        y = tf.nn.relu(y)
    else:
        y = tf.sin(y)
    i = tf.constant(0)
    while i < n:
        y = y * 0.5 + tf.cast(i, tf.float32)
        i += 1
    rows = tf.TensorArray(tf.float32, size=tf.shape(x)[0])
    for k in tf.range(tf.shape(x)[0]):
        rows = rows.write(k, y[k] * 2.0)
    mapped = tf.map_fn(lambda row: tf.reduce_sum(row) * row, y)
    running = tf.scan(lambda before, row: before * 0.5 + row, y)
    folded = tf.foldl(lambda before, row: before * 0.5 + row, y)
    return y, mapped, running, folded, rows.stack(), tf.reshape(y, [tf.shape(y)[0] * 2, -1])


WEIGHT = tf.Variable(drawn(3, 4), name="weight")


def test_branches_loops_lists_and_sizes():
    function = tf.function(looping, input_signature=[tf.TensorSpec([None, 3]), tf.TensorSpec([], tf.int32)])
    read = dagir.from_tensorflow(function)
    assert len(read.graph.parameters) == 1
    agrees(read, function, (drawn(2, 3), np.int32(3)), (drawn(5, 3, seed=2), np.int32(0)))


def spectrum(x):
    """Frames of an unknown number of samples, and back; products, quotients and parts of complex numbers."""
    frames = tf.signal.stft(x, 16, 4, 16)
    turned = frames * tf.exp(tf.complex(0.0, 1.0) * tf.cast(0.25, tf.complex64)) / tf.complex(2.0, -1.0)
    wave = tf.signal.inverse_stft(tf.transpose(turned, [0, 1, 2]), 16, 4, 16)
    return tf.abs(frames), tf.math.angle(turned + 1.0), wave, tf.math.imag(tf.concat([frames, turned], 1)[:, ::2])


def transforms(x):
    z = tf.complex(x, tf.reverse(x, [0]))
    planes = tf.signal.rfft2d(x, [5, 7])
    found = [tf.signal.fft(z), tf.signal.ifft(z), tf.signal.fft2d(z), tf.signal.ifft2d(tf.math.conj(z)), planes]
    found.append(tf.matmul(z, z, adjoint_b=True))
    return [tf.math.real(each) for each in found], tf.signal.irfft2d(planes, [5, 7]), tf.signal.irfft(planes)


def test_complex_numbers_on_the_way_are_pairs():
    function = tf.function(spectrum, input_signature=[tf.TensorSpec([None, None])])
    agrees(dagir.from_tensorflow(function), function, (drawn(2, 40),), (drawn(1, 57),))
    function = tf.function(transforms, input_signature=[tf.TensorSpec([4, 6])])
    agrees(dagir.from_tensorflow(function), function, (drawn(4, 6),))


def test_complex_numbers_as_inputs_and_outputs_are_refused():
    out = tf.function(tf.signal.rfft, input_signature=[tf.TensorSpec([2, 8])])
    with pytest.raises(UnsupportedLayer, match="output 0 is a tensor of complex numbers"):
        dagir.from_tensorflow(out)
    given = tf.function(tf.math.real, input_signature=[tf.TensorSpec([2, 8], tf.complex64, name="wave")])
    with pytest.raises(UnsupportedLayer, match=r"input 'wave'.*complex64"):
        dagir.from_tensorflow(given)


class Words(tf.Module):
    """Tables of constants and of a file, whose values are numbers and texts."""

    def __init__(self, file):
        super().__init__()
        constants = tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([0.5, 4.0]))
        self.scores = tf.lookup.StaticHashTable(constants, -1.0)
        whole, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
        lines = tf.lookup.TextFileInitializer(file, tf.string, whole, tf.int64, number)
        self.places = tf.lookup.StaticVocabularyTable(lines, 1)
        back = tf.lookup.TextFileInitializer(file, tf.int64, number, tf.string, whole)
        self.names = tf.lookup.StaticHashTable(back, "none")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="words")])
    def __call__(self, words):
        place = self.places.lookup(words)
        return {"score": self.scores.lookup(words), "place": place, "name": self.names.lookup(place)}


def test_tables_are_constants(tmp_path):
    """Of a function in memory, and of a SavedModel, which has the file among its assets."""
    file = tmp_path / "words.txt"
    file.write_text("a\nb\nc d\n")
    module = Words(str(file))
    tf.saved_model.save(module, tmp_path / "net")
    file.unlink()
    given = np.asarray(["c d", "a", "?", "b", ""], object)
    wanted = module(tf.constant(given))
    for model in (dagir.from_tensorflow(module), dagir.from_tensorflow(tmp_path / "net")):
        for backend in ("numpy", "onnx"):
            found = dagir.lower(model, backend)(given)
            np.testing.assert_array_equal(found["score"], wanted["score"])
            np.testing.assert_array_equal(found["place"], wanted["place"])
            assert found["name"].tolist() == [each.decode() for each in wanted["name"].numpy()]


@pytest.mark.parametrize("name", ["../words.txt", "/etc/passwd", "a/b", "..", ""])
def test_an_asset_outside_of_its_folder_is_refused(tmp_path, name):
    (tmp_path / "words.txt").write_text("a\nb\n")
    tf.saved_model.save(Words(str(tmp_path / "words.txt")), tmp_path / "net")
    path = tmp_path / "net/saved_model.pb"
    saved = SavedModel.FromString(path.read_bytes())
    for asset in saved.meta_graphs[0].asset_file_def:
        asset.filename = name
    path.write_bytes(saved.SerializeToString())
    with pytest.raises(UnsafeFile, match="does not lie in its folder of assets"):
        dagir.from_tensorflow(tmp_path / "net")


def test_an_asset_that_links_out_of_its_folder_is_refused(tmp_path):
    (tmp_path / "words.txt").write_text("a\nb\n")
    tf.saved_model.save(Words(str(tmp_path / "words.txt")), tmp_path / "net")
    asset = tmp_path / "net/assets/words.txt"
    asset.unlink()
    asset.symlink_to(tmp_path / "words.txt")
    with pytest.raises(UnsafeFile, match="does not lie in its folder of assets"):
        dagir.from_tensorflow(tmp_path / "net")


def quantized(x):
    how = {"num_bits": 4, "narrow_range": True}
    return [
        tf.quantization.fake_quant_with_min_max_args(x, -1.2, 0.9, **how),
        tf.quantization.fake_quant_with_min_max_vars(x, 0.3, 1.5),
        tf.quantization.fake_quant_with_min_max_vars_per_channel(x, [-1.0, -0.5, 0.1], [1.0, 2.0, 3.0]),
        tf.quantization.quantize_and_dequantize_v2(x, -1.5, 1.0, signed_input=False, range_given=True),
        tf.quantization.quantize_and_dequantize_v2(x, 0, 0, num_bits=6, round_mode="HALF_UP"),
        tf.raw_ops.QuantizeAndDequantizeV3(input=x, input_min=-1.0, input_max=0.5, num_bits=5),
    ]


def test_quantized_there_and_back():
    function = tf.function(quantized, input_signature=[tf.TensorSpec([None, 3])])
    agrees(dagir.from_tensorflow(function), function, (drawn(40, 3),))


def places(image, boxes, owners):
    values, where = tf.nn.max_pool_with_argmax(image, 3, 2, "SAME", include_batch_in_index=True)
    pooled, inside = tf.nn.max_pool_with_argmax(tf.round(image), [2, 3], [1, 2], "VALID", output_dtype=tf.int32)
    crops = [
        tf.image.crop_and_resize(image, boxes, owners, size, method, 0.5)
        for size, method in (([4, 3], "bilinear"), ([1, 5], "nearest"))
    ]
    rows = tf.dynamic_stitch([[3, 1], [[0], [2]]], [image[0, :2], image[1, :2, None]])
    counts = tf.raw_ops.DenseBincount(input=owners, size=4, weights=boxes[:, 0])
    return values, where, pooled, inside, *crops, rows, counts


def test_boxes_and_the_places_of_the_largest():
    specs = [tf.TensorSpec([None, 7, 6, 2]), tf.TensorSpec([None, 4]), tf.TensorSpec([None], tf.int32)]
    function = tf.function(places, input_signature=specs)
    boxes = np.float32([[0.1, 0.2, 0.8, 0.9], [0.9, 0, 0.2, 1.3], [-0.5, -0.25, 0.5, 1]])
    agrees(dagir.from_tensorflow(function), function, (drawn(2, 7, 6, 2), boxes, np.int32([1, 0, 1])))


def by_own_statistics(x):
    """As Keras 2 writes LayerNormalization: each row is a channel."""
    rows, ones = tf.transpose(x)[None, :, None, :], tf.ones([x.shape[0]])
    found, *statistics = tf.compat.v1.nn.fused_batch_norm(rows, ones, 0.5 * ones, is_training=True)
    return tf.transpose(found[0, :, 0]), *statistics


def test_a_normalization_by_its_own_statistics():
    function = tf.function(by_own_statistics, input_signature=[tf.TensorSpec([4, 6])])
    agrees(dagir.from_tensorflow(function), function, (drawn(4, 6),))


def test_a_saved_model_of_keras_2():
    """StringLookup, Embedding, LayerNormalization and Dense of a subclass, as Keras 2.15 wrote and answered them."""
    model = dagir.from_tensorflow(Path(__file__).with_name("saved_models") / "keras_2_15")
    assert (model.input_names, model.output_names) == (["words"], ["output_0"])
    words = np.asarray([["a", "q", "b"], ["b", "b", "a"]], object)
    known = {"a": (1.1425187, -0.2859148), "q": (0.0946691, -0.5653187), "b": (0.5065596, -0.3577817)}
    for backend in ("numpy", "onnx"):
        (found,) = dagir.lower(model, backend)(words).values()
        np.testing.assert_allclose(found, [[known[word] for word in row] for row in words], 1e-5, 1e-6)


V1 = tf.compat.v1


def written_by_1(folder, build, resource):
    """A SavedModel of a graph of TensorFlow 1, and what its session answers."""
    with tf.Graph().as_default(), V1.Session() as session, V1.variable_scope("net", use_resource=resource):
        x = V1.placeholder(tf.float32, [None, 5], "x")
        y = build(x)
        session.run(V1.global_variables_initializer())
        writer = V1.saved_model.builder.SavedModelBuilder(str(folder))
        signature = V1.saved_model.signature_def_utils.predict_signature_def({"x": x}, {"y": y})
        writer.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        writer.save()
        return [(given, session.run(y, {x: given})) for given in (drawn(3, 5), -np.abs(drawn(1, 5)))]


def network_of_1(x):
    """Switch and Merge, nested, beside a number and a flag that have defaults."""
    kernel = V1.get_variable("kernel", [5, 4])
    keep = V1.placeholder_with_default(1.0, [], "keep")
    training = V1.placeholder_with_default(False, [], "training")
    h = tf.nn.relu(x @ kernel + V1.get_variable("bias", [4])) * keep
    h = V1.cond(training, lambda: h * 7.0, lambda: V1.cond(tf.reduce_sum(x) > 0, lambda: h + 1.0, lambda: -h))
    return tf.nn.softmax(h)


@pytest.fixture
def branches_of_1():
    V1.disable_control_flow_v2()
    yield
    V1.enable_control_flow_v2()


@pytest.mark.parametrize("resource", [False, True])
def test_a_graph_of_tensorflow_1(tmp_path, branches_of_1, resource):
    answers = written_by_1(tmp_path / "net", network_of_1, resource)
    model = dagir.from_tensorflow(tmp_path / "net")
    assert len(model.graph.parameters) == 2
    for given, wanted in answers:
        for backend in ("numpy", "onnx"):
            np.testing.assert_allclose(dagir.lower(model, backend)(given)["y"], wanted, 1e-5, 1e-6)


def test_a_loop_of_tensorflow_1(tmp_path, branches_of_1):
    def build(x):
        kernel = V1.get_variable("k", [5])
        return V1.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, y * kernel), [0, x])[1]

    cases = written_by_1(tmp_path / "net", build, True)
    model = dagir.from_tensorflow(tmp_path / "net")
    for given, want in cases:
        for backend in ("numpy", "onnx"):
            np.testing.assert_allclose(dagir.lower(model, backend)(given)["y"], want, 1e-5, 1e-6)


def test_inputs_tell_what_a_function_is_traced_for():
    function = tf.function(lambda x: tf.nn.softmax(x, axis=-1))
    with pytest.raises(ArgumentError, match="no input signature"):
        dagir.from_tensorflow(function)
    for inputs in (tf.TensorSpec([None, 4]), dagir.Input((4,)), drawn(2, 4)):
        agrees(dagir.from_tensorflow(function, inputs=[inputs]), function, (drawn(2, 4),))


def test_all_that_cannot_be_read_is_told_at_once():
    @tf.function(input_signature=[tf.TensorSpec([None, 4])])
    def function(x):
        noise = tf.random.normal(tf.shape(x))
        return x + noise, tf.linalg.svd(x, compute_uv=False), tf.linalg.det(x[:4])

    with pytest.raises(UnsupportedLayer) as refused:
        dagir.from_tensorflow(function)
    assert {"RandomStandardNormal", "Svd", "MatrixDeterminant"} <= {op for op, _ in refused.value.facts}


def test_what_stands_behind_an_op_that_cannot_be_read_is_told_with_it():
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def function(text):
        clean = tf.strings.regex_replace(tf.strings.lower(text), "[.!]", "")
        words = tf.strings.substr(tf.strings.regex_replace(clean, " +", " "), 0, 3)
        return tf.strings.length(words), tf.strings.to_number(words) * 2.0

    with pytest.raises(UnsupportedLayer, match=r"6 nodes cannot be taken, of StringLower, .*Replace \(2\)") as refused:
        dagir.from_tensorflow(function)
    facts = dict(refused.value.facts)
    assert set(facts) >= {"StringLower", "Substr", "StringLength", "StringToNumber"} and "Mul" not in facts
    assert all("computes on text" in reason for reason in facts.values())


def test_a_variable_that_is_assigned_is_refused():
    """Also where no output needs it: the next call gives another answer."""
    count = tf.Variable(0.0)

    def read(x):
        return x + count.assign_add(1.0)

    def unread(x):
        count.assign_add(1.0)
        return x * count

    def nested(x):
        return tf.function(unread)(x)

    for function in (read, unread, nested):
        traced = tf.function(function, input_signature=[tf.TensorSpec([2])])
        with pytest.raises(UnsupportedLayer, match="assigns a variable at inference"):
            dagir.from_tensorflow(traced)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "affine"
    module = Affine()
    tf.saved_model.save(module, folder, signatures={"serving_default": module.__call__, "halved": module.halved})
    return module, folder


def test_a_saved_model_has_the_names_of_its_signature(exported):
    module, folder = exported
    model = dagir.from_tensorflow(folder)
    assert model.input_names == ["img"] and model.output_names == ["image", "logits"]
    given = drawn(5, 3)
    found = dagir.lower(model, "onnx")({"img": given})
    for name, want in module(given).items():
        np.testing.assert_allclose(found[name], want, 1e-5, 1e-5)
    assert sorted(weight.name for weight in model.graph.parameters) == ["w", "w_1"]
    with pytest.raises(ArgumentError, match=r"no signature 'halvd'.*"):
        dagir.from_tensorflow(folder, signature="halvd")
    halved = dagir.from_tensorflow(folder, signature="halved")
    np.testing.assert_allclose(next(iter(dagir.lower(halved)(given).values())), given / 2)


def image_network():
    return [keras.Input((8, 8, 3)), L.Conv2D(4, 3, activation="relu"), L.BatchNormalization(), L.MaxPooling2D()]


def test_the_command_line_takes_the_folder(exported, called, tmp_path, monkeypatch):
    """With the names of the signature; the option fits nothing else."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(exported[1], tmp_path / "net")
    code, out, err = called("net", "net.onnx", "--signature", "halved")
    assert code == 0, err
    session = onnxruntime.InferenceSession("net.onnx")
    assert [each.name for each in session.get_inputs()] == ["img"]
    assert called("verify", "net", "net.onnx", "--signature", "halved")[0] == 0
    assert called("verify", "net.onnx", "net/", "--signature", "halved")[0] == 0
    code, out, _ = called("inspect", "net")
    assert code == 0
    assert "logits" in out and "img" in out
    assert called("net", "net.keras")[0] == 0
    assert called("verify", "net.keras", "net")[0] == 0
    for given in (("net.onnx", "net.keras"), ("verify", "net.keras", "net.keras"), ("inspect", "net.keras")):
        code, _, err = called(*given, "--signature", "halved")
        assert code == 2 and "--signature is for the folder of a SavedModel" in err
    code, _, err = called("net", "other.onnx", "--signature", "halvd")
    assert code == 2 and "no signature 'halvd'" in err


def test_the_door_of_keras_names_that_of_tensorflow(exported):
    with pytest.raises(FileError, match="is a SavedModel") as refused:
        dagir.from_keras(exported[1])
    assert refused.value.remedy == f"dagir.from_tensorflow({str(exported[1])!r})"
    with pytest.raises(ArgumentError) as wrong:
        dagir.from_keras(exported[0].halved)
    assert "from_tensorflow" in wrong.value.remedy


NETWORKS = {
    "images": lambda: [*image_network(), L.Flatten(), L.Dense(3)],
    "masked sequences": lambda: [keras.Input((None, 3)), L.Masking(), L.LSTM(4, return_sequences=True), L.GRU(5)],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_an_export_of_keras(name, tmp_path):
    network = keras.Sequential(NETWORKS[name]())
    for weight in network.weights:
        weight.assign(np.abs(np.random.default_rng(0).normal(0.3, 0.3, weight.shape)))
    network.export(tmp_path / "net", verbose=False)
    model = dagir.from_tensorflow(tmp_path / "net")
    shapes = [(2, 8, 8, 3), (1, 8, 8, 3)] if name == "images" else [(2, 7, 3), (3, 4, 3)]
    for shape in shapes:
        given = drawn(*shape)
        if name != "images":
            given[0, -2:] = 0
        for backend in ("numpy", "onnx"):
            (found,) = dagir.lower(model, backend)(given).values()
            np.testing.assert_allclose(found, network(given), 2e-5, 2e-5)


DAMAGE = {
    "no graph": lambda folder: (folder / "saved_model.pb").write_bytes(b""),
    "noise": lambda folder: (folder / "saved_model.pb").write_bytes(bytes(range(256))),
    "half a graph": lambda folder: cut(folder / "saved_model.pb"),
    "few of the weights": lambda folder: cut(folder / "variables/variables.data-00000-of-00001", 20),
    "a flipped weight": lambda folder: flip(folder / "variables/variables.data-00000-of-00001"),
    "a flipped index": lambda folder: flip(folder / "variables/variables.index"),
    "no weights": lambda folder: shutil.rmtree(folder / "variables"),
}


def cut(path, size=None):
    path.write_bytes(path.read_bytes()[: size or path.stat().st_size // 2])


def flip(path):
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_saved_model_is_one_error(exported, tmp_path, kind):
    shutil.copytree(exported[1], tmp_path / "bad")
    DAMAGE[kind](tmp_path / "bad")
    with pytest.raises((FileError, UnsafeFile, UnsupportedLayer)) as refused:
        dagir.from_tensorflow(tmp_path / "bad")
    assert isinstance(refused.value, DagirError) and "\n" not in refused.value.summary
