"""Writing is whole or not at all."""

from __future__ import annotations

import os

import pytest
from test_damaged_files import model

import dagir
from dagir import layers
from dagir.errors import FileError
from dagir.modeling.model import Model


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    class Mine(dagir.Op):
        def infer(self, x):
            return (x,)

    x = dagir.Input((3,))
    odd = Model(x, dagir.apply(Mine(), x))
    with pytest.raises(FileError, match=r"op Mine is not one of dagir\.ops, so a file cannot hold it"):
        odd.save(tmp_path / "m.dagir")
    with pytest.raises(FileError, match="cannot be written: No such file or directory"):
        model().save(tmp_path / "missing" / "m.dagir")
    with pytest.raises(FileError, match="is a folder"):
        model().save(tmp_path)
    with pytest.raises(FileError, match="save takes a Model, got int"):
        dagir.save(3, tmp_path / "m.dagir")
    with pytest.raises(FileError, match="has no graph yet"):
        dagir.Sequential([layers.Dense(3)]).save(tmp_path / "m.dagir")
    assert list(tmp_path.iterdir()) == []


def test_overwriting(tmp_path, monkeypatch):
    path = tmp_path / "m.dagir"
    model().save(path)
    before = path.read_bytes()
    with pytest.raises(FileError, match="exists already"):
        model().save(path, overwrite=False)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(FileError, match="No space left on device"):
        model().save(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["m.dagir"]


def test_a_link_is_written_through(tmp_path):
    path = tmp_path / "m.dagir"
    link = tmp_path / "link.dagir"
    link.symlink_to(path)
    model().save(link)
    assert link.is_symlink() and path.is_file()
    assert dagir.load(path).name == "m"


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".hdf5", ".onnx", ".KERAS"])
def test_the_name_of_another_format_is_refused(suffix, tmp_path):
    path = tmp_path / f"net{suffix}"
    for write in (model().save, lambda path: dagir.save(model(), path)):
        with pytest.raises(dagir.ArgumentError, match="and this would write one of dagir") as caught:
            write(path)
        assert ("to_onnx(model, " if suffix == ".onnx" else "to_keras(model).save(") + repr(str(path)) in str(
            caught.value
        )
    if suffix != ".onnx":
        with pytest.raises(dagir.ArgumentError, match="names a file of Keras, and this would write one of ONNX"):
            dagir.to_onnx(model(), path)
    with pytest.raises(dagir.ArgumentError, match="names a file of dagir, and this would write one of ONNX"):
        dagir.to_onnx(model(), tmp_path / "net.dagir")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".onnx", ".keras", ".h5"])
def test_a_file_of_another_format_says_what_reads_it(suffix, tmp_path):
    path = tmp_path / "net"
    if suffix == ".onnx":
        dagir.to_onnx(model(), path)
    else:
        path.write_bytes({".keras": b"PK\x03\x04", ".h5": b"\x89HDF\r\n\x1a\n"}[suffix] + bytes(100))
    with pytest.raises(dagir.FileError, match=f"is a file of {'ONNX' if suffix == '.onnx' else 'Keras'}") as caught:
        dagir.load(path)
    reader = "from_onnx" if suffix == ".onnx" else "from_keras"
    assert f"read it with dagir.{reader}({str(path)!r})" in caught.value.remedy


@pytest.mark.parametrize("slip, meant", [("net.onx", ".onnx"), ("net.kreas", ".keras"), ("net.dagr", ".dagir")])
def test_a_suffix_that_is_nearly_one_is_refused(slip, meant, tmp_path):
    with pytest.raises(dagir.ArgumentError, match=f"did you mean {meant}"):
        dagir.to_onnx(model(), tmp_path / slip)
    with pytest.raises(dagir.ArgumentError, match=f"did you mean {meant}"):
        model().save(tmp_path / slip)
    assert not list(tmp_path.iterdir())


def test_from_keras_knows_a_file_of_dagir(tmp_path):
    model().save(tmp_path / "net.dagir")
    with pytest.raises(dagir.FileError, match="is no Keras model") as caught:
        dagir.from_keras(tmp_path / "net.dagir")
    assert "dagir.load(" in caught.value.remedy
