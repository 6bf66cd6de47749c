"""A model with another interface: inputs and outputs under other names, images in the other layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dagir.errors import ArgumentError
from dagir.ir.graph import Node, Value
from dagir.ir.nest import pack
from dagir.ir.rewriter import Operands, copy_node, rebuild
from dagir.ir.types import Array
from dagir.layers import Identity, Input
from dagir.modeling.model import Model
from dagir.modeling.retracing import replay
from dagir.ops import transpose
from dagir.support.did_you_mean import did_you_mean

FIRST, LAST = "channels_first", "channels_last"


@dataclass(frozen=True)
class Interface:
    """What changes. names: new names by old ones. layouts: FIRST or LAST, in which an input is taken from now on."""

    names: Mapping[str, str] = field(default_factory=dict)
    layouts: Mapping[str, str] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        """Whether anything does."""
        return bool(self.names or self.layouts)

    def applied(self, model: Model, for_keras: bool = False) -> Model:
        """The model with this interface: the same layers and weights, a Transpose behind an input of another layout.

        for_keras: the layers are called anew, so that they are layers of Keras too; and a renamed output is that of an
        Identity layer with the name, since Keras calls outputs by their layers. Raises ArgumentError for names that the
        model does not have or would have twice, and for an input without axes of an image.
        """
        if not self.changes:
            return model
        self._check(model)
        names = [name for name, _ in model.signature.inputs]
        inputs = [self._input(value, name) for value, name in zip(model.inputs, names, strict=True)]
        inner = [self._as_it_was(value, name) for value, name in zip(inputs, names, strict=True)]
        outputs = self._by_layers(model, inner) if for_keras else self._named(model, inner)
        begin = pack(_renamed(model.input, self.names), inputs)
        end = pack(_renamed(model.output, self.names), outputs)
        return Model.from_graph(begin, end, name=model.name, unused_inputs=True)

    def _by_layers(self, model: Model, inputs: Sequence[Value]) -> Sequence[Value]:
        """The outputs of the model over other inputs, each layer called anew."""
        outputs = replay(model.graph, inputs)
        names = [self.names.get(name) for name in model.output_names]
        return [new if name is None else Identity(name=name)(new) for new, name in zip(outputs, names, strict=True)]

    def _named(self, model: Model, inputs: Sequence[Value]) -> Sequence[Value]:
        """The outputs of the model over other inputs, those that get other names by nodes of their own."""
        ends = dict(zip(model.outputs, model.output_names, strict=True))
        wanted = {value: self.names[name] for value, name in ends.items() if name in self.names}

        def again(node: Node, operands: Operands) -> Sequence[Value] | None:
            return copy_node(node, operands, named=False).outputs if wanted.keys() & set(node.outputs) else None

        outputs = rebuild(model.graph, again, inputs=inputs).outputs
        for old, new in zip(model.outputs, outputs, strict=True):
            if old in wanted:
                new.take_name(wanted[old])
        return outputs

    def old_feeds(self, model: Model, arrays: Iterable[Array]) -> list[Array]:
        """Arrays for inputs of the new interface, as inputs of `model`, which has the old one."""
        names = [name for name, _ in model.signature.inputs]
        return [
            array.transpose(_to(_other(self.layouts[name]), array.ndim)) if name in self.layouts else array
            for name, array in zip(names, arrays, strict=True)
        ]

    def _check(self, model: Model) -> None:
        inputs, outputs = model.input_names, model.output_names
        for name in self.names:
            if name not in (*inputs, *outputs):
                raise _unknown(model, "input or output", name, [*inputs, *outputs])
        for name in self.layouts:
            if name not in inputs:
                raise _unknown(model, "input", name, inputs)
            rank = model.inputs[inputs.index(name)].type.rank
            if rank < 3:
                raise ArgumentError(f"input {name!r} has {rank} axes: it has no layout of channels")
        after = [self.names.get(name, name) for name in (*inputs, *outputs)]
        twice = sorted({name for name in after if after.count(name) > 1})
        if twice:
            raise ArgumentError(f"two inputs or outputs of model {model.name!r} would be called {twice[0]!r}")
        for name, value in zip(outputs, model.outputs, strict=True):
            if name in self.names and (value.node is None or list(model.outputs).count(value) > 1):
                raise ArgumentError(
                    f"output {name!r} is an input, a weight or another output too, and cannot have a name of its own",
                    remedy="apply ops.identity to it in the model",
                )

    def _input(self, value: Value, name: str) -> Value:
        shape = value.type.shape
        if name in self.layouts:
            shape = tuple(shape[axis] for axis in _to(self.layouts[name], len(shape)))
        return Input(batch_shape=shape, dtype=str(value.dtype), name=self.names.get(name, name))

    def _as_it_was(self, value: Value, name: str) -> Value:
        if name not in self.layouts:
            return value
        return transpose(value, _to(_other(self.layouts[name]), value.type.rank))


def _other(layout: str) -> str:
    return LAST if layout == FIRST else FIRST


def _to(layout: str, rank: int) -> tuple[int, ...]:
    """The axes of an array of the other layout, in the order of this one."""
    spatial = tuple(range(1, rank))
    return (0, rank - 1, *spatial[:-1]) if layout == FIRST else (0, *spatial[1:], 1)


def _renamed(structure: object, names: Mapping[str, str]) -> object:
    """A dict of inputs or outputs with other keys; any other structure as it is."""
    if not isinstance(structure, dict):
        return structure
    return {names.get(str(key), key): part for key, part in structure.items()}


def _unknown(model: Model, what: str, name: str, known: Sequence[str]) -> ArgumentError:
    remedy = did_you_mean(name, known, instead=list(known)[:8])
    return ArgumentError(f"model {model.name!r} has no {what} {name!r}", remedy=remedy)
