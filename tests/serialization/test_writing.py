"""Writing is whole or not at all."""

from __future__ import annotations

import os

import pytest
from test_damaged_files import model

import dagir
from dagir import layers
from dagir.errors import FileError
from dagir.model import Model


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
