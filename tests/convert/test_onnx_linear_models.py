"""Linear models and columns of ai.onnx.ml, judged by onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest

import dagir
from convert.drawn_nodes import assert_read_right, feeds_of, model_of, runtime_answers
from dagir.errors import UnsupportedOp

X = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")
WEIGHTS = np.random.default_rng(1).normal(size=12).tolist()


def model(op, inputs, outputs, **attributes):
    return model_of(op, inputs, outputs, 17, domain="ai.onnx.ml", **attributes)


def check(op, inputs, outputs=("float32",), **attributes):
    made, feeds = model(op, inputs, outputs, **attributes), feeds_of(inputs)
    assert_read_right(made, feeds, runtime_answers(made, feeds), ("numpy", "onnx", "keras"))


@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC", "SOFTMAX"])
@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_classes_with_a_row_of_coefficients_each(transform, dtype):
    x = X if dtype == "float32" else np.round(X * 3).astype(dtype)
    given = {"coefficients": WEIGHTS, "intercepts": [0.5, -1.0, 0.25], "classlabels_ints": [7, -2, 5]}
    check("LinearClassifier", [x], ("int64", "float32"), post_transform=transform, **given)


@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC"])
def test_two_classes_with_one_row_of_coefficients(transform):
    given = {"coefficients": WEIGHTS[:4], "intercepts": [0.25], "classlabels_ints": [3, 9]}
    check("LinearClassifier", [X], ("int64", "float32"), post_transform=transform, **given)


def test_columns_side_by_side():
    check("FeatureVectorizer", [np.arange(28).reshape(7, 4), np.arange(14).reshape(7, 2)], inputdimensions=[4, 2])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"post_transform": "PROBIT"}, "transforms its results by PROBIT"),
        ({"classlabels_ints": [1, 2]}, "not as many as its scores"),
        ({"classlabels_ints": None, "classlabels_strings": ["a", "b", "c"]}, "its labels are texts"),
    ],
)
def test_other_classifiers_are_refused(change, reason):
    given = {"coefficients": WEIGHTS, "intercepts": [0.5, -1.0, 0.25], "classlabels_ints": [7, -2, 5], **change}
    given = {name: each for name, each in given.items() if each is not None}
    with pytest.raises(UnsupportedOp, match=reason):
        dagir.from_onnx(model("LinearClassifier", [X], ("int64", "float32"), **given))
