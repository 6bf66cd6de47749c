"""The IR: Op, Value, Parameter, Constant, Node, Graph, and `apply`, which makes a node.

Everything but the array inside a Parameter is immutable. A node is made from values that exist already, so a graph
holds no cycle, and the order in which nodes were made is a topological order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import ClassVar, NoReturn, TypeAlias, TypeVar

import numpy.typing as npt

from dagir.errors import ArgumentError, DagirError, InvalidGraph, ShapeError
from dagir.ir import arrays, data_names, diagnostics
from dagir.ir.dims import SymbolicDim
from dagir.ir.nest import Rows
from dagir.ir.op import Immutable, Op, Types, inferred, snake_case
from dagir.ir.operators import Arithmetic
from dagir.ir.traversal import walk_back
from dagir.ir.types import Array, DType, Equation, Numbers, TensorType, type_of
from dagir.ir.weight_snapshot import snapshot_of
from dagir.support import frameworks
from dagir.support.location import LayerCall, Location, caller, current_scope
from dagir.support.locking import making

Leaf = TypeVar("Leaf", bound="Parameter | Constant")
Initializer: TypeAlias = Callable[[tuple[int, ...], DType], Array]

__all__ = [
    "Constant",
    "Graph",
    "Initializer",
    "Node",
    "Op",
    "Operand",
    "Parameter",
    "Structure",
    "Types",
    "Value",
    "Values",
    "apply",
    "apply_node",
    "next_serial",
    "snake_case",
]

_serial = count()
_set = object.__setattr__


def next_serial() -> int:
    """A serial number below those of all nodes that are made from now on, and above those of the nodes so far."""
    return next(_serial)


class Value(Immutable, Arithmetic):
    """One tensor of a graph: an output of a node, an input, a parameter or a constant. Compared by identity."""

    __slots__ = ("_carried", "_mask", "_name", "index", "source", "type")

    type: TensorType
    source: Node | Parameter | Constant | LayerCall | None
    index: int
    _name: str | None
    _mask: Value | None
    _carried: Value | None

    def __init__(
        self,
        type: TensorType,
        source: Node | Parameter | Constant | LayerCall | None = None,
        index: int = 0,
        name: str | None = None,
    ) -> None:
        _set(self, "type", type)
        _set(self, "source", source)
        _set(self, "index", index)
        _set(self, "_name", name)
        _set(self, "_mask", None)
        _set(self, "_carried", None)

    @property
    def node(self) -> Node | None:
        """The node that produces this value; None for inputs, parameters and constants."""
        return self.source if isinstance(self.source, Node) else None

    @property
    def is_input(self) -> bool:
        """Whether this is a graph input, made by dagir.Input (the source is then that layer call) or by hand."""
        return self.source is None or isinstance(self.source, LayerCall)

    @property
    def name(self) -> str:
        """The user's name, or what made it. Unique names within a graph come from `naming.value_names`."""
        if self._name is not None:
            return self._name
        if isinstance(self.source, Parameter):
            return self.source.name
        if isinstance(self.source, Node):
            scope = self.source.scope
            return scope.path if scope else self.source.op.op_name
        return "input" if self.is_input else "constant"

    @property
    def explicit_name(self) -> str | None:
        """The name the user gave, if any."""
        return self._name

    @property
    def dtype(self) -> DType:
        """The dtype of the elements."""
        return self.type.dtype

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape as Keras gives it, None for a size known at run time only; `.type.shape` has the names."""
        return tuple(None if isinstance(size, SymbolicDim) else size for size in self.type.shape)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.type.shape)

    @property
    def mask(self) -> Value | None:
        """The boolean mask that travels beside this value while a graph is written."""
        return self._mask

    @property
    def carried_mask(self) -> Value | None:
        """The mask of Keras's tensor while a model runs: `mask`, unless a layer removed it; see `take_mask`."""
        return self._carried

    def take_mask(self) -> None:
        """Remove the mask for layers that are called later, as keras.layers.MultiHeadAttention does with its inputs.

        Layers that already received the mask keep it: see dagir.layers.masks.
        """
        _set(self, "_carried", None)

    def attach_mask(self, mask: Value | None, carried: Value | None = None, *, taken: bool = False) -> None:
        """Set the mask, once. It is used while the graph is built, and is not part of the graph.

        carried: the mask at run time, if it is another one; taken: there is none at run time.
        """
        if self._mask is not None and self._mask is not mask:
            raise InvalidGraph(f"value {self.name!r} already carries another mask")
        _set(self, "_mask", mask)
        _set(self, "_carried", None if taken else mask if carried is None else carried)

    def __len__(self) -> int:
        size = self.type.shape[0] if self.type.shape else None
        if isinstance(size, int):
            return size
        raise ShapeError(f"{self.name} has no length: its first axis is {size}", remedy="use ops.shape(x)[0]")

    def __iter__(self) -> Iterator[Value]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> NoReturn:
        raise ArgumentError(
            f"{self.name} has no truth value while the graph is written", remedy="use ops.where in place of if"
        )

    def __array__(self, *_: object, **__: object) -> NoReturn:
        raise frameworks.as_numbers(self.name)

    def take_name(self, name: str) -> None:
        """Give the value a name, if it has none yet: the reader of a file names what the file names."""
        if self._name is None:
            _set(self, "_name", name)
            if isinstance(self.source, Node) and len(self.source.outputs) == 1:
                _set(self.source, "name", name)

    def told_as(self) -> str:
        """The value in one line, for errors."""
        return diagnostics.input_text(self)

    def __repr__(self) -> str:
        return f"<Value {self.name} {self.type}>"


