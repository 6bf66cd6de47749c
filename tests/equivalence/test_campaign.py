"""The campaign on a cluster: findings of many batches become one folder, and each kind counts once."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def cluster(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import fuzz_on_dask

    yield fuzz_on_dask
    sys.modules.pop("fuzz_on_dask", None)


def finding(folder, name, text):
    (folder / name).mkdir(parents=True)
    (folder / name / "finding.json").write_text(text)
    return folder


def test_findings_are_merged_and_those_that_are_known_are_counted_once(cluster, tmp_path):
    first = finding(finding(tmp_path / "first", "onnx-1a", "one"), "crash-2b", "two")
    second = finding(finding(tmp_path / "second", "onnx-1a", "again"), "onnx-reference-3c", "three")
    (first / "counts.json").write_text("{}")  # is no finding
    out, tally = tmp_path / "out", Counter({"finding onnx": 2, "crashes": 1, "finding onnx-reference": 1})
    for folder in (first, second):
        tally.subtract(cluster._merged(cluster._packed(folder), out))
    assert tally == {"finding onnx": 1, "crashes": 1, "finding onnx-reference": 1}
    assert sorted(path.name for path in out.iterdir()) == ["crash-2b", "onnx-1a", "onnx-reference-3c"]
    assert (out / "onnx-1a" / "finding.json").read_text() == "one"
