"""The models that onnx ships as files, of PyTorch's old exporters and of old networks: opsets 6 to 9, IR version 3."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import onnx.backend.test as shipped
import onnxruntime
import pytest
from onnx import numpy_helper

import dagir
from convert.node_cases import difference
from dagir.errors import UnsupportedOp

DATA = Path(shipped.__file__).parent / "data"
REFUSED = r"computes on sequences|computes on text|is an op of training|\(Expand\).*its shape is computed from the data"


def folders(kind):
    return sorted(path.parent for path in (DATA / kind).glob("*/model.onnx"))


def stored(folder, what):
    """The arrays of a data set, in their order."""
    paths = sorted(folder.glob(f"{what}_*.pb"), key=lambda path: int(re.findall(r"\d+", path.stem)[-1]))
    return [numpy_helper.to_array(onnx.load_tensor(path)) for path in paths]


def wrong(folder):
    """Which answer is wrong, of the interpreter or of onnxruntime on what is written again; nothing if none is."""
    proto, model = onnx.load(folder / "model.onnx"), dagir.from_onnx(folder / "model.onnx")
    names = [info.name for info in proto.graph.input]
    for data in sorted(folder.glob("test_data_set_*")):
        given = dict(zip(names, stored(data, "input"), strict=False))
        fed = {name: given[name] for name in model.input_names}
        for backend in ("numpy", "onnx"):
            found = dagir.lower(model, backend)(fed)
            for name, right in zip(model.output_names, stored(data, "output"), strict=True):
                if reason := difference(found[name], right, 1e-3, 1e-5):
                    return f"{backend}: {reason}"
    return ""


@pytest.mark.parametrize("kind", ["pytorch-converted", "pytorch-operator", "simple"])
def test_each_model(kind):
    results = {}
    for folder in folders(kind):
        try:
            results[folder.name] = wrong(folder)
        except UnsupportedOp as error:
            results[folder.name] = "" if re.search(REFUSED, str(error)) else str(error)
    assert {name: reason for name, reason in results.items() if reason} == {}


@pytest.mark.parametrize("name", ["squeezenet", "inception_v1", "shufflenet", "densenet121"])
def test_a_network_without_its_weights(name):
    """Its weights are made of shapes, so that the file is small."""
    path = DATA / "light" / f"light_{name}.onnx"
    model = dagir.from_onnx(path)
    session = onnxruntime.InferenceSession(path)
    x = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype("float32")
    (wanted,) = session.run(None, {model.input_names[0]: x})
    (found,) = dagir.lower(model, "onnx")({model.input_names[0]: x}).values()
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)
