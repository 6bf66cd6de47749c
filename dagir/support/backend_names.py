"""The names of the backends that come with dagir; others are found by their entry points."""

from __future__ import annotations

NUMPY = "numpy"
ONNX = "onnx"
KERAS = "keras"
ALL = (NUMPY, ONNX, KERAS)
