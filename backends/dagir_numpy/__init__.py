"""The NumPy reference interpreter of dagir."""

from dagir.runtime.families import load_families
from dagir_numpy.backend import NumpyBackend
from dagir_numpy.interpreter import evaluate

load_families(__name__)
backend = NumpyBackend()

__all__ = ["backend", "evaluate"]
