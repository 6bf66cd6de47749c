"""Folders of SavedModels that are not whole, or lead elsewhere: one error, soon, and nothing outside is read."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

import dagir
from dagir.errors import ArgumentError, DagirError, FileError, UnsafeFile
from dagir_convert.command_line import main
from faults import checkpoints
from faults.saved_models import copied, written

INDEX, DATA = "variables/variables.index", "variables/variables.data-00000-of-00001"


@pytest.fixture
def folder(tmp_path):
    return copied(tmp_path / "net")[0]


def first(found):
    """The entry of a variable that the model reads."""
    return next(each for key, each in found.items() if key and each.get("dtype") == 1)


def no_data(folder):
    (folder / DATA).unlink()


def no_index(folder):
    (folder / INDEX).unlink()


def no_asset(folder):
    (folder / "assets/words.txt").unlink()


def pipe(name):
    def change(folder):
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return change


def directory(name):
    def change(folder):
        (folder / name).unlink()
        (folder / name).mkdir()

    return change


def other_numbers(folder):
    data = bytearray((folder / DATA).read_bytes())
    place = first(checkpoints.entries(folder / INDEX)).get("offset", 0)
    data[place] ^= 1
    (folder / DATA).write_bytes(data)


def other_index(folder):
    data = bytearray((folder / INDEX).read_bytes())
    data[5] ^= 1
    (folder / INDEX).write_bytes(data)


def entry(**fields):
    """Other fields in the entry of a variable."""

    def change(folder):
        found = checkpoints.entries(folder / INDEX)
        first(found).update(fields)
        checkpoints.write(folder / INDEX, found)

    return change


def linked_numbers(folder):
    """The data are another file, whose numbers do not have the checksum."""
    secret = folder.with_name("secret")
    secret.write_bytes(b"s" * (folder / DATA).stat().st_size)
    (folder / DATA).unlink()
    (folder / DATA).symlink_to(secret)


def linked_asset(folder):
    secret = folder.with_name("secret")
    secret.write_text("a\nb\nc\n")
    (folder / "assets/words.txt").unlink()
    (folder / "assets/words.txt").symlink_to(secret)


def not_there(folder):
    shutil.rmtree(folder / "variables")


KINDS = {
    "no data": (no_data, FileError, "no such file"),
    "no index": (no_index, DagirError, "checkpoint"),
    "no variables": (not_there, DagirError, "checkpoint"),
    "no asset": (no_asset, FileError, "no such file"),
    "the graph is a pipe": (pipe("saved_model.pb"), FileError, "regular"),
    "the index is a pipe": (pipe(INDEX), FileError, "regular"),
    "the data are a pipe": (pipe(DATA), FileError, "regular"),
    "the asset is a pipe": (pipe("assets/words.txt"), FileError, "regular"),
    "the data are a folder": (directory(DATA), FileError, "directory"),
    "the index is a folder": (directory(INDEX), FileError, "directory"),
    "other numbers": (other_numbers, FileError, "checksum"),
    "another index": (other_index, FileError, "checksum"),
    "numbers behind the data": (entry(offset=1 << 40), FileError, "ends behind"),
    "numbers before the data": (entry(offset=-4), FileError, "ends behind"),
    "a size below 0": (entry(size=-4), FileError, "ends behind"),
    "a size past the data": (entry(size=1 << 50), FileError, "ends behind"),
    "a part that is not there": (entry(shard=7), FileError, "part 7 of 1"),
    "a huge shape": (entry(shape={"dims": [{"size": 1 << 62}, {"size": 1 << 62}]}), FileError, "bytes for the shape"),
    "a shape below 0": (entry(shape={"dims": [{"size": -1}]}), FileError, "bytes for the shape"),
    "a dtype that nobody knows": (entry(dtype=99), DagirError, "99"),
    "data of another file": (linked_numbers, FileError, "checksum"),
    "an asset of another folder": (linked_asset, UnsafeFile, "does not lie in its folder"),
}


def test_a_sound_index_is_read_after_it_is_written(folder):
    checkpoints.write(folder / INDEX, checkpoints.entries(folder / INDEX))
    assert dagir.from_tensorflow(folder).weights


@pytest.mark.parametrize("kind", KINDS)
def test_one_error(folder, kind):
    change, error, said = KINDS[kind]
    change(folder)
    with pytest.raises(error) as refused:
        dagir.from_tensorflow(folder)
    assert said in str(refused.value)
    assert "\n" not in refused.value.summary


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "..", "", "a/b.txt", "c:words.txt", "words\0.txt"])
def test_an_asset_lies_in_its_folder(tmp_path, name):
    folder, message = copied(tmp_path / "net")
    for each in message["meta_graphs"][0]["assets"]:
        each["filename"] = name
    with pytest.raises(UnsafeFile, match="does not lie in its folder"):
        dagir.from_tensorflow(written(folder, message))


def test_two_signatures_are_listed(tmp_path):
    folder, message = copied(tmp_path / "net")
    signatures = message["meta_graphs"][0]["signatures"]
    signatures["first"] = signatures["second"] = signatures.pop("serving_default")
    written(folder, message)
    with pytest.raises(ArgumentError, match=r"(?s)'first' .*'second'.*signature='"):
        dagir.from_tensorflow(folder)
    assert dagir.from_tensorflow(folder, signature="second").output_names == ["place", "y"]


def test_the_tool_tells_no_traceback(folder, capsys, monkeypatch):
    no_data(folder)
    monkeypatch.chdir(folder.parent)
    monkeypatch.setattr(sys, "argv", ["dagir-convert", "net", "net.onnx"])
    with pytest.raises(SystemExit) as ended:
        main()
    err = capsys.readouterr().err
    assert ended.value.code == 5 and "no such file" in err and "Traceback" not in err
    assert not (folder.parent / "net.onnx").exists()
