"""Models that were drawn with Keras alone: what is read of them computes what Keras computes, from memory and file."""

from __future__ import annotations

import tempfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given
from hypothesis import strategies as st

import dagir
from convert import drawing
from dagir.errors import ShapeError

pytestmark = pytest.mark.filterwarnings("ignore:.*does not support masking:UserWarning")

sizes = st.tuples(st.sampled_from([1, 3]), st.sampled_from([1, 2, 5]), st.integers(0, 3))


@given(st.data(), sizes)
def test_a_model_is_what_keras_computes(data, chosen):
    made, fed = _drawn(data, chosen)
    try:
        report = dagir.verify(dagir.from_keras(made), {"Keras": made}, inputs=fed)
    except ShapeError as error:
        assume("sizes that had to be equal at run time" not in str(error))  # Keras stretches one that happens to be 1
        raise
    assert report.ok, str(report)


@given(st.data(), sizes)
def test_its_file_is_read_as_it_is_in_memory(data, chosen):
    made, fed = _drawn(data, chosen)
    assume(not any(type(layer).__module__ == drawing.__name__ for layer in made._flatten_layers()))
    with tempfile.TemporaryDirectory() as folder:
        made.save(f"{folder}/net.keras")
        read = [dagir.from_keras(source) for source in (f"{folder}/net.keras", made)]
        first, second = ([layer.name for layer in each.layers] for each in read)
        assert first == second
        found = [keras.tree.flatten(dagir.lower(each, "numpy")(fed)) for each in read]
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def _drawn(data, chosen):
    """A model and inputs that Keras runs on it, and on longer ones: at one step alone, what must not broadcast does."""
    made = drawing.drawn_model(data.draw)
    batch, steps, seed = chosen
    fed = drawing.drawn_feeds(made, batch, steps, seed)
    try:
        made(fed)
        made(drawing.drawn_feeds(made, batch, 7, seed))
    except (ValueError, tf.errors.InvalidArgumentError):  # sizes that do not go together at run time
        assume(False)
    return made, fed
