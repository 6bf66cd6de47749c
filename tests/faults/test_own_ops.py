"""An op of a user's own that gives something wrong: one error, which names the op and says what to return."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
import pytest

import dagir
from dagir.errors import ArgumentError, BackendError
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


def test_a_fault_in_the_shape_rule_itself_is_pythons(x):
    with pytest.raises(AttributeError, match="no attribute 'shap'"):
        dagir.apply(own("Typo", lambda self, x: (x.shap,))(), x)


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


def test_a_key_that_a_rule_of_numpy_does_not_find_is_no_size(x):
    def rule(op, x):
        raise KeyError("oops")

    model = dagir.Model(x, dagir.apply(own("Wrong", numpy_rule=rule)(), x))
    with pytest.raises(KeyError, match="oops"):
        dagir.verify(model, "numpy")


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