class Parameter(Arithmetic):
    """A weight: it holds an array that can be replaced, and is the only mutable object of the IR.

    The array is given, or made by the initializer at its first use; it may be memory-mapped. Nobody writes into it:
    an array that can be written to is copied.
    """

    __slots__ = ("_array", "_is_finite", "initializer", "name", "trainable", "type", "value")

    def __init__(
        self,
        name: str,
        type: TensorType,
        initializer: Initializer | None = None,
        *,
        array: Array | None = None,
        trainable: bool = True,
    ) -> None:
        self.name, self.type, self.trainable = name, type, trainable
        self.initializer, self._is_finite = initializer, False
        self._array = None if array is None else arrays.fitting(name, type, array)
        self.value = Value(type, self)

    @property
    def array(self) -> Array:
        """The numbers, in this parameter's dtype, read-only. Not a copy: use `assign` to change them."""
        held = snapshot_of(self)
        if held is not None:
            return held
        if self._array is None:
            self._initialize()
        assert self._array is not None
        return self._array

    def _initialize(self) -> None:
        with making:  # otherwise two threads could initialize the same weight twice
            if self._array is None:
                if self.initializer is None:
                    raise ArgumentError(f"parameter {self.name!r} has neither an array nor an initializer")
                self.assign(self.initializer(self.shape, self.dtype))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, always of known sizes."""
        return self.type.shape  # type: ignore[return-value]

    @property
    def dtype(self) -> DType:
        """The dtype of the elements."""
        return self.type.dtype

    @property
    def is_materialized(self) -> bool:
        """Whether the array exists yet."""
        return self._array is not None

    def assign(self, array: npt.ArrayLike) -> None:
        """Replace the numbers, cast to this dtype. Raises ShapeError, ArgumentError; warns of NaN and infinity.

        An executable keeps the numbers that the weight had when it was lowered.
        """
        self._array, self._is_finite = self.fitting(array), False
        self.warn_if_not_finite()

    def fitting(self, array: npt.ArrayLike) -> Array:
        """The array as `assign` would take it. Raises what `assign` raises, and changes nothing."""
        return arrays.fitting(self.name, self.type, array)

    def warn_if_not_finite(self) -> None:
        """Warn of NaN and infinity, at the user's line. The array is checked once after each assignment."""
        if not self._is_finite:
            self._is_finite = arrays.warn_if_not_finite(self.name, self.array)

    def numpy(self) -> Array:
        """A copy of the numbers, as Keras variables give it."""
        return self.array.copy()

    def __repr__(self) -> str:
        return f"<Parameter {self.name} {self.type}>"


class Constant:
    """An array in the graph that is never trained. An array that can be written to is copied."""

    __slots__ = ("array", "value")

    def __init__(self, array: Array) -> None:
        if array.dtype.kind in "TU":
            raise ArgumentError("text cannot be a constant of a graph", remedy="look it up: layers.StringLookup")
        self.array = arrays.owned(array)
        self.value = Value(type_of(array), self)

    def __repr__(self) -> str:
        return f"<Constant {self.value.type}>"


