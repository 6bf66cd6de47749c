"""Hypothesis profiles, quiet frameworks, and names and random numbers that start afresh for every test.

`pytest` alone draws the same examples on every machine and in whatever order the tests run: its profile is `ci`, and CI
runs no other. `HYPOTHESIS_PROFILE=dev` draws fewer of them, for a quick look. `HYPOTHESIS_PROFILE=deep` draws others
every time, as many as `-n 2` gets through in about an hour. `DAGIR_EXAMPLES=1000` is how many a test draws in any
profile: deeper still, for as long as it takes.

A failure prints its example, and a line `@reproduce_failure(...)` to put above that test; a whole run of `deep` is had
again by its `--hypothesis-seed=1`.
"""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, register_random, settings

import dagir
from dagir import initializers
from dagir.passes.pipeline import check_between_passes

try:
    from hypothesis.internal.conjecture import providers
except ImportError:  # older ones draw no numbers of ours
    providers = None

check_between_passes()

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # of the workers, whose threads would only wait for each other's
_LIMIT = os.environ.get("ONEDNN_MAX_CPU_ISA", os.environ.get("DNNL_MAX_CPU_ISA", "DEFAULT"))
if not {"DEFAULT", "ALL", "BF16", "AMX", "FP16"} & set(_LIMIT.upper().split("_")):
    # TensorFlow asks the processor, not this limit, whether oneDNN can do bfloat16, and ends with a segmentation fault
    # in `matmul` where it cannot: its other kernels take over, as they do on a processor of that kind.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]  # TensorFlow's first call of an op takes seconds
_EXAMPLES = {"dev": 5, "ci": 25, "deep": 300}
_PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")

for _name, _count in _EXAMPLES.items():
    _same: Any = {} if _name == "deep" else {"derandomize": True, "database": None}  # nor by what failed the last time
    settings.register_profile(
        _name,
        max_examples=int(os.environ.get("DAGIR_EXAMPLES", _count)),
        deadline=None,
        print_blob=True,
        suppress_health_check=_SLOW,
        **_same,
    )
settings.load_profile(_PROFILE)

if _PROFILE != "deep" and hasattr(providers, "_get_local_constants"):
    # Hypothesis also draws numbers and strings that it finds in those modules of ours that happen to be loaded by then:
    # the examples of a test would hang on the tests before it, and on which worker runs it.
    providers._get_local_constants = lambda: providers._local_constants


class _InitialWeights:
    """The generator of weights that nobody drew, as hypothesis starts it for each example: a failure shows again."""

    seed = staticmethod(initializers.seed)

    def getstate(self) -> np.random.Generator:
        return initializers._generator

    def setstate(self, state: np.random.Generator) -> None:
        initializers._generator = state


_initial_weights = _InitialWeights()
register_random(_initial_weights)


@pytest.fixture(autouse=True)
def _afresh() -> None:
    """Default names from the first; and weights, dagir's and Keras's, by no luck and whatever ran before."""
    dagir.clear_session()
    if _PROFILE != "deep":
        initializers.seed(0)
        random.seed(0)  # where Keras takes its seeds from
        np.random.seed(0)
