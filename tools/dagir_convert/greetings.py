"""Import Keras without the messages that TensorFlow prints to stderr; TensorFlow has no setting to turn them off."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator


def import_keras() -> None:
    """Import Keras, if it is installed and not imported yet. Its messages are shown only if the import fails."""
    if "keras" not in sys.modules and importlib.util.find_spec("keras") is not None:
        with _hushed(), contextlib.suppress(ImportError):  # the code that needs Keras says what is missing
            importlib.import_module("keras")


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Capture everything that is written to stderr, also by C libraries; it is printed only if an error is raised."""
    try:
        stderr = os.dup(2)
    except OSError:  # stderr is closed
        yield
        return
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(stderr, kept.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
