"""Files of a lower precision than the model's are judged by how close they are."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from small_networks import residual, with_samples

import dagir
from dagir.equivalence.closeness import closeness
from dagir.errors import ArgumentError


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    model, samples = with_samples(residual, 32)
    dagir.to_onnx(model, folder / "half.onnx", precision="float16", calibrate=samples)
    dagir.to_onnx(model, folder / "codes.onnx", quantize="int8", calibrate=samples)
    return model, samples, folder


@pytest.mark.parametrize("name", ["half.onnx", "codes.onnx"])
def test_a_narrow_file_is_close_and_not_different(files, name):
    model, samples, folder = files
    report = dagir.verify(model, folder / name, samples)
    (row,) = report.rows
    assert report.ok and row.verdict == "close" and row.closeness.cosine > 0.99 and "relative error" in row.note
    assert row.to_dict()["closeness"]["top_1"] == row.closeness.top_1
    assert "cosine" in str(report)
    assert dagir.verify(model, folder / name).ok  # on drawn inputs


def test_thresholds_are_the_users(files):
    model, samples, folder = files
    tight = dagir.verify(model, folder / "codes.onnx", samples, thresholds=dagir.Thresholds(rtol=1e-6))
    assert not tight.ok and "relative error" in tight.rows[0].note and tight.rows[0].verdict == "differs"
    assert dagir.verify(model, folder / "codes.onnx", samples, thresholds=dagir.Thresholds(rtol=1e-6, atol=1.0)).ok
    assert not dagir.verify(model, folder / "codes.onnx", samples, thresholds=dagir.Thresholds(cosine=0.9999999999)).ok
    assert dagir.verify(model, "numpy", samples, thresholds=dagir.Thresholds(rtol=1e-5)).rows[0].verdict == "close"


def test_a_wrong_narrow_file_is_found(files, tmp_path):
    model, samples, folder = files
    proto = onnx.load(folder / "half.onnx")
    for tensor in proto.graph.initializer:
        if len(tensor.dims) == 2:
            array = onnx.numpy_helper.to_array(tensor)
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.roll(array, 1, axis=1), tensor.name))
    onnx.save(proto, tmp_path / "wrong.onnx")
    assert not dagir.verify(model, tmp_path / "wrong.onnx", samples).ok


def test_a_float32_file_is_held_against_the_budget(files, tmp_path):
    model, samples, _ = files
    dagir.to_onnx(model, tmp_path / "wide.onnx")
    assert dagir.verify(model, tmp_path / "wide.onnx", samples).rows[0].closeness is None


def test_the_numbers():
    right, found = np.array([[3.0, 4.0], [0.0, 5.0]]), np.array([[3.0, 4.0], [6.0, 5.0]])
    near = closeness("y", [found], [right])
    assert near.relative == pytest.approx(6 / np.sqrt(50)) and near.worst == 6 and near.top_1 == 0.5
    assert closeness("y", [right], [right]).cosine == pytest.approx(1.0)
    assert closeness("y", [np.array([np.nan, 1.0])], [np.array([2.0, 1.0])]).misplaced == 1


def test_the_tool_reports_how_close_a_file_is(files, tmp_path):
    model, samples, folder = files
    source = tmp_path / "net.dagir"
    model.save(source)
    np.savez(tmp_path / "samples.npz", image=samples)
    dagir.to_onnx(model, tmp_path / "wide.onnx")

    def run(*arguments):
        tool = Path(sys.executable).with_name("dagir-convert")
        return subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)

    told = run("verify", source, folder / "codes.onnx", "--inputs", tmp_path / "samples.npz", "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["outputs"][0]["verdict"] == "close"
    assert run("verify", source, folder / "codes.onnx", "--rtol", "1e-7").returncode == 3
    both = run("verify", tmp_path / "wide.onnx", folder / "half.onnx", "--cosine", "0.999")
    assert both.returncode == 0 and "close" in both.stdout
    assert run("verify", tmp_path / "wide.onnx", folder / "codes.onnx").returncode == 0

    target = tmp_path / "made.onnx"
    made = run(source, target, "--quantize", "int8", "--calibrate", tmp_path / "samples.npz", "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["low_precision"]["precision"] == "int8"
    assert run("verify", target).returncode == 0
    assert run(source, tmp_path / "other.onnx", "--quantize", "int8").returncode == 2  # it needs samples
    table = run("sensitivity", source, "--calibrate", tmp_path / "samples.npz", "--json")
    assert len(json.loads(table.stdout)["nodes"]) > 10


def test_the_tables_show_what_is_judged_beside_what_is_allowed(files, tmp_path):
    model, samples, folder = files
    report = dagir.verify(model, {"codes": folder / "codes.onnx", "numpy": "numpy"}, samples)
    text, shown = str(report), report._repr_html_()
    assert "budget used" in text and "budget used" in shown  # of the interpreter's row
    (line,) = (line.split() for line in text.splitlines() if "cosine" in line)
    assert line[-3:] == [">=", "0.99", "close"]
    for measure in ("relative error", "max error", "top-1"):
        assert measure in text and f">{measure}</td>" in shown
    page = report.write_html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert ">relative error<" in page.replace("</td>", "<") and "&gt;= 0.99" in page
    assert report.rows[-1].to_dict()["thresholds"] == {"rtol": None, "atol": None, "cosine": 0.99, "top_1": None}


def test_each_threshold_is_named_where_it_fails():
    near = closeness("y", [np.array([[3.0, 4.0], [6.0, 5.0]])], [np.array([[3.0, 4.0], [0.0, 5.0]])])
    wanted = dagir.Thresholds(rtol=0.1, atol=0.5, cosine=0.99, top_1=0.9)
    judged = {each.measure: each for each in wanted.criteria(near)}
    assert [each.ok for each in judged.values()] == [False] * 4 and wanted.share(near) == float("inf")
    assert judged["top-1"].allowed == ">= 90 %" and judged["max error"].allowed == "or <= 0.5"
    assert dagir.Thresholds(rtol=0.1, atol=6.0).failures(near) == []
    assert [str(each) for each in dagir.Thresholds(atol=0.5).criteria(near) if each.ok is False] == [
        "max error 6, allowed: <= 0.5"
    ]
    assert "1 - " in str(dagir.Thresholds(cosine=1.0).criteria(closeness("y", [np.array([1.0, 1.0001])], [np.ones(2)])))


@pytest.mark.parametrize("given", [{"top_1": 99}, {"rtol": -1}, {"rtol": float("nan")}, {"cosine": 2}, {"atol": "a"}])
def test_thresholds_are_numbers_that_mean_something(given):
    (name,) = given
    with pytest.raises(ArgumentError, match=f"the threshold {name} is a number from"):
        dagir.Thresholds(**given)


def test_a_bare_number_is_no_threshold(files):
    with pytest.raises(ArgumentError, match="verify takes Thresholds"):
        dagir.verify(files[0], "numpy", thresholds=1e-3)


def test_the_table_fits_a_narrow_terminal(files, tmp_path):
    model, _, folder = files
    model.save(tmp_path / "net.dagir")
    tool = Path(sys.executable).with_name("dagir-convert")
    thresholds = ["--rtol", "1e-7", "--atol", "1e-9", "--cosine", "0.5", "--top1", "0.5"]
    command = [tool, "verify", tmp_path / "net.dagir", folder / "half.onnx", *thresholds]
    told = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "COLUMNS": "80", "FORCE_COLOR": "1", "TERM": "dumb"},
    )  # fmt: skip
    assert told.returncode == 3 and "differ by more than what is allowed" in told.stderr
    assert "no node is named" not in told.stderr
    assert max(map(len, told.stdout.splitlines())) <= 80
    assert re.search(r"relative error +\S+ +<= 1e-07 +differs", told.stdout)


def test_the_documented_fields_are_those_of_the_json(files):
    page = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "json.md").read_text(encoding="utf-8")
    model, samples, folder = files
    found = dagir.verify(model, folder / "codes.onnx", samples).to_dict()
    (output,) = found["outputs"]
    for name in (*found, *output, *output["closeness"], *output["thresholds"], "measured", "when_written"):
        assert name == "output" or f"`{name}`" in page, name
