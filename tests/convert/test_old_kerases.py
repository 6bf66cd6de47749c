"""Files that older Kerases wrote, in legacy_files/: each computes what its writer computed, or is refused by name.

NAME.npz holds the writer's own answers: in0 ... in the order of `names`, out0 ... Writers, by the first part of the
name: k22 is Keras 2.2.4 on TensorFlow 1.15; tf21 to tf215 are tf.keras of that TensorFlow, tf215v1 in the graphs of
TensorFlow 1, whose raw ops become layers as in tf.keras 2.0 to 2.3; tfk219 is tf_keras 2.19;
k305 to k3100 are Keras 3.0.5 to 3.10.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import dagir
from dagir.errors import UnsupportedLayer

FILES = Path(__file__).parent / "legacy_files"
REFUSED = {  # the layer, and a word of the reason
    "tf215__ein.h5": r"'tf.einsum' .* the file has 0 of the 2 tensors",
    "tf215__eqop.h5": r"'tf.__operators__.eq' .* missing a required argument: 'other'",
    "tf215__rnd.h5": "'tf.random.normal' .* draws random numbers, also at inference",
}
READ = sorted(path.name for path in FILES.iterdir() if path.suffix != ".npz" and path.name not in REFUSED)


def answers(name):
    """The inputs by name where the file has their names, and the outputs."""
    with np.load((FILES / name).with_suffix(".npz")) as found:
        listed = [str(each).removesuffix(":0") for each in found["names"]] if "names" in found else []
        inputs = [found[f"in{place}"] for place in range(sum(key.startswith("in") for key in found))]
        outputs = [found[f"out{place}"] for place in range(sum(key.startswith("out") for key in found))]
    return listed, inputs, outputs


@pytest.mark.parametrize("name", READ)
def test_a_file_computes_what_its_writer_computed(name):
    model = dagir.from_keras(FILES / name)
    listed, inputs, outputs = answers(name)
    own = [value.name for value in model.graph.inputs]
    order = [listed.index(each) for each in own] if set(listed) == set(own) else range(len(own))
    feeds = [inputs[at].astype(str(value.dtype)) for at, value in zip(order, model.graph.inputs, strict=True)]
    found = dagir.lower(model, "numpy")(*feeds)
    found = found if isinstance(found, (list, tuple)) else [found]
    assert len(found) == len(outputs)
    for got, want in zip(found, outputs, strict=True):
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_file_is_refused_with_the_reason(name):
    with pytest.raises(UnsupportedLayer) as caught:
        dagir.from_keras(FILES / name)
    assert name in str(caught.value)
    assert re.search(REFUSED[name], str(caught.value), re.DOTALL), str(caught.value)
