"""onnxruntime, imported where something of it is first used: a file is read and described without it."""

from __future__ import annotations

import importlib
from typing import Any

from dagir.support.backend_names import ONNX
from dagir.support.extras import needed


class _Late:
    """Stands for a module: its attributes are those of the module. Raises MissingExtra if it is not installed."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        with needed(f"backend {ONNX!r}"):
            return getattr(importlib.import_module(self._name), attribute)


onnxruntime: Any = _Late("onnxruntime")
states: Any = _Late("onnxruntime.capi.onnxruntime_pybind11_state")
"""Its classes of errors."""
