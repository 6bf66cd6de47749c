"""Initializers: Keras's names, classes and configurations, and the distributions that they stand for."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest

import dagir
from dagir import initializers, layers
from dagir.ir.types import DType

NAMES = sorted(
    {name for name in keras.src.initializers.ALL_OBJECTS_DICT if "nitializer" not in name or "O" in name}
    - {"initializer", "Initializer", "STFT", "stft", "STFTInitializer", "constant", "Constant"}
)
DRAWN = {
    "RandomNormal": [{}, {"mean": 1.0, "stddev": 2.0}],
    "RandomUniform": [{}, {"minval": 0.5, "maxval": 2.0}],
    "TruncatedNormal": [{}, {"mean": -1.0, "stddev": 0.5}],
    "VarianceScaling": [
        {"scale": scale, "mode": mode, "distribution": distribution}
        for scale in (1.0, 3.0)
        for mode in ("fan_in", "fan_out", "fan_avg")
        for distribution in ("uniform", "truncated_normal", "untruncated_normal")
    ],
    **{
        name: [{}] for name in ("GlorotUniform", "GlorotNormal", "HeUniform", "HeNormal", "LecunUniform", "LecunNormal")
    },
    "Orthogonal": [{}, {"gain": 3.0}],
}


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_keras(name):
    mine, theirs = initializers.get(name), keras.initializers.get(name)
    assert type(mine).__name__ == type(theirs).__name__
    array = mine((6, 4), DType.FLOAT32)
    assert array.shape == (6, 4)
    assert array.dtype == "float32"
    assert initializers.get(keras.initializers.serialize(theirs)) == mine
    assert type(keras.initializers.get(initializers.serialize(mine))) is type(theirs)


def quantiles(array):
    return np.quantile(array, [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1])


@pytest.mark.parametrize("shape", [(300, 200), (3, 3, 60, 80)])
@pytest.mark.parametrize("name", DRAWN)
def test_distributions_are_those_of_keras(name, shape):
    for kwargs in DRAWN[name]:
        mine = getattr(initializers, name)(seed=1, **kwargs)(shape, DType.FLOAT32)
        theirs = np.asarray(getattr(keras.initializers, name)(seed=1, **kwargs)(shape, "float32"))
        spread = theirs.std()
        assert abs(mine.std() - spread) < 0.02 * spread
        # the extremes of a tail without an end are a matter of luck
        ends = slice(None) if "niform" in name + str(kwargs) else slice(1, -1)
        assert np.allclose(quantiles(mine)[ends], quantiles(theirs)[ends], atol=0.08 * spread)


def test_constants_identity_and_arrays():
    assert np.all(initializers.get("ones")((2,), DType.INT32) == 1)
    assert np.all(initializers.Constant(2.5)((2, 3), DType.FLOAT64) == 2.5)
    assert np.array_equal(initializers.Identity(2.0)((2, 3), DType.FLOAT32), 2 * np.eye(2, 3))
    given = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(initializers.get(given)((2, 3), DType.FLOAT32), given)
    with pytest.raises(dagir.ArgumentError, match=r"shape \(2, 3\), the weight has \(3,\)"):
        initializers.get(given)((3,), DType.FLOAT32)
    q = initializers.Orthogonal()((5, 3), DType.FLOAT64)
    assert np.allclose(q.T @ q, np.eye(3))


def test_seeds():
    one, other = (initializers.GlorotUniform(seed=seed)((4, 4), DType.FLOAT32) for seed in (1, 2))
    assert np.array_equal(one, initializers.GlorotUniform(seed=1)((4, 4), DType.FLOAT32))
    assert not np.array_equal(one, other)
    drawn = initializers.get("he_normal")
    assert not np.array_equal(drawn((4, 4), DType.FLOAT32), drawn((4, 4), DType.FLOAT32))


def test_fans_of_an_einsum_kernel_are_by_its_axes():
    kwargs = {"equation": "abc,cde->abde", "output_shape": (None, 30, 40), "kernel_initializer": "glorot_uniform"}
    layer = layers.EinsumDense(**kwargs)
    layer(dagir.Input((5, 50)))
    judge = keras.layers.EinsumDense(**kwargs)
    judge.build((None, 5, 50))
    found, want = layer.kernel.array, np.asarray(judge.kernel)
    assert np.abs(found).max() <= np.sqrt(6 / (50 + 1200)) + 1e-7
    assert abs(found.std() - want.std()) < 0.02 * want.std()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("glorot", "did you mean glorot_"),
        (3, "unknown initializer 3"),
        ({"class_name": "os.system", "config": {}}, "unknown initializer 'os.system'"),
        ({"class_name": "Constant", "config": {"number": 3}}, "does not fit it"),
        ({"class_name": "VarianceScaling", "config": {"mode": "fan"}}, "got mode 'fan'"),
        ({"class_name": "VarianceScaling", "config": {"scale": -1}}, "positive scale"),
    ],
)
def test_wrong_initializers_are_refused(wrong, message):
    with pytest.raises(dagir.ArgumentError, match=message):
        initializers.get(wrong)
    with pytest.raises(dagir.ArgumentError, match="makes matrices"):
        initializers.get("identity")((3,), DType.FLOAT32)
    with pytest.raises(dagir.ArgumentError, match="two axes or more"):
        initializers.get("orthogonal")((3,), DType.FLOAT32)


def test_a_subclass_is_not_written_as_what_bears_its_name():
    class Ones(initializers.Zeros):
        def __call__(self, shape, dtype=None):
            return super().__call__(shape, dtype) + 3

    assert initializers.serialize(initializers.Ones()) == {"class_name": "Ones", "config": {}}
    assert initializers.serialize(Ones()) is None