class Node(Immutable):
    """One call event: an op, its inputs (None where an optional operand is absent) and its outputs."""

    __slots__ = ("equations", "inputs", "location", "name", "op", "outputs", "scope", "serial")

    op: Op
    inputs: tuple[Value | None, ...]
    outputs: tuple[Value, ...]
    scope: LayerCall | None
    location: Location | None
    equations: tuple[Equation, ...]
    name: str | None
    serial: int

    def __init__(
        self,
        op: Op,
        inputs: tuple[Value | None, ...],
        types: Types,
        *,
        scope: LayerCall | None = None,
        location: Location | None = None,
        equations: tuple[Equation, ...] = (),
        name: str | None = None,
    ) -> None:
        _set(self, "op", op)
        _set(self, "inputs", inputs)
        _set(self, "scope", scope)
        _set(self, "location", location)
        _set(self, "equations", equations)
        _set(self, "name", name)
        _set(self, "serial", next(_serial))
        if len(types) == 1:
            _set(self, "outputs", (Value(types[0], self, 0, name),))
        else:
            _set(self, "outputs", tuple(Value(type, self, i) for i, type in enumerate(types)))

    @property
    def output(self) -> Value:
        """The only output."""
        (output,) = self.outputs
        return output

    def told_as(self) -> str:
        """The node in one line, for errors."""
        return diagnostics.describe(self)

    def __repr__(self) -> str:
        return f"<Node {self.told_as()}>"


def apply(op: Op, *inputs: Value | None, name: str | None = None) -> Value:
    """Make a node of an op with one output, and return that output. Errors name the user's line."""
    return apply_node(op, inputs, name).outputs[0]


def apply_node(op: Op, inputs: tuple[Value | None, ...], name: str | None = None) -> Node:
    """Infer the output types, and make the node in the current scope. Errors of `infer` get the facts of the call."""
    while inputs and inputs[-1] is None:
        inputs = inputs[:-1]
    location = caller()
    scope = current_scope.get()
    diagnostics.check_op(op, Op)
    if op.shape_fields and inputs and (witnesses := data_names.witnesses_for(op, inputs)):
        inputs = data_names.anchored(inputs, witnesses)
    try:
        found = inferred(op, [None if value is None else value.type for value in inputs])
    except (DagirError, AttributeError, TypeError) as error:
        told = diagnostics.of_shape_rule(error, op, inputs, scope, location)
        raise told from told.__cause__
    node = Node(op, inputs, found.types, scope=scope, location=location, equations=found.equations, name=name)
    if op.size_fields:
        data_names.note_witnesses(op, node.outputs)
    return node


Operand: TypeAlias = "Value | Parameter | Constant | Numbers"  # what an op takes
Values: TypeAlias = "Value | Rows[Values] | Mapping[str, Values]"  # what a model goes from and to
Structure: TypeAlias = "Operand | Rows[Structure] | Mapping[str, Structure] | None"  # what a layer takes


class Graph:
    """The computation of `outputs` from `inputs`: the nodes that the outputs need, in a topological order.

    Raises InvalidGraph where an output needs an Input that is not listed, or an input is not an Input.
    """

    __slots__ = ("__dict__", "__weakref__", "inputs", "name", "nodes", "outputs")

    printer: ClassVar[Callable[[Graph], str]] = repr  # dagir/wiring.py sets it to print_graph

    def __init__(self, inputs: Iterable[Value], outputs: Iterable[Value], name: str = "graph") -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.name = name
        self.nodes = walk_back(self.inputs, self.outputs)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every parameter once, in order of first use."""
        return self._leaves(Parameter)

    @property
    def constants(self) -> tuple[Constant, ...]:
        """Every constant once, in order of first use."""
        return self._leaves(Constant)

    def _leaves(self, kind: type[Leaf]) -> tuple[Leaf, ...]:
        used = (value for node in self.nodes for value in node.inputs if value is not None)
        sources = (value.source for value in (*used, *self.outputs))
        return tuple(dict.fromkeys(source for source in sources if isinstance(source, kind)))

    def __str__(self) -> str:
        return type(self).printer(self)

    def __repr__(self) -> str:
        return f"<Graph {self.name}: {len(self.inputs)} in, {len(self.nodes)} nodes, {len(self.outputs)} out>"
