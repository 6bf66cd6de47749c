"""The ten networks of low_precision.py, with samples to calibrate with and others to judge by."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import onnxruntime
from networks import NETWORKS as BUILDERS

import dagir
from dagir import layers

Arrays = dict[str, np.ndarray]
TRAINED = Path(__file__).resolve().parents[2] / "tests" / "precision" / "trained"
RATE = 16000


@dataclass(frozen=True)
class Subject:
    """A network. samples, others: by input, arrays of samples. labels: of the others.

    axes: of inputs, the axis that counts samples, if that is not 0, or None for an input that is the same in all runs.
    published: the file that was read, if it is ONNX.
    """

    name: str
    model: dagir.Model
    samples: Arrays
    others: Arrays
    labels: np.ndarray | None = None
    axes: Mapping[str, int | None] = field(default_factory=dict)
    published: Path | None = None

    def feeds(self, given: Arrays) -> list[Arrays]:
        """One feed for each sample."""
        return [self._feed(given, place) for place in range(len(next(iter(given.values()))))]

    def _feed(self, given: Arrays, place: int) -> Arrays:
        axes = {name: self.axes.get(name, 0) for name in given}
        return {name: array if axes[name] is None else array.take([place], axes[name]) for name, array in given.items()}


def application(name: str, work: Path) -> Subject:
    """A class of keras.applications, with weights and statistics as if it had been trained."""
    path = work / f"{name}.keras"
    if not path.exists():
        from applications import settled

        settled(name).save(path)
    return of_images(name, dagir.from_keras(path), 224, 3, 255.0)


def images(size: int, channels: int, count: int, seed: int) -> np.ndarray:
    """Images from 0 to 1 with structure at every scale."""
    rng = np.random.default_rng(seed)
    found = np.zeros((count, size, size, channels))
    for tile in (4, 16, 64, 128):
        grid = rng.normal(size=(count, -(-size // tile), -(-size // tile), channels))
        found += grid.repeat(tile, 1).repeat(tile, 2)[:, :size, :size]
    return np.clip(0.5 + 0.16 * found, 0, 1).astype("float32")


def of_images(name: str, model: dagir.Model, size: int, channels: int, largest: float) -> Subject:
    ((title, _),) = model.signature.inputs
    samples, others = ({title: largest * images(size, channels, count, seed)} for count, seed in ((8, 1), (16, 2)))
    return Subject(name, model, samples, others)


def built(name: str, work: Path) -> Subject:
    """A network of networks.py with fresh weights."""
    model = dagir.Model(*BUILDERS[name](layers), name=name)
    ((title, type),) = model.signature.inputs
    rng = np.random.default_rng(0)
    samples, others = ({title: correlated(rng, (count, *type.shape[1:]))} for count in (16, 32))
    return Subject(name, model, samples, others)


def correlated(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Series that move slowly along axis 1."""
    steps = rng.normal(size=shape)
    for place in range(1, shape[1]):
        steps[:, place] = 0.8 * steps[:, place - 1] + 0.6 * steps[:, place]
    return steps.astype("float32")


def tones(count: int, length: int, seed: int) -> np.ndarray:
    """Sound: harmonics that swell and end, and noise."""
    rng = np.random.default_rng(seed)
    at = np.arange(length) / RATE
    found = 0.01 * rng.normal(size=(count, length))
    for number in range(count):
        for _ in range(4):
            pitch, start = rng.uniform(90, 900), rng.uniform(0, at[-1])
            swell = np.exp(-np.square((at - start) / (0.3 * at[-1])))
            for harmonic in range(1, 9):
                found[number] += 0.1 / harmonic * swell * np.sin(2 * np.pi * pitch * harmonic * at + rng.uniform(0, 6))
    return np.clip(found, -1, 1).astype("float32")


def digits(name: str, work: Path) -> Subject:
    """A network trained on the first 1,200 of scikit-learn's digits, in an order of its own; the rest judge it."""
    from sklearn.datasets import load_digits

    pictures, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(pictures))
    pictures = (pictures.reshape(-1, 8, 8, 1) / 16).astype("float32")[order]
    model = dagir.load(TRAINED / f"{name}.dagir")
    ((title, _),) = model.signature.inputs
    return Subject(name, model, {title: pictures[:256]}, {title: pictures[1200:]}, labels[order][1200:])


def emotions(work: Path) -> Subject:
    """fer's network of faces of 64 x 64."""
    return of_images("fer", dagir.from_keras(work / "emotion_model.hdf5"), 64, 1, 1.0)


def detector(work: Path) -> Subject:
    """rapidocr's detector of text, channels first, at 320 x 320."""
    model = dagir.from_onnx(path := work / "ch_PP-OCRv4_det_infer.onnx")
    ((title, _),) = model.signature.inputs
    samples, others = (
        {title: (2 * images(320, 3, count, seed) - 1).transpose(0, 3, 1, 2).copy()} for count, seed in ((8, 1), (8, 2))
    )
    return Subject("rapidocr", model, samples, others, published=path)


def pitches(work: Path) -> Subject:
    """basic-pitch, on two seconds of sound."""
    model = dagir.from_onnx(path := work / "nmp.onnx")
    ((title, _),) = model.signature.inputs
    samples, others = ({title: tones(count, 43844, seed)[..., None]} for count, seed in ((8, 1), (8, 2)))
    return Subject("basic-pitch", model, samples, others, published=path)


def voice(work: Path) -> Subject:
    """silero-vad for 16 kHz: chunks of sound, each with the state that the network has there."""
    path = work / "silero_vad_16k_op15.onnx"
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def chunks(seed: int) -> Arrays:
        state, found = np.zeros((2, 1, 128), "float32"), []
        for chunk in tones(1, 64 * 512 + 64, seed)[0][np.arange(576) + 512 * np.arange(64)[:, None]]:
            found.append((chunk, state[:, 0]))
            feed = {"input": chunk[None], "state": state, "sr": np.asarray(RATE)}
            state = session.run(["stateN"], feed)[0]
        sounds, states = zip(*found[::2], strict=True)
        return {"input": np.stack(sounds), "state": np.stack(states, 1), "sr": np.asarray(RATE)}

    return Subject(
        "silero-vad", dagir.from_onnx(path), chunks(1), chunks(2), axes={"state": 1, "sr": None}, published=path
    )


NETWORKS: dict[str, Callable[[Path], Subject]] = {
    "ResNet50": lambda work: application("ResNet50", work),
    "MobileNetV2": lambda work: application("MobileNetV2", work),
    "residual": lambda work: digits("residual", work),
    "depthwise": lambda work: digits("depthwise", work),
    "lstm": lambda work: built("lstm", work),
    "transformer": lambda work: built("transformer", work),
    "silero-vad": voice,
    "basic-pitch": pitches,
    "rapidocr": detector,
    "fer": emotions,
}
