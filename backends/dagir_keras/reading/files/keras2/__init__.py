"""Translates files of older versions of Keras to the current configurations, which the reader knows.

The same name means different things in different versions: a file is read as the version that wrote it meant it. What
the current Keras cannot express is refused, with the layer. Nothing here imports Keras or TensorFlow.
"""

from __future__ import annotations

from dagir_keras.reading.files.keras2.calls import counts_from_zero, without_slash
from dagir_keras.reading.files.keras2.records import CLASS_IN_FILE, as_written_today
from dagir_keras.reading.files.keras2.refusals import check_readable, refuse_if_marked
from dagir_keras.reading.files.keras2.running import call_as_written
from dagir_keras.reading.files.keras2.writer import Writer

__all__ = [
    "CLASS_IN_FILE",
    "Writer",
    "as_written_today",
    "call_as_written",
    "check_readable",
    "counts_from_zero",
    "refuse_if_marked",
    "without_slash",
]
