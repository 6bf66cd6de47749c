"""The node tests of onnx, through from_onnx: what each case comes to, and how it is judged."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from onnx import TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases

import dagir
from dagir.errors import DagirError, UnsupportedOp
from dagir.ir.types import DType


@cache
def collected():
    """Every case of the installed onnx, with the same random data each time."""
    np.random.seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return collect_testcases(None)


def array_of(data):
    """A value of a case as an array, where it is one tensor."""
    if isinstance(data, TensorProto):
        return numpy_helper.to_array(data)
    return np.asarray(data) if isinstance(data, np.generic) else data


@dataclass
class Outcome:
    """What a case came to. reasons: by operator, why it is refused. fixed: inputs that were given as constants."""

    model: dagir.Model | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    fixed: dict[str, np.ndarray] = field(default_factory=dict)


def read(case) -> Outcome:
    """The case as a model. Where shapes are computed from inputs, small integer inputs become constants."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dagir.errors.DeclarationWarning)
        try:
            return Outcome(dagir.from_onnx(case.model))
        except UnsupportedOp as error:
            first = error
        fixed = constants(case)
        if fixed:
            try:
                return Outcome(dagir.from_onnx(case.model, inputs=fixed), fixed=fixed)
            except UnsupportedOp as error:
                first = error
            except DagirError:
                pass
    return Outcome(reasons=reasons_of(first))


def constants(case) -> dict[str, np.ndarray]:
    """The inputs that may be shapes, axes, counts or bounds."""
    found = {}
    if len(case.data_sets) == 1:
        for info, data in zip(case.model.graph.input, case.data_sets[0][0], strict=True):
            array, found_first = array_of(data), info.name != case.model.graph.input[0].name
            plain = isinstance(array, np.ndarray) and array.ndim < 2
            if plain and (array.dtype.kind in "iub" or array.size == 1 or (found_first and array.size <= 8)):
                found[info.name] = array
    return found


def reasons_of(error: UnsupportedOp) -> dict[str, str]:
    """By operator, the reason of a refusal."""
    one = re.search(r"node .* \((\S+)\) cannot be taken: (.*)", error.summary)
    if one:
        return {one[1]: one[2]}
    return dict(error.facts) or {"model": error.summary}


def feeds(case, data, outcome: Outcome) -> dict[str, np.ndarray]:
    """The arrays for the inputs that are left."""
    names = [info.name for info in case.model.graph.input]
    return {name: array_of(each) for name, each in zip(names, data, strict=True) if name not in outcome.fixed}


def difference(found: np.ndarray, wanted: np.ndarray, rtol: float, atol: float) -> str:
    """Why an answer is wrong, or nothing. Halves may be two units in the last place away."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    if found.shape != wanted.shape or str(found.dtype) != str(wanted.dtype):
        return f"{found.dtype}{found.shape} for {wanted.dtype}{wanted.shape}"
    a, b = found.astype("float64"), wanted.astype("float64")
    allowed = atol + rtol * np.abs(b)
    if found.dtype.itemsize < 4 and DType.of(found.dtype).is_float:
        with np.errstate(divide="ignore"):
            allowed = allowed + 2 * DType.of(found.dtype).eps * np.exp2(np.floor(np.log2(np.abs(b))))
    with np.errstate(invalid="ignore"):
        close = (np.abs(a - b) <= allowed) | (a == b) | (np.isnan(a) & np.isnan(b))
    return "" if close.all() else f"{int((~close).sum())} of {close.size} numbers differ"
