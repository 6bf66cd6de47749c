"""Whole models, drawn: every backend agrees with the float64 oracle, at sizes other than those they were built with."""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import dagir
from dagir import ops
from dagir.testing import assert_equivalent
from dagir.testing.drawing import feeds_for, models
from dagir_numpy.rules import rules

sizes = st.fixed_dictionaries({"batch": st.sampled_from([1, 3]), "time": st.sampled_from([1, 2, 5])})


@pytest.mark.filterwarnings("ignore:.*does not support masking:UserWarning")
@pytest.mark.parametrize("backend", ["numpy", "onnx", "keras"])
def test_backends_agree_with_the_oracle(backend):
    @given(models(), sizes)
    def agrees(model, named):
        assert_equivalent(model, feeds_for(model, named), (backend,))

    agrees()


@given(models())
def test_drawn_models_are_sound(model):
    assert dagir.check(model.graph) is model.graph
    assert str(model.graph).count("\n") >= len(model.graph.nodes)


def test_a_wrong_answer_is_found_and_shrinks_to_its_op(monkeypatch):
    """Break one rule on purpose: the property must go red, and the model that shows it must be small.

    The rule is of an op that no layer is made of, so that there is nothing larger to shrink to; one drawn model in some
    150 shows it, so that 3,000 do, whatever the seed.
    """
    right = rules[ops.Sin]
    smallest = []

    def wrong(op, x):
        return right(op, x) * (1 + 1e-3) if x.dtype == "float32" else right(op, x)

    monkeypatch.setitem(rules._rules, ops.Sin, wrong)

    @given(models(), sizes)
    def agrees(model, named):
        try:
            assert_equivalent(model, feeds_for(model, named), ("numpy",))
        except AssertionError:
            smallest.append(len(model.graph.nodes))
            raise

    with pytest.raises(AssertionError):
        found = settings(
            max_examples=3000, database=None, report_multiple_bugs=False, phases=[Phase.generate, Phase.shrink]
        )
        found(agrees)()
    assert min(smallest) <= 2
