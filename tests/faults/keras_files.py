"""Keras files made by hand, without Keras: a small sound one, and the means to spoil it."""

from __future__ import annotations

import copy
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

KERNEL = np.arange(6, dtype="float32").reshape(3, 2)
BIAS = np.array([1.0, -1.0], "float32")


def tensor(layer: str, shape: list[Any], node: int = 0) -> dict[str, Any]:
    config = {"shape": shape, "dtype": "float32", "keras_history": [layer, node, 0]}
    return {"class_name": "__keras_tensor__", "config": config}


def call(*tensors: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    return {"args": list(tensors), "kwargs": kwargs}


def input_layer(name: str = "x", shape: tuple[Any, ...] = (None, 3)) -> dict[str, Any]:
    config = {"batch_shape": list(shape), "dtype": "float32", "name": name}
    record = {"module": "keras.layers", "class_name": "InputLayer", "config": config}
    return {**record, "registered_name": None, "name": name, "inbound_nodes": []}


def layer(class_name: str, name: str, config: dict[str, Any], *calls: Any, **changes: Any) -> dict[str, Any]:
    full = {"name": name, "trainable": True, "dtype": "float32", **config}
    record = {"module": "keras.layers", "class_name": class_name, "config": full, "registered_name": None}
    return {**record, "name": name, "inbound_nodes": list(calls), **changes}


def functional(*layers: dict[str, Any], outputs: Any = None) -> dict[str, Any]:
    config = {
        "name": "model",
        "trainable": True,
        "layers": list(layers),
        "input_layers": [["x", 0, 0]],
        "output_layers": outputs or [layers[-1]["name"], 0, 0],
    }
    record = {"module": "keras.src.models.functional", "class_name": "Functional", "config": config}
    return {**record, "registered_name": "Functional"}


def dense(units: Any = 2, **changes: Any) -> dict[str, Any]:
    return layer("Dense", "dense", {"units": units, **changes}, call(tensor("x", [None, 3])))


def sound() -> dict[str, Any]:
    return copy.deepcopy(functional(input_layer(), dense()))


class Weights:
    """An HDF5 file in the layout of .keras or .h5, under construction."""

    def __init__(self, legacy: bool = False, libver: str | None = None) -> None:
        self.legacy = legacy
        self.buffer = io.BytesIO()
        self.file = h5py.File(self.buffer, "w", libver=libver, track_order=libver is not None)
        self.place = self.file.create_group("model_weights/dense" if legacy else "layers/dense/vars")
        self.names = ["dense/kernel", "dense/bias"] if legacy else ["0", "1"]
        if legacy:
            self.file["model_weights"].attrs["layer_names"] = ["x", "dense"]
            self.file["model_weights"].create_group("x").attrs["weight_names"] = []
            self.place.attrs["weight_names"] = self.names

    def set(self, kernel: Any = KERNEL, bias: Any = BIAS, **options: Any) -> Weights:
        if kernel is not None:
            self.place.create_dataset(self.names[0], data=kernel, **options)
        if bias is not None:
            self.place.create_dataset(self.names[1], data=bias)
        return self

    def bytes(self) -> bytes:
        self.file.close()
        return self.buffer.getvalue()


def write(
    path: Path, config: Any = None, weights: Weights | bytes | None = None, members: dict[str, Any] | None = None
) -> str:
    """A .keras or .h5 file, as the suffix says. config: an object, or the text itself."""
    text = config if isinstance(config, (str, bytes)) else json.dumps(sound() if config is None else config)
    stored = weights if weights is not None else Weights(path.suffix == ".h5").set()
    if path.suffix == ".h5":
        assert isinstance(stored, Weights)
        stored.file.attrs["model_config"] = text
        path.write_bytes(stored.bytes())
        return str(path)
    data = stored.bytes() if isinstance(stored, Weights) else stored
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.15.1"}')
        archive.writestr("config.json", text)
        archive.writestr("model.weights.h5", data)
        for name, extra in (members or {}).items():
            archive.writestr(name, extra)
    return str(path)
