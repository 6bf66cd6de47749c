"""The ONNX backend of dagir: emitter and onnxruntime executable."""

from dagir.runtime.families import load_families
from dagir_onnx.backend import OnnxBackend

load_families(__name__)
backend = OnnxBackend()

__all__ = ["backend"]
