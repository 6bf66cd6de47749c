"""Sequential: a model that is a stack of layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Self

from dagir.errors import ArgumentError
from dagir.ir.graph import Graph, Value, Values
from dagir.ir.nest import flatten
from dagir.layers.argument_types import Mask
from dagir.layers.base import Layer
from dagir.layers.core import Input
from dagir.layers.internals import calls_of, set_own_trainable
from dagir.modeling.model import Model, shown_text
from dagir.support.frameworks import framework_of, remedy_for
from dagir.support.location import current_scope


class Sequential(Model):
    """A stack of layers, built at once if it starts with an input, else at its first call.  keras.Sequential.

    layers: the stack, from the bottom; `add` puts one more on it. trainable: whether its weights train.

    >>> dagir.Sequential([dagir.Input((3,)), layers.Dense(2, name="head")], name="net").outputs
    [<Value head float32[batch, 2]>]
    """

    def __init__(self, layers: Iterable[Layer | Value] = (), trainable: bool = True, name: str | None = None) -> None:
        Layer.__init__(self, trainable=True, name=name)
        self._stack: list[Layer] = []
        self._source: Value | None = None
        for layer in layers:
            self.add(layer)
        if not trainable:
            self.trainable = False

    def add(self, layer: Layer | Value) -> None:
        """Put a layer, or first of all an Input, on top. Raises ArgumentError."""
        self.__dict__.pop("layers", None)
        self.__dict__.pop("signature", None)
        source = layer if isinstance(layer, Value) else _input_of(layer)
        if isinstance(source, Value) and source.is_input and not self._stack:
            self._source = source
        elif isinstance(layer, Layer):
            self._stack.append(layer)
            self._track(layer)
        else:
            remedy = remedy_for(layer) if framework_of(layer) else None
            raise ArgumentError(f"Sequential takes layers, and an Input first; got {shown_text(layer)}", remedy=remedy)
        if self._source is not None and self._stack:
            self._close()

    def pop(self) -> None:
        """Take the top layer off."""
        if not self._stack:
            raise ArgumentError(f"model {self.name!r} has no layer to pop")
        self._sublayers.pop(self._stack.pop(), None)
        self.__dict__.pop("layers", None)
        self.__dict__.pop("signature", None)
        if self._source is not None and self._stack:
            self._close()

    def _close(self) -> None:
        """Call the layers. Graph and new weights belong to this model, even if it is built inside another call."""
        assert self._source is not None
        value: Any = self._source
        scope = current_scope.get()
        known = {weight for layer in self._stack for weight in layer.weights}
        token = current_scope.set(None)
        try:
            for layer in self._stack:
                value = layer(value)
        finally:
            current_scope.reset(token)
        for weight in dict.fromkeys(weight for layer in self._stack for weight in layer.weights):
            if weight not in known:
                weight.name = f"{self.name if scope is None else scope.path}/{weight.name}"
        self.set_graph(self._source, value)

    @classmethod
    def from_graph(
        cls,
        inputs: Any,
        outputs: Any,
        graph: Graph | None = None,
        *,
        name: str,
        trainable: bool = True,
        unused_inputs: bool = False,
        stack: Sequence[Layer] = (),
    ) -> Self:
        """As Model's; stack: the layers, bottom first."""
        model = cls.__new__(cls)
        Layer.__init__(model, name=name)
        model.set_graph(inputs, outputs, graph, unused_inputs=unused_inputs, stack=stack)
        set_own_trainable(model, trainable)
        return model

    def set_graph(
        self,
        inputs: Any,
        outputs: Any,
        graph: Graph | None = None,
        *,
        unused_inputs: bool = False,
        stack: Sequence[Layer] | None = None,
    ) -> None:
        """As Model's; the input is what the stack begins with from now on. stack: the layers in place of its own."""
        if stack is not None:
            self._stack = list(stack)
        self._source = inputs
        super().set_graph(inputs, outputs, graph, unused_inputs=unused_inputs)

    @property
    def input_value(self) -> Value | None:
        """The Input that the stack begins with; None where there is none yet."""
        return self._source

    @cached_property
    def layers(self) -> list[Layer]:
        """The layers, bottom first, without the input."""
        return list(self._stack)

    def _takes_any_size(self) -> bool:
        return True

    def _is_subclassed(self) -> bool:
        return type(self).call is not Sequential.call

    def call(self, inputs: Values, training: bool | None = None, mask: Mask = None) -> Value | Any:
        """Build on the first call, then as any model."""
        if self._source is None:
            (value,) = flatten(inputs)
            self._source = Input(batch_shape=("batch", *value.shape[1:]), dtype=value.dtype, name=f"{self.name}_input")
            self._close()
        return super().call(inputs, training, mask)


def _input_of(layer: Any) -> Value | None:
    return layer.output if type(layer).__name__ == "InputLayer" and calls_of(layer) else None
