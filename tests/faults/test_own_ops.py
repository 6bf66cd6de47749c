"""An op or a layer of a user's own that gives something wrong, or raises: one error, which names it, and what to do."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
import pytest

import dagir
from dagir.errors import ArgumentError, BackendError, UserCodeError
from dagir_keras.rules import rules as keras_rules
from dagir_numpy.rules import rules as numpy_rules
from dagir_onnx.rules import rules as onnx_rules


def own(name, infer=lambda self, x: (x,), numpy_rule=lambda op, x: x, onnx_rule=lambda op, emit, x: emit("Neg", x)):
    made = dataclass(frozen=True)(type(name, (dagir.Op,), {"infer": infer} if infer else {}))
    numpy_rules.rule(made)(numpy_rule)
    onnx_rules.rule(made)(onnx_rule)
    return made


@pytest.fixture
def x():
    return dagir.Input((4,), name="x")


WRONG_SHAPE_RULES = {
    "nothing": lambda self, x: None,
    "a type": lambda self, x: x,
    "a shape": lambda self, x: x.shape,
    "a shape in a tuple": lambda self, x: (x.shape,),
    "no output": lambda self, x: (),
}


@pytest.mark.parametrize("what", WRONG_SHAPE_RULES)
def test_a_shape_rule_that_gives_no_types(what, x):
    op = own("Wrong", WRONG_SHAPE_RULES[what])
    with pytest.raises(ArgumentError, match=r"infer of Wrong returned .*no tuple of TensorTypes") as told:
        dagir.apply(op(), x)
    assert "return a tuple" in told.value.remedy and "test_own_ops.py" in str(told.value)


def test_a_list_of_types_is_taken(x):
    assert dagir.apply(own("Listed", lambda self, x: [x])(), x).type == x.type


def test_operands_that_the_shape_rule_does_not_take(x):
    with pytest.raises(ArgumentError, match=r"Two was applied to 1 operand, and its infer takes \(a, b\)"):
        dagir.apply(own("Two", lambda self, a, b: (a,))(), x)
    with pytest.raises(ArgumentError, match=r"None_ was applied to 1 operand, and its infer takes \(\)"):
        dagir.apply(own("None_", lambda self: ())(), x)
    with pytest.raises(ArgumentError, match="Unsaid has no shape rule"):
        dagir.apply(own("Unsaid", None)(), x)
    with pytest.raises(ArgumentError, match="apply takes an op") as told:
        dagir.apply(own("Class"), x)
    assert "dagir.apply(Class(), x)" in told.value.remedy


def shape_of(x):
    return x.shap


def test_a_fault_in_the_shape_rule_itself(x):
    with pytest.raises(UserCodeError, match=r"infer of Typo raised AttributeError: .*no attribute 'shap'") as told:
        dagir.apply(own("Typo", lambda self, x: (shape_of(x),))(), x)
    assert isinstance(told.value.__cause__, AttributeError)
    facts = dict(told.value.facts)
    assert facts["op"] == "Typo" and "test_own_ops.py" in facts["called at"] and facts["x"] == str(x.type)
    assert facts["raised at"].endswith("in shape_of") and "test_own_ops.py" in facts["raised at"]


def refuse(*_):
    raise ValueError("no thanks\nmore lines")


@pytest.mark.parametrize("error", [KeyError("oops"), ValueError("oops"), ZeroDivisionError("oops"), Exception("oops")])
@pytest.mark.parametrize("verified", [False, True])
def test_an_exception_in_a_rule_of_numpy(verified, error, x):
    def rule(op, x):
        raise error

    model = dagir.Model(x, dagir.apply(own("Wrong", numpy_rule=rule)(), x))
    with pytest.raises(UserCodeError, match=f"rule of numpy for Wrong raised {type(error).__name__}: .*oops") as told:
        dagir.verify(model, "numpy") if verified else dagir.lower(model, "numpy")(np.ones((3, 4), "float32"))
    facts = dict(told.value.facts)
    assert told.value.__cause__ is error and facts["node"].startswith("Wrong, at")
    assert "test_own_ops.py" in facts["node"] and facts["raised at"].endswith("in rule")


def test_an_exception_in_a_rule_of_onnx_within_a_branch(x, tmp_path):
    op = own("Wrong", onnx_rule=refuse)
    model = dagir.Model(x, dagir.ops.cond(dagir.ops.max(x) > 0, lambda: dagir.apply(op(), x), lambda: x))
    with pytest.raises(UserCodeError, match=r"rule of onnx for Wrong raised ValueError: no thanks\n") as told:
        dagir.to_onnx(model, tmp_path / "wrong.onnx")
    assert isinstance(told.value.__cause__, ValueError) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("sizes", [4, "n"], ids=["fixed", "named"])
def test_an_exception_in_a_rule_of_keras(sizes):
    x = dagir.Input((sizes, 3), name="x")
    op = own("Wrong")
    keras_rules.rule(op)(refuse)
    model = dagir.Model(x, dagir.layers.Dense(2)(dagir.apply(op(), x)))
    with pytest.raises(UserCodeError, match="rule of keras for Wrong raised ValueError: no thanks") as told:
        dagir.to_keras(model)
    assert isinstance(told.value.__cause__, ValueError) and "test_own_ops.py" in str(told.value)


class Broken(dagir.Layer):
    def __init__(self, where):
        super().__init__(name="broken")
        self.where = where

    def build(self, input_shape):
        if self.where == "build":
            refuse()

    def call(self, x):
        if self.where == "call":
            refuse()
        return x


@pytest.mark.parametrize("where", ["build", "call"])
def test_an_exception_in_a_layer(where, x):
    class Outer(dagir.Layer):
        def call(self, x):
            return Broken(where)(x)

    with pytest.raises(UserCodeError, match=f"Broken.{where} raised ValueError: no thanks") as told:
        Outer(name="outer")(x)
    facts = dict(told.value.facts)
    assert isinstance(told.value.__cause__, ValueError)
    assert facts["layer"] == "outer/broken" and facts["raised at"].endswith("in refuse")


def test_an_exception_in_a_function_that_a_layer_is_given(x):
    with pytest.raises(UserCodeError, match="refuse raised ValueError: no thanks") as told:
        dagir.layers.Dense(2, activation=refuse, name="dense")(x)
    assert dict(told.value.facts)["layer"] == "dense"


def test_warnings_and_a_full_memory_are_as_they_were_raised(x):
    for error in (MemoryError("full"), UserWarning("look")):
        with pytest.raises(type(error)):
            dagir.layers.Lambda(lambda x, error=error: (_ for _ in ()).throw(error))(x)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (lambda op, x: None, "rule of numpy for Wrong returned None"),
        (lambda op, x: (x, x), "rule of numpy for Wrong returned ndarray, ndarray"),
        (lambda op, x: (), "rule of numpy for Wrong returned nothing"),
        (lambda op, x: 1.0, r"rule of numpy for Wrong gave \[\], and infer of Wrong says float32\[batch, 4\]"),
        (lambda op, x: x[:, :2], r"rule of numpy for Wrong gave \[3, 2\]"),
        (lambda op, x: [x], r"rule of numpy for Wrong gave \[1, 3, 4\]"),
    ],
)
def test_a_rule_of_numpy_that_gives_something_else(rule, said, x):
    model = dagir.Model(x, dagir.apply(own("Wrong", numpy_rule=rule)(), x))
    with pytest.raises(BackendError, match=said) as told:
        dagir.lower(model, "numpy")(np.ones((3, 4), "float32"))
    assert "Wrong" in str(told.value) and "test_own_ops.py" in str(told.value)  # the node, with the user's line
    with pytest.raises(BackendError, match="rule of numpy for Wrong") as told:
        dagir.verify(model, "numpy")
    assert "threading.py" not in str(told.value)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (lambda op, emit, x: None, "rule of onnx for Wrong returned None"),
        (lambda op, emit, x: "y", "rule of onnx for Wrong returned str"),
        (lambda op, emit, x: (x, x), "rule of onnx for Wrong returned Tensor, Tensor"),
        (lambda op, emit, x: emit("Mul", x, 2.0), r"emit\('Mul'\) was given 2.0 \(float\), which is no Tensor"),
        (lambda op, emit, x: emit("Mul", np.ones(4), x), r"emit\('Mul'\) was given .*ndarray"),
    ],
)
def test_a_rule_of_onnx_that_gives_something_else(rule, said, x, tmp_path):
    model = dagir.Model(x, dagir.apply(own("Wrong", onnx_rule=rule)(), x))
    with pytest.raises((BackendError, ArgumentError), match=said) as told:
        dagir.to_onnx(model, tmp_path / "wrong.onnx")
    assert "Wrong" in str(told.value) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("sizes", [4, "n"], ids=["fixed", "named"])
@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (lambda op, x: None, "rule of keras for Wrong returned None"),
        (lambda op, x: (x, x), "rule of keras for Wrong returned KerasTensor, KerasTensor"),
        (lambda op, x: 1.0, "rule of keras for Wrong returned float"),
        (lambda op, x: [x], "rule of keras for Wrong returned list"),
        (lambda op, x: keras.ops.sum(x), r"rule of keras for Wrong gave float32\[\], and infer of Wrong says float32"),
        (lambda op, x: x[:, :, :2], r"rule of keras for Wrong gave float32\[\?, (\?|4), 2\]"),
        (lambda op, x: keras.ops.cast(x, "int32"), r"rule of keras for Wrong gave int32\["),
    ],
)
def test_a_rule_of_keras_that_gives_something_else(rule, said, sizes):
    x = dagir.Input((sizes, 3), name="x")
    op = own("Wrong")
    keras_rules.rule(op)(rule)
    model = dagir.Model(x, dagir.layers.Dense(2)(dagir.apply(op(), x)))
    with pytest.raises(BackendError, match=said) as told:
        dagir.to_keras(model)
    assert told.value.remedy and "test_own_ops.py" in str(told.value)


@pytest.mark.parametrize(("given", "said"), [(lambda x: (x, x[:, :1]), None), (lambda x: x, "a tuple of 2")])
def test_a_rule_of_keras_for_an_op_of_two_outputs(given, said, x):
    op = own("Pair", lambda self, x: (x, x.with_shape((x.shape[0], 1))))
    keras_rules.rule(op)(lambda op, x: given(x))
    model = dagir.Model(x, dagir.apply(op(), x))
    if said is None:
        assert dagir.to_keras(model).output_shape == (None, 4)
        return
    with pytest.raises(BackendError, match="returned KerasTensor") as told:
        dagir.to_keras(model)
    assert said in told.value.remedy


def test_an_op_of_two_outputs_needs_two_results(x):
    op = own("Pair", lambda self, x: (x, x))
    model = dagir.Model(x, dagir.apply(op(), x))
    for backend, said in (("numpy", "a tuple of 2, an array for each"), ("onnx", "a tuple of 2, a Tensor for each")):
        with pytest.raises(BackendError) as told:
            dagir.lower(model, backend)(np.ones((3, 4), "float32"))
        assert said in told.value.remedy
