"""Files that dagir 0.1.0 wrote, before its modules moved: they read the same, and the certificate still holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import dagir

FOLDER = Path(__file__).with_name("written_before")


def test_a_model_gives_what_it_gave():
    model = dagir.load(FOLDER / "before.dagir")
    with np.load(FOLDER / "before.npz") as arrays:
        found = dagir.lower(model, "numpy")({"words": arrays["words"], "image": arrays["image"]})
        np.testing.assert_allclose(found["out"], arrays["out_out"], rtol=1e-6, atol=1e-7)
        np.testing.assert_array_equal(found["half"], arrays["out_half"])
    assert model.get_layer("encoder").count_params() == 25


def test_the_certificate_of_a_file_still_holds():
    report = dagir.backend("onnx").recertify(FOLDER / "before.onnx")
    assert report.ok
    assert {row.output for row in report.rows} == {"out", "half"}


def test_the_file_and_the_model_agree():
    model = dagir.load(FOLDER / "before.dagir")
    assert dagir.verify(model, {"before": FOLDER / "before.onnx"}).ok
