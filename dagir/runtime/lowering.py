"""`lower`: from a model to what runs it; and what stands for that in a pickle."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from dagir.errors import BackendError
from dagir.ir.graph import Graph
from dagir.ir.weight_snapshot import Snapshot
from dagir.modeling.model import Model
from dagir.runtime.backend import Executable, backend
from dagir.serialization.copying import Parts, model_of_parts, reduced_model
from dagir.support.backend_names import NUMPY
from dagir.support.frameworks import takes_a_model


def lower(model: Model | Graph, backend_name: str = NUMPY, **options: Any) -> Executable:
    """Compile a model for a backend: "numpy", "onnx", "keras". Options are the backend's (onnx: device, opset).

    The executable keeps the weights as they are now: it does not follow what is assigned later. It may be called from
    many threads; in a pickle it is its model with these weights, which is lowered again where the pickle is read.
    backend_name: one that is installed. Raises BackendError, UnsupportedOp.

    >>> x = dagir.Input((3,), name="x")
    >>> model = dagir.Model(x, ops.square(x))
    >>> dagir.lower(model, "numpy")(np.float32([[1, 2, 3]])).tolist()
    [[1.0, 4.0, 9.0]]
    """
    if not isinstance(model, (Model, Graph)):
        raise takes_a_model("lower", model, "a Model or a Graph")
    weights = Snapshot((model.graph if isinstance(model, Model) else model).parameters)
    executable = backend(backend_name).lower(model, **options)
    executable.reduce_by(partial(_reduced, model, backend_name, options, weights))
    return executable


def _reduced(model: Model | Graph, backend_name: str, options: Mapping[str, Any], weights: Snapshot) -> tuple[Any, ...]:
    """The model with the weights of that time, to be lowered again where the pickle is read."""
    if not isinstance(model, Model):
        raise BackendError(
            "the executable of a bare graph cannot be copied or pickled", remedy="lower dagir.Model.from_graph(graph)"
        )
    with weights.seen():
        parts = reduced_model(model)[1]
    return _lowered_again, (parts, backend_name, dict(options))


def _lowered_again(parts: Parts, backend_name: str, options: Mapping[str, Any]) -> Executable:
    return lower(model_of_parts(*parts), backend_name, **options)
