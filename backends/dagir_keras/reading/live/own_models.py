"""Subclasses of keras.Model: which inputs they have. Keras keeps the shape of the first alone, and no dtype.

The dtype is found by trying: floats first, as Keras's own default, then ids, then text, until the call can be traced.
What layers alone read, and take as ids, is ids.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import keras

from dagir import layers
from dagir.errors import DagirError
from dagir.ir.graph import Graph, Node, Value
from dagir.ir.nest import flatten, flatten_sorted
from dagir.layers.core import Input
from dagir.modeling.model import Model
from dagir.ops import Call, Cast, Equal, NotEqual
from dagir_keras.reading.live.introspection import has_graph, map_shapes
from dagir_keras.reading.live.keras_internals import build_shapes_of, was_built
from dagir_keras.reading.problems import Refused

_DTYPES = ("float32", "int32", "string")
_MOST_TRIES = 27
_IDS = (layers.Embedding, layers.CategoryEncoding, layers.IntegerLookup)


@dataclass(frozen=True)
class Given:
    """The inputs of a model, and how its call gets them."""

    inputs: Any
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


def inputs_in_place_of(source: Any, inputs: Any) -> dict[int, Value]:
    """The user's inputs by the tensors of Keras that they replace. Raises Refused."""
    given, wanted = flatten_sorted(inputs), list(getattr(source, "inputs", ()))
    if [len(value.type.shape) for value in given] != [len(tensor.shape) for tensor in wanted]:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in wanted)
        raise Refused("the inputs= given are not as many, or have other ranks, than its own", f"its own are {shapes}")
    return {id(tensor): value for tensor, value in zip(wanted, given, strict=True)}


def is_own_model(source: Any) -> bool:
    """Whether it is a keras.Model with a call of its own, so that it has no graph."""
    return isinstance(source, keras.Model) and not has_graph(source) and not isinstance(source, keras.Sequential)


def build_stack(source: Any, inputs: Any) -> None:
    """Build a Sequential that has no input yet on the one that the user gives."""
    if isinstance(source, keras.Sequential) and not was_built(source) and isinstance(inputs, Value):
        source.build(tuple([size if isinstance(size, int) else None for size in inputs.shape]))


def on_documented_input(source: Any) -> Any:
    """A Sequential that was never built and begins with an Embedding, on the ids [batch, length] that Keras documents.

    Keras 2 built such a stack at once. The layers are the same, and so are the weights that they get by it; the
    Sequential of the user stays without its input. What Keras cannot build on them is given back as it is.
    """
    if not isinstance(source, keras.Sequential) or was_built(source) or not source.layers:
        return source
    first = source.layers[0]
    if type(first) is not keras.layers.Embedding:
        return source
    stack = [keras.Input((None,), dtype=first.compute_dtype), *source.layers]
    try:
        return keras.Sequential(stack, trainable=bool(source.trainable), name=source.name)
    except (ValueError, NotImplementedError):  # it needs a length, or ids of another rank
        return source


def read_own_model(source: Any, inputs: Any, read: Callable[[Given | None], Model]) -> Model:
    """The model that `read` makes of the first inputs that the call takes. Raises the error of the first ones."""
    shapes = _known_shapes(source) if inputs is None else None
    if inputs is None and shapes is None:
        return read(None)
    refused: DagirError | None = None
    for given in _of_shapes(shapes) if inputs is None else _arranged(source, inputs):
        try:
            made = read(given)
        except DagirError as error:
            refused = refused or error
            continue
        ids = _taken_as_ids(made.graph) if inputs is None else {}
        if not any(ids.values()):
            return made
        kinds = ["int32" if ids[value] else str(value.dtype) for value in made.graph.inputs]
        return read(_with_dtypes(shapes, kinds))
    assert refused is not None
    if inputs is None and len(_parameters(source)) > 1:
        refused.remedy = f"if its call takes several tensors, {_by_name(source)}; or {refused.remedy}"
    raise refused


def refuse_without_shapes(source: Any) -> Refused:
    """The refusal of a model whose inputs are not known."""
    names = _parameters(source)
    if len(names) > 1 and source.built:
        reason = f"its call takes {', '.join(names)}, and Keras keeps the shape of the first alone"
        return Refused(reason, _by_name(source))
    return Refused(
        "it is a subclass of keras.Model, and the shapes of its inputs are not known",
        "call the model once before, or give dagir.from_keras(model, inputs=dagir.Input(...))",
    )


