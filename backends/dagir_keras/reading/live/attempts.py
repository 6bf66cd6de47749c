"""A method of a Keras layer on values: by traced tensors, or, where they fail, by the graph that TensorFlow makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dagir.errors import DagirError
from dagir.ir.nest import map_structure
from dagir_keras.reading.live.branches import explored
from dagir_keras.reading.live.function_graphs import Ungraphed, can_graph, graphed
from dagir_keras.reading.live.keras_patches import tracing
from dagir_keras.reading.live.reader import Reader
from dagir_keras.reading.live.tracing import CallTracer, traced, untraceable
from dagir_keras.reading.problems import Decided, KerasChanged, Refused, Untraceable

Method = Callable[..., Any]


def run_method(
    reader: Reader, source: Any, path: str, method: Method, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """The values that a method gives for values. Raises Refused, DagirError.

    A first attempt that fails leaves nothing behind where the second one succeeds; where both fail, its problems stay.
    """
    before, count = reader.checkpoint(), reader.problems.count
    failure: Exception | None = None
    found: Any = None
    try:
        found = _by_traced_tensors(reader, source, path, method, args, kwargs)
    except (KerasChanged, Decided):
        raise
    except (Refused, DagirError) as error:
        failure = error
    if (failure is None and reader.problems.count == count) or not can_graph():
        return _or_raised(found, failure)
    failed = reader.checkpoint()
    reader.restore(before)
    try:
        return graphed(reader, source, method, args, kwargs)
    except (Refused, Ungraphed, DagirError) as error:
        reader.restore(failed)
        if isinstance(failure, Untraceable) and isinstance(error, Refused):
            raise error from None
        return _or_raised(found, failure)


def _or_raised(found: Any, failure: Exception | None) -> Any:
    if failure is not None:
        raise failure from None
    return found


def _by_traced_tensors(
    reader: Reader, source: Any, path: str, method: Method, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    given, options = map_structure(traced, list(args)), map_structure(traced, dict(kwargs))

    def run() -> Any:
        tracer = CallTracer(reader, path)
        with tracing(tracer):
            return tracer.outputs(method(*given, **options))

    try:
        return explored(run)
    except Untraceable as error:
        raise untraceable(source, error, error.reason, error.remedy) from None
    except (Refused, DagirError):
        raise
    except Exception as error:  # whatever a user's call raises
        text = str(error).splitlines()[0] if str(error) else ""
        remedy = "write the call with keras.ops, without shapes that are known at run time only"
        raise untraceable(source, error, f"{type(error).__name__}: {text[:160]}", remedy) from None
