"""The weights of a model as a safetensors file, which other libraries can read; and its architecture as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from dagir.errors import ArgumentError, DagirError, FileError
from dagir.ir.graph import Parameter
from dagir.ir.naming import Namer
from dagir.ir.types import Array, type_of
from dagir.layers import Layer
from dagir.modeling.model import Model
from dagir.serialization import container
from dagir.serialization.config import architecture, from_architecture
from dagir.serialization.reading import Place, parse_json
from dagir.support.did_you_mean import nearest

_ORDER = "dagir.weights"  # the names in the order of model.weights, for models whose layers have other default names


def save_weights(model: Model, path: str | os.PathLike[str], *, overwrite: bool = True) -> None:
    """Write the weights, each by its name. Raises FileError, and leaves no half file."""
    _check_suffix(path)
    named = _named(model)
    tensors = {name: weight.array for name, weight in named.items()}
    container.write(os.fspath(path), tensors, {_ORDER: json.dumps(list(named))}, overwrite=overwrite)


def load_weights(model: Model, path: str | os.PathLike[str]) -> None:
    """Read weights into a model: by name, or, where the layers have other names, in order.

    Raises FileError that names the weight, before anything is changed.
    """
    _check_suffix(path)
    file = os.fspath(path)
    tensors, metadata = container.read(file)
    named = _named(model)
    arrays = _matched(file, named, tensors, _order(metadata, tensors))
    for weight, array in zip(named.values(), arrays, strict=True):
        weight.assign(array)


def _check_suffix(path: str | os.PathLike[str]) -> None:
    if not os.fspath(path).endswith(".safetensors"):
        raise ArgumentError(
            f"weights are kept in a .safetensors file, got {os.fspath(path)!r}",
            remedy="give the path that suffix, or keep the whole model: model.save('m.dagir'); those of Keras are read "
            "from .weights.h5, .h5, .hdf5, .keras and .weights.json",
        )


def _named(model: Model) -> dict[str, Parameter]:
    namer = Namer()
    return {namer(weight.name): weight for weight in model.weights}


def _order(metadata: Mapping[str, str], tensors: Mapping[str, Array]) -> list[str]:
    try:
        order = json.loads(metadata.get(_ORDER, "[]"))
    except (ValueError, RecursionError):
        return []
    whole = isinstance(order, list) and all(isinstance(name, str) for name in order)
    return order if whole and len(order) == len(set(order)) and set(order) == tensors.keys() else []


def _matched(
    file: str, named: Mapping[str, Parameter], tensors: Mapping[str, Array], order: Sequence[str]
) -> list[Array]:
    """The array for each weight, in order."""
    if named.keys() == tensors.keys():
        arrays = [tensors[name] for name in named]
        for name, weight in named.items():
            if type_of(tensors[name]) != weight.type:
                raise FileError(f"{file}: {name}: is {type_of(tensors[name])}, the model's weight is {weight.type}")
        return arrays
    in_order = [tensors[name] for name in order]
    if [type_of(array) for array in in_order] == [weight.type for weight in named.values()]:
        return in_order
    raise _unlike(file, named, tensors)


def _unlike(file: str, named: Mapping[str, Parameter], tensors: Mapping[str, Array]) -> DagirError:
    missing, surplus = [n for n in named if n not in tensors], [n for n in tensors if n not in named]
    facts = [("missing", ", ".join(missing[:5])), ("not in the model", ", ".join(surplus[:5]))]
    near = nearest(missing[0], surplus, 1) if missing else []
    summary = f"has no weight {missing[0]!r}" if missing else f"holds {surplus[0]!r}, which is no weight of the model"
    return FileError(
        f"{file}: {summary}",
        facts=[fact for fact in facts if fact[1]],
        remedy=f"give the layers the names that they had: {near[0]} is in the file" if near else None,
    )


def to_json(model: Model, **options: Any) -> str:
    """The architecture as JSON text, without weights. options: those of json.dumps. Raises ArgumentError."""
    return json.dumps(architecture(model), **options)


def model_from_json(text: str, custom_objects: Mapping[str, type[Layer]] | None = None) -> Model:
    """The model that `Model.to_json` describes, with new weights.

    custom_objects: classes of custom layers by name; nothing is imported by name. Raises ArgumentError.
    text: JSON.

    >>> x = dagir.Input((3,), name="x")
    >>> text = dagir.Model(x, layers.Dense(2, name="head")(x), name="net").to_json()
    >>> dagir.model_from_json(text)
    <Model net: x -> head>
    """
    try:
        config = parse_json(text, Place("JSON"))
        if not isinstance(config, dict):
            raise ArgumentError(f"the text is no architecture of a model: it is a {type(config).__name__}")
        return from_architecture(config, custom_objects)
    except FileError as error:
        raise ArgumentError(f"the text is no architecture of a model: {error.summary}") from None
    except (TypeError, AttributeError, KeyError, IndexError, ValueError, OverflowError) as error:
        raise ArgumentError(f"the text is no architecture of a model: {type(error).__name__}: {error}") from error
