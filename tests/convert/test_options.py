"""Options of a conversion: opsets and targets, sizes, metadata; the commands extract and plot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import dagir
from dagir import layers
from dagir.errors import ArgumentError, ShapeError
from dagir.modeling.input_shapes import resize_inputs
from dagir_onnx.targets import choose_opset

SOURCE = """
import numpy as np

import dagir
from dagir import layers

image = dagir.Input((8, 8, 3), name="image")
x = layers.Conv2D(4, 3, activation="gelu", name="first")(image)
x = layers.Conv2D(4, 3, name="second")(x)
net = dagir.Model({"image": image}, {"logits": layers.Dense(2, name="head")(layers.GlobalAveragePooling2D()(x))})
for place, weight in enumerate(net.weights):
    weight.assign(np.random.default_rng(place).normal(size=weight.shape))
"""


@pytest.fixture
def run(tmp_path, monkeypatch, called):
    """The tool, beside a model."""
    (tmp_path / "model.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    return called


def test_the_opset_follows_from_the_runtime():
    assert choose_opset() == choose_opset(target="onnxruntime==1.32.0") == 21
    assert choose_opset(target="onnxruntime==1.17") == 20
    assert choose_opset(target="onnxruntime-gpu == 1.16.3") == 19
    assert choose_opset(target="onnxruntime==1.14") == 18
    assert [choose_opset(target=f"onnxruntime==1.{minor}") for minor in (6, 8, 10, 11, 13)] == [13, 14, 15, 16, 17]
    assert choose_opset(23, "onnxruntime==1.22") == 23
    assert choose_opset(18, "onnxruntime==1.22") == 18
    for opset, target, message in (
        (22, "onnxruntime==1.18.0", "takes opset 21 at most, not 22"),
        (None, "onnxruntime==1.5", "is too old: dagir writes opset 13 or newer"),
        (None, "tensorrt==10", "unknown target 'tensorrt==10'"),
        (12, None, "opset 12 is not offered"),
    ):
        with pytest.raises(ArgumentError, match=message):
            choose_opset(opset, target)


def test_an_average_pool_is_written_for_the_kernel_that_is_fast():
    image = dagir.Input((8, 8, 3), name="image")
    inner = dagir.Model(x := dagir.Input((8, 8, 3)), layers.AveragePooling2D(2)(x))
    model = dagir.Model(image, layers.TimeDistributed(inner)(dagir.ops.expand_dims(image, 1)))
    for pooled in (dagir.Model(image, inner(image)), model):
        for asked, written in ((None, 18), (20, 20)):
            assert dagir.lower(pooled, "onnx", opset=asked).artifact.opset_import[0].version == written
    assert dagir.lower(dagir.Model(image, image + 1), "onnx").artifact.opset_import[0].version == 21


@pytest.mark.parametrize("moved", ["max_pool", "transpose"])
def test_codes_of_int8_are_written_for_the_opset_that_onnxruntime_loads(moved):
    image = dagir.Input((6, 6, 2), name="image")
    codes = dagir.ops.quantize_linear(image, np.float32(0.1), np.int8(3))
    back = dagir.ops.dequantize_linear(codes, np.float32(0.1), np.int8(3))
    out = dagir.ops.transpose(back, (0, 2, 3, 1)) if moved == "transpose" else layers.MaxPooling2D(2)(back)
    lowered = dagir.lower(dagir.Model(image, out), "onnx")
    assert lowered.artifact.opset_import[0].version == 20
    sample = np.random.default_rng(0).normal(size=(2, 6, 6, 2)).astype("float32")
    np.testing.assert_array_equal(lowered(sample), dagir.lower(dagir.Model(image, out), "numpy")(sample))
    codes = dagir.ops.quantize_linear(image, np.float32(0.1), np.uint8(3), "uint8")
    back = dagir.ops.dequantize_linear(codes, np.float32(0.1), np.uint8(3))
    assert dagir.lower(dagir.Model(image, back), "onnx").artifact.opset_import[0].version == 21


def test_blocks_of_codes_are_written_for_the_opset_that_has_them():
    x = dagir.Input((4,), name="x")
    scale = np.full((1, 2), 0.1, "float32")
    fixed = dagir.Input(batch_shape=(1, 4), name="fixed")
    codes = dagir.ops.quantize_linear(fixed, scale, axis=1, block_size=2)
    blocked = dagir.ops.dequantize_linear(codes, scale, axis=1, block_size=2)
    wide = dagir.ops.dequantize_linear(dagir.ops.quantize_linear(x, np.float32(0.1), dtype="int16"), np.float32(0.1))
    narrow = dagir.ops.dequantize_linear(dagir.ops.quantize_linear(x, np.float32(0.1)), np.float32(0.1))
    for inputs, outputs in ((fixed, blocked), (x, [wide, narrow])):
        lowered = dagir.lower(dagir.Model(inputs, outputs), "onnx")
        assert lowered.artifact.opset_import[0].version == 21
        lowered(np.ones((1, 4), "float32"))


def test_target_and_metadata(run):
    dagir.clear_session()
    code, out, err = run("model.py:net", "net.onnx", "--target", "onnxruntime==1.16", "--json")
    assert code == 0, err
    proto = onnx.load("net.onnx")
    assert (proto.opset_import[0].version, proto.ir_version) == (19, 9)
    onnx.checker.check_model(proto, full_check=True)
    told = {entry.key: entry.value for entry in proto.metadata_props}
    assert told["dagir.source"] == "model.py"
    assert told["dagir.version"] == proto.producer_version
    assert told["dagir.verified"].startswith(f"by onnxruntime {onnxruntime.__version__} against float64")
    assert json.loads(out)["ok"] is True
    dagir.clear_session()  # a shell starts a new process, with default names from the first
    Path("again").mkdir()  # the certificate holds the file's name
    assert run("model.py:net", "again/net.onnx", "--target", "onnxruntime==1.16", "-q")[0] == 0
    assert Path("again/net.onnx").read_bytes() == Path("net.onnx").read_bytes()
    assert run("model.py:net", "plain.onnx", "--no-verify", "-q")[0] == 0
    assert {e.key: e.value for e in onnx.load("plain.onnx").metadata_props}["dagir.verified"] == "no"
    code, _, err = run("model.py:net", "other.onnx", "--target", "onnxruntime==0.1")
    assert code == 2
    assert "too old" in err


def shape_of(path):
    sizes = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
    return [size.dim_param or size.dim_value for size in sizes]


def test_sizes_are_fixed_and_freed(run):
    assert run("model.py:net", "one.onnx", "--input", "image=1,8,8,3", "-q")[0] == 0
    assert shape_of("one.onnx") == [1, 8, 8, 3]
    code, out, err = run("model.py:net", "free.onnx", "--input", "image=n,height,width,3")
    assert code == 0, err
    assert "max error" in out.splitlines()[-1]
    assert shape_of("free.onnx") == ["n", "height", "width", 3]
    session = onnxruntime.InferenceSession("free.onnx")
    (y,) = session.run(["logits"], {"image": np.ones((2, 11, 7, 3), "float32")})
    assert y.shape == (2, 2)
    for given, message in (
        ("image", "--input image names no sizes"),
        ("image=1,2x", "names no sizes"),
        ("picture=1", "there is no input 'picture'"),
        ("image=1,8,8", "input 'image' has 4 axes, got 3 sizes"),
    ):
        code, _, err = run("model.py:net", "bad.onnx", "--input", given)
        assert code == 2
        assert message in err
    code, _, err = run("model.py:net", "bad.onnx", "--input", "image=1,2,2,3")
    assert code != 0
    assert "kernel reaches over 3 elements" in err
    assert sorted(path.name for path in Path().glob("*.onnx")) == ["free.onnx", "one.onnx"]


def test_a_size_is_fixed_wherever_its_name_stands():
    series, other = dagir.Input(("time", 4), name="series"), dagir.Input(("time", 1), name="other")
    inner = dagir.Input(("time", 4))
    halves = dagir.Model(inner, layers.Reshape((-1, 2, 2))(inner), name="halves")
    model = dagir.Model([series, other], {"y": halves(series * other)})
    fixed = resize_inputs(model, {"series": (3, 6, 4)})
    assert [str(type) for _, type in fixed.signature.inputs] == ["float32[3, 6, 4]", "float32[3, 6, 1]"]
    assert fixed.weights == model.weights
    feeds = [np.ones((3, 6, 4), "float32"), np.full((3, 6, 1), 2, "float32")]
    assert dagir.lower(fixed, "onnx")(feeds)["y"].shape == (3, 6, 2, 2)
    with pytest.raises(ArgumentError, match="size time cannot be both 5 and 6"):
        resize_inputs(model, {"series": (None, 5, 4), "other": (None, 6, 1)})
    with pytest.raises(ShapeError):
        resize_inputs(model, {"series": (None, 5, 3)})
    proto = dagir.to_onnx(model, input_shapes={"series": ("n", "t", 4)})
    assert [size.dim_param for size in proto.graph.input[1].type.tensor_type.shape.dim] == ["n", "t", ""]


def test_an_axis_that_the_layers_want_fixed_stays_fixed():
    wave = dagir.Input((None, 1), name="wave")
    model = dagir.Model(wave, layers.Conv1D(2, 2)(wave))
    with pytest.raises(ArgumentError, match="axis 2 of input 'wave' cannot be c: the layers want 1 there"):
        resize_inputs(model, {"wave": ("a", "b", "c")})
    image = dagir.Input((32, 32, 3), name="image")
    model = dagir.Model(image, layers.Conv2D(2, 3)(image))
    freed = resize_inputs(model, {"image": (None, "height", "width", 3)})
    assert str(freed.signature.outputs[0][1]) == "float32[batch, height - 2, width - 2, 2]"


def test_a_nested_model_takes_the_sizes_of_its_call():
    steps, fixed = dagir.Input(("time", 4)), dagir.Input((7, 4), name="fixed")
    inner = dagir.Model(steps, layers.Reshape((2, -1, 2))(steps), name="inner")
    model = dagir.Model(fixed, inner(fixed))
    array = np.random.default_rng(0).normal(size=(3, 7, 4)).astype("float32")
    assert np.array_equal(dagir.lower(model, "onnx")(array), dagir.lower(model, "numpy")(array))


def test_extract(run):
    code, out, err = run("extract", "model.py:net", "part.onnx", "--outputs", "first,second")
    assert code == 0, err
    assert "ok" in out
    assert [value.name for value in onnx.load("part.onnx").graph.output] == ["first", "second"]
    assert run("extract", "model.py:net", "tail.onnx", "--inputs", "first", "--outputs", "head", "-q")[0] == 0
    assert shape_of("tail.onnx")[1:] == [6, 6, 4]
    code, _, err = run("extract", "model.py:net", "none.onnx", "--outputs", "frist")
    assert code == 2
    assert "first" in err


def test_plot(run):
    code, out, err = run("plot", "model.py:net", "net.dot", "--shapes")
    assert code == 0, err
    assert out.startswith("net.dot, ")
    assert "first" in Path("net.dot").read_text()
    code, _, err = run("plot", "model.py:net", "net.dot")
    assert code == 2
    assert "net.dot exists" in err
    assert run("plot", "model.py:net", "net.dot", "--force", "-q") == (0, "", "")
