"""Bidirectional: two recurrences over one sequence, forward and backward, as one op."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from dagir.errors import ArgumentError
from dagir.ir.graph import Op
from dagir.ir.rounding import ROUNDED
from dagir.ir.types import Inferred, TensorType
from dagir.ops.rnn import GRU, LSTM, SimpleRNN

__all__ = [
    "Bidirectional",
]

T = TypeVar("T")
_KINDS: dict[str, type[LSTM | GRU | SimpleRNN]] = {"LSTM": LSTM, "GRU": GRU, "SimpleRNN": SimpleRNN}


@dataclass(frozen=True)
class Bidirectional(Op):
    """x: f[n,t,i], mask: bool[n,t]?, then w, r, b?, states? of the way forward and of the way back -> y, states.

    y: f[n,t,2u], the outputs of both directions at each step, concatenated; states: f[n,u], those of the forward
    direction first. kind: "LSTM", "GRU" or "SimpleRNN"; the other fields are that op's, activations those of each
    way.  keras.layers.Bidirectional; ONNX LSTM-14, GRU-14 and RNN-14 with direction "bidirectional".
    """

    rounding = ROUNDED
    operands = ("x", "mask", "*weights")
    kind: str
    activations: tuple[str, str] = ("tanh", "tanh")
    recurrent_activations: tuple[str, str] = ("sigmoid", "sigmoid")
    reset_after: bool = True
    zero_output_for_mask: bool = False

    @property
    def ways(self) -> tuple[LSTM | GRU | SimpleRNN, ...]:
        """The op of each way."""
        if self.kind not in _KINDS:
            raise ArgumentError(f"Bidirectional takes {', '.join(_KINDS)} for kind, got {self.kind!r}")
        return tuple(self._way(place) for place in (0, 1))

    def _way(self, place: int) -> LSTM | GRU | SimpleRNN:
        activation, gate = self.activations[place], self.recurrent_activations[place]
        backwards, zero = place == 1, self.zero_output_for_mask
        if self.kind == "SimpleRNN":
            return SimpleRNN(activation, backwards, zero)
        if self.kind == "LSTM":
            return LSTM(activation, backwards, zero, gate)
        return GRU(activation, backwards, zero, gate, self.reset_after)

    def operands_of(self, operands: Sequence[T | None]) -> list[list[T | None]]:
        """For each way what its own op takes."""
        x, mask, *weights = [*operands, None][: max(2, len(operands))]
        each = 3 + self.ways[0].states
        weights += [None] * (2 * each - len(weights))
        return [[x, *weights[:each], mask], [x, *weights[each:], mask]]

    def infer(self, *operands: TensorType | None) -> Inferred:
        """y, and the states of both ways."""
        forward, back = self.operands_of(operands)
        if [each is None for each in forward] != [each is None for each in back]:
            raise ArgumentError(
                "both ways of a Bidirectional take the same operands: biases and states for both, or none"
            )
        both = [way.infer(*given) for way, given in zip(self.ways, (forward, back), strict=True)]  # type: ignore[arg-type]
        y, other = both[0][0], both[1][0]
        together = y.with_shape((*y.shape[:2], y.shape[2] + other.shape[2]))
        states = (*both[0].types[1:], *both[1].types[1:])
        return Inferred((together, *states), (*both[0].equations, *both[1].equations))
