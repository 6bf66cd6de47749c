"""Files of older Kerases, said in the words of today's, before the reader that knows today's alone.

The same word means other things in other versions: what a file says is read as its writer meant it. What has no word
today is refused, with the layer; nothing here imports Keras or TensorFlow.
"""

from __future__ import annotations

from dagir_keras.reading.files.keras2.calls import counts_from_zero, without_slash
from dagir_keras.reading.files.keras2.records import as_written_today
from dagir_keras.reading.files.keras2.refusals import check_readable, refuse_if_marked
from dagir_keras.reading.files.keras2.running import call_as_written
from dagir_keras.reading.files.keras2.writer import Writer

__all__ = [
    "Writer",
    "as_written_today",
    "call_as_written",
    "check_readable",
    "counts_from_zero",
    "refuse_if_marked",
    "without_slash",
]
