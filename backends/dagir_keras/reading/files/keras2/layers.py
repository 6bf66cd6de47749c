"""Layers of older versions of Keras that the current one does not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagir import layers, ops
from dagir.errors import ArgumentError
from dagir.ir.graph import Value
from dagir.layers import Layer
from dagir_keras.reading.files.keras2 import replaced
from dagir_keras.reading.files.keras2.images import (
    RandomCropOrResizing,
    RandomHeight,
    RandomWidth,
    ResizingByArea,
    UpSampling2DByArea,
    UpSampling2DOnCorners,
)
from dagir_keras.reading.files.keras2.locally_connected import LocallyConnected1D, LocallyConnected2D
from dagir_keras.reading.files.keras2.normalization import BatchNormalizationOverAxes
from dagir_keras.reading.files.keras2.writer import Writer

_KEY = "what it is made as"


class ThresholdedReLU(Layer):
    """x above theta, else 0.  keras.layers.ThresholdedReLU of Keras 2."""

    supports_masking = True

    def __init__(self, theta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(theta, bool) or not isinstance(theta, (int, float)) or not theta >= 0:
            raise ArgumentError(f"ThresholdedReLU takes a theta of at least 0, got {theta!r}")
        self.theta = float(theta)

    def call(self, x: Value) -> Value:
        """x: f[*s] -> f[*s]."""
        return ops.where(ops.greater(x, self.theta), x, 0.0)


LAYERS: dict[str, type[Layer]] = {
    "ThresholdedReLU": ThresholdedReLU,
    "LocallyConnected1D": LocallyConnected1D,
    "LocallyConnected2D": LocallyConnected2D,
    "RandomHeight": RandomHeight,
    "RandomWidth": RandomWidth,
    "CuDNNLSTM": layers.LSTM,  # with other weights, which are converted
    "CuDNNGRU": layers.GRU,
    "SyncBatchNormalization": layers.BatchNormalization,  # across machines in training, the same at inference
}


def with_class_note(record: dict[str, Any], writer: Writer) -> dict[str, Any]:
    """The record, with a note of its class where the current layer of that name cannot do the same."""
    kind, config = str(record.get("class_name")), record["config"]
    found: type[Layer] | None = None
    if kind in ("BatchNormalization", "SyncBatchNormalization"):
        if isinstance(config.get("axis"), list) or config.get("virtual_batch_size") is not None:
            found = BatchNormalizationOverAxes
    elif kind == "RandomCrop" and writer.before(3, 6):
        found = RandomCropOrResizing
    elif kind == "UpSampling2D" and config.get("interpolation") == "area":
        found = UpSampling2DByArea
    elif kind == "UpSampling2D" and config.get("interpolation") == "bilinear" and writer.resizes_on_corners:
        found = UpSampling2DOnCorners
    elif kind == "Resizing" and config.get("interpolation") == "area":
        found = ResizingByArea
    if found is None:
        other = replaced.class_for(kind, config, writer)
        return record if other is None else {**record, _KEY: other}
    own = {key: part for key, part in config.items() if key != "interpolation"}
    return {**record, "config": own, _KEY: found}


def class_of(record: Mapping[str, Any]) -> type[Layer] | None:
    """The class that a note of a record says; None for that of its name."""
    found = record.get(_KEY)
    return found if isinstance(found, type) and issubclass(found, Layer) else None
