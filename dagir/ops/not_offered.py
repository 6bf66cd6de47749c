"""The functions of keras.ops that dagir does not have, by reason; dagir.ops has all the others.

The README's support table shows it, and a test compares it with the list of Keras's own functions.
"""

from __future__ import annotations

from collections.abc import Mapping

NOT_OFFERED: Mapping[str, tuple[str, ...]] = {
    "for complex numbers, which no dtype of dagir holds": (
        *("angle", "conj", "conjugate", "imag", "isreal", "polar", "real", "view_as_complex", "view_as_real"),
    ),
    "decompositions and solvers, which ONNX has no operator for": (
        *("cholesky", "cholesky_inverse", "eig", "eigh", "inv", "logdet", "lstsq", "lu_factor", "matrix_rank", "pinv"),
        *("qr", "slogdet", "solve", "solve_triangular", "svd"),
    ),
    "a result whose size depends on the data": ("bincount",),
    "about derivatives, which a graph is given by the framework that trains it": ("custom_gradient", "jvp"),
    "functions of one number for arrays: write it for arrays, or `vectorized_map` it": ("vectorize",),
    "losses, and what decodes or measures predictions; `compile` takes Keras's by name": (
        *("binary_crossentropy", "categorical_crossentropy", "ctc_decode", "ctc_loss", "psnr"),
        "sparse_categorical_crossentropy",
    ),
    "about tensors at hand, which a graph has none of": ("allclose", "convert_to_numpy", "dtype", "is_tensor"),
    "functions of floats or of their bits that ONNX has no operator for": ("erfinv", "i0", "nextafter", "view"),
    "not written yet": (
        *("argpartition", "cdist", "corrcoef", "correlate", "det", "fold", "gcd"),
        *("histogram", "lcm", "nanmedian", "nanpercentile", "nanquantile", "rearrange", "unfold", "vander"),
    ),
}

REASONS: Mapping[str, str] = {name: reason for reason, names in NOT_OFFERED.items() for name in names}
