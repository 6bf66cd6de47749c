"""Recurrences of ONNX with peepholes, bounds, coupled gates, or activations of their own, as scans of their steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isclose

from dagir import ops
from dagir.ir.graph import Value
from dagir.ops.scanning import scan
from dagir_onnx.importing.node_call import NodeCall


@dataclass(frozen=True)
class Function:
    """An activation with its numbers. keras_name: what dagir's own recurrences call it, None if they have it not."""

    name: str
    alpha: float
    beta: float

    @property
    def keras_name(self) -> str | None:
        """Its name among those of dagir's recurrences."""
        kind = _KINDS[self.name]
        if kind.keras_name is None or not all(
            isclose(number, wanted, rel_tol=1e-6)
            for number, wanted in zip((self.alpha, self.beta), kind.keras_numbers, strict=False)
        ):
            return None
        return kind.keras_name

    def __call__(self, x: Value) -> Value:
        """The activation of x."""
        return _KINDS[self.name].apply(x, self.alpha, self.beta)


@dataclass(frozen=True)
class _Kind:
    """What ONNX says of an activation. defaults: alpha and beta, as many as it has."""

    apply: Callable[[Value, float, float], Value]
    defaults: tuple[float, ...] = ()
    keras_name: str | None = None
    keras_numbers: tuple[float, ...] = ()


_KINDS = {
    "Affine": _Kind(lambda x, a, b: ops.add(ops.multiply(x, a), b), (1.0, 0.0), "linear", (1.0, 0.0)),
    "Elu": _Kind(lambda x, a, b: ops.elu(x, a), (1.0,), "elu", (1.0,)),
    "HardSigmoid": _Kind(
        lambda x, a, b: ops.clip(ops.add(ops.multiply(x, a), b), 0.0, 1.0), (0.2, 0.5), "hard_sigmoid", (1 / 6, 0.5)
    ),
    "LeakyRelu": _Kind(lambda x, a, b: ops.leaky_relu(x, a), (0.01,), "leaky_relu", (0.2,)),
    "Relu": _Kind(lambda x, a, b: ops.relu(x), (), "relu"),
    "ScaledTanh": _Kind(lambda x, a, b: ops.multiply(ops.tanh(ops.multiply(x, b)), a), (1.0, 1.0)),
    "Sigmoid": _Kind(lambda x, a, b: ops.sigmoid(x), (), "sigmoid"),
    "Softplus": _Kind(lambda x, a, b: ops.softplus(x), (), "softplus"),
    "Softsign": _Kind(lambda x, a, b: ops.softsign(x), (), "softsign"),
    "Tanh": _Kind(lambda x, a, b: ops.tanh(x), (), "tanh"),
    "ThresholdedRelu": _Kind(lambda x, a, b: ops.threshold(x, a, 0.0), (1.0,)),
}
_PLAIN = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}


def functions_of(call: NodeCall, directions: int) -> tuple[Function, ...]:
    """The activations of all directions. Each takes its numbers from the lists only if it has any. Raises Refused."""
    wanted = len(_PLAIN[call.op]) * directions
    names = call.attribute("activations") or list(_PLAIN[call.op] * directions)
    if len(names) != wanted:
        raise call.refused(f"it names {len(names)} activations, and needs {wanted}")
    known = {name.lower(): name for name in _KINDS}
    alphas, betas = list(call.attribute("activation_alpha", [])), list(call.attribute("activation_beta", []))
    found = []
    for name in names:
        if name.lower() not in known:
            raise call.refused(f"its activation {name!r} is none that ONNX has")
        proper = known[name.lower()]
        numbers = list(_KINDS[proper].defaults)
        for place, given in enumerate((alphas, betas)):
            if place < len(numbers) and given:
                numbers[place] = float(given.pop(0))
        alpha, beta, *_ = *numbers, 0.0, 0.0
        found.append(Function(proper, alpha, beta))
    return tuple(found)


