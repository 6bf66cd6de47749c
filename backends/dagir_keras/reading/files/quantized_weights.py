"""The weights of quantized layers in Keras's files: by their places in a list that also has what training needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dagir.errors import FileError
from dagir.ir.graph import Parameter
from dagir.layers import Layer
from dagir_keras.reading.files.hdf5 import Dataset
from dagir_keras.reading.quantized import Quantized


def pairs(layer: Quantized, stored: Sequence[Dataset], where: str, path: str) -> tuple[list[Parameter], list[Dataset]]:
    """The weights of a layer, and the array of each. Raises FileError where the arrays are not those that it has."""
    if len(stored) != len(layer.stored):
        names = ", ".join(layer.stored)
        raise FileError(f"{where}: has {len(stored)} arrays of layer {path!r}, expected {names}")
    known = layer.named_weights()
    named = list(zip(layer.stored, stored, strict=True))
    for name, data in named:
        layer.check(name, data.array(), f"{data.where}: layer {path!r}")
    kept = [(known[name], data) for name, data in named if name in known]
    return [weight for weight, _ in kept], [data for _, data in kept]


def refuse_listed(layers: Iterable[Layer], what: str) -> None:
    """Raise FileError if a layer is quantized: an `.h5` file lists weights in an order that depends on their past."""
    if any(isinstance(layer, Quantized) for layer in layers):
        raise FileError(
            f"{what} is quantized, and an .h5 file does not say which array is its scale",
            remedy="save the model as .keras",
        )
