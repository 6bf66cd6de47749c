"""The emitter: what the rules write ONNX nodes and initializers with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, StringStringEntryProto, helper

from dagir.errors import ArgumentError
from dagir.ir.data_sizes import told_by
from dagir.ir.dim_binding import SizeSource, size_sources
from dagir.ir.dims import Atom, Dim, SymbolicDim
from dagir.ir.graph import Constant, Node, Parameter, Value
from dagir.ir.naming import Namer
from dagir.ir.types import Array, DType, TensorType, type_of
from dagir.passes import Derived
from dagir_onnx.dtypes import value_info
from dagir_onnx.node_protos import attribute, marks
from dagir_onnx.tensor import Tensor
from dagir_onnx.unread import without_unread
from dagir_onnx.views import KINDS, Views

_FEW = 32


class Emitter:
    """Collects nodes and initializers. An initializer is written when a node first reads it.

    names: the names of values. taken: further names that must not be used, those of outputs that no node makes.
    """

    def __init__(self, opset: int, names: Mapping[Value, str], device: str = "cpu", taken: Iterable[str] = ()) -> None:
        self.opset, self.device = opset, device
        self.views = Views()
        self.has_unread = False
        """Whether a node may have been written whose result is not read."""
        self.nodes: list[NodeProto] = []
        self.types: dict[str, TensorType] = {}  # of the tensors that are values of the graph
        self.inside: dict[Value, list[str]] = {}  # the tensors of values in bodies, which are written for each use
        self.initializers: dict[str, Tensor] = {}
        self.frozen: set[str] = set()
        """The names of weights and constants that are not trained, and of those derived from them."""
        self._names = names
        self._namer = Namer([*names.values(), *taken])
        self._node_namer = Namer()
        self._derived: dict[tuple[Callable[[], Array], str], Tensor] = {}
        self._owners: dict[str, Callable[[], Array]] = {}
        self._renamed: dict[Callable[[], Array], str] = {}
        self._leaves: dict[Value, Tensor] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Tensor] = {}
        self._size_sources: dict[str, tuple[Tensor, SizeSource]] = {}
        self._sizes: dict[Dim, Tensor] = {}
        self._atoms: dict[Atom, Tensor] = {}
        self._axes: dict[Dim, tuple[Tensor, int]] = {}
        self._filled: dict[tuple[float, TensorType], Tensor] = {}
        self._current: Node | None = None
        self._props: list[StringStringEntryProto] = []
        self._prefix = ""

    # ---- what rules use

    def __call__(
        self,
        op_type: str,
        *inputs: Tensor | None,
        outputs: int = 1,
        type: TensorType | None = None,
        domain: str = "",
        title: str | None = None,
        **attributes: Any,
    ) -> Any:
        """Write a node; returns its output Tensor, or a tuple for several. None is an absent input.

        type: of the output where a later step of the rule asks for it; by default that of the first input.
        title: what the node is called, in place of its op.
        """
        for x in inputs:
            if x is not None and not isinstance(x, Tensor):
                raise _no_tensor(op_type, x)
        type = type or next((x.type for x in inputs if x is not None), TensorType(DType.FLOAT32, ()))
        view = self.views.after(op_type, inputs, attributes) if op_type in KINDS else None
        x = inputs[0] if inputs else None
        if view is None or x is None:
            return self._write(op_type, inputs, outputs, type, domain, title, attributes)
        if view.base is not x:
            self.has_unread = True
            if (known := self.views.known(view)) is not None:
                return replace(known, type=type)
            if len(view.steps()) <= self.views.length(x):
                return self.views.write(
                    view, self.ints, lambda op, xs, axes: self._write(op, xs, 1, type, "", title, axes)
                )
        made = self._write(op_type, inputs, outputs, type, domain, title, attributes)
        self.views.add(made, view, x)
        return made

    def _write(
        self,
        op_type: str,
        inputs: Sequence[Tensor | None],
        outputs: int,
        type: TensorType,
        domain: str,
        title: str | None,
        attributes: Mapping[str, Any],
    ) -> Any:
        names = [self._use(tensor) for tensor in inputs]
        while names and not names[-1]:
            names.pop()
        title = self._node_namer(f"{self._prefix}{title or op_type}")
        made = [self._namer(title if outputs == 1 else f"{title}:{i}") for i in range(outputs)]
        proto = NodeProto(op_type=op_type, input=names, output=made, name=title, domain=domain)
        for key, value in attributes.items():
            if value is not None:
                proto.attribute.append(attribute(key, value))
        if self._props:
            proto.metadata_props.extend(self._props)
        self.nodes.append(proto)
        tensors = tuple(Tensor(name, type) for name in made)
        return tensors[0] if outputs == 1 else tensors

    def constant(self, value: Any, dtype: Any = None) -> Tensor:
        """The initializer for an array or number, the same one for equal contents. dtype: a DType or a NumPy dtype."""
        array = np.asarray(value, dtype=dtype.numpy if isinstance(dtype, DType) else dtype)
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = Tensor(self._namer("constant"), type_of(array), lambda: array)
        return self._constants[key]

    def filled(self, number: float, type: TensorType) -> Tensor:
        """A tensor of one number, for a known shape: an Expand, written once, where the array would be large."""
        sizes = [int(size) for size in type.shape if isinstance(size, int)]
        if prod(sizes) <= _FEW:
            return self.constant(np.full(sizes, number), type.dtype)
        key = (number, type)
        if key not in self._filled:
            self._filled[key] = self("Expand", self.constant(number, type.dtype), self.ints(*sizes), type=type)
        return self._filled[key]

    def ints(self, *values: int) -> Tensor:
        """An int64 initializer of rank 1, as ONNX takes axes, shapes and pads."""
        return self.constant(list(values), np.int64)

    def derived(self, tensor: Tensor, how: str, function: Callable[[Array], Array], type: TensorType) -> Tensor:
        """An initializer computed from another one when the file is written. how: distinguishes several of one tensor.

        It gets the name of the other, unless that is written too. Raises ValueError unless `tensor` is an initializer.
        """
        if tensor.make is None:
            raise ValueError(f"{tensor.name} is computed at run time")
        key = (tensor.make, how)
        if key not in self._derived:
            make = tensor.make
            free = tensor.name not in self.initializers and self._owners.get(tensor.name, make) is make
            name = tensor.name if free else self._namer(f"{tensor.name}.{how}")

            def made() -> Array:
                return function(make())

            self._owners[name] = made
            if tensor.name in self.frozen:
                self.frozen.add(name)
            self._derived[key] = Tensor(name, type, made, True)
        return self._derived[key]

    def transposed(self, tensor: Tensor, axes: Sequence[int]) -> Tensor:
        """The tensor with axes permuted: a permuted weight, or a Transpose node."""
        kind = tensor.type.with_shape(tuple(tensor.type.shape[axis] for axis in axes))
        if tensor.is_initializer:
            how = "transposed" + "".join(map(str, axes))
            return self.derived(tensor, how, lambda array: array.transpose(axes), kind)
        if tensor.permuted is not None:
            self.has_unread = True
            return tensor.permuted(tuple(axes))
        transposed: Tensor = self("Transpose", tensor, perm=list(axes), type=kind)
        return transposed

    def shape_tensor(self, shape: Sequence[Dim]) -> Tensor:
        """An int64 tensor [rank] of the sizes; computed at run time where they are symbolic."""
        numbers = [size for size in shape if isinstance(size, int)]
        if len(numbers) == len(shape):
            return self.ints(*numbers)
        parts = [self.size(size) for size in shape]
        if len(parts) == 1:
            return parts[0]
        joined: Tensor = self("Concat", *parts, axis=0, type=TensorType(DType.INT64, (len(parts),)))
        return joined

    def size(self, dim: Dim) -> Tensor:
        """An int64 tensor [1] with one size, computed from the shapes of the inputs."""
        if isinstance(dim, int):
            return self.ints(dim)
        if dim not in self._sizes:
            self._sizes[dim] = self._compute_size(dim)
        return self._sizes[dim]

    def name(self, wanted: str) -> str:
        """A name that is unique in the graph and its subgraphs."""
        return self._namer(f"{self._prefix}{wanted}")

    def reference(self, tensor: Tensor) -> str:
        """The name by which a node reads the tensor; an initializer is written for it."""
        return self._use(tensor)

    def subgraph(self, name: str, inputs: Sequence[Tensor], write: Callable[[], Sequence[Tensor]]) -> GraphProto:
        """What `write` writes, as a graph of its own; it may read tensors and weights of the graph around it."""
        outside, self.nodes = self.nodes, []
        views, self.views = self.views, self.views.copy()
        # what is computed inside cannot be read outside
        sizes, atoms, filled, axes = dict(self._sizes), dict(self._atoms), dict(self._filled), dict(self._axes)
        sources = dict(self._size_sources)
        try:
            results = self._distinct(write())
            ends = [value_info(tensor.name, tensor.type) for tensor in results]
            nodes, _ = without_unread(self.nodes, [tensor.name for tensor in results])
        finally:
            self.views = views
            self.nodes, self._sizes, self._atoms, self._filled = outside, sizes, atoms, filled
            self._size_sources, self._axes = sources, axes
        starts = [value_info(tensor.name, tensor.type) for tensor in inputs]
        return helper.make_graph(nodes, name, starts, ends)

    def _distinct(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The outputs of a subgraph: each must come from a node in it, and all names must differ."""
        free = {name for proto in self.nodes for name in proto.output}
        found = []
        for tensor in tensors:
            if tensor.name not in free:
                found.append(self("Identity", tensor))
                continue
            free.remove(tensor.name)
            found.append(tensor)
        return found

    @property
    def outputs(self) -> tuple[Value, ...]:
        """The outputs of the node that is being lowered, for their types."""
        assert self._current is not None
        return self._current.outputs

    # ---- what the lowering loop uses

    def declare_inputs(self, values: Sequence[Value]) -> list[Tensor]:
        """The Tensors of the graph's inputs; their symbolic axes become sources of sizes."""
        tensors = [Tensor(self._names[value], value.type) for value in values]
        for tensor in tensors:
            self.views.know(tensor, tensor.type.rank)
        for name, source in size_sources([value.type.shape for value in values]).items():
            self._size_sources[name] = tensors[source.place], source
        return tensors

    def declare_sizes(self, node: Node, results: Sequence[Tensor]) -> None:
        """Note where the sizes can be read that a node makes."""
        for name, source in told_by(node).items():
            self._size_sources[name] = results[source.place], source

    def leaf(self, value: Value) -> Tensor:
        """The Tensor of a parameter or constant."""
        source = value.source
        assert isinstance(source, (Parameter, Constant))
        if isinstance(source, Constant) and source.array.size <= 16:
            self.frozen.add((made := self.constant(source.array)).name)
            return made
        if value not in self._leaves:
            derived = isinstance(source, Derived)
            name = self._names[value] if value in self._names else self._namer(value.name)  # a body's own
            self._leaves[value] = Tensor(name, value.type, lambda: source.array, derived)
            if isinstance(source, Parameter) and not source.trainable:
                self.frozen.add(name)
        return self._leaves[value]

    def begin(self, node: Node) -> int:
        """Start with a node: all that is written from now on gets its layer and source line."""
        self._current = node
        self._prefix, self._props = marks(node)
        self.views.start()
        return len(self.nodes)

    @contextmanager
    def at(self, node: Node) -> Iterator[None]:
        """Within it, a node in the current node's body is lowered; without a layer it gets that of the current node."""
        before = self._current, self._prefix, self._props
        self._current = node
        if node.scope is not None:
            self._prefix, self._props = marks(node)
        try:
            yield
        finally:
            self._current, self._prefix, self._props = before

    def finish(self, value: Value, tensor: Tensor, start: int, is_output: bool) -> Tensor:
        """Give what a rule returned the value's own name; `start` is what `begin` returned."""
        name = self._names[value]
        written = self.nodes[start:]
        maker = next((proto for proto in written if tensor.name in proto.output), None)
        if maker is None:
            if not is_output:
                return Tensor(tensor.name, value.type, tensor.make, tensor.is_derived)
            maker = self._identity(tensor)
            tensor, written = Tensor(maker.output[0], value.type), [maker]
        for proto in written:
            for fields in (proto.output, proto.input):
                for place, known in enumerate(fields):
                    if known == tensor.name:
                        fields[place] = name
        found = replace(tensor, name=name, type=value.type, make=None, is_derived=False)
        self.types[name] = value.type
        self.views.rename(tensor.name, found, value.type.rank)
        self.declare_axes(found)
        return found

    def declare_axes(self, tensor: Tensor) -> None:
        """Note the axes at which sizes can be read that are computed from others."""
        for axis, size in enumerate(tensor.type.shape):
            if isinstance(size, SymbolicDim):
                self._axes.setdefault(size, (tensor, axis))

    def _identity(self, tensor: Tensor) -> NodeProto:
        self("Identity", tensor)
        return self.nodes[-1]

    def _use(self, tensor: Tensor | None) -> str:
        if tensor is None:
            return ""
        make = tensor.make
        if make is None:
            return tensor.name
        name = tensor.name
        if self._owners.setdefault(name, make) is not make:  # an initializer derived from it has its name
            if make not in self._renamed:
                self._renamed[make] = self._namer(f"{name}.original")
            name = self._renamed[make]
        self.initializers.setdefault(name, Tensor(name, tensor.type, make, tensor.is_derived))
        return name

    def _compute_size(self, dim: SymbolicDim) -> Tensor:
        """From a tensor that has this size, where it takes several nodes otherwise; else term by term."""
        kind = TensorType(DType.INT64, (1,))
        if dim in self._axes and (len(dim.terms) > 1 or not all(isinstance(atom, str) for atom in dim.terms[0][0])):
            tensor, axis = self._axes[dim]
            read: Tensor = self("Shape", tensor, start=axis, end=axis + 1, type=kind)
            return read
        total: Tensor | None = None
        for monomial, coefficient in dim.terms:
            factors = [self._atom(atom) for atom in monomial]
            if coefficient != 1 or not factors:
                factors.append(self.ints(coefficient))
            product = factors[0]
            for factor in factors[1:]:
                product = self("Mul", product, factor, type=kind)
            total = product if total is None else self("Add", total, product, type=kind)
        assert total is not None
        return total

    def _atom(self, atom: Any) -> Tensor:
        """A named size, or a quotient or an extreme of sizes; what several sizes have in common is computed once."""
        if atom not in self._atoms:
            self._atoms[atom] = self._named_size(atom) if isinstance(atom, str) else self._applied(atom)
        return self._atoms[atom]

    def _named_size(self, name: str) -> Tensor:
        tensor, source = self._size_sources[name]
        kind = TensorType(DType.INT64, (1,))
        found: Tensor = self("Shape", tensor, start=source.axis, end=source.axis + 1, type=kind)
        if source.offset:
            found = self("Sub", found, self.ints(source.offset), type=kind)
        return self("Div", found, self.ints(source.factor), type=kind) if source.factor != 1 else found

    def _applied(self, atom: Any) -> Tensor:
        op_type = {"floordiv": "Div", "min": "Min", "max": "Max"}[atom.function]
        kind = TensorType(DType.INT64, (1,))
        found: Tensor = self(op_type, self.size(atom.left), self.size(atom.right), type=kind)
        return found


def _no_tensor(op_type: str, given: object) -> ArgumentError:
    return ArgumentError(
        f"emit({op_type!r}) was given {given!s:.40} ({type(given).__name__}), which is no Tensor",
        remedy="write numbers and arrays with emit.constant(number, x.type.dtype), axes and shapes with emit.ints(...)",
    )


__all__ = ["Emitter", "Tensor"]
