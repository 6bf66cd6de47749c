"""What of TensorFlow is refused by name, with the reason: random draws, state, text, shapes that the data decide."""

from __future__ import annotations

from types import MappingProxyType

from dagir_keras.reading.problems import Decided, Refused

_RANDOM = "draws random numbers, also at inference", "feed the noise as an input, or draw it in training only"
_STATE = "changes a state that outlives the call", "compute with values alone"
_TEXT = (
    "computes on text",
    "do it before the model, and convert what follows, of a SavedModel with a signature that takes numbers",
)
_BY_DATA = "has a result whose shape the data decide", "use tf.where with three arguments, or a mask"
_COMPLEX = "computes with complex numbers", "compute with their real and imaginary parts"
_DECOMPOSES = "decomposes matrices, which no ONNX op does", "do it before the model"
_CODE = "calls Python code that no file holds", "write it with TensorFlow's functions"
_GRADIENT = "is of a gradient, which the call computes", "compute gradients outside of the model, or by hand"
_SEARCH = "is the loss or the search of CTC", "do it behind the model"
_CONTROL = "holds Python functions, which no file holds", "build the model anew with a subclassed layer"

_FUNCTIONS = MappingProxyType(
    {
        _RANDOM: (
            *(
                "random.",
                "image.random_",
                "image.stateless_random",
                "nn.dropout",
                "nn.experimental.",
                "compat.v1.random",
            ),
            *("keras.backend.random_", "keras.backend.truncated_normal", "keras.backend.dropout"),
            *("compat.v1.nn.dropout", "image.sample_distorted", "compat.v1.set_random", "compat.v1.multinomial"),
        ),
        _STATE: ("compat.v1.assign", "compat.v1.scatter_", "Variable", "compat.v1.get_variable", "print", "summary."),
        _TEXT: ("strings.", "io.", "as_string", "compat.v1.string", "compat.v1.substr", "compat.v1.decode_raw"),
        _BY_DATA: (
            *("sparse.", "ragged.", "sets."),
            *(
                "image.non_max_suppression",
                "compat.v1.setdiff1d",
            ),
            *("__operators__.ragged_getitem", "math.segment_", "compat.v1.math.bincount", "RaggedTensor"),
        ),
        _COMPLEX: ("signal.", "dtypes.complex", "math.conj", "math.real", "math.imag", "math.angle"),
        _DECOMPOSES: (
            *("linalg.svd", "linalg.eig", "linalg.self_adjoint_eig", "linalg.pinv", "linalg.matrix_rank"),
            *("linalg.expm", "linalg.logm", "linalg.sqrtm"),
            *("linalg.tridiagonal_solve", "linalg.banded_triangular_solve"),
        ),
        _CODE: ("py_function", "numpy_function", "compat.v1.py_func"),
        _CONTROL: (
            *("while_loop", "cond", "case", "switch_case", "map_fn", "scan", "foldl", "foldr", "vectorized_map"),
            *("compat.v1.while_loop", "compat.v1.cond", "compat.v1.case", "compat.v1.map_fn", "compat.v1.scan"),
            *("compat.v1.foldl", "compat.v1.foldr", "compat.v1.nn.dynamic_rnn", "compat.v1.nn.static_rnn"),
        ),
        _SEARCH: ("nn.ctc_", "compat.v1.nn.ctc_", "keras.backend.ctc_", "edit_distance"),
    }
)
_RAW_OPS = MappingProxyType(
    {
        _RANDOM: (
            *("Random", "Stateless", "Stateful", "Rng", "Multinomial", "TruncatedNormal"),
            "ParameterizedTruncatedNormal",
        ),
        _STATE: ("Assign", "Scatter", "VarHandle", "ResourceScatter", "Print", "Write", "Summary", "Queue", "Iterator"),
        _TEXT: ("String", "AsString", "Decode", "Substr", "Regex", "StaticRegex", "ReduceJoin"),
        _BY_DATA: ("Sparse", "Ragged", "ListDiff"),
        _COMPLEX: ("FFT", "IFFT", "RFFT", "IRFFT", "Complex", "Conj", "Real", "Imag", "Angle"),
        _DECOMPOSES: (
            "Svd",
            "Eig",
            "SelfAdjointEig",
            "MatrixSquareRoot",
            "MatrixExponential",
            "MatrixLogarithm",
            "MatrixSolveLs",
        ),
        _CODE: ("PyFunc", "EagerPyFunc", "PyFuncStateless"),
        _SEARCH: ("CTC",),
    }
)


def _reason(name: str, table: MappingProxyType[tuple[str, str], tuple[str, ...]]) -> tuple[str, str | None]:
    for (reason, remedy), beginnings in table.items():
        if any(name == each or name.startswith(each) for each in beginnings):
            return f" {reason}", remedy
    return " is not among the functions that dagir has", "compute it with other functions"


def is_refused(name: str) -> bool:
    """Whether a function is refused by name, with a reason of its own."""
    return any(name.startswith(each) for beginnings in _FUNCTIONS.values() for each in beginnings)


def refuse_function(name: str) -> Refused:
    """The refusal of a function that has no rule."""
    reason, remedy = _reason(name, _FUNCTIONS)
    kind = Decided if remedy == _STATE[1] else Refused
    return kind(f"tf.{name[:80]}{reason}", remedy)


def refuse_raw_op(name: str) -> Refused:
    """The refusal of a raw op that has no rule."""
    gradient = name.endswith(("Grad", "GradV2", "GradGrad", "GradientArgs"))
    reason, remedy = (f" {_GRADIENT[0]}", _GRADIENT[1]) if gradient else _reason(name, _RAW_OPS)
    return Refused(f"TensorFlow's op {name[:80]}{reason}", remedy)
