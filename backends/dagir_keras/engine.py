"""What Keras computes with: TensorFlow, JAX, PyTorch or NumPy. Keras chooses it once, when it is imported.

Importing this module imports keras, and with it that one package. What differs between them is asked for here.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from dagir import ops
from dagir.errors import BackendError, FeedError, UnsupportedOp
from dagir.ir.diagnostics import describe
from dagir.ir.graph import Constant, Graph, Node
from dagir.ir.types import Array, DType, TensorType
from dagir.ops.call import graphs_of
from dagir.runtime.feeds import Inputs

ENGINE = str(keras.backend.backend())
TITLE = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch", "numpy": "NumPy"}.get(ENGINE, ENGINE)
ON_TENSORFLOW = ENGINE == "tensorflow"
CODES_OF_KERAS = (DType.FLOAT8_E4M3FN, DType.FLOAT8_E5M2)
_WIDER = "set JAX_ENABLE_X64=1 before JAX is imported" if ENGINE == "jax" else "set KERAS_BACKEND=tensorflow"


def version() -> str:
    """The version of the package that Keras computes with."""
    return str(sys.modules[ENGINE].__version__)


def held_in(dtype: DType) -> str:
    """The dtype that tensors declared with this one have: JAX has no 64 bits unless it is told so, PyTorch no uint16.

    Empty where there are no tensors of it.
    """
    if ON_TENSORFLOW or dtype is DType.STRING:
        return str(dtype) if ON_TENSORFLOW else ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX says that it narrows
        try:
            return str(keras.backend.standardize_dtype(keras.ops.zeros((), dtype=str(dtype)).dtype))
        except (TypeError, ValueError):
            return ""


def refuse_narrowed(graph: Graph) -> None:
    """Raise BackendError for a node whose results Keras would compute in another dtype than the model has.

    Integers may be held in fewer bits where they are not computed with: ids that are looked up in an Embedding.
    """
    _refuse_codes(graph)
    if ON_TENSORFLOW:
        return
    names = {dtype: held_in(dtype) for dtype in DType}
    for node in (node for each in graphs_of(graph) for node in each.nodes):
        constants = [v.source for v in node.inputs if v is not None and isinstance(v.source, Constant)]
        cut = [c.value.dtype for c in constants if not _fit(names[c.value.dtype], c.value.dtype, c.array)]
        cut += [value.dtype for value in node.outputs if not _is_exact(node, value.dtype, names[value.dtype])]
        if cut and not isinstance(node.op, ops.Call):
            how = f"with {names[cut[0]]}" if names[cut[0]] else "not at all"
            raise BackendError(
                f"Keras on {TITLE} computes {node.op.op_name} of {cut[0]} {how}",
                facts=[("node", describe(node))],
                remedy=f"{_WIDER}, cast to a dtype that {TITLE} has, or use the numpy backend",
            )


def _refuse_codes(graph: Graph) -> None:
    """Raise UnsupportedOp for a value of codes of a dtype that Keras does not have."""
    wanted = [value for each in graphs_of(graph) for value in (*each.inputs, *each.outputs)]
    for node in (node for each in graphs_of(graph) for node in each.nodes):
        wanted += [value for value in (*node.inputs, *node.outputs) if value is not None]
    refused = next((v for v in wanted if v.dtype.is_code and v.dtype not in CODES_OF_KERAS), None)
    if refused is not None:
        raise UnsupportedOp(
            f"Keras has no {refused.dtype}",
            facts=[] if refused.node is None else [("node", describe(refused.node))],
            remedy="use the numpy or the onnx backend, or codes of int8",
        )


def _is_exact(node: Node, dtype: DType, held: str) -> bool:
    """Whether a node gives the same numbers where its results are held in another dtype."""
    if held == str(dtype):
        return True
    if not (held and dtype.is_integer):
        return False
    if isinstance(node.op, ops.Lookup):
        entries = [*node.op.keys, *node.op.values, node.op.default]
        return _fit(held, dtype, np.asarray(entries)) if all(isinstance(each, int) for each in entries) else False
    if isinstance(node.op, ops.Cast):
        given = node.inputs[0]
        return given is not None and (given.dtype is DType.BOOL or _holds_all(held, given.dtype))
    return node.op.moves_only


def _holds_all(held: str, dtype: DType) -> bool:
    if not dtype.is_integer:
        return False
    inner, outer = np.iinfo(str(dtype)), np.iinfo(held)
    return bool(outer.min <= inner.min and inner.max <= outer.max)


def _fit(held: str, dtype: DType, array: Array) -> bool:
    """Whether numbers of a dtype stay what they are where they are held in another one."""
    if held == str(dtype) or not array.size:
        return True
    if not (held and dtype.is_integer):
        return False
    limits = np.iinfo(held)
    return bool(limits.min <= array.min() and array.max() <= limits.max)


def held(inputs: Inputs, arrays: Sequence[Array]) -> list[Array]:
    """The arrays, integers in the dtype in which Keras has them. Raises FeedError for one that does not fit."""
    if ON_TENSORFLOW:
        return list(arrays)
    return [_held(name, type.dtype, array) for (name, type), array in zip(inputs, arrays, strict=True)]


def _held(name: str, dtype: DType, array: Array) -> Array:
    narrow = held_in(dtype)
    if narrow == str(dtype) or not dtype.is_integer:
        return array
    if not _fit(narrow, dtype, array):
        raise FeedError(f"input {name!r} has numbers outside of {narrow}, as which {TITLE} has them", remedy=_WIDER)
    return array.astype(narrow)


def to_numpy(tensor: Any, type: TensorType | None = None) -> Array:
    """The numbers of a tensor; integers that were held in fewer bits in the dtype of `type`."""
    if ON_TENSORFLOW and tensor.dtype == "bfloat16" and not tensor.shape.rank:
        return np.asarray(tensor.numpy())  # for such a scalar, TensorFlow 2.21 does not give an array
    array = np.asarray(keras.ops.convert_to_numpy(tensor))
    if type is None or not type.dtype.is_integer or str(array.dtype) == str(type.dtype):
        return array
    return array.astype(type.dtype.numpy) if str(array.dtype) == held_in(type.dtype) else array


def _raised() -> tuple[type[Exception], ...]:
    if ON_TENSORFLOW:
        import tensorflow as tf

        return (tf.errors.OpError,)
    return (RuntimeError, NotImplementedError)


RAISED = _raised()
"""What it raises where it cannot compute."""
