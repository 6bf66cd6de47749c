"""Backends: a table of rules, a way to lower, and the executable that comes out. Found by entry point."""

from __future__ import annotations

import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from dagir.display.contents import Contents
from dagir.errors import ArgumentError, BackendError, DagirError, FeedError, ShapeError
from dagir.ir.data_sizes import number_of
from dagir.ir.diagnostics import describe
from dagir.ir.dims import evaluate
from dagir.ir.graph import Graph, Node
from dagir.ir.nest import pack
from dagir.ir.types import Array, DType
from dagir.modeling.model import Model
from dagir.modeling.signature import Signature, signature_of
from dagir.modeling.training import Trainer, TrainingState
from dagir.passes.pipeline import Pipeline
from dagir.runtime.emptiness_guard import EmptinessGuard
from dagir.runtime.feeds import Feed, apart, arrange, bind
from dagir.runtime.index_guard import IndexGuard
from dagir.runtime.rules import Rules
from dagir.support.backend_entries import entry_of
from dagir.support.backend_names import ALL, NUMPY
from dagir.support.extras import MissingExtra, needed

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from dagir.runtime.probes import Body

Apply: TypeAlias = Callable[[Sequence[Array | None], DType | None], tuple[Array, ...]]
Around: TypeAlias = Callable[[Node, Sequence[Array | None], Apply], tuple[Array, ...]]


@dataclass(frozen=True)
class FileSummary:
    """What a model file holds: `op_counts` by the format's own op names, `facts` such as its opset."""

    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    op_counts: Mapping[str, int]
    weights: int
    weight_bytes: int
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Kept:
    """How to run what was written into a folder: an expression of Python over `model` and `feeds`, a dict of arrays.

    model: the model that the executable was made for, or the part of it. imports: modules that the expression needs.
    """

    expression: str
    imports: tuple[str, ...] = ()


class Backend(ABC):
    """A target. Subclasses set `name` and `rules`, and `pipeline` where passes go before the lowering.

    >>> isinstance(dagir.backend("numpy"), dagir.Backend)
    True
    """

    name: str
    rules: Rules[Any]
    pipeline: Pipeline = ()
    """The passes that a graph goes through before it is lowered here, each with its reason."""

    @abstractmethod
    def lower(self, model: Model | Graph, **options: Any) -> Executable:
        """Turn a model into something that runs."""

    def variants(self, model: Model | Graph) -> dict[str, Callable[[], Executable]]:
        """The ways to run a model here that may give different answers, by name."""
        return {self.name: lambda: self.lower(model)}

    def read(self, source: object, **options: object) -> Model:
        """Read a model of this backend's framework. Raises BackendError where the backend cannot."""
        raise BackendError(f"the {self.name} backend reads no models")

    def read_graph(self, source: object, **options: object) -> Model:
        """Read a function of this backend's framework, or a file of its graph. Raises BackendError where it cannot."""
        raise BackendError(f"the {self.name} backend reads no graphs of functions")

    def load_weights(self, model: Model, path: str) -> None:
        """Read the weights of a file of this framework into a model. Raises BackendError, FileError."""
        raise BackendError(f"the {self.name} backend reads no weights")

    def trainer(self, model: Any, **options: Any) -> Trainer:
        """Compile a model for training. Raises BackendError where the backend cannot train."""
        raise BackendError(f"the {self.name} backend trains no models")

    def resume(self, model: Any, state: TrainingState) -> Trainer:
        """Compile a model as it was, and go on where its training stopped. Raises BackendError, FileError."""
        raise BackendError(f"the {self.name} backend trains no models")

    def open(self, path: object, model: Model | Graph, **options: Any) -> Executable:
        """Run a file, or a model of this framework, that has the inputs and outputs of `model`.

        Raises BackendError, and FileError.
        """
        raise BackendError(f"the {self.name} backend runs no files")

    def introduce(self, framework: Any) -> None:  # noqa: B027  # a backend need not
        """Called once this backend's framework is imported, for what it has to know of dagir to read its own files."""

    def join(self) -> None:  # noqa: B027  # a backend need not
        """Called where this backend's framework meets a value of the graph among the arguments of its functions."""

    def describe(self, path: str | os.PathLike[str]) -> FileSummary:
        """What a file of this backend's framework holds. Raises BackendError, FileError."""
        raise BackendError(f"the {self.name} backend describes no files")

    def arrays(self, path: str | os.PathLike[str]) -> Mapping[str, Array]:
        """The weights in such a file by the names in its contents. Raises BackendError, FileError."""
        raise BackendError(f"the {self.name} backend describes no files")

    def contents(self, path: str | os.PathLike[str]) -> Contents:
        """The layers or nodes in such a file as a tree, and its weights. Raises BackendError, FileError."""
        raise BackendError(f"the {self.name} backend describes no files")