def _by_name(source: Any) -> str:
    """How to give the inputs by name."""
    spelled = ", ".join(f"{name!r}: dagir.Input(...)" for name in _parameters(source))
    return f"give dagir.from_keras(model, inputs={{{spelled}}})"


def _known_shapes(source: Any) -> Any:
    """The shapes that the only input of the call had, in its structure; None where they are not known."""
    shapes = {name: shape for name, shape in build_shapes_of(source).items() if name != "mask_shape"}
    if len(shapes) == 1 and len(_parameters(source, required=True)) < 2:
        return next(iter(shapes.values()))
    return None


def _parameters(source: Any, required: bool = False) -> list[str]:
    """The parameters of the call by which tensors may come."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [
        name
        for name, each in inspect.signature(source.call).parameters.items()
        if each.kind in kinds and name not in ("training", "mask") and not (required and each.default is not each.empty)
    ]


def _of_shapes(shapes: Any) -> Iterator[Given]:
    count = len(flatten(map_shapes(shapes, str)))
    tries = [(kind,) * count for kind in _DTYPES]
    if len(_DTYPES) ** count <= _MOST_TRIES:  # those with the most floats first: layers cast ids to floats in silence
        tries = sorted(product(_DTYPES, repeat=count), key=lambda kinds: count - kinds.count(_DTYPES[0]))
    return (_with_dtypes(shapes, kinds) for kinds in tries)


def _with_dtypes(shapes: Any, kinds: Sequence[str]) -> Given:
    rest = iter(kinds)
    batches: dict[
        Any, str
    ] = {}  # by the first size in Keras's call: inputs that differ there have batches of their own

    def made(shape: list[int | None]) -> Value:
        if not shape:
            return Input(batch_shape=[], dtype=next(rest))
        name = batches.setdefault(shape[0], "batch" if not batches else f"batch_{len(batches)}")
        return Input(batch_shape=[name, *shape[1:]], dtype=next(rest))

    inputs = map_shapes(shapes, made)
    return Given(inputs, [inputs])


def _arranged(source: Any, inputs: Any) -> Iterator[Given]:
    """The ways in which the call may take the inputs: as its first argument, by place, or by name."""
    names, needed = _parameters(source), len(_parameters(source, required=True))
    if isinstance(inputs, Mapping) and len(names) > 1 and inputs.keys() <= {*names, "mask"}:
        yield Given(inputs, kwargs=dict(inputs))
    by_place = isinstance(inputs, (list, tuple)) and 1 < len(inputs) <= len(names)
    if needed < 2 or not by_place:
        yield Given(inputs, [inputs])
    if by_place:
        yield Given(inputs, list(inputs))


def _taken_as_ids(graph: Graph) -> dict[Value, bool]:
    """For each input whether layers take it as ids: its elements, wherever they are moved, and nothing else does."""
    readers: dict[Value, list[Node]] = {}
    for node in graph.nodes:
        for value in node.inputs:
            if value is not None:
                readers.setdefault(value, []).append(node)

    def is_ids(value: Value) -> bool:
        uses, pending = set(), [value]
        while pending:
            for node in readers.get(pending.pop(), []):
                after = [reader for made in node.outputs for reader in readers.get(made, [])]
                use = _use_of(node, after)
                uses.add(use)
                pending += node.outputs if use == "moved" else ()
        return "ids" in uses and "numbers" not in uses

    return {value: value.dtype.is_float and is_ids(value) for value in graph.inputs}


def _use_of(node: Node, after: Sequence[Node]) -> str:
    """What a node takes its input for: "ids", "moved", "compared" or "numbers". after: the nodes that read it."""
    if node.scope is not None and isinstance(node.scope.layer, _IDS):
        return "ids"
    if isinstance(node.op, Cast) and node.op.dtype.is_integer and node.name is None:
        into_a_model = bool(after) and all(isinstance(reader.op, Call) for reader in after)
        return "ids" if into_a_model else "numbers"  # the inner model has an input of integers
    if node.op.moves_only:
        return "moved"
    return "compared" if isinstance(node.op, (Equal, NotEqual)) else "numbers"  # with padding, which is 0 in any dtype
