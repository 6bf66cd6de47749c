"""Names: Keras's default layer names, and one unique name for every value of a graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from dagir.support.locking import making

if TYPE_CHECKING:
    from dagir.ir.graph import Graph, Value

_used: Counter[str] = Counter()


def auto_name(prefix: str) -> str:
    """The next default name: "dense", then "dense_1", ... as Keras numbers them."""
    with making:  # otherwise two threads could get the same name
        number = _used[prefix]
        _used[prefix] += 1
    return f"{prefix}_{number}" if number else prefix


def clear_session() -> None:
    """Start the default names again from the first, as keras.utils.clear_session does.

    >>> dagir.clear_session()
    >>> dagir.Input((3,)).name
    'input_layer'
    """
    _used.clear()


class Namer:
    """Hands out names that are unique within one graph: "x", "x_1", "x_2"."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._next: Counter[str] = Counter()

    def __call__(self, wanted: str) -> str:
        """The name itself the first time, with a number after that."""
        name = wanted
        while name in self._taken:
            self._next[wanted] += 1
            name = f"{wanted}_{self._next[wanted]}"
        self._taken.add(name)
        return name


def value_names(graph: Graph, output_names: Iterable[str] = ()) -> dict[Value, str]:
    """A unique name for each input, output, parameter, constant and node output of the graph.

    Inputs and outputs have theirs first. A value that is an input and an output keeps the input's name.
    """
    namer = Namer()
    names: dict[Value, str] = {value: namer(value.name) for value in graph.inputs}
    for value, name in zip(graph.outputs, output_names, strict=False):
        unique = namer(name)  # reserved in any case: a weight that is an output keeps its own name
        if value not in names and value.node is not None:
            names[value] = unique
    for parameter in graph.parameters:
        names.setdefault(parameter.value, namer(parameter.name))
    for node in graph.nodes:
        for value in node.outputs:
            if value not in names:
                names[value] = namer(_wanted(value))
    for constant in graph.constants:
        if constant.value not in names:
            names[constant.value] = namer("constant")
    return names


def _wanted(value: Value) -> str:
    node = value.node
    if value.explicit_name or node is None:
        return value.name
    return f"{node.scope.path}/{node.op.op_name}" if node.scope else node.op.op_name
