"""Keras-style layers: names, arguments and defaults are Keras 3's."""

from dagir.layers.activation import ELU, Activation, LeakyReLU, ReLU, Softmax
from dagir.layers.base import Layer
from dagir.layers.conv import (
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Conv3DTranspose,
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
)
from dagir.layers.core import Dense, Embedding, Identity, Input, InputLayer

__all__ = [
    "ELU",
    "Activation",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Embedding",
    "Identity",
    "Input",
    "InputLayer",
    "Layer",
    "LeakyReLU",
    "ReLU",
    "SeparableConv1D",
    "SeparableConv2D",
    "Softmax",
]