class Executable(ABC):
    """Arrays in, arrays out, in the structures of the model. `.artifact` is the native thing.

    It computes with the weights that the model had when it was lowered, as a file would: lower again after `assign`,
    `set_weights` or `fit`. What comes out shares no memory with what went in.

    >>> x = dagir.Input((3,), name="x")
    >>> run = dagir.lower(dagir.Model({"x": x}, {"squares": ops.square(x)}))
    >>> run({"x": np.float32([[1, 2, 3]])})
    {'squares': array([[1., 4., 9.]], dtype=float32)}
    """

    artifact: Any

    renamed: tuple[str, ...] = ()
    """A line for each input and output that a file has under another name, and that was matched by its position."""

    def __init__(self, graph: Graph, signature: Signature) -> None:
        self.signature = signature
        self._checks = [(equation, node) for node in graph.nodes for equation in node.equations]
        self._graph = graph
        self._lock = threading.RLock()  # held while something is made that every call uses
        self._reduced: Callable[[], tuple[Any, ...]] | None = None

    def __repr__(self) -> str:
        inputs, outputs = (
            ", ".join(name for name, _ in side) for side in (self.signature.inputs, self.signature.outputs)
        )
        return f"<{type(self).__name__}: {inputs} -> {outputs}>"

    def reduce_by(self, reduced: Callable[[], tuple[Any, ...]]) -> None:
        """Say what stands for this executable in a pickle: `lower` gives the model, which is lowered again there."""
        self._reduced = reduced

    def __reduce__(self) -> tuple[Any, ...]:
        """For copy and pickle. Raises BackendError: what a framework made of a file stays where it is."""
        if self._reduced is None:
            raise BackendError(
                f"a {type(self).__name__} of a file cannot be copied or pickled: it holds what runs in this process",
                remedy="open the file there, or pickle an executable that dagir.lower made",
            )
        return self._reduced()

    @cached_property
    def _guard(self) -> IndexGuard:
        return IndexGuard(self._graph, lambda graph: backend(NUMPY).lower(graph)._run)

    @cached_property
    def _emptiness(self) -> EmptinessGuard:
        return EmptinessGuard(self._graph)

    def __call__(self, *feeds: Feed) -> Array | Any:
        """Run. feeds: one array, a list, a dict by input name, or one array per input.

        Returns NumPy arrays in the structure of the model's outputs. Raises FeedError, ShapeError.
        """
        arrays = self.arrange(feeds)
        sizes = self.bind(arrays)
        self._guard(arrays, sizes)
        for equation, node in self._checks:
            left, right = number_of(equation.left, sizes), number_of(equation.right, sizes)
            if left is not None and right is not None and left != right:  # what data decide is checked as it runs
                raise ShapeError(
                    f"sizes that had to be equal at run time are not: {equation}",
                    facts=[("node", describe(node)), ("sizes", ", ".join(f"{k}={v}" for k, v in sizes.items()))],
                )
        found = self._empty(sizes)
        if not found:
            self._emptiness(sizes)
            found = apart(self._run(arrays), arrays)
        return pack(self.signature.output_structure, found)

    def warm_up(self) -> None:  # noqa: B027  # most have nothing to make
        """Make now what the first call would make, as a server does before its first request. Raises BackendError."""

    def _empty(self, sizes: Mapping[str, int]) -> list[Array]:
        """The outputs, where their sizes say that they hold nothing: frameworks fail on a batch of 0 here and there."""
        if all(sizes.values()):
            return []
        if any(number_of(size, sizes) is None for _, type in self.signature.outputs for size in type.shape):
            return []
        shapes = [[evaluate(size, sizes) for size in type.shape] for _, type in self.signature.outputs]
        if not all(0 in shape for shape in shapes):
            return []
        return [np.zeros(shape, t.dtype.numpy) for shape, (_, t) in zip(shapes, self.signature.outputs, strict=True)]

    @abstractmethod
    def _run(self, arrays: Sequence[Array]) -> Sequence[Array]:
        """Run on arrays in the order of the signature's inputs."""

    @property
    def low_precision(self) -> str:
        """ "float16", "bfloat16" or "codes" where what runs computes so, though its model may not; else nothing."""
        return ""

    def points(self) -> Mapping[str, str]:
        """The values that `observe` can show: names of `dagir.runtime.probes.points_of`, and what they are called here.

        None where the target cannot be watched.
        """
        return {}

    def observe(self, arrays: Sequence[Array], names: Sequence[str]) -> list[Array]:
        """Run, and return the arrays of points, as the model as written has them."""
        raise BackendError(f"{type(self).__name__} cannot be watched while it runs")

    def part(self, model: Model, inputs: Mapping[str, str], output: str, sizes: Mapping[str, int]) -> Executable | None:
        """What this does between points, with the weights that this has, as an executable of its own.

        model: the same part as a model of one output, all sizes known. inputs: for each of its inputs, the point or
        the input that it takes the place of. sizes: the numbers of this executable's named sizes. None where that
        cannot be cut out.
        """
        return None

    def node_by_node(self) -> Executable | None:
        """The same computation, every node of which is a point. None where this shows nothing more."""
        return None

    def without_saturation(self) -> tuple[Executable, str] | None:
        """The same by kernels whose sums of integers do not saturate, and what to say where these agree with the model.

        None where no sum can saturate, or where there are no such kernels.
        """
        return None

    def body(self, point: str, body: Body, arrays: Sequence[Array]) -> Executable | None:
        """The body of the branch or loop that makes a point, with the weights that this has, as an executable.

        body: the same body of the model. arrays: the inputs of this executable, which tell its sizes. None where the
        body cannot be run by itself.
        """
        return None

    def keep(self, folder: Path) -> Kept | None:
        """Write what this runs into a folder, so that others can run it there. None where it cannot be written."""
        return None

    def arrange(self, feeds: tuple[object, ...]) -> list[Array]:
        """What a call was given, as arrays in the order of the signature's inputs. Raises FeedError."""
        with self._named():
            return arrange(self.signature.inputs, feeds)

    def bind(self, arrays: Sequence[Array]) -> dict[str, int]:
        """The number that each named size has in these arrays. Raises FeedError where they contradict."""
        with self._named():
            return bind(self.signature.inputs, arrays)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Name the model in what its feeds raise."""
        try:
            yield
        except FeedError as error:
            raise error.fact("model", self._graph.name) from None


def signature(model: Model | Graph) -> Signature:
    """The signature of a model, or of a bare graph as lists."""
    if isinstance(model, Model):
        return model.signature
    return signature_of(model, list(model.inputs), list(model.outputs))


def graph_of(model: Model | Graph) -> Graph:
    """The graph of a model, or the graph itself."""
    return model.graph if isinstance(model, Model) else model


def at_node(error: DagirError, node: Node) -> DagirError:
    """The error with the node named, unless it is named already."""
    if all(label != "node" for label, _ in error.facts):
        error.fact("node", describe(node))
    return error


_loading = threading.RLock()


def backend(name: str) -> Backend:
    """A backend by name. Raises BackendError that lists those installed.

    >>> dagir.backend("numpy").name
    'numpy'
    """
    with _loading:  # packages that import each other are seen half-made where two threads import them at once
        return _loaded(name)


def register_backend(backend: Backend) -> None:
    """Make a backend known by its name, in this process: what the entry points of a package do for all.

    Raises ArgumentError for what is no backend, and for a name that another one has.

    >>> class Mine(dagir.Backend):
    ...     name = "mine"
    ...     rules = dagir.Rules("mine")
    ...     def lower(self, model, **options):
    ...         return dagir.lower(model, "numpy")
    >>> dagir.register_backend(Mine())
    >>> dagir.backend("mine").name
    'mine'
    """
    if not isinstance(backend, Backend):
        raise ArgumentError(f"register_backend takes a Backend, got {backend!r}", remedy="make one: MyBackend()")
    with _loading:
        known = _registered.get(backend.name)
        if backend.name in ALL or (known is not None and type(known) is not type(backend)):
            raise ArgumentError(f"there is another backend named {backend.name!r}", remedy="give yours another name")
        _registered[backend.name] = backend
        _loaded.cache_clear()


_registered: dict[str, Backend] = {}


@cache
def _loaded(name: str) -> Backend:
    if name in _registered:
        return _registered[name]
    entry = entry_of(name)
    try:
        with needed(f"backend {name!r}"):
            loaded = entry.load()
    except MissingExtra:
        raise
    except ImportError as error:
        raise BackendError(
            f"backend {name!r} needs a package that is not installed: {error.name}",
            remedy=f"pip install 'dagir[{name}]'",
        ) from error
    return loaded() if not isinstance(loaded, Backend) else loaded


__all__ = [
    "Backend",
    "DType",
    "Executable",
    "Kept",
    "Rules",
    "at_node",
    "backend",
    "graph_of",
    "register_backend",
    "signature",
]
