"""Slips of a first hour with the tool: each ends in an error that says what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dagir
from dagir import layers
from dagir.errors import FeedError, FileError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = dagir.Input((8, 9, 3), name="image")
    y = layers.Conv2D(2, 3, name="conv")(x)
    model = dagir.Model(x, layers.GlobalAveragePooling2D(name="features")(y), name="net")
    model.save("net.dagir")
    dagir.to_onnx(model, "net.onnx")
    (tmp_path / "folder").mkdir()
    for name, shape in (("turned", (2, 3, 8, 9)), ("none", (0, 8, 9, 3)), ("bare", (8, 9, 3))):
        np.savez(f"{name}.npz", image=np.zeros(shape, "float32"))
    return model


SLIPS = [
    (("nte.dagir", "new.onnx"), "there is no file nte.dagir", "did you mean net.dagir?"),
    (("model.keras", "new.onnx"), "there is no file model.keras", "the models there are net.dagir, net.onnx"),
    (("there/net.dagir", "new.onnx"), "there is no file there/net.dagir", "there is no folder there"),
    (("folder/net.dagir", "new.onnx"), "there is no file folder/net.dagir", "no model is there"),
    (("folder", "new.onnx"), "folder is a directory", "give a model file"),
    (("net.dagir", "new.onx"), "new.onx has no suffix", "did you mean .onnx?"),
    (("net.dagir", "new"), "new has no suffix", "use .onnx, .keras, .dagir"),
    (("verfy", "net.dagir", "net.onnx"), "verfy is no command", "did you mean verify?"),
    (("extract", "net.dagir", "new.onnx", "--outputs", "cnov"), "no layer or value 'cnov'", "did you mean conv?"),
    (("net.dagir", "new.onnx", "--input", "image=1,8"), "has 4 axes, got 2 sizes", "give a size for each axis"),
    (("net.dagir", "new.onnx", "--quantize", "int8"), "finds the ranges", "--calibrate samples.npz"),
    (("verify", "net.dagir", "net.onnx", "--inputs", "x.npz"), "there is no file x.npz", "np.savez"),
    (("verify", "net.dagir", "net.onnx", "--inputs", "turned.npz"), "axis 1 of input", "x.transpose(0, 2, 3, 1)"),
    (("verify", "net.dagir", "net.onnx", "--inputs", "bare.npz"), "takes float32[batch, 8, 9, 3]", "x[None]"),
    (("verify", "net.dagir", "net.onnx", "--inputs", "none.npz"), "nothing would be compared", "give one or more"),
    (("verify", "net.dagir", "net.onnx", "--top1", "99"), "top_1 is a number from 0 to 1", "0.99 for 99 %"),
    (("verify", "net.dagir", "net.onnx", "--labels", "y.npy"), "there is no file y.npy", "np.save"),
    (("net.dagir", "new.onnx", "--precison", "float16"), "No such option", "--precision"),
    (("verify", "net.dagir", "net.onnx", "--calibrate", "x.npz"), "has no option --calibrate", "convert, extract"),
    (("verfy",), "verfy is no command, and there is no file verfy", "did you mean verify?"),
    (("frobnicate",), "frobnicate is no command", "the commands are convert, extract"),
    (("help", "verfy"), "verfy is no command", "did you mean verify?"),
    (("verify", "net.dagir"), "alone is compared with nothing", "dagir-convert verify net.dagir OTHER"),
]


@pytest.mark.parametrize(("words", "said", "remedy"), SLIPS, ids=lambda each: str(each)[:40])
def test_a_slip_says_what_to_do(folder, called, words, said, remedy):
    code, _, err = called(*words)
    flowing = " ".join(err.replace("│", " ").split())
    assert code in (2, 5) and said in flowing and remedy in flowing, err


HELP = [
    (("help",), "Usage: dagir-convert [OPTIONS]"),
    (("-h",), "COMMAND"),
    (("help", "verify"), "Usage: dagir-convert verify"),
]


@pytest.mark.parametrize(("words", "shown"), HELP)
def test_help_is_a_word_too(folder, called, words, shown):
    code, out, _ = called(*words)
    assert code == 0 and shown in out and out == called(*words[1:], "--help")[1]


def test_a_file_called_help_is_a_file(folder, called):
    Path("net.dagir").rename("help")
    code, _, err = called("help", "new.onnx")
    assert code == 2 and "help is no model that dagir knows" in err


def test_the_same_in_python(folder):
    for path, other in (("net.dagir", "dagir"), ("pack.onnx", "Keras")):
        Path("pack.onnx").write_bytes(b"PK\x03\x04" + bytes(40))
        with pytest.raises(FileError, match=f"is a file of {other}") as told:
            dagir.from_onnx(path)
        assert told.value.remedy.startswith("read it with dagir.")
    with pytest.raises(FeedError) as told:
        folder.predict(np.zeros((2, 3, 8, 9), "float32"), backend="numpy")
    assert told.value.remedy == "move the channels: x.transpose(0, 2, 3, 1)"
    with pytest.raises(FeedError) as told:
        folder.predict(np.zeros((2, 5, 8, 9), "float32"), backend="numpy")
    assert told.value.remedy is None


def test_what_only_looks_like_a_command_is_a_file(folder, called):
    """A name with a suffix is no command, and nor is a file that is there."""
    code, _, err = called("inspct.dagir", "new.onnx")
    assert code == 2 and "there is no file inspct.dagir" in err
