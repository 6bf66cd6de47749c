"""Tables."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.types import Array, DType
from dagir_numpy.rules import rules


@rules.rule(ops.Lookup)
def lookup(op: ops.Lookup, x: Array) -> Array:
    dtype = DType.STRING.numpy if isinstance(op.default, str) else np.dtype(np.int64)
    table = dict(zip(op.keys, op.values, strict=True))
    keys, places = np.unique(x, return_inverse=True)
    found = np.asarray([table.get(key, op.default) for key in keys.tolist()], dtype)
    return np.asarray(found[places.reshape(x.shape)] if x.size else np.empty(x.shape, dtype))
