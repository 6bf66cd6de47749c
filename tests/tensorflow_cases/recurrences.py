"""The blocks of TensorFlow 1's fused recurrent cells."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorflow_cases.table import Arguments, Draw, raw


def _weights(draw: Draw, rows: int, features: int, units: int) -> list[Any]:
    """The states before, the kernel, the peepholes and the bias."""
    states = [draw.floats((rows, units), -1, 1) for _ in range(2)]
    peepholes = [draw.floats((units,), -1, 1) for _ in range(3)]
    return [*states, draw.floats((features + units, 4 * units), -1, 1), *peepholes, draw.floats((4 * units,), -1, 1)]


def _options(draw: Draw) -> dict[str, Any]:
    return {"cell_clip": draw.one(-1.0, 0.4, 3.0), "use_peephole": draw.flag()}


@raw("LSTMBlockCell")
def _cell(draw: Draw) -> Arguments:
    rows, features, units = draw.int(1, 3), draw.int(1, 3), draw.int(1, 3)
    options = {**_options(draw), "forget_bias": draw.one(0.0, 1.0)}
    return (draw.floats((rows, features)), *_weights(draw, rows, features, units)), options


@raw("BlockLSTM", "BlockLSTMV2")
def _block(draw: Draw) -> Arguments:
    steps, rows, features, units = (draw.int(1, 3) for _ in range(4))
    x = draw.floats((steps, rows, features))
    return (np.int64(steps), x, *_weights(draw, rows, features, units)), _options(draw)


@raw("GRUBlockCell")
def _gru(draw: Draw) -> Arguments:
    rows, features, units = draw.int(1, 3), draw.int(1, 3), draw.int(1, 3)
    shapes = (
        (rows, features),
        (rows, units),
        (features + units, 2 * units),
        (features + units, units),
        (2 * units,),
        (units,),
    )
    return tuple(draw.floats(shape, -1, 1) for shape in shapes), {}
