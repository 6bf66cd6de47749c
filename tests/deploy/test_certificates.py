"""A certificate comes with a stranger's file: what proves nothing, is damaged or asks for too much is refused."""

from __future__ import annotations

import copy
import json
import math
import random

import numpy as np
import onnx
import pytest
from onnx import StringStringEntryProto, TensorProto, helper, numpy_helper

import dagir
from dagir import layers, ops
from dagir.errors import DagirError, FileError
from dagir_convert.command_line import main
from dagir_onnx.certificate import KEY, hashes
from dagir_onnx.certificate_schema import places


def net():
    """Two inputs, one of which indexes a table, a recurrence, and two outputs, one of integers."""
    dagir.clear_session()
    words = dagir.Input(("time",), dtype="int32", name="words")
    image = dagir.Input((4,), name="image")
    x = layers.GRU(3, name="memory")(layers.Embedding(7, 4, name="table")(words))
    head = layers.Dense(3, name="head")(layers.Concatenate()([x, image]))
    model = dagir.Model({"words": words, "image": image}, {"head": head, "place": ops.argmax(head, axis=-1)})
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(0, 0.7, weight.shape))
    return model


def certified(model, path):
    backend = dagir.backend("onnx")
    dagir.to_onnx(model, path)
    assert backend.certify(path, dagir.verify(model, {"file": backend.open(path, model)}), "net") == ""
    return path


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    path = certified(net(), tmp_path_factory.mktemp("certified") / "right.onnx")
    assert dagir.backend("onnx").recertify(path).ok
    return path


@pytest.fixture
def told(right, tmp_path):
    """The error of a file whose certificate is another text, or which a function has changed, hashes kept right."""

    def run(text, change=lambda proto: None):
        proto, path = onnx.load(right), tmp_path / "other.onnx"
        change(proto)
        onnx.save(proto, path)
        if not isinstance(text, str):
            text["weights_sha256"], text["graph_sha256"] = hashes(path)
            text = json.dumps(text)
        proto.metadata_props.append(StringStringEntryProto(key=KEY, value=text))
        onnx.save(proto, path)
        with pytest.raises(FileError) as refused:
            dagir.backend("onnx").recertify(path)
        assert str(refused.value).isprintable() or "\n" in str(refused.value)
        return refused.value.summary

    return run


@pytest.fixture
def data(right):
    return json.loads(next(entry.value for entry in onnx.load(right).metadata_props if entry.key == KEY))


def test_what_proves_nothing_is_no_certificate(data, told):
    without = copy.deepcopy(data)
    without["cases"] = []
    assert "proves nothing: it holds no cases" in told(without)
    for budget in (math.inf, 1e30):
        loose = copy.deepcopy(data)
        for case in loose["cases"]:
            held = case["outputs"]["head"]
            held["budget"] = [budget] * len(held["at"])
        assert "proves nothing of output 'head'" in told(loose)
    empty = copy.deepcopy(data)
    for case in empty["cases"]:
        case["outputs"]["head"] = {"shape": [0, 3], "at": [], "values": [], "budget": []}
    assert "proves nothing of output 'head'" in told(empty)
    fewer = copy.deepcopy(data)
    for case in fewer["cases"]:
        del case["outputs"]["place"]
    assert "is of other outputs than the file's" in told(fewer)
    none = copy.deepcopy(data)
    for case in none["cases"]:
        case["outputs"] = {}
    assert "proves nothing: it holds no outputs" in told(none)
    some = copy.deepcopy(data)
    some["cases"][0]["outputs"]["head"].update(at=[0], values=[1.0], budget=[1.0])
    assert "not the elements that a certificate keeps" in told(some)
    for at in ([0, 0], [-1, 0], [0, 10**9], [True], list(range(40)), "0"):
        wrong = copy.deepcopy(data)
        wrong["cases"][0]["outputs"]["head"].update(at=at, values=[1.0] * len(at), budget=[1.0] * len(at))
        assert "at " in told(wrong)


