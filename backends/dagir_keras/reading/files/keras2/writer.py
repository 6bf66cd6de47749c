"""The version of Keras that wrote a file, by its attributes or metadata, or else by its configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dagir.serialization.reading import shown

CURRENT = (3, 11)  # since this version no configuration changed its meaning
_CORRELATING = (None, "tensorflow", "cntk")  # backends of Keras 2 that do not flip the kernels of convolutions
_UNKNOWN_2 = (2, -1)  # older than any test for a version is


@dataclass(frozen=True)
class Writer:
    """version: major and minor, None if unknown. tensorflow: whether it is tf.keras, not the separate Keras."""

    version: tuple[int, int] | None
    tensorflow: bool = False
    backend: str | None = None
    said: str = ""
    ragged: bool = False  # whether it writes whether inputs are ragged, as TensorFlow since 1.15 does

    @staticmethod
    def of(version: Any, backend: Any = None, record: Any = None) -> Writer:
        """By the text of `keras_version`; without one, by the form of the configuration."""
        backend = backend if isinstance(backend, str) else None
        found = re.match(r"(\d{1,4})\.(\d{1,4})(?:\.|-|$)", version) if isinstance(version, str) else None
        if found is None:
            return Writer(_UNKNOWN_2 if _is_of_keras_2(record) else None, False, backend, "Keras 2 of unknown version")
        number = (int(found[1]), int(found[2]))
        tensorflow = str(version).endswith("-tf") or number >= (2, 4)
        ragged = tensorflow and number < (2, 3) and any("ragged" in part for part in _parts(record))
        return Writer(number, tensorflow, backend, f"Keras {shown(version)[1:-1]}", ragged)

    @staticmethod
    def of_metadata(text: bytes, record: Any) -> Writer:
        """By metadata.json of a .keras file; where that is damaged, by the configuration."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            data = None
        return Writer.of(data.get("keras_version") if isinstance(data, dict) else None, None, record)

    @property
    def is_keras_1(self) -> bool:
        """Whether its layers have the arguments of Keras 1."""
        return self.version is not None and self.version[0] < 2

    @property
    def is_keras_2(self) -> bool:
        """Whether it is any of Keras 2, tf.keras before TensorFlow 2.16 and tf_keras included."""
        return self.version is not None and self.version[0] == 2

    @property
    def is_current(self) -> bool:
        """Whether its configurations have their current meaning."""
        return self.version is None or self.version >= CURRENT

    @property
    def is_unknown(self) -> bool:
        """Whether it is of an unknown version of Keras 2."""
        return self.version == _UNKNOWN_2

    def before(self, major: int, minor: int) -> bool:
        """Whether it is, or may be, older than this version."""
        return self.version is not None and self.version < (major, minor)

    @cached_property
    def numbers_new_layers_only(self) -> bool:
        """Whether the weights of a .keras file are numbered without the layers that were written before."""
        return self.is_keras_2 and not self.before(2, 13)

    @cached_property
    def turns_kernels(self) -> bool:
        """Whether its convolutions flip their kernels, as those of Theano did."""
        return self.is_keras_2 and self.backend not in _CORRELATING

    @cached_property
    def resizes_on_corners(self) -> bool:
        """Whether bilinear resizing is TensorFlow 1's, which does not sample at the centers of pixels.

        So it is in every Keras 2 that is not a part of TensorFlow.
        """
        return self.is_keras_2 and not self.tensorflow and not self.is_unknown

    @cached_property
    def resizes_unknown(self) -> bool:
        """Whether it may be of a TensorFlow before or after the centers of pixels were sampled."""
        return self.is_unknown or (self.is_keras_2 and self.tensorflow and self.before(2, 3) and not self.ragged)


def _is_of_keras_2(record: Any) -> bool:
    """Whether a configuration has keys that Keras 3 does not write: batch_input_shape, modules of tf_keras."""
    return any(
        "batch_input_shape" in part or str(part.get("module")).startswith(("tf_keras.", "keras.src.engine."))
        for part in _parts(record)
    )


def _parts(record: Any) -> Iterator[dict[str, Any]]:
    """All dictionaries in a configuration."""
    waiting = [record]
    for part in waiting:  # which grows
        if isinstance(part, list):
            waiting += [inner for inner in part if isinstance(inner, (dict, list))]
        elif isinstance(part, dict):
            yield part
            waiting += [inner for inner in part.values() if isinstance(inner, (dict, list))]
