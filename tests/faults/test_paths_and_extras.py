"""Paths that nothing can be at, disks that are full, packages that are missing, and an interrupt: one line each."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

import dagir
from dagir import layers
from dagir.errors import DagirError

TOOL = "from dagir_convert.entry import main; main()"
FULL = """
import resource, sys
import dagir
x = dagir.Input((200,))
model = dagir.Model(x, dagir.layers.Dense(200)(x))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
for write in (
    lambda: model.save("full.dagir"),
    lambda: model.save_weights("full.safetensors"),
    lambda: dagir.to_onnx(model, "full.onnx"),
    lambda: dagir.to_onnx(model, "full.onnx", external_data=True),
    lambda: dagir.to_keras(model) and dagir.lower(model, "keras").save("full.keras"),
):
    try:
        write()
    except dagir.FileError:
        continue
    sys.exit("nothing was said")
"""


def model():
    x = dagir.Input((3,))
    return dagir.Model(x, layers.Dense(2)(x))


def child(*arguments, cwd):
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


CALLS = {
    "save": lambda path: model().save(path + ".dagir"),
    "load": lambda path: dagir.load(path + ".dagir"),
    "save_weights": lambda path: model().save_weights(path + ".safetensors"),
    "load_weights": lambda path: model().load_weights(path + ".safetensors"),
    "to_onnx": lambda path: dagir.to_onnx(model(), path + ".onnx"),
    "outside": lambda path: dagir.to_onnx(model(), path + ".onnx", external_data=True),
    "to_keras": lambda path: dagir.lower(model(), "keras").save(path + ".keras"),
    "from_keras": lambda path: dagir.from_keras(path + ".keras"),
    "from_h5": lambda path: dagir.from_keras(path + ".h5"),
    "open_onnx": lambda path: dagir.backend("onnx").open(path + ".onnx", model()),
    "open_keras": lambda path: dagir.backend("keras").open(path + ".keras", model()),
    "plot": lambda path: dagir.plot(model(), path + ".dot"),
    "page": lambda path: dagir.verify(model(), ["numpy"]).write_html(path + ".html"),
}
PATHS = {"long": "x" * 300, "in_a_long_folder": "y" * 300 + "/x", "in_a_file": "file/x", "zero": "a\0b"}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("call", CALLS)
def test_a_path_that_nothing_can_be_at(call, path, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DagirError):
        CALLS[call](f"{tmp_path}/{PATHS[path]}")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("call", CALLS)
def test_a_folder_in_the_place_of_a_file(call, tmp_path):
    for suffix in ("dagir", "safetensors", "onnx", "keras", "h5", "dot", "html"):
        (tmp_path / f"folder.{suffix}").mkdir()
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(DagirError):
        CALLS[call](f"{tmp_path}/folder")
    assert sorted(os.listdir(tmp_path)) == before


def test_a_full_disk_leaves_nothing(tmp_path):
    found = child("-c", FULL, cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("package", "statement", "extra"),
    [
        ("keras", "dagir.to_keras(model)", "keras"),
        ("tensorflow", "dagir.lower(model, 'keras')", "keras"),
        ("onnx", "dagir.to_onnx(model)", "onnx"),
        ("onnxruntime", "dagir.verify(model, ['onnx'])", "onnx"),
        ("pygraphviz", "dagir.plot(model)", "plot"),
        ("hypothesis", "import dagir.testing", "testing"),
    ],
)
def test_a_missing_package_is_named_with_the_remedy(package, statement, extra, tmp_path):
    lines = (
        f"import sys; sys.modules[{package!r}] = None",
        "import dagir",
        "x = dagir.Input((3,)); model = dagir.Model(x, dagir.layers.Dense(2)(x))",
        f"try:\n    {statement}\nexcept dagir.BackendError as error:\n    print(error)",
    )
    found = child("-c", "\n".join(lines), cwd=tmp_path)
    assert package in found.stdout, found.stderr
    assert f"pip install 'dagir[{extra}]" in found.stdout


@pytest.mark.parametrize(("package", "target"), [("onnxruntime", "m.onnx"), ("tensorflow", "n.keras")])
def test_the_tool_names_a_missing_package(package, target, tmp_path):
    model().save(tmp_path / "m.dagir")
    found = child("-c", f"import sys; sys.modules[{package!r}] = None; {TOOL}", "m.dagir", target, cwd=tmp_path)
    assert found.returncode == 4, found.stderr
    assert "Traceback" not in found.stderr
    assert "pip install 'dagir[" in found.stderr


@pytest.mark.parametrize("arguments", [("m.dagir", "x" * 300 + ".onnx"), ("inspect", "x" * 300 + ".onnx")])
def test_the_tool_names_a_path_that_nothing_can_be_at(arguments, tmp_path):
    model().save(tmp_path / "m.dagir")
    found = child("-c", TOOL, *arguments, cwd=tmp_path)
    assert found.returncode == 5, found.stderr
    assert "File name too long" in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize("seconds", [0.1, 0.3, 0.7, 1.5])
def test_an_interrupt_is_one_line(seconds, tmp_path):
    model().save(tmp_path / "m.dagir")
    (tmp_path / "slow.py").write_text("import time\ndef build(): time.sleep(60)\n")
    listens = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # a job may be started deaf
    with subprocess.Popen(
        [sys.executable, "-c", f"{listens}; print(flush=True); {TOOL}", "slow.py:build", "m.onnx", "--quiet"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as tool:
        assert tool.stdout is not None
        tool.stdout.readline()  # Python has started
        time.sleep(seconds)
        tool.send_signal(signal.SIGINT)
        try:
            _, said = tool.communicate(timeout=120)
        finally:
            tool.kill()
    assert (tool.returncode, said) == (130, "interrupted\n")
    assert sorted(name for name in os.listdir(tmp_path) if name != "__pycache__") == ["m.dagir", "slow.py"]
