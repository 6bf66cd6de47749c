"""The calls of a functional model, as its configuration lists them, run in the order of Keras."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from dagir.errors import FileError
from dagir.ir.graph import Value
from dagir.ir.nest import flatten, flatten_sorted, map_structure
from dagir.ir.types import DType
from dagir.layers.core import Input
from dagir.layers.unknown import UnknownLayer
from dagir.modeling.call_order import call_behind, restore_order
from dagir.modeling.keras_order import run_order
from dagir.serialization.reading import shown
from dagir.support.location import LayerCall
from dagir_keras.reading import config_values
from dagir_keras.reading.files.opaque_layers import OpaqueLayers, Told
from dagir_keras.reading.files.tensorflow_layers import settled
from dagir_keras.reading.problems import Problems, Refused


@dataclass(frozen=True)
class _Reference:
    """A tensor of the configuration: output `tensor` of call `node` of a layer."""

    layer: str
    node: int
    tensor: int
    shape: tuple[Any, ...] | None = None
    dtype: str | None = None

    def placeholder(self) -> Value | None:
        """A value in place of a refused one, so that the calls on it are read too; None if its type is unknown."""
        if self.shape is None or self.dtype not in set(DType):
            return None
        return Input(batch_shape=list(self.shape), dtype=self.dtype)


@dataclass
class _Call:
    owner: str
    path: str
    kind: str
    run: Callable[..., Any] | None
    args: Any
    kwargs: Any


_Key: TypeAlias = tuple[str, int]  # a layer, and which of its calls


class Calls:
    """The calls of one functional model, run in the order of Keras."""

    def __init__(
        self, source: str, path: str, outputs_from_one: bool = True, opaque: OpaqueLayers | None = None
    ) -> None:
        self.source, self.path, self._opaque = source, path, opaque
        self.built: dict[str, Told] = {}  # by layer, the shape of the input for which it was built
        self._told: dict[_Key, dict[int, tuple[Any, Any]]] = {}  # of opaque calls, by those that read them
        self._outputs_from_one = outputs_from_one  # calls of models among the outputs, as Keras 3 counts them
        self.calls: dict[str, list[_Call]] = {}
        self.outputs: dict[_Key, list[Value | None]] = {}
        self._is_model: set[str] = set()
        self._placeholders: dict[_Reference, Value | None] = {}

    def add_input(self, name: str, value: Value | None) -> None:
        """An input of the model."""
        self._once(name)
        self.calls[name] = []
        self.outputs[name, 0] = [value]

    def add(
        self, name: str, path: str, kind: str, run: Callable[..., Any] | None, nodes: list[Any], is_model: bool
    ) -> None:
        """A layer or an operation with its calls."""
        self._once(name)
        self.calls[name] = [_Call(name, path, kind, run, *self._arguments(node, path)) for node in nodes]
        if is_model:
            self._is_model.add(name)

    def _once(self, name: str) -> None:
        if name in self.calls:
            raise self._damaged(f"has two layers of the name {name!r}")

    def _damaged(self, what: str) -> FileError:
        return FileError(f"{self.source}: model {self.path or '(the outermost)'} {what}")

    def _arguments(self, node: Any, path: str) -> tuple[Any, Any]:
        if isinstance(node, dict):
            args, kwargs = node.get("args", []), node.get("kwargs", {})
            if not isinstance(args, list) or not isinstance(kwargs, dict) or config_values.is_object(kwargs):
                raise self._damaged(f"says that layer {path!r} is called on {shown(node)}")
            return self._decode(args, path), self._decode(kwargs, path)
        if not isinstance(node, list):
            raise self._damaged(f"says that layer {path!r} is called on {shown(node)}")
        if node and isinstance(node[0], str):
            node = [node]
        parts, options = [], {}
        for entry in node:
            if not isinstance(entry, list) or len(entry) not in (3, 4):
                raise self._damaged(f"says that layer {path!r} is called on {shown(entry)}")
            parts.append(self._reference(entry[:3], path))
            options = entry[3] if len(entry) == 4 and isinstance(entry[3], dict) else {}
        return [parts[0] if len(parts) == 1 else parts], self._decode(options, path)

    def _decode(self, data: Any, path: str) -> Any:
        if isinstance(data, list):
            return [self._decode(part, path) for part in data]
        if not isinstance(data, dict):
            return data
        if not config_values.is_object(data):
            return {key: self._decode(part, path) for key, part in data.items()}
        if data["class_name"] == "__keras_tensor__":
            config = data["config"]
            if not isinstance(config, dict):
                raise self._damaged(f"says that layer {path!r} reads {shown(config)}")
            found = self._reference(config.get("keras_history"), path)
            shape = config.get("shape")
            if not isinstance(shape, list) or not all(s is None or (type(s) is int and s >= 0) for s in shape):
                return found
            return replace(found, shape=tuple(shape), dtype=config.get("dtype"))
        try:
            return config_values.plain(data)
        except Refused as refused:
            return refused
        except (TypeError, ValueError, ArithmeticError) as error:  # numbers that do not fit their dtype
            return Refused(f"it is called on {shown(data)}: {type(error).__name__}")

    def _reference(self, data: Any, path: str) -> _Reference:
        if (
            not isinstance(data, list)
            or len(data) != 3
            or not isinstance(data[0], str)
            or not all(isinstance(part, int) and 0 <= part < 1 << 31 for part in data[1:])
        ):
            raise self._damaged(f"says that layer {path!r} reads {shown(data)}")
        return _Reference(*data)

    # ---- running

    def run(self, problems: Problems, outputs: Any) -> None:
        """Run every call in the order of Keras: the masks that a layer gets depend on the order.

        outputs: the output_layers of the configuration. Raises FileError where a call reads what does not exist, or
        waits for itself.
        """
        reads = {
            (name, place): [self._checked(leaf, call) for leaf in _references([call.args, call.kwargs])]
            for name, calls in self.calls.items()
            for place, call in enumerate(calls)
        }
        if self._opaque is not None:
            self._see_what_is_told()
        possible = self._possible_order(reads)
        wanted = [key for key in self._output_calls(outputs) if key in reads]
        made: list[tuple[LayerCall, int]] = []
        for key in dict.fromkeys([*run_order(reads, wanted, operation=lambda call: call[0]), *possible]):
            if key in reads:
                self.outputs[key] = self._outputs(self.calls[key[0]][key[1]], problems)
                call = call_behind(self.outputs[key])
                made += [] if call is None else [(call, key[1])]
        restore_order(made)

    def _see_what_is_told(self) -> None:
        for name, calls in self.calls.items():
            for call in calls:
                found = _references([call.args, call.kwargs])
                for each in found:
                    told = self._told.setdefault((each.layer, each.node), {})
                    if each.shape is not None:
                        told[each.tensor] = (each.shape, each.dtype)
                    elif len(found) == 1 and self.built.get(name):
                        told.setdefault(each.tensor, self.built[name][0])

    def _possible_order(self, reads: Mapping[_Key, Sequence[_Key]]) -> list[_Key]:
        """Every call after those that it reads. Raises FileError where there is no such order."""
        waits = {key: set(read) - self.outputs.keys() for key, read in reads.items()}
        waiting: dict[_Key, list[_Key]] = {}
        for key, needed in waits.items():
            for each in needed:
                waiting.setdefault(each, []).append(key)
        order = [key for key, needed in waits.items() if not needed]
        for key in order:  # which grows
            for later in waiting.pop(key, ()):
                waits[later].discard(key)
                if not waits[later]:
                    order.append(later)
        if len(order) != len(reads):
            stuck = next(name for (name, _), needed in waits.items() if needed)
            raise self._damaged(f"has a cycle: layer {stuck!r} needs its own output")
        return order

    def _output_calls(self, data: Any) -> list[_Key]:
        """The calls of the outputs; those that are not well-formed are left out, for `structure` refuses them."""
        if isinstance(data, dict):
            return [key for name in sorted(data) for key in self._output_calls(data[name])]
        if not isinstance(data, list):
            return []
        if len(data) != 3 or not isinstance(data[0], str):
            return [key for part in data for key in self._output_calls(part)]
        return [self._output_key(self._reference(data, "outputs"))]

    def _output_key(self, reference: _Reference, outer: bool = True) -> _Key:
        """outer: the calls of nested models count from 1 there, since Keras counts a model's own graph as its first."""
        counted = outer and self._outputs_from_one and reference.layer in self._is_model
        shift = 1 if counted and reference.node else 0
        return reference.layer, reference.node - shift

    def _checked(self, reference: _Reference, call: _Call) -> _Key:
        if reference.layer not in self.calls:
            raise self._damaged(f"says that layer {call.owner!r} reads layer {reference.layer!r}, which does not exist")
        key = (reference.layer, reference.node)
        if key not in self.outputs and not 0 <= reference.node < len(self.calls[reference.layer]):
            raise self._damaged(
                f"says that layer {call.owner!r} reads call {reference.node} of layer {reference.layer!r}, "
                f"which is called {len(self.calls[reference.layer])} times"
            )
        return key

    def _outputs(self, call: _Call, problems: Problems) -> list[Value | None]:
        if self._opaque is None:
            return self._called(call, problems)
        args = [self._filled(part, call) for part in (call.args, call.kwargs)]
        before = problems.count
        unknown = call.run if isinstance(call.run, UnknownLayer) else self._opaque.behind(call.path, call.kind, args)
        if unknown is None and (found := self._called(call, problems)):
            return found
        if unknown is None:
            reason = self._opaque.taken(before)
            if reason is None:
                return []
            unknown = self._opaque.layer(call.path, call.kind, reason.reason)
        place = next(at for at, each in enumerate(self.calls[call.owner]) if each is call)
        with problems.at(call.path, call.kind):  # it may be called on nothing
            return [*self._opaque.outputs(unknown, args, self._told.get((call.owner, place), {}))]
        return []

    def _called(self, call: _Call, problems: Problems) -> list[Value | None]:
        with problems.at(call.path, call.kind):
            for leaf in flatten([call.args, call.kwargs]):
                if isinstance(leaf, Refused):
                    raise leaf
            args, kwargs = (self._filled(part, call) for part in (call.args, call.kwargs))
            lost = any(leaf is _LOST for leaf in flatten([args, kwargs]))
            if call.run is not None and not lost:
                return flatten_sorted(call.run(*args, **kwargs))  # Keras counts outputs so
        return []

    def _filled(self, structure: Any, call: _Call) -> Any:
        def fill(leaf: Any) -> Any:
            if not isinstance(leaf, _Reference):
                return leaf
            found = self.outputs[self._checked(leaf, call)]
            if not found:
                return self._lost(leaf)
            if leaf.tensor >= len(found):
                raise self._damaged(f"says that layer {call.owner!r} reads output {leaf.tensor} of {leaf.layer!r}")
            return self._lost(leaf) if found[leaf.tensor] is None else found[leaf.tensor]

        return map_structure(fill, structure)

    def _lost(self, reference: _Reference) -> Any:
        if reference not in self._placeholders:
            self._placeholders[reference] = reference.placeholder()
        found = self._placeholders[reference]
        return _LOST if found is None else found

    def structure(self, data: Any, outer: bool = False) -> Any:
        """The values of input_layers or output_layers, in their structure; None for a value that is missing."""
        if isinstance(data, dict):
            return {key: self.structure(part, outer) for key, part in data.items()}
        if not isinstance(data, list):
            raise self._damaged(f"has {shown(data)} among its inputs or outputs")
        if len(data) != 3 or not isinstance(data[0], str):
            return [self.structure(part, outer) for part in data]
        reference = self._reference(data, "outputs")
        found = self.outputs.get(self._output_key(reference, outer))
        if found is None:
            raise self._damaged(f"names {shown(data)} among its inputs or outputs, which does not exist")
        return settled(found[reference.tensor]) if reference.tensor < len(found) else None


_LOST = object()


def _references(structure: Any) -> list[_Reference]:
    """As Keras orders them."""
    return [leaf for leaf in flatten_sorted(structure) if isinstance(leaf, _Reference)]
