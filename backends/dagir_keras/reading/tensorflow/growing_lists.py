"""Which loops make lists of tensors longer: found in their graphs, before these are read."""

from __future__ import annotations

from dagir_keras.reading.tensorflow.graph_def import GraphFunction, GraphNode

WRITES = ("TensorListSetItem", "TensorListPushBack")


def makes_longer(function: GraphFunction, place: int) -> bool:
    """Whether an output of a function, which is a list, may get more items there than the list that came in."""
    name = function.outputs[place][0]
    while (node := function.nodes.get(function.origin(name, ("Identity",)))) is not None:
        if node.op not in WRITES:
            return any(map(_holds_growth, _called(node, function)))
        if node.op == "TensorListPushBack" or node.attribute("resize_if_index_out_of_bounds"):
            return True
        name = node.inputs[0][0]
    return False


def _called(node: GraphNode, function: GraphFunction) -> list[GraphFunction]:
    """The functions that a node runs."""
    names = [part["func"]["name"] for part in node.attributes.values() if isinstance(part, dict) and "func" in part]
    listed = node.attributes.get("branches")
    if isinstance(listed, dict):
        names += [each["name"] for each in listed["list"]["func"]]
    return [function.library[name] for name in names]


def _holds_growth(function: GraphFunction) -> bool:
    """Whether anything in a function, or in those that it calls, makes a list longer."""
    pending, seen = [function], {function.name}
    while pending:
        each = pending.pop()
        for node in each.nodes.values():
            if node.op == "TensorListPushBack" or (
                node.op == "TensorListSetItem" and node.attribute("resize_if_index_out_of_bounds")
            ):
                return True
            inner = [found for found in _called(node, each) if found.name not in seen]
            seen |= {found.name for found in inner}
            pending += inner
    return False
