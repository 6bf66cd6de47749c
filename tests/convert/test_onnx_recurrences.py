"""LSTM, GRU and RNN of ONNX with drawn attributes, against onnxruntime's kernels."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from convert.drawn_nodes import assert_read_right, feeds_of, model_of, runtime_answers

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_NAMED = {"LSTM": 3, "GRU": 2, "RNN": 1}
_FUNCTIONS = {
    "Relu": (0, 0), "Tanh": (0, 0), "Sigmoid": (0, 0), "Softsign": (0, 0), "Softplus": (0, 0), "Affine": (1, 1),
    "LeakyRelu": (1, 0), "ThresholdedRelu": (1, 0), "ScaledTanh": (1, 1), "HardSigmoid": (1, 1), "Elu": (1, 0),
}  # fmt: skip
_NUMBERS = st.sampled_from([0.1, 0.3, 0.75, 1.2])


@st.composite
def recurrences(draw):
    """(model, feeds) of one recurrence."""
    op = draw(st.sampled_from(list(_GATES)))
    direction = draw(st.sampled_from(["forward", "reverse", "bidirectional"]))
    ways = 2 if direction == "bidirectional" else 1
    steps, batch, size, units = (draw(st.integers(1, 4)) for _ in range(4))
    random = np.random.default_rng(draw(st.integers(0, 999)))

    def numbers(*shape):
        return (random.normal(size=shape) * 0.7).astype("float32")

    columns = _GATES[op] * units
    inputs = [numbers(steps, batch, size), numbers(ways, columns, size), numbers(ways, columns, units)]
    inputs += [draw(st.sampled_from([None, numbers(ways, 2 * columns)]))]
    lengths = None if draw(st.booleans()) else random.integers(1, steps + 1, batch).astype("int32")
    inputs += [lengths, draw(st.sampled_from([None, numbers(ways, batch, units)]))]
    if op == "LSTM":
        inputs += [draw(st.sampled_from([None, numbers(ways, batch, units)]))]
        inputs += [draw(st.sampled_from([None, None, numbers(ways, 3 * units)]))]
    fields = {"hidden_size": units, "direction": direction}
    if draw(st.booleans()):
        fields |= _activations(draw, _NAMED[op] * ways)
    if draw(st.integers(0, 3)) == 3:
        fields["clip"] = draw(_NUMBERS)
    if op == "GRU":
        fields["linear_before_reset"] = draw(st.integers(0, 1))
    if op == "LSTM" and draw(st.integers(0, 3)) == 3:
        fields["input_forget"] = 1
    outputs = ["float32"] * (3 if op == "LSTM" else 2)
    stored = [place for place in (1, 2, 3, 7) if place < len(inputs) and draw(st.integers(0, 3))]
    free = draw(st.sampled_from([(), ((0, 0), (0, 1))]))
    opset = draw(st.sampled_from([7, 14, 22]))
    model = model_of(op, inputs, outputs, opset, stored=stored, free=free, **fields)
    return model, feeds_of(inputs, stored)


def _activations(draw, count):
    names = [draw(st.sampled_from(list(_FUNCTIONS))) for _ in range(count)]
    alpha = [draw(_NUMBERS) for name in names if _FUNCTIONS[name][0]]
    beta = [draw(_NUMBERS) for name in names if _FUNCTIONS[name][1]]
    return {"activations": names, "activation_alpha": alpha or None, "activation_beta": beta or None}


@given(recurrences())
@settings(max_examples=2 * settings.default.max_examples)
def test_a_drawn_recurrence_is_onnxruntimes(drawn):
    model, feeds = drawn
    wanted = runtime_answers(model, feeds)
    assume(all(np.isfinite(each).all() for each in wanted.values()))  # onnxruntime's Softplus of 89 is infinite
    assert_read_right(model, feeds, wanted)
