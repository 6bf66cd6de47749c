"""Layers of Keras that dagir does not have, each with the reason."""

from __future__ import annotations

from dagir.support.did_you_mean import UnknownName

_FOREIGN = "holds a program of another framework, which has no graph of layers to take over"
REFUSED: dict[str, str] = {
    "TFSMLayer": f"{_FOREIGN}: a SavedModel of TensorFlow",
    "TorchModuleWrapper": f"{_FOREIGN}: a module of PyTorch",
    "JaxLayer": f"{_FOREIGN}: a function of JAX",
    "FlaxLayer": f"{_FOREIGN}: a module of Flax",
    "Hashing": "hashes strings with TensorFlow's FarmHash, which neither ONNX nor NumPy has",
    "HashedCrossing": "hashes strings with TensorFlow's FarmHash, which neither ONNX nor NumPy has",
    "Equalization": "evens out histograms, and is not written yet",
    "ContrastLimitedAdaptiveHistogramEqualization": "evens out histograms, and is not written yet",
    "MaxNumBoundingBoxes": "changes bounding boxes, which are dictionaries of labels and no part of a graph",
    "Pipeline": "runs layers one after the other, which is a Sequential here",
    "TextVectorization": "splits text with TensorFlow's regular expressions, which ONNX does not have",
}


def refusal(name: str) -> UnknownName | None:
    """The error with the reason, for a layer of Keras that is refused; None for any other name."""
    if name not in REFUSED:
        return None
    return UnknownName(
        f"layers.{name} is not offered: it {REFUSED[name]}",
        remedy="do its part of the work before the model, or write it with dagir.ops in a dagir.Layer",
    )