def test_a_wrong_weight_is_found_though_the_hashes_are_right(data, right, tmp_path):
    """What the comparison itself is good for: the answers are held to their budgets."""
    proto, path = onnx.load(right), tmp_path / "wrong.onnx"
    for tensor in proto.graph.initializer:
        if tensor.name == "head/kernel":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.001), tensor.name))
    onnx.save(proto, path)
    data["weights_sha256"], data["graph_sha256"] = hashes(path)
    proto.metadata_props.append(StringStringEntryProto(key=KEY, value=json.dumps(data)))
    onnx.save(proto, path)
    assert not dagir.backend("onnx").recertify(path).ok


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("version",), 1, "is of version '1'"),
        (("seed",), -1, "seed is no whole number"),
        (("seed",), True, "seed is no whole number"),
        (("with",), "\x1b[31m", "with is no printable text"),
        (("weights_sha256",), "0" * 63, "weights_sha256 is not 64"),
        (("inputs", 0, "dtype"), "complex64", "dtype is none"),
        (("inputs", 0, "dtype"), "float16", "the file has not"),
        (("inputs", 0, "shape"), ["batch", "time", 3], "the file has not"),
        (("inputs", 0, "shape"), ["batch", "time**9"], "is no size"),
        (("inputs", 0, "shape"), ["batch", "time//(batch - 1)"], "has no numbers"),
        (("inputs", 0, "below"), [0], "below is no whole number from 1"),
        (("inputs", 0, "below"), [10**11], "asks for too much"),
        (("inputs", 0, "name"), "else", "of other inputs than the file's"),
        (("cases", 0, "sizes", "batch"), 0, "size 'batch' is no whole number from 1"),
        (("cases", 0, "sizes", "batch"), 10**9, "asks for too much"),
        (("cases", 0, "sizes", "batch"), 10**6, "sizes that no conversion draws"),
        (("cases", 0, "sizes"), {"batch": 1}, "gives no size for 'time'"),
        (("cases", 0, "kind"), "given", "kind is none of"),
        (("cases", 0, "number"), 99, "have the numbers [99, 1, 2, 3], of 4"),
        (("cases", 0, "inputs", 0), "0" * 16, "cannot be drawn again"),
        (("cases", 0, "outputs", "head", "budget", 0), -1.0, "is no number from 0"),
        (("cases", 0, "outputs", "head", "budget", 0), math.nan, "is no number from 0"),
        (("cases", 0, "outputs", "head", "budget"), None, "of another dtype"),
        (("cases", 1, "outputs", "place", "values", 0), "word", "are neither numbers nor texts"),
        (("cases", 0, "outputs", "place", "values"), ["word"], "holds what is no int"),
        (("cases", 0, "outputs", "place", "values"), [10**300], "holds what is no int"),
        (("cases", 0, "outputs", "head", "values"), [], "has not a value and a budget"),
        (("cases", 0, "outputs", "\x1b[2J"), {}, "no object of printable names"),
    ],
)
def test_each_part_is_checked(data, told, place, value, said):
    held = data
    for key in place[:-1]:
        held = held[key]
    held[place[-1]] = value
    text = json.dumps(data) if place[-1] == "weights_sha256" else data
    assert said in told(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is damaged"),
        ("[" * 100_000, "is damaged"),
        ("[]", "is no object"),
        ("{}", "lacks 'cases'"),
        ('{"version": 2, "version": 2}', "a key stands in it twice"),
        ('{"version": 2, "\\ud800": 2}', "is no object of printable names"),
    ],
)
def test_what_is_no_certificate_at_all(told, text, said):
    assert said in told(text)


def test_an_empty_batch_does_not_reach_a_kernel_that_it_ends(tmp_path):
    """onnxruntime ends the process there: the file's own sizes ask for it."""
    x = dagir.Input(batch_shape=(2, 5, 4), name="x")
    path = tmp_path / "rnn.onnx"
    dagir.to_onnx(dagir.Model(x, layers.LSTM(3)(x)), path)
    proto = onnx.load(path)
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 0
    onnx.save(proto, path)
    with pytest.raises(FileError, match=r"cannot run its LSTM, node .* on an empty batch"):
        dagir.backend("onnx").compare(path, path)


