"""Layers around another layer: Bidirectional, which runs it both ways, and TimeDistributed, at each time step."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any, Unpack

import numpy.typing as npt

from dagir import ops
from dagir.errors import ArgumentError, ShapeError
from dagir.ir.graph import Node, Structure, Value
from dagir.ir.nest import flatten, map_structure
from dagir.ir.operands import as_value
from dagir.layers.argument_types import BidirectionalOptions, BuildShape, LayerOptions, Mask, State
from dagir.layers.base import Layer
from dagir.layers.wrapping import Wrapper
from dagir.ops.scanning import scan

__all__ = [
    "Bidirectional",
    "TimeDistributed",
]


def _check_layer(kind: str, argument: str, layer: object) -> None:
    if not isinstance(layer, Layer):
        raise ArgumentError(f"{kind} takes a layer for {argument}, got {layer!r}", remedy="make one: LSTM(4)")


class Bidirectional(Layer):
    """A recurrent layer from both ends, with the outputs of both merged.

    layer: is copied, forwards and backwards, unless backward_layer gives the latter.  keras.layers.Bidirectional.
    merge_mode: "concat", "sum", "mul", "ave", or None for a list of both. weights: to begin with.

    >>> layers.Bidirectional(layers.LSTM(8))(dagir.Input(("time", 4)))
    <Value bidirectional float32[batch, 16]>
    """

    supports_masking = True

    def __init__(
        self,
        layer: Layer,
        merge_mode: str | None = "concat",
        weights: Sequence[npt.ArrayLike] | None = None,
        backward_layer: Layer | None = None,
        **kwargs: Unpack[BidirectionalOptions],
    ) -> None:
        _check_layer("Bidirectional", "layer", layer)
        for each in (layer, backward_layer):
            if isinstance(each, Layer) and not hasattr(each, "return_sequences"):
                raise ArgumentError(
                    f"Bidirectional takes a recurrent layer, got the {type(each).__name__} {each.name!r}",
                    remedy="give it an LSTM, GRU, SimpleRNN, RNN or ConvLSTM layer; others see all steps at once",
                )
        if backward_layer is not None:
            _check_layer("Bidirectional", "backward_layer", backward_layer)
        if merge_mode not in ("sum", "mul", "ave", "concat", None):
            raise ArgumentError(
                f"Bidirectional takes 'sum', 'mul', 'ave', 'concat' or None for merge_mode, got {merge_mode!r}"
            )
        own = kwargs.pop("layers_are_own", False)
        options: LayerOptions = kwargs
        super().__init__(**options)
        self.merge_mode = merge_mode
        forward: Any = layer if own else _copy(layer, "forward_")
        backward: Any = backward_layer or _copy(layer, "backward_", go_backwards=True)
        self.forward_layer, self.backward_layer = forward, backward
        self._init_arguments.pop("layers_are_own", None)
        self._init_arguments.update(layer=self.forward_layer, backward_layer=self.backward_layer, weights=None)
        self._check_pair()
        self._initial_weights = weights
        self.return_sequences = self.forward_layer.return_sequences
        self.return_state = self.forward_layer.return_state
        for each in (self.forward_layer, self.backward_layer):
            if hasattr(each, "zero_output_for_mask"):  # masked steps are zero in both, else they do not align
                each.zero_output_for_mask = self.return_sequences
                each._init_arguments["zero_output_for_mask"] = self.return_sequences

    def _check_pair(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        for name in ("go_backwards", "return_sequences", "return_state"):
            for each in (forward, backward):
                if not hasattr(each, name):
                    raise ArgumentError(f"Bidirectional takes recurrent layers, and {each.name!r} has no {name}")
        if forward.go_backwards == backward.go_backwards:
            raise ArgumentError(
                f"both layers of a Bidirectional have go_backwards={forward.go_backwards}",
                remedy="make backward_layer with go_backwards=True, and layer without",
            )
        for name in ("return_sequences", "return_state"):
            if getattr(forward, name) != getattr(backward, name):
                raise ArgumentError(f"the layers of a Bidirectional differ in {name}")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Bidirectional:
        """Make a layer from its configuration. The inner layers are used as they are."""
        return cls(**config, layers_are_own=True)

    def build(self, sequences_shape: tuple[int | None, ...], initial_state_shape: BuildShape | None = None) -> None:
        """Build both layers."""
        for each in (self.forward_layer, self.backward_layer):
            self._build_inner(each, sequences_shape)
        if self._initial_weights:
            self.set_weights(self._initial_weights)

    def call(
        self,
        sequences: Value,
        initial_state: State | None = None,
        mask: Mask = None,
        training: bool | None = None,
    ) -> Value | Any:
        """x: f[n, t, *d], initial_state: those of both layers, mask: bool[n, t]? -> merged outputs, then the states."""
        states = [None, None] if initial_state is None else self._halves(initial_state)
        pairs = zip((self.forward_layer, self.backward_layer), states, strict=True)
        more = {} if mask is None else {"mask": mask}
        forward, backward = (
            each(sequences, **more) if state is None else each(sequences, initial_state=state, **more)
            for each, state in pairs
        )
        finals: tuple[Any, ...] = ()
        if self.return_state:
            finals = (*forward[1:], *backward[1:])
            forward, backward = forward[0], backward[0]
        if self.return_sequences:
            backward = ops.flip(backward, 1)
        merged = self._merged(forward, backward)
        if self.merge_mode is None:
            return (*merged, *finals)
        return (merged, *finals) if self.return_state else merged

    def _halves(self, initial_state: State) -> list[list[Any]]:
        given = list(initial_state) if isinstance(initial_state, (list, tuple)) else [initial_state]
        if len(given) % 2:
            raise ArgumentError(
                f"Bidirectional layer {self.name!r} takes initial states for both directions, got {len(given)}",
                remedy="give those of the forward layer, then those of the backward layer",
            )
        half = len(given) // 2
        return [given[:half], given[half:]]

    def _merged(self, forward: Value, backward: Value) -> Any:
        if self.merge_mode == "concat":
            return ops.concatenate([forward, backward], axis=-1)
        if self.merge_mode == "sum":
            return forward + backward
        if self.merge_mode == "ave":
            return (forward + backward) / 2.0
        return forward * backward if self.merge_mode == "mul" else (forward, backward)

    def compute_mask(self, inputs: Structure, mask: Mask = None) -> Mask:
        """The mask of the steps, where the output has steps; states have none."""
        leaves = flatten(mask)
        kept = leaves[0] if self.return_sequences and leaves else None
        outputs = [kept] * (1 if self.merge_mode else 2)
        if not self.return_state:
            return outputs if self.merge_mode is None else kept
        states = len(flatten([self.forward_layer.state_size, self.backward_layer.state_size]))
        return [*outputs, *[None] * states]


def _copy(layer: Layer, prefix: str, **changes: object) -> Layer:
    name = f"{prefix}{layer.name.removeprefix(prefix)}"
    return type(layer).from_config({**_copied(layer.get_config()), **changes, "name": name})


def _copied(config: object) -> Any:
    """A configuration with copies of the layers, so that none is shared."""

    def copied(leaf: object) -> Any:
        return type(leaf).from_config(_copied(leaf.get_config())) if isinstance(leaf, Layer) else leaf

    return map_structure(copied, config)


class TimeDistributed(Wrapper):
    """A layer at each time step by itself: axis 1 of the input is time.  keras.layers.TimeDistributed.

    A layer that treats each sample of a batch alone runs once, on all steps as one batch. A layer of the user, or a
    model with such a layer or with an op that may mix samples, runs step by step, as in Keras.

    >>> layers.TimeDistributed(layers.Dense(8))(dagir.Input(("time", 4)))
    <Value time_distributed float32[batch, time, 8]>
    """

    supports_masking = True

    def build(self, input_shape: BuildShape) -> None:
        """Nothing: the layer inside is built by its first call."""

    def call(self, inputs: Value, training: bool | None = None, mask: Mask = None) -> Value | Any:
        """x: t[n, t, *d], mask: bool[n, t, *m]? -> t[n, t, *e]."""
        if inputs.ndim < 3:
            raise ShapeError(
                f"TimeDistributed layer {self.name!r} takes values of rank 3 or more, got rank {inputs.ndim}",
                remedy="give the input a time axis and something in each step: dagir.Input(shape=('time', features))",
            )
        found = flatten(mask)[0] if mask is not None else None
        mask = None if found is None else as_value(found)
        if mask is not None and "mask" not in signature(type(self.layer).call).parameters:
            mask = None
        if treats_samples_alone(self.layer):
            return self._at_once(inputs, mask)
        return self._step_by_step(inputs, mask)

    def _at_once(self, inputs: Value, mask: Value | None) -> Value:
        batch, time = inputs.type.shape[:2]
        outputs = self._apply(_merged_axes(inputs), None if mask is None else _merged_axes(mask))
        return ops.reshape(outputs, (batch, time, *outputs.type.shape[1:]))

    def _step_by_step(self, inputs: Value, mask: Value | None) -> Value:
        def step(steps: list[Value], _: list[Value]) -> tuple[Value, list[Value]]:
            return self._apply(*steps), []

        y, _ = scan(step, [], [inputs] if mask is None else [inputs, mask], name=self.layer.name)
        return y

    def _apply(self, inputs: Value, mask: Value | None = None) -> Value:
        if mask is not None:
            inputs = ops.identity(inputs)
            inputs.attach_mask(mask)
        outputs = self.layer(inputs)
        if not isinstance(outputs, Value):
            raise ArgumentError(
                f"TimeDistributed layer {self.name!r} takes a layer with one output, {self.layer.name!r} has several"
            )
        return outputs


def _merged_axes(x: Value) -> Value:
    """[n, t, *d] to [n * t, *d]."""
    shape = x.type.shape
    return ops.reshape(x, (shape[0] * shape[1], *shape[2:]))


def treats_samples_alone(layer: Any) -> bool:
    """Whether a layer's output for a sample depends on that sample only, not on the rest of the batch."""
    graph = getattr(layer, "graph", None)
    inner = list(layer._sublayers)
    if graph is not None or hasattr(layer, "_stack"):
        nodes: tuple[Node, ...] = () if graph is None else graph.nodes
        alone = all(node.scope is not None or node.op.works_apart_along(0) for node in nodes)
        fixed = graph is not None and any(isinstance(value.type.shape[0], int) for value in graph.inputs)
        return alone and not fixed and all(treats_samples_alone(each) for each in inner)
    known = type(layer).__module__.startswith("dagir.layers")
    return known and all(treats_samples_alone(each) for each in inner)
