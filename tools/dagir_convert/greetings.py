"""Importing Keras without what TensorFlow says to stderr meanwhile, which no setting of its own silences."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator


def import_keras() -> None:
    """Import Keras, if it is installed and not imported yet. What it says is shown only if that fails."""
    if "keras" not in sys.modules and importlib.util.find_spec("keras") is not None:
        with _hushed(), contextlib.suppress(ImportError):  # whoever needs it says what is missing
            importlib.import_module("keras")


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Keep from stderr, the libraries' own included, what is written meanwhile; an error brings it back."""
    try:
        stderr = os.dup(2)
    except OSError:  # it is closed
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
