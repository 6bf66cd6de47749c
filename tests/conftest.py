"""Hypothesis profiles, quiet frameworks, and names that start afresh for every test."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

import dagir

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]  # TensorFlow's first call of an op takes seconds
settings.register_profile("dev", max_examples=10, deadline=None, suppress_health_check=_SLOW)
settings.register_profile("ci", max_examples=25, deadline=None, derandomize=True, suppress_health_check=_SLOW)
settings.register_profile("deep", max_examples=1000, deadline=None, suppress_health_check=_SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


@pytest.fixture(autouse=True)
def _fresh_names() -> None:
    dagir.clear_session()
