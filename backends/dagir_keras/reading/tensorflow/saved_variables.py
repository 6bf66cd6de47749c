"""The variables of a SavedModel: which node holds which, its key in the checkpoint, its name, and whether it trains."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from dagir_keras.reading.tensorflow.graph_def import GraphFunction, GraphNode, array_of
from dagir_keras.reading.tensorflow.messages import Message, decode

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_HOLDERS = ("VarHandleOp", "VariableV2", "Variable")
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"  # ends the key of a variable that objects hold


@dataclass(frozen=True)
class Description:
    """What a SavedModel tells of a variable beside its numbers."""

    name: str
    trainable: bool


def variables_by_node(graph: GraphFunction) -> Mapping[str, str]:
    """For each node that holds a variable, its key in the checkpoint: as the graph's own SaveV2 writes them.

    TensorFlow 1 has that op in the graph; TensorFlow 2 has it in a function, which is called with the variables.
    """
    found: dict[str, str] = {}
    for node in graph.nodes.values():
        if node.op == "SaveV2":
            _note(found, graph, node, graph, {})
        elif node.op in _CALLS and node.function("f") in graph.library:
            inner = graph.library[node.function("f")]
            given = dict(zip(inner.arguments, (name for name, _ in node.inputs), strict=False))
            for each in inner.nodes.values():
                if each.op == "SaveV2":
                    _note(found, inner, each, graph, given)
    return found


def _note(
    found: dict[str, str], within: GraphFunction, save: GraphNode, graph: GraphFunction, given: Mapping[str, str]
) -> None:
    names = within.nodes[save.inputs[1][0]]
    if names.op != "Const":
        return
    keys = [each.decode("utf-8", "replace") for each in array_of(names.attributes["value"]["tensor"]).reshape(-1)]
    for key, (name, _) in zip(keys, save.inputs[3:], strict=False):
        outer = _behind(within, name, given)
        holder = _behind(graph, given.get(outer, outer), {})
        node = graph.nodes.get(holder)
        if node is not None and node.op in _HOLDERS:
            found[holder] = key


def _behind(function: GraphFunction, name: str, stops: Mapping[str, str]) -> str:
    """The node or argument that reads and copies of a variable come from."""
    return function.origin(name, ("Identity", "ReadVariableOp"), stops)


class Descriptions:
    """What the objects of a SavedModel tell of its variables, or the collections of TensorFlow 1."""

    def __init__(self, meta: Message, where: str) -> None:
        self._meta, self._where = meta, where
        self._objects: list[Message] = meta.get("objects", {}).get("nodes", [])

    def of(self, node: GraphNode, key: str) -> Description:
        """What is told of the variable of a node. key: that of its value in the checkpoint."""
        title = node.attribute("shared_name") or node.name
        place = self._at_path(key)
        if place is not None and (told := self._objects[place].get("variable")):
            return Description(told.get("name", "") or title, self._trains(place, told))
        training = self._collected["trainable_variables"]
        known = training or self._collected["variables"] or self._collected["model_variables"]
        return Description(title, node.name in training or not known)

    def bound(self, graph: GraphFunction, keys: Iterable[str]) -> Mapping[str, str]:
        """For each node that holds a variable which a function of the objects takes, its key, of those in the file.

        Keras 3 exports a copy of each variable, and saves the copies: what the functions take is told here alone.
        """
        functions: Mapping[str, Message] = self._meta.get("objects", {}).get("functions", {})
        calls = [node for node in graph.nodes.values() if node.op in _CALLS and node.function("f") in functions]
        if not calls:
            return {}
        by_place = {place: key for key in keys if (place := self._at_path(key)) is not None}
        found: dict[str, str] = {}
        for call in calls:
            places = functions[call.function("f")].get("bound", [])
            for (name, _), place in zip(call.inputs[len(call.inputs) - len(places) :], places, strict=False):
                node = graph.nodes.get(_behind(graph, name, {}))
                if node is not None and node.op in _HOLDERS and place in by_place:
                    found[node.name] = by_place[place]
        return found

    def _at_path(self, key: str) -> int | None:
        """The object at the end of the path of names that a key is."""
        if not self._objects or not key.endswith(_VALUE):
            return None
        place: int | None = 0
        for part in key.removesuffix(_VALUE).split("/"):
            place = None if place is None else self._children(place).get(part.replace(".S", "/").replace("..", "."))
        return place

    def _children(self, place: int) -> Mapping[str, int]:
        if place not in self._known:
            listed = ((each.get("name", ""), each.get("node", 0)) for each in self._objects[place]["children"])
            self._known[place] = {name: inner for name, inner in listed if 0 <= inner < len(self._objects)}
        return self._known[place]

    @cached_property
    def _known(self) -> dict[int, Mapping[str, int]]:
        return {}

    def _trains(self, place: int, told: Message) -> bool:
        """Whether the model lists a variable among those that it trains; without lists, what the variable says itself.

        Keras 3 exports each variable twice: one copy is in the lists, the graph reads the other one, which has its
        name.
        """
        trained, frozen = self._lists["trainable_variables"], self._lists["non_trainable_variables"]
        if place in trained or place in frozen:
            return place in trained
        title = told.get("name", "")
        by_name = [title in self._names[each] for each in ("trainable_variables", "non_trainable_variables")]
        if title and by_name[0] != by_name[1]:
            return by_name[0]
        is_listed = "trainable_variables" in self._children(0) and place in self._lists["variables"]
        return bool(told.get("trainable", False)) and not is_listed

    @cached_property
    def _lists(self) -> Mapping[str, Mapping[int, str]]:
        """The variables of the lists of the model, with their names."""
        return {name: self._listed(name) for name in ("trainable_variables", "non_trainable_variables", "variables")}

    @cached_property
    def _names(self) -> Mapping[str, Collection[str]]:
        return {key: set(listed.values()) for key, listed in self._lists.items()}

    def _listed(self, name: str) -> Mapping[int, str]:
        place = self._children(0).get(name)
        inner = [] if place is None else self._children(place).values()
        return {each: self._objects[each].get("variable", {}).get("name", "") for each in inner}

    @cached_property
    def _collected(self) -> Mapping[str, Collection[str]]:
        """The nodes of the variables in TensorFlow 1's collections."""
        return {name: self._nodes_of(name) for name in ("trainable_variables", "variables", "model_variables")}

    def _nodes_of(self, name: str) -> Collection[str]:
        listed = self._meta["collections"].get(name, {}).get("byte_lists", {}).get("value", [])
        return {decode(data, "VariableDef", self._where).get("name", "").partition(":")[0] for data in listed}


__all__ = ["Descriptions", "variables_by_node"]
