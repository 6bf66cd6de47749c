"""A model with other input sizes: the same layers and weights; the shapes of all ops are inferred again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from dagir.errors import ArgumentError, DagirError, ShapeError
from dagir.ir import dims
from dagir.ir.dims import Dim, SymbolicDim
from dagir.ir.graph import Node, Value
from dagir.ir.nest import pack
from dagir.ir.rewriter import Operands, copy_node, rebuild
from dagir.ir.types import Shape
from dagir.layers import Input
from dagir.modeling.model import Model
from dagir.modeling.retracing import replay

Sizes: TypeAlias = Sequence[int | str | None]


def resize_inputs(model: Model, shapes: Mapping[str, Sizes], for_keras: bool = False) -> Model:
    """The model for inputs of these shapes: a number fixes a size, a name or None frees it.

    shapes: by input name, the batch size included; inputs that are not named stay. for_keras: the layers are called
    anew, so that they are layers of Keras too. Raises ArgumentError for another
    rank, an unknown name, or a free size where the layers accept only one number; ShapeError if they do not accept
    the sizes.
    """
    try:
        resized = _resized(model, shapes, for_keras)
    except ShapeError as error:
        raise _unfit(error, model, shapes) from None
    _check_free(resized, model)
    return resized


def _unfit(error: ShapeError, model: Model, shapes: Mapping[str, Sizes]) -> ShapeError:
    """The error of a layer that does not accept the sizes, which says whose sizes they are."""
    asked = ", ".join(f"{name} as {tuple(shape)}" for name, shape in shapes.items())
    had = ", ".join(f"{name} as {type}" for name, type in model.signature.inputs if name in shapes)
    return ShapeError(
        f"the layers do not take these sizes of inputs: {error.summary}",
        facts=[("asked for", asked), ("the model has", had), *error.facts],
        remedy="ask for sizes that the layers take: what a model has as a number, weights often need",
    )


def _resized(model: Model, shapes: Mapping[str, Sizes], for_keras: bool) -> Model:
    names = [name for name, _ in model.signature.inputs]
    for name in shapes:
        if name not in names:
            raise ArgumentError(f"there is no input {name!r}", remedy=f"inputs: {', '.join(names)}")
    sizes: dict[str, Dim] = {}
    wanted = {
        value: _wanted(value, name, shapes[name], sizes)
        for value, name in zip(model.inputs, names, strict=True)
        if name in shapes
    }
    inputs = []
    for value, name in zip(model.inputs, names, strict=True):
        shape = wanted.get(value) or tuple(dims.substitute(size, sizes) for size in value.type.shape)
        inputs.append(Input(batch_shape=shape, dtype=str(value.dtype), name=name))

    def again(node: Node, operands: Operands) -> Sequence[Value]:
        return copy_node(node, operands, node.op.substitute(sizes)).outputs

    outputs = replay(model.graph, inputs) if for_keras else rebuild(model.graph, again, inputs=inputs).outputs
    begin, end = pack(model.input, inputs), pack(model.output, outputs)
    return Model.from_graph(begin, end, name=model.name, unused_inputs=True)


def _check_free(resized: Model, model: Model) -> None:
    """Try a second number for each size that was fixed and is free now: shape rules reject numbers only."""
    for (name, free), before in zip(resized.signature.inputs, model.inputs, strict=True):
        for axis, (size, number) in enumerate(zip(free.shape, before.type.shape, strict=True)):
            if not isinstance(number, int) or isinstance(size, int):
                continue
            other = [
                2 * number if place == axis else each if isinstance(each, int) else str(each)
                for place, each in enumerate(free.shape)
            ]
            try:
                _resized(resized, {name: other}, for_keras=False)
            except DagirError as error:
                raise ArgumentError(
                    f"axis {axis} of input {name!r} cannot be {size!s}: the layers want {number} there "
                    f"({error.summary})",
                    remedy=f"leave it at {number}",
                ) from None


def _wanted(value: Value, name: str, shape: Sizes, sizes: dict[str, Dim]) -> Shape:
    """The new shape of an input. Adds to `sizes` the new size for each named size of the old shape."""
    old = value.type.shape
    if len(shape) != len(old):
        raise ArgumentError(
            f"input {name!r} has {len(old)} axes, got {len(shape)} sizes: {list(shape)}",
            remedy=f"give a size for each axis of {value.type}, the batch too",
        )
    found = Input(batch_shape=shape, dtype=str(value.dtype), name=name).type.shape
    for before, after in zip(old, found, strict=True):
        if isinstance(before, SymbolicDim) and dims.symbols(before) == {str(before)}:
            known = sizes.setdefault(str(before), after)
            if known != after:
                raise ArgumentError(f"size {before} cannot be both {known} and {after}", remedy="fix it everywhere")
    return found