@dataclass(frozen=True)
class Cell:
    """What one step computes. clip: bound of what activations take, 0 for none.

    product: of a state of an LSTM and r.
    """

    op: str
    functions: tuple[Function, ...]
    clip: float
    couples_gates: bool
    resets_after: bool
    product: Callable[[Value, Value], Value] = ops.matmul

    def bounded(self, x: Value) -> Value:
        """x within the bounds."""
        return ops.clip(x, -self.clip, self.clip) if self.clip else x

    def lstm(self, xw: Value, h: Value, c: Value, r: Value, peepholes: Value | None) -> list[Value]:
        """Gates of xw, with the gates input, forget, cell, output; peepholes: of the input, output, forget gate."""
        gate, inner, outer = self.functions
        i, f, g, o = ops.split(ops.add(xw, self.product(h, r)), 4, -1)
        if peepholes is not None:
            i, f = ops.add(i, ops.multiply(c, peepholes[0])), ops.add(f, ops.multiply(c, peepholes[2]))
        i = gate(self.bounded(i))
        f = ops.subtract(1.0, i) if self.couples_gates else gate(self.bounded(f))
        c = ops.add(ops.multiply(f, c), ops.multiply(i, inner(self.bounded(g))))
        if peepholes is not None:
            o = ops.add(o, ops.multiply(c, peepholes[1]))
        return [ops.multiply(gate(self.bounded(o)), outer(c)), c]

    def gru(self, xw: Value, h: Value, r: Value, state_bias: Value | None) -> list[Value]:
        """Gates of xw: update, reset, hidden."""
        gate, inner = self.functions
        x_z, x_r, x_h = ops.split(xw, 3, -1)
        units = r.type.shape[0]
        if self.resets_after:
            hr = ops.matmul(h, r)
            h_z, h_r, h_h = ops.split(hr if state_bias is None else ops.add(hr, state_bias), 3, -1)
        else:
            h_z, h_r = ops.split(ops.matmul(h, r[:, : 2 * units]), 2, -1)
        update, reset = gate(self.bounded(ops.add(x_z, h_z))), gate(self.bounded(ops.add(x_r, h_r)))
        inside = ops.multiply(reset, h_h) if self.resets_after else ops.matmul(reset * h, r[:, 2 * units :])
        candidate = inner(self.bounded(ops.add(x_h, inside)))
        return [ops.add(ops.multiply(ops.subtract(1.0, update), candidate), ops.multiply(update, h))]

    def rnn(self, xw: Value, h: Value, r: Value) -> list[Value]:
        """The new state."""
        return [self.functions[0](self.bounded(ops.add(xw, ops.matmul(h, r))))]


def run(
    cell: Cell,
    x: Value,
    weights: tuple[Value, Value, Value | None, Value | None],
    states: Sequence[Value | None],
    mask: Value | None,
    is_back: bool,
) -> tuple[Value, ...]:
    """y [n, t, u] in the order of the steps, and the final states.

    weights: w, r, b, peepholes; b with two rows is a bias of x @ w and one of h @ r.
    """
    w, r, b, peepholes = weights
    is_double = b is not None and b.ndim == 2
    xw = ops.matmul(x, w)
    if b is not None:
        xw = ops.add(xw, b[0] if is_double else b)
    return run_on(cell, xw, (r, b[1] if b is not None and is_double else None, peepholes), states, mask, is_back)


def run_on(
    cell: Cell,
    xw: Value,
    weights: tuple[Value, Value | None, Value | None],
    states: Sequence[Value | None],
    mask: Value | None,
    is_back: bool,
) -> tuple[Value, ...]:
    """The same, of the products with the inputs. weights: r, its bias, peepholes."""
    r, state_bias, peepholes = weights
    blank = ops.zeros((xw.type.shape[0], r.type.shape[0]), xw.dtype)

    def step(parts: list[Value], before: list[Value]) -> tuple[Value, list[Value]]:
        if cell.op == "LSTM":
            new = cell.lstm(parts[0], before[0], before[1], r, peepholes)
        elif cell.op == "GRU":
            new = cell.gru(parts[0], before[0], r, state_bias)
        else:
            new = cell.rnn(parts[0], before[0], r)
        return new[0], new

    first = [blank if state is None else state for state in states]
    y, finals = scan(step, first, [xw], mask, go_backwards=is_back, zero_output_for_mask=True, name=cell.op.lower())
    return (y, *finals)


__all__ = ["Cell", "Function", "functions_of", "run", "run_on"]