def test_weights_that_lie_outside_and_are_gone(data, right, tmp_path):
    path = tmp_path / "outside.onnx"
    onnx.save_model(onnx.load(right), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    (tmp_path / "w.bin").unlink()
    with pytest.raises(FileError, match=r"weight '.*' cannot be read"):
        dagir.backend("onnx").recertify(path)


def test_integers_past_the_digits_of_floats_are_kept(tmp_path):
    x = dagir.Input((2,), dtype="int64", name="x")
    path = certified(dagir.Model(x, x + (2**60 + 1)), tmp_path / "large.onnx")
    assert dagir.backend("onnx").recertify(path).ok


def test_a_model_of_which_nothing_can_be_compared_gets_none(tmp_path):
    x = dagir.Input((3,), name="x")
    path, model = tmp_path / "empty.onnx", dagir.Model(x, x[:, :0])
    dagir.to_onnx(model, path)
    backend = dagir.backend("onnx")
    assert "proves nothing" in backend.certify(path, dagir.verify(model, {"file": backend.open(path, model)}), "net")
    given = dagir.verify(net(), ["onnx"], inputs={"words": np.zeros((1, 2), "int32"), "image": np.zeros((1, 4), "f4")})
    assert "it holds no cases" in backend.certify(dagir.to_onnx(net(), path), given, "net")
    with pytest.raises(FileError, match="has no certificate"):
        backend.recertify(path)


def test_drawn_changes_never_end_in_another_error(data, right, tmp_path):
    """Each change keeps the hashes right, so that it reaches what reads it."""
    rng = random.Random(0)
    values = [None, True, -1, 0, 2**40, 10**20, 1e308, math.nan, math.inf, "", "batch", "\ud800", [], {}, [[]], "x//0"]
    proto, path = onnx.load(right), tmp_path / "m.onnx"
    kept = [entry for entry in proto.metadata_props if entry.key != KEY]
    for _ in range(300):
        changed = copy.deepcopy(data)
        for _ in range(rng.choice([1, 1, 2, 4])):
            holder = changed
            while True:
                key = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
                if isinstance(holder[key], (dict, list)) and holder[key] and rng.random() < 0.8:
                    holder = holder[key]
                    continue
                how = rng.random()
                if how < 0.2:
                    del holder[key]
                else:
                    holder[key] = rng.choice(values)
                break
            if not changed:
                break
        del proto.metadata_props[:]
        proto.metadata_props.extend([*kept, StringStringEntryProto(key=KEY, value=json.dumps(changed))])
        onnx.save(proto, path)
        try:
            dagir.backend("onnx").recertify(path)
        except DagirError:
            continue


@pytest.mark.parametrize("outside", [False, True])
def test_the_hashes_are_those_of_the_weights_wherever_they_lie(outside, tmp_path):
    """Read from the mapped file or from the model: raw numbers, typed fields, packed codes, booleans and texts."""
    floats = helper.make_tensor("typed", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])
    raw = numpy_helper.from_array(np.arange(2000, dtype="float32").reshape(2, 1000), "raw")
    codes = helper.make_tensor("codes", TensorProto.INT4, [3], [1, -2, 3])
    rest = [
        numpy_helper.from_array(np.zeros((0, 3), "float32"), "none"),
        numpy_helper.from_array(np.array([True, False]), "bools"),
        numpy_helper.from_array(np.array(["a", "b"]), "texts"),
    ]
    identity = helper.make_node("Identity", ["raw"], ["y"])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 1000])
    graph = helper.make_graph([identity], "g", [], [output], [raw, floats, codes, *rest])
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph), path, save_as_external_data=outside, size_threshold=100)
    found = hashes(path)
    assert found == hashes(path, onnx.load(path, load_external_data=False))
    onnx.save(helper.make_model(graph), path)  # in one file
    assert found[0] == hashes(path)[0]


def test_a_certificate_tells_what_the_conversion_told(tmp_path):
    """Its worst elements are among those that it holds: of 2,000, an even choice of 32 has them rarely."""
    x = dagir.Input((40,), name="x")
    model = dagir.Model(x, layers.Dense(500, activation="tanh", name="wide")(ops.sin(x * 30.0)))
    onnx_backend = dagir.backend("onnx")
    path = dagir.to_onnx(model, tmp_path / "wide.onnx")
    report = dagir.verify(model, {"file": onnx_backend.open(path, model)})
    onnx_backend.certify(path, report, "net")
    again = onnx_backend.recertify(path)
    (then,), (now,) = report.rows, again.rows
    assert 0 < now.used <= then.used  # of which a root mean square of all elements may be a part
    assert now.used > then.used / 2 and then.max_error == pytest.approx(now.max_error)
    assert again.written == {"budget_used_percent": pytest.approx(100 * then.used), "cases": len(report.cases)}


def test_certificates_of_version_2_are_read(data, right, tmp_path):
    """They hold 32 elements of each answer at most, and no others."""
    data["version"], path = 2, tmp_path / "older.onnx"
    for case in data["cases"]:
        for held in case["outputs"].values():
            kept = [held["at"].index(place) for place in places(math.prod(held["shape"]))]
            held.update(at=[held["at"][k] for k in kept], values=[held["values"][k] for k in kept])
            held["budget"] = held["budget"] and [held["budget"][k] for k in kept]
    proto = onnx.load(right)
    proto.metadata_props.append(StringStringEntryProto(key=KEY, value=json.dumps(data)))
    onnx.save(proto, path)
    assert dagir.backend("onnx").recertify(path).ok


def test_the_tool_says_what_to_do_next(right, data, tmp_path, capfd):
    def run(*arguments):
        with pytest.raises(SystemExit) as left, pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", ["dagir-convert", *map(str, arguments)])
            main()
        return left.value.code, *capfd.readouterr()

    code, said, _ = run("verify", right)
    used = f"{data['worst_budget_used_percent']:.2g} % of the budget"
    assert code == 0 and used in said and "the worst element of each output" in said
    changed, none = tmp_path / "changed.onnx", tmp_path / "none.onnx"
    proto = onnx.load(right)
    (kernel,) = (tensor for tensor in proto.graph.initializer if tensor.name == "head/kernel")
    kernel.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(kernel) + np.float32(1), kernel.name))
    onnx.save(proto, changed)
    code, _, told = run("verify", changed)
    assert code == 5 and "was changed" in told and f"dagir-convert verify MODEL {changed}" in told
    del proto.metadata_props[:]
    onnx.save(proto, none)
    code, _, told = run("verify", none)
    assert code == 5 and "has no certificate" in told and f"dagir-convert verify MODEL {none}" in told
