"""A vocabulary as a file beside the model file, as TensorFlow 2.15 wrote and used it.

The Keras of today keeps the terms themselves. v.txt has one line that ends as on Windows, n.txt has no end of line.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import dagir
from dagir.errors import DagirError, FileError, UnsafeFile

FILES = Path(__file__).parent / "vocabulary_files"
MODELS = ["tf215_vocabulary.h5", "tf215_vocabulary.keras"]
WORDS = np.array([["the", "été", "no"], ["", "[UNK]", "two words"]], np.dtypes.StringDType())
NUMBERS = np.array([[7, -3, 5], [12, -1, 0]], "int64")


@pytest.fixture(params=MODELS)
def copied(request, tmp_path):
    """The model file, alone in a folder."""
    (tmp_path / "model").mkdir()
    return Path(shutil.copy(FILES / request.param, tmp_path / "model"))


@pytest.mark.parametrize("name", MODELS)
def test_as_the_writer_read_it(name, monkeypatch):
    monkeypatch.chdir("/")
    found = dagir.lower(dagir.from_keras(FILES / name))(WORDS, NUMBERS)
    with np.load(FILES / "tf215_vocabulary.npz") as known:
        for place, each in enumerate(found):
            np.testing.assert_array_equal(each, known[f"out{place}"])


def test_only_beside_the_file(copied, tmp_path, monkeypatch):
    monkeypatch.chdir(FILES)
    with pytest.raises(
        UnsafeFile, match=r"'v.txt', which is not read: there is no such file beside(.|\n)*put the file"
    ):
        dagir.from_keras(copied)  # though the working folder has one
    for name in ("v.txt", "n.txt"):
        os.symlink(FILES / name, copied.with_name(name))
    with pytest.raises(UnsafeFile, match="which is not read: it is no file beside"):
        dagir.from_keras(copied)
    copied.with_name("v.txt").unlink()
    os.mkfifo(copied.with_name("v.txt"))
    with pytest.raises(DagirError, match="no regular file"):
        dagir.from_keras(copied)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("v.txt", b"a\n\xff\xfe\n", "is no text in UTF-8"),
        ("n.txt", b"1\ntwo\n", "holds what is no integer"),
        ("v.txt", b"[UNK]\na\n", "begins with a special token"),
        ("v.txt", b"\n" * ((1 << 22) + 5), "asks for too much"),
    ],
)
def test_files_that_are_no_vocabulary(copied, name, text, words):
    for each in ("v.txt", "n.txt"):
        shutil.copy(FILES / each, copied.with_name(each))
    copied.with_name(name).write_bytes(text)
    with pytest.raises((FileError, DagirError), match=words):
        dagir.from_keras(copied)
