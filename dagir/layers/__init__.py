"""Keras-style layers: names, arguments and defaults are Keras 3's."""

from dagir.layers.activation import ELU, Activation, LeakyReLU, ReLU, Softmax
from dagir.layers.base import Layer
from dagir.layers.core import Dense, Embedding, Identity, Input, InputLayer

__all__ = [
    "ELU",
    "Activation",
    "Dense",
    "Embedding",
    "Identity",
    "Input",
    "InputLayer",
    "Layer",
    "LeakyReLU",
    "ReLU",
    "Softmax",
]
