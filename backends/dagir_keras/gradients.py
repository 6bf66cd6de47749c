"""Ops that matter only in training."""

from __future__ import annotations

from typing import Any

from keras import ops as K

from dagir import ops
from dagir_keras.rules import rules


@rules.rule(ops.StopGradient)
def stop_gradient(op: ops.StopGradient, x: Any) -> Any:
    return K.stop_gradient(x)
