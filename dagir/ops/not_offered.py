"""The functions of keras.ops that dagir does not have, by reason; dagir.ops has all the others.

The README's support table shows it, and a test compares it with the list of Keras's own functions.
"""

from __future__ import annotations

from collections.abc import Mapping

NOT_OFFERED: Mapping[str, tuple[str, ...]] = {
    "for complex numbers, which no dtype of dagir holds": (
        *("angle", "conj", "conjugate", "imag", "isreal", "polar", "real", "view_as_complex", "view_as_real"),
    ),
    "decompositions by eigenvalues or singular values, which ONNX has no operator for": (
        *("eig", "eigh", "lstsq", "matrix_rank", "pinv", "svd"),
    ),
    "its second result is another one with each engine of Keras; `ops.lu` is TensorFlow's": ("lu_factor",),
    "about derivatives, which a graph is given by the framework that trains it": ("custom_gradient", "jvp"),
    "functions of one number for arrays: write it for arrays, or `vectorized_map` it": ("vectorize",),
    "losses, and what decodes or measures predictions; `compile` takes Keras's by name": (
        *("binary_crossentropy", "categorical_crossentropy", "ctc_decode", "ctc_loss", "psnr"),
        "sparse_categorical_crossentropy",
    ),
    "about tensors at hand, which a graph has none of": ("allclose", "convert_to_numpy", "dtype", "is_tensor"),
}

REASONS: Mapping[str, str] = {name: reason for reason, names in NOT_OFFERED.items() for name in names}
