"""The source run by Keras itself beside what was written: a misreading is found, and the file says who confirmed it."""

from __future__ import annotations

import json
import os
import sys

import keras
import onnx
import pytest

import dagir
from dagir_convert.greetings import import_keras

SOURCE = """
import keras

keras.utils.set_random_seed(1)
steps = keras.Input((None, 4), name="steps")
wide = keras.layers.LSTM(5, return_sequences=True, name="memory")(steps)
middle = keras.layers.GlobalAveragePooling1D()(wide)
net = keras.Model({"steps": steps}, {"logits": keras.layers.Dense(2, name="head")(middle)})


def build():
    return net
"""
NAME = "source, by Keras"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The source, and its model as .keras, .h5 and .dagir."""
    folder = tmp_path_factory.mktemp("sources")
    (folder / "model.py").write_text(SOURCE)
    (folder / "layer.py").write_text("import keras\n\nalone = keras.layers.Dense(3)\n")
    scope: dict[str, object] = {}
    exec(SOURCE, scope)
    for suffix in ("keras", "h5"):
        scope["net"].save(folder / f"net.{suffix}")  # type: ignore[attr-defined]
    dagir.from_keras(scope["net"]).save(folder / "net.dagir")
    return folder


@pytest.fixture
def run(folder, tmp_path, monkeypatch, called):
    """Call the tool in an empty folder with a source; returns the exit code, its JSON or None, and stderr."""
    monkeypatch.chdir(tmp_path)

    def call(source, *options):
        code, out, err = called(folder / source, "net.onnx", "--json", *options)
        return code, json.loads(out) if out else None, err

    return call


def rows(facts):
    return [(row["backend"], row["verdict"] != "differs") for row in facts["outputs"]]


@pytest.mark.parametrize("name", ["net", "build"])
def test_a_model_in_memory_is_run_unasked(run, name):
    code, facts, _ = run(f"model.py:{name}")
    assert (code, rows(facts)) == (0, [("onnx", True), (NAME, True)])
    held = {entry.key: entry.value for entry in onnx.load("net.onnx").metadata_props}
    assert "the source by Keras " in held["dagir.verified"]
    assert json.loads(held["dagir.certificate"])["with"].startswith("the float64 evaluation of model.py, which Keras ")
    assert dagir.backend("onnx").recertify("net.onnx").ok


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("asked", [False, True])
def test_a_file_is_run_where_that_is_asked(run, suffix, asked):
    code, facts, err = run(f"net.{suffix}", *(["--with-keras"] if asked else []))
    assert (code, rows(facts)) == (0, [("onnx", True), *([(NAME, True)] if asked else [])])
    assert len(err.splitlines()) == (0 if asked else 1)
    assert asked or "is not confirmed by Keras: --with-keras has it run the file too" in " ".join(err.split())
    assert facts["confirmed_by"] == (f"Keras {keras.__version__}" if asked else None)
    held = {entry.key: entry.value for entry in onnx.load("net.onnx").metadata_props}
    assert ("; the source not confirmed by Keras" in held["dagir.verified"]) is not asked
    assert ("; the source by Keras " in held["dagir.verified"]) is asked


def test_a_model_in_memory_is_not_run_where_that_is_not_wanted(run):
    code, facts, err = run("model.py:net", "--without-keras")
    assert (code, rows(facts), facts["confirmed_by"]) == (0, [("onnx", True)], None)
    assert "confirmed" not in err


def test_a_part_is_not_confirmed(folder, tmp_path, monkeypatch, called):
    monkeypatch.chdir(tmp_path)
    code, _, err = called("extract", folder / "net.keras", "part.onnx", "--outputs", "memory")
    assert code == 0 and "it runs whole models, and this is a part" in " ".join(err.split())


def test_what_needs_no_witness_has_no_line(run):
    code, facts, err = run("net.dagir")
    assert (code, err, facts["confirmed_by"]) == (0, "", None)


@pytest.mark.parametrize("source", ["model.py:net", "net.keras"])
def test_a_misreading_is_told_as_such(run, source, monkeypatch):
    def misread(read):
        def reader(*arguments, **named):
            model = read(*arguments, **named)
            kernel = next(weight for weight in model.weights if weight.name == "head/kernel")
            kernel.assign(kernel.array * 1.001)
            return model

        return reader

    backend = dagir.backend("keras")
    monkeypatch.setattr(backend, "read", misread(backend.read))
    code, facts, err = run(source, "--with-keras")
    assert (code, rows(facts)) == (3, [("onnx", True), (NAME, False)])
    assert "Keras computes something else from the source than dagir read in it" in err
    assert "layer 'head'" in err
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("net.dagir", "--with-keras"), 2, "--with-keras is for what Keras runs"),
        (("net.keras", "--with-keras", "--no-verify"), 2, "--no-verify says not to"),
        (("model.py:wide",), 2, "is of type KerasTensor"),
        (("layer.py:alone",), 2, "is the Keras layer"),
        (("net.keras", "--with-keras", "--input", "steps=2,7,4"), 0, ""),
        (("model.py:net", "--input", "steps=batch,7,4"), 0, ""),
    ],
)
def test_what_can_be_run(run, arguments, code, message):
    found, _, err = run(*arguments)
    assert (found, message in err) == (code, True)


def test_a_file_that_keras_does_not_load(run, folder):
    steps = keras.Input((5, 4))
    keras.Model(steps, keras.layers.LSTM(2)(keras.layers.Masking()(steps))).save("masked.h5")
    # Keras writes the operations of the mask, and does not know them again
    code, _, err = run(os.path.abspath("masked.h5"), "--with-keras")
    assert code == 5
    assert "Keras does not load" in err
    assert "leave out --with-keras" in err
    assert os.listdir() == ["masked.h5"]


def test_sizes_that_are_fixed_in_keras_cannot_be_freed_for_it(run, folder):
    (folder / "fixed.py").write_text("""
import keras
image = keras.Input((8, 8, 3), name="image")
net = keras.Model(image, keras.layers.Conv2D(2, 3)(image))
""")
    free = ["--input", "image=batch,height,width,3"]
    code, facts, _ = run("fixed.py:net", *free)
    assert (code, rows(facts)) == (0, [("onnx", True)])
    code, _, err = run("fixed.py:net", *free, "--force", "--with-keras")
    assert code == 2
    assert "--input frees sizes that the model in Keras has fixed" in err


def test_verify_runs_the_keras_model_itself(folder, called, monkeypatch):
    monkeypatch.chdir(folder)
    code, out, _ = called("verify", "net.dagir", "model.py:net", "--json")
    assert code == 0
    assert json.loads(out)["ok"]


@pytest.mark.parametrize(("body", "shown"), [("", ""), ("raise RuntimeError('broken')", "a greeting")])
def test_what_is_said_while_keras_is_imported_is_shown_where_it_fails(tmp_path, monkeypatch, capfd, body, shown):
    (tmp_path / "keras.py").write_text(f"import os\nos.write(2, b'a greeting')\n{body}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "keras")
    try:
        import_keras()
    except RuntimeError:
        assert body
    os.write(2, b".")
    assert capfd.readouterr().err == shown + "."
