"""ONNX models as graphs of dagir: a rule for each operator, in family files. Nothing of a model is run."""

from dagir_onnx.importing.model import read_model
from dagir_onnx.importing.registry import coverage

__all__ = ["coverage", "read_model"]
