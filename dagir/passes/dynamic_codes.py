"""The codes of matrices whose other operand becomes codes in each run: of products, and of LSTMs."""

from __future__ import annotations

import numpy as np

from dagir.ir.types import Array
from dagir.passes.quantize import Codes, codes_for_weight

WIDER = 4.0
"""How much larger the mean square of the steps between codes may be where one scale serves all columns: a bit."""


def dynamic_codes(array: Array, full_range: bool, wider: float = WIDER) -> Codes:
    """Codes of a matrix [i, o] that use their whole range: int8, or uint8, whose products saturate on no CPU.

    One scale for all columns where the steps that it makes wider are at most `wider` in the mean square, and one for
    each elsewhere: by those onnxruntime's kernels take longer. The zero point is one for all columns.
    """
    codes = codes_for_weight(array, 1, full_range=True)
    largest = codes.scale.max()
    if largest**2 <= wider * np.mean(np.square(codes.scale.astype(np.float64))):
        codes = Codes(np.asarray(largest), np.zeros((), np.int8))
    return Codes(codes.scale, np.zeros((), np.int8) if full_range else np.asarray(128, np.uint8), codes.axis)
