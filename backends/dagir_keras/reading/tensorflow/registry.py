"""The table of TensorFlow: a rule for each raw op, and for each function of its API.

A raw op's rule takes its operands in order, and by name the attributes that have an effect. A function takes the
arguments of TensorFlow's own signature: tensors, and data of Python that becomes constants.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias, TypeVar

from dagir.ir.types import DType
from dagir.support.late_import import import_modules
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.refusals import refuse_function, refuse_raw_op

Rule: TypeAlias = Callable[..., Any]
_R = TypeVar("_R", bound=Rule)

_raw: dict[str, Rule] = {}
_functions: dict[str, Rule] = {}
_WITHOUT_EFFECT = frozenset(  # on what an op computes: hints to kernels, counts and dtypes that its operands have
    {
        *(
            "N",
            "SrcT",
            "U",
            "Index",
            "index_type",
            "dtypes",
            "element_dtype",
            "grad_a",
            "grad_b",
            "grad_x",
            "grad_y",
            "validate_indices",
        ),
        *("use_cudnn_on_gpu", "use_inter_op_parallelism", "bad_indices_policy", "incompatible_shape_error", "Truncate"),
    }
)


def _has_effect(attribute: str, data: Any) -> bool:
    """Whether an attribute that a rule does not take may change what the op computes."""
    of_operands = attribute[:1] == "T" and attribute != "Tout" and isinstance(data, (DType, list))
    return not (of_operands or attribute in _WITHOUT_EFFECT or attribute.startswith("_"))


def raw(*names: str) -> Callable[[_R], _R]:
    """Decorate the rule of a raw op, or of several that are the same."""
    return _register(_raw, names)


def function(*names: str) -> Callable[[_R], _R]:
    """Decorate the rule of a function, under the names that TensorFlow gives it: "math.add", "compat.v1.pad"."""
    return _register(_functions, names)


def _register(table: dict[str, Rule], names: Sequence[str]) -> Callable[[_R], _R]:
    def register(rule: _R) -> _R:
        for name in names:
            if name in table:
                raise TypeError(f"{name} has a rule already")
            table[name] = rule
        return rule

    return register


@cache
def _load() -> None:
    """Import every module of this package, and so register their rules."""
    import_modules(__name__.rpartition(".")[0])


def raw_ops() -> Mapping[str, Rule]:
    """The rules of raw ops."""
    _load()
    return _raw


def functions() -> Mapping[str, Rule]:
    """The rules of functions."""
    _load()
    return _functions


def require_raw_op(name: str) -> Rule:
    """The rule of a raw op. Raises Refused where there is none."""
    rule = raw_ops().get(name)
    if rule is None:
        raise refuse_raw_op(name)
    return rule


def require_function(name: str) -> Rule:
    """The rule of a function. Raises Refused where there is none."""
    rule = functions().get(name)
    if rule is None:
        raise refuse_function(name)
    return rule


def call_raw_op(name: str, operands: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    """The outputs of a raw op: a tensor, or a tuple of them. Raises Refused, DagirError."""
    rule = require_raw_op(name)
    takes = _parameters(rule)
    for key, part in attributes.items():
        if key not in takes and _has_effect(key, part):
            raise Refused(f"dagir's {name} has no attribute {key!r}, which is {str(part)[:40]}")
    given = {key: part for key, part in attributes.items() if key in takes}
    try:
        inspect.signature(rule).bind(*operands, **given)
    except TypeError as error:
        raise Refused(f"the op {name} has other operands: {error}") from None
    return rule(*operands, **given)


def call_function(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The result of a function of TensorFlow: a tensor, or a structure of them. Raises Refused, DagirError."""
    rule = require_function(name)
    takes = _parameters(rule)
    for key, part in kwargs.items():
        if key not in takes and key != "name" and part not in (None, ""):
            raise Refused(f"dagir's tf.{name} takes no argument {key!r}, which is {str(part)[:40]}")
    given = {key: part for key, part in kwargs.items() if key in takes}
    try:
        inspect.signature(rule).bind(*args, **given)
    except TypeError as error:
        remedy = "write it with another function, whose arguments Keras does write: tf.equal(x, y) for x == y"
        raise Refused(f"the arguments of tf.{name} are not all there: {error}", remedy) from None
    return rule(*args, **given)


@cache
def _parameters(rule: Rule) -> frozenset[str]:
    return frozenset(inspect.signature(rule).parameters)
