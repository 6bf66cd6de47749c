"""Models that were drawn with Keras alone: what is read of them computes what Keras computes, from memory and file."""

from __future__ import annotations

import pytest
import tensorflow as tf
from hypothesis import assume, given
from hypothesis import strategies as st

import dagir
from convert.drawing import drawn_feeds, drawn_model
from dagir.errors import ShapeError

pytestmark = pytest.mark.filterwarnings("ignore:.*does not support masking:UserWarning")

sizes = st.tuples(st.sampled_from([1, 3]), st.sampled_from([1, 2, 5]), st.integers(0, 3))


@given(st.data(), sizes)
def test_a_model_is_what_keras_computes(data, chosen):
    made = drawn_model(data.draw)
    fed = drawn_feeds(made, *chosen)
    try:
        made(fed)
    except (ValueError, tf.errors.InvalidArgumentError):  # sizes that do not go together at run time
        assume(False)
    try:
        report = dagir.verify(dagir.from_keras(made), {"Keras": made}, inputs=fed)
    except ShapeError as error:
        assume("sizes that had to be equal at run time" not in str(error))  # Keras stretches one that happens to be 1
        raise
    assert report.ok, str(report)
