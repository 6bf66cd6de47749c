"""Every op, on every backend, against the float64 oracle; and the meta test that no op was forgotten."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import ops, testing
from dagir.ir.graph import Op

OPS = sorted(
    (cls for cls in vars(ops).values() if isinstance(cls, type) and issubclass(cls, Op) and cls is not ops.Call),
    key=lambda cls: cls.__name__,
)
BACKENDS = ("numpy", "onnx", "keras")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)
def test_agrees_with_the_oracle(op, backend):
    if op in dagir.backend(backend).rules.gaps:
        pytest.skip(dagir.backend(backend).rules.gaps[op])

    @given(st.data())
    def agrees(data):
        graph, feeds = data.draw(testing.cases(op)).graph()
        testing.assert_equivalent(graph, feeds, (backend,))

    agrees()


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)
def test_every_op_has_a_strategy_and_a_rule_or_a_reason(op):
    assert op in testing.covered(), f"{op.__name__} has no strategy in dagir/testing"
    for name in BACKENDS:
        rules = dagir.backend(name).rules
        assert op in rules or rules.gaps.get(op), f"{name} has neither a rule nor a declared gap for {op.__name__}"
    assert op not in dagir.backend("numpy").rules.gaps
    assert "." in op.__doc__, f"{op.__name__} needs shapes and a source in its docstring"
