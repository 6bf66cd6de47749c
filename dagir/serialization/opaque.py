"""OpaqueLayer: a layer of a file whose class is unknown. Its graph is known, so it can be run, lowered and called."""

from __future__ import annotations

from typing import Any

from dagir.errors import ArgumentError
from dagir.ir.graph import Graph, Parameter, Value
from dagir.ir.nest import flatten, pack
from dagir.ir.types import DType
from dagir.layers import Layer
from dagir.ops.call import call as call_graph


class OpaqueLayer(Layer):
    """A custom layer after loading, unless `custom_objects` has its class.

    class_name: the name of the class. saved_config: the configuration in the file, None if there is none; get_config
    then returns an empty one. A call repeats the graph
    of the first call on other values; sizes that the layer's code read as numbers stay as they were.
    """

    supports_masking = True

    def __init__(
        self, class_name: str, config: dict[str, Any] | None, name: str, dtype: DType, weights: list[Parameter]
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.class_name, self.saved_config = class_name, config
        self._weights = weights
        self.built = True

    def check_dtype(self, inputs: object) -> None:
        """The graph decides."""

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The graph of the first call, on other values. Raises ArgumentError for other arguments."""
        first = self._first_call()
        known, given = flatten([first.args, first.kwargs]), flatten([args, kwargs])
        if not _alike(known, given):
            raise ArgumentError(
                f"layer {self.name!r} was loaded without its class {self.class_name}, and is called in another way",
                remedy=f"dagir.load(path, custom_objects={{{self.class_name!r}: {self.class_name}}})",
            )
        pairs = {old: new for old, new in zip(known, given, strict=True) if isinstance(old, Value)}
        graph = Graph(pairs, flatten(first.outputs), self.name)
        return pack(first.outputs, call_graph(graph, list(pairs.values())))

    def get_config(self) -> dict[str, Any]:
        """The configuration as it was saved; empty if the layer had none that a file can hold."""
        return dict(self.saved_config or {})

    def __repr__(self) -> str:
        return f"<{self.class_name} name={self.name}, loaded without its class>"


def _alike(known: list[object], given: list[object]) -> bool:
    if len(known) != len(given):
        return False
    pairs = zip(known, given, strict=True)
    return all(isinstance(new, Value) if isinstance(old, Value) else old is new or old == new for old, new in pairs)
