"""Low precision: which nodes bear it, models with narrow dtypes, and models of integers."""

from dagir.precision.sensitivity import Sensitivity, sensitivity

__all__ = ["Sensitivity", "sensitivity"]
