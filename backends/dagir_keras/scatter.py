"""Reading and writing at indices that are values."""

from __future__ import annotations

from typing import Any

from keras import ops as K

from dagir import ops
from dagir_keras.rules import rules


@rules.rule(ops.GatherElements)
def gather_elements(op: ops.GatherElements, x: Any, indices: Any) -> Any:
    return K.take_along_axis(x, indices, axis=op.axis)


@rules.rule(ops.ScatterUpdate)
def scatter_update(op: ops.ScatterUpdate, x: Any, indices: Any, updates: Any) -> Any:
    return K.scatter_update(x, indices, updates, reduction=None if op.reduction == "none" else op.reduction)
