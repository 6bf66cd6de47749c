"""Loops as TensorFlow 1 wrote them, as While nodes with functions: so TensorFlow 2 freezes its loops, too.

Such a loop is a cycle of nodes in a frame. Enter brings a value into the frame, Merge takes it or that of the iteration
before, Switch passes it to the body while LoopCond is true, NextIteration brings it back, and Exit out of the frame.
What each variable is at the Merge is the argument of both functions: of the condition, and of the body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.graph_def import GraphFunction, GraphNode, Output, array_of

_ENTERS, _MERGES, _EXITS = ("Enter", "RefEnter"), ("Merge", "RefMerge"), ("Exit", "RefExit")
_SWITCHES, _NEXT = ("Switch", "RefSwitch"), ("NextIteration", "RefNextIteration")
_ODD = "it has a loop that TensorFlow 1 did not write"


@dataclass
class _Variable:
    """What a loop carries: the names of its Enter, Merge and NextIteration, and where it leaves the loop."""

    enter: str
    merge: str
    next: str
    exits: list[str] = field(default_factory=list)


@dataclass
class _Frame:
    """A loop. constants: the Enters of what stays as it is. condition: its LoopCond."""

    variables: list[_Variable] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    condition: str | None = None


def with_loops(function: GraphFunction) -> GraphFunction:
    """The function with a While node in place of each frame. Raises Refused for a frame that is no loop."""
    if not any(node.op in _ENTERS for node in function.nodes.values()):
        return function
    nodes = _with_lists(function.nodes)
    frames, bodies = _frames(nodes)
    nodes = {name: _within_body(node, bodies) for name, node in nodes.items()}
    read = {name for node in nodes.values() for name, _ in node.inputs} | {name for name, _ in function.outputs}
    made = replace(function, nodes=nodes)
    for name, frame in frames.items():
        frame.constants = [each for each in frame.constants if each in read]
        _lower(made, nodes, name, frame)
    return made


def _frames(nodes: Mapping[str, GraphNode]) -> tuple[Mapping[str, _Frame], Mapping[Output, Output]]:
    """The loops by the names of their frames; and for what a Switch passes into a body, the Merge before it."""
    frames: dict[str, _Frame] = {}
    frame_of: dict[str, _Frame] = {}
    for node in nodes.values():
        if node.op in _ENTERS:
            frame_of[node.name] = frames.setdefault(str(node.attribute("frame_name")), _Frame())
            if node.attribute("is_constant"):
                frame_of[node.name].constants.append(node.name)
    merged: dict[str, tuple[_Frame, _Variable]] = {}
    for node in nodes.values():
        sources = [nodes[name] for name, _ in node.inputs if name in nodes] if node.op in _MERGES else []
        if any(each.op in _NEXT for each in sources):
            if len(sources) != 2 or sources[0].op not in _ENTERS:
                raise Refused(_ODD)
            variable = _Variable(sources[0].name, node.name, sources[1].name)
            merged[node.name] = frame_of[sources[0].name], variable
            frame_of[sources[0].name].variables.append(variable)
    return frames, _switched(nodes, merged)


def _switched(
    nodes: Mapping[str, GraphNode], merged: Mapping[str, tuple[_Frame, _Variable]]
) -> Mapping[Output, Output]:
    """Note the conditions and the exits of the loops."""
    bodies: dict[Output, Output] = {}
    switches: dict[str, _Variable] = {}
    for node in nodes.values():
        if node.op in _SWITCHES and node.inputs[0][0] in merged:
            frame, variable = merged[node.inputs[0][0]]
            condition = node.inputs[1][0]
            if condition not in nodes or nodes[condition].op != "LoopCond":
                continue  # a branch on what the loop carries
            if frame.condition not in (None, condition):
                raise Refused(_ODD)
            frame.condition, switches[node.name] = condition, variable
            bodies[node.name, 1] = (variable.merge, 0)
    for node in nodes.values():
        if node.op in _EXITS and node.inputs[0][0] in switches:
            switches[node.inputs[0][0]].exits.append(node.name)
    return bodies


def _within_body(node: GraphNode, bodies: Mapping[Output, Output]) -> GraphNode:
    inputs = tuple(bodies.get(each, each) for each in node.inputs)
    return node if inputs == node.inputs else replace(node, inputs=inputs)


def _lower(function: GraphFunction, nodes: dict[str, GraphNode], name: str, frame: _Frame) -> None:
    """Put the While node of a frame, and what its variables are behind it, among the nodes."""
    if frame.condition is None or not frame.variables:
        raise Refused(_ODD)
    arguments = (*(each.merge for each in frame.variables), *frame.constants)
    test = nodes[frame.condition].inputs[0]
    results = (*(nodes[each.next].inputs[0] for each in frame.variables), *((each, 0) for each in frame.constants))
    attributes = {}
    for part, outputs in (("cond", (test,)), ("body", results)):
        inner = GraphFunction(f"{function.name}/{name}/{part}", arguments, nodes, outputs, function.library, False)
        function.library.add(inner)
        attributes[part] = {"func": {"name": inner.name}}
    title = name
    while title in nodes:
        title = f"{title}/loop"
    enters = (*(each.enter for each in frame.variables), *frame.constants)
    inputs = tuple(nodes[each].inputs[0] for each in enters)
    nodes[title] = GraphNode(title, "While", inputs, attributes)
    for place, variable in enumerate(frame.variables):
        for leaves in variable.exits:
            nodes[leaves] = GraphNode(leaves, "Identity", ((title, place),), {})


# ---- TensorArrays, whose state is their flow: a list of tensors


def _with_lists(nodes: Mapping[str, GraphNode]) -> dict[str, GraphNode]:
    return {name: _LISTS[node.op](node, nodes) if node.op in _LISTS else node for name, node in nodes.items()}


def _read(node: GraphNode, nodes: Mapping[str, GraphNode]) -> GraphNode:
    _, index, flow = node.inputs
    return replace(node, op="TensorListGetItem", inputs=(flow, index))


def _write(node: GraphNode, nodes: Mapping[str, GraphNode]) -> GraphNode:
    handle, index, item, flow = node.inputs
    maker = nodes.get(_origin(nodes, handle[0]))
    grows = maker is not None and bool(maker.attribute("dynamic_size"))
    attributes = {"resize_if_index_out_of_bounds": {"b": grows}}
    return replace(node, op="TensorListSetItem", inputs=(flow, index, item), attributes=attributes)


def _scatter(node: GraphNode, nodes: Mapping[str, GraphNode]) -> GraphNode:
    _, indices, rows, flow = node.inputs
    if _counts_up(nodes, indices[0]) is not None:
        return replace(node, op="TensorListFromTensor", inputs=(rows,), attributes={})
    return replace(node, op="TensorListScatterIntoExistingList", inputs=(flow, rows, indices), attributes={})


def _gather(node: GraphNode, nodes: Mapping[str, GraphNode]) -> GraphNode:
    _, indices, flow = node.inputs
    size = _counts_up(nodes, indices[0])
    if size is not None and size.op == "TensorArraySizeV3":
        return replace(node, op="TensorListStack", inputs=(flow,), attributes={})
    return replace(node, op="TensorListGather", inputs=(flow, indices), attributes={})


def _length(node: GraphNode, nodes: Mapping[str, GraphNode]) -> GraphNode:
    return replace(node, op="TensorListLength", inputs=(node.inputs[1],), attributes={})


def _concatenated(node: GraphNode, nodes: Mapping[str, GraphNode]) -> GraphNode:
    return replace(node, op="TensorListConcatV2", inputs=(node.inputs[1],), attributes={})


_LISTS = {
    "TensorArrayReadV3": _read,
    "TensorArrayWriteV3": _write,
    "TensorArrayScatterV3": _scatter,
    "TensorArrayGatherV3": _gather,
    "TensorArraySizeV3": _length,
    "TensorArrayConcatV3": _concatenated,
}


def _origin(nodes: Mapping[str, GraphNode], name: str) -> str:
    """The node behind Enters and copies."""
    for _ in range(len(nodes)):
        node = nodes.get(name)
        if node is None or node.op not in (*_ENTERS, "Identity") or not node.inputs:
            break
        name = node.inputs[0][0]
    return name


def _counts_up(nodes: Mapping[str, GraphNode], name: str) -> GraphNode | None:
    """The node of the end of indices that are 0, 1, 2 ...: so TensorFlow stacks a list and takes a tensor apart."""
    node = nodes.get(_origin(nodes, name))
    if node is None or node.op != "Range":
        return None
    start, end, step = (nodes.get(_origin(nodes, each)) for each, _ in node.inputs)
    return end if _is_number(start, 0) and _is_number(step, 1) else None


def _is_number(node: GraphNode | None, number: int) -> bool:
    if node is None or node.op != "Const":
        return False
    array = array_of(node.attributes["value"]["tensor"])
    return bool(array.size == 1 and array.reshape(-1)[0] == number)


__all__ = ["with_loops"]
