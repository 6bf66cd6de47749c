"""Calls a layer of dagir as Keras calls its layer: Keras casts inputs implicitly, and dagir needs a cast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dagir import layers, ops
from dagir.ir.graph import Value
from dagir.ir.nest import flatten, map_structure
from dagir.ir.operands import as_value
from dagir.ir.types import DType
from dagir.layers import Layer
from dagir.layers.arguments import signature
from dagir.layers.internals import called_function
from dagir.layers.resizing import ImageLayer
from dagir.modeling.model import Model
from dagir_keras.reading.dtypes import promoted
from dagir_keras.reading.problems import Refused

_TRAINS = (layers.Dropout, layers.SpatialDropout1D, layers.GaussianNoise, layers.GaussianDropout, layers.AlphaDropout)
_MERGES = (
    *(layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum),
    *(layers.Concatenate, layers.Dot),
)
_TAKES_IDS = (layers.CategoryEncoding, layers.IntegerLookup, layers.StringLookup)
_MAX_POOLS = (layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D)
_SMALL_INTEGERS = (DType.INT8, DType.INT16, DType.UINT8, DType.UINT16)
_CAST_INTEGERS = (
    *(layers.Dense, layers.BatchNormalization, layers.LayerNormalization, layers.GroupNormalization),
    *(layers.RMSNormalization, layers.UnitNormalization),
)


def call_layer(layer: Layer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The layer's outputs for the arguments of the Keras layer. Raises Refused, DagirError."""
    options = {key: part for key, part in kwargs.items() if part is not None}
    training = options.pop("training", None)
    if training and not isinstance(layer, ImageLayer):  # Keras writes its default, True, into every call of it
        raise Refused(
            f"it is called with training=True: {layer.training_effect or 'it would draw random numbers at inference'}",
            "build the model without training=True",
        )
    if isinstance(layer, Model):
        options.pop("mask", None)  # the values carry theirs
        return layer(*_as_the_model_takes(layer, args), **options)
    if "mask" in options and "mask" not in signature(called_function(layer)).parameters:
        del options["mask"]
    ids = isinstance(layer, layers.Embedding) and not options.get("reverse")
    if ids or isinstance(layer, _TAKES_IDS):
        args = [map_structure(lambda leaf: _as_ids(layer, leaf), args[0]), *args[1:]] if args else args
    cast_args, cast_options = (
        map_structure(lambda leaf: _cast(layer, leaf, ids), part) for part in (list(args), options)
    )
    if isinstance(options.get("mask"), Value) and not options["mask"].dtype.is_float:
        cast_options["mask"] = options["mask"]  # Keras casts the inputs
    if isinstance(layer, _MERGES):
        cast_args = _promoted(cast_args)
    return _pooled(layer, cast_args) if isinstance(layer, _MAX_POOLS) else layer(*cast_args, **cast_options)


def _pooled(layer: Layer, args: Sequence[Any]) -> Any:
    """The largest numbers, which are of the dtype of the input: small integers are exact as float32."""
    x = args[0] if args else None
    if not isinstance(x, Value) or x.dtype not in _SMALL_INTEGERS:
        return layer(*args)
    return ops.cast(layer(ops.cast(x, DType.FLOAT32)), x.dtype)


def _cast(layer: Layer, leaf: Any, ids: bool) -> Any:
    """An input as Keras casts it: floats to the layer's dtype, ids to integers."""
    if isinstance(leaf, np.ndarray):
        leaf = as_value(leaf)
    if not isinstance(leaf, Value):
        return leaf
    if ids or isinstance(layer, layers.Discretization):  # whose dtype is that of the numbers of the bins
        return leaf
    if leaf.dtype.is_float and layer.autocast and leaf.dtype is not layer.dtype:
        return _masked_cast(leaf, layer.dtype)
    if not leaf.dtype.is_float and isinstance(layer, _CAST_INTEGERS):
        return _masked_cast(leaf, layer.dtype)
    return leaf


def _as_ids(layer: Layer, leaf: Any) -> Any:
    """Ids as Keras takes them: the layers cast them, and an Embedding makes its mask of the full numbers."""
    if isinstance(layer, (layers.IntegerLookup, layers.StringLookup)):
        layer.counts_in = DType.INT64  # which Keras returns, whatever it declares
    return as_value(leaf) if isinstance(leaf, np.ndarray) else leaf


def _masked_cast(value: Value, dtype: DType) -> Value:
    made = ops.cast(value, dtype)
    if value.mask is not None and made.mask is None:
        made.attach_mask(value.mask, value.carried_mask, taken=value.carried_mask is None)
    return made


def _promoted(args: list[Any]) -> list[Any]:
    found = [leaf for leaf in flatten(args) if isinstance(leaf, Value)]
    if len({leaf.dtype for leaf in found}) < 2:
        return args
    target = promoted([str(leaf.dtype) for leaf in found])
    return list(map_structure(lambda leaf: _masked_cast(leaf, target) if isinstance(leaf, Value) else leaf, args))


def _as_the_model_takes(model: Model, args: Sequence[Any]) -> list[Any]:
    """Inputs in the dtypes of the model's inputs; a model without a graph takes them as they are."""
    if "graph" not in vars(model) or not args:
        return list(args)
    given = args[0]
    leaves = flatten(given)
    wanted = [value.dtype for value in model.graph.inputs]
    if len(leaves) != len(wanted) or isinstance(given, dict):
        return list(args)
    pairs = zip(leaves, wanted, strict=True)
    made = iter([leaf if leaf.dtype is dtype else _masked_cast(leaf, dtype) for leaf, dtype in pairs])
    return [map_structure(lambda _: next(made), given), *args[1:]]
