"""The layers of public Keras examples, by kind, written here anew with TensorFlow's functions: models to convert."""

from keras_examples import (  # noqa: F401  # they fill the table
    attention,
    audio,
    detection,
    enhancement,
    forecasting,
    generation,
    graphs,
    similarity,
    tables,
    tags,
    text,
    tokens,
    vision,
)
from keras_examples.registry import EXAMPLES, Example

__all__ = ["EXAMPLES", "Example"]
