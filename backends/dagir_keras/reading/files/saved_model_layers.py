"""keras.layers.TFSMLayer, whose file names the folder of a SavedModel: read where the user gives the model of it.

The path in a file is its writer's, and is not followed. The weights are in the folder, and once more in the file, where
they have no names: they are known again by their numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dagir.errors import FileError
from dagir.ir.types import Array
from dagir.modeling.model import Model
from dagir.serialization.reading import shown
from dagir_keras.reading.problems import Refused

KIND = "TFSMLayer"
_PLACE = re.compile(r"output_(\d{1,6})")  # the name of an output by its place


def refuse_path(record: Mapping[str, Any]) -> Refused:
    """The refusal of a layer for which the user gives no model."""
    config = record["config"]
    path, endpoint = (shown(config.get(key)) for key in ("filepath", "call_endpoint"))
    return Refused(
        f"it loads the SavedModel {path}, which is code outside of the file, and no path in a file is followed",
        f"read the folder, if you trust it, and pass custom_objects={{'name of the layer': "
        f"dagir.from_tensorflow(folder, signature=...)}}; it calls {endpoint}",
        unsafe=True,
    )


def as_layer(given: Model) -> Model:
    """The model of a signature as the layer calls it: outputs that have no names but places are a list, or one value.

    A signature names them by their places: output_0, output_1.
    """
    names = list(given.output_names)
    places = [_PLACE.fullmatch(name) for name in names]
    if not all(places):
        return given
    by_place = dict(zip((int(each[1]) for each in places if each), given.outputs, strict=True))
    listed = [by_place[place] for place in sorted(by_place)]
    inputs = given.inputs[0] if len(given.inputs) == 1 else dict(zip(given.input_names, given.inputs, strict=True))
    return Model(inputs, listed[0] if len(listed) == 1 else listed, name=given.name)


@dataclass(frozen=True)
class Renumbered:
    """The layer of a SavedModel, whose weights a Keras file has once more, without names, in an order of its own."""

    layer: Model

    def fill(self, read: Callable[[str], Mapping[str, Array]], where: str) -> None:
        """From the arrays of its group. Raises FileError."""
        self.fill_listed(list(read("").values()), where)

    def fill_listed(self, arrays: Sequence[Array], where: str) -> None:
        """Each weight takes the array with its numbers, else the only one left of its shape. Raises FileError."""
        left, waiting = list(arrays), []
        for weight in self.layer.weights:
            same = next((place for place, array in enumerate(left) if _equal(array, weight.array)), None)
            if same is None:
                waiting.append(weight)
            else:
                del left[same]
        if sorted(array.shape for array in left) != sorted(weight.shape for weight in waiting):
            raise FileError(
                f"{where}: the SavedModel that is given for it has other weights than the file", remedy=_GIVE
            )
        if len({weight.shape for weight in waiting}) < len(waiting):
            raise FileError(f"{where}: it was trained, and the file does not tell its weights apart", remedy=_EXPORT)
        by_shape = {array.shape: array for array in left}
        for weight in waiting:
            weight.assign(by_shape[weight.shape])


_GIVE = "give the model of the folder and the signature that the layer was made of"
_EXPORT = "load the file with Keras, and export the model, or give it to dagir.from_keras"


def _equal(array: Array, other: Array) -> bool:
    return array.shape == other.shape and array.dtype == other.dtype and bool(np.array_equal(array, other))


__all__ = ["KIND", "Renumbered", "as_layer", "refuse_path"]
