"""A metric of the user's on samples with labels: how much of it a model of low precision loses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt

from dagir.equivalence.oracle import Expected
from dagir.equivalence.samples import read_array
from dagir.errors import ArgumentError
from dagir.ir.types import Array

ACCURACY = "accuracy"


@dataclass(frozen=True, eq=False)
class Metric:
    """What is asked of a narrow model on samples with labels, beside how close its outputs are.

    name: "accuracy", of the class that has the largest element of the last axis (of an axis of size 1: whether it is
    above 0.5); or f(labels, output) -> float, larger is better. labels: whole numbers, one for each row of the first
    output, or the path of an .npy file. max_drop: how much lower than the model's it may be.

    >>> x = dagir.Input((3,), name="x")
    >>> model = dagir.Model(x, ops.softmax(x))
    >>> samples, labels = np.eye(3, dtype="float32"), [0, 1, 2]
    >>> dagir.verify(model, "numpy", samples, metric=dagir.Metric("accuracy", labels)).scores["numpy"].found
    1.0
    """

    name: str | Callable[[Array, Array], float]
    labels: npt.ArrayLike | PathLike[str] | str
    max_drop: float = 0.0

    def __post_init__(self) -> None:
        if self.name != ACCURACY and not callable(self.name):
            raise ArgumentError(f"there is no metric {self.name!r}", remedy="use 'accuracy', or f(labels, output)")
        drop = self.max_drop
        if isinstance(drop, bool) or not isinstance(drop, (int, float)) or not 0 <= drop < float("inf"):
            raise ArgumentError(f"max_drop is a number from 0, got {drop!r}")

    @property
    def title(self) -> str:
        """The name of the metric."""
        return self.name if isinstance(self.name, str) else getattr(self.name, "__name__", "the metric")

    def known_labels(self, inputs: object) -> Array:
        """The labels of given inputs. Raises ArgumentError where none are given or are no numbers, FileError."""
        if inputs is None:
            raise ArgumentError(
                "a metric is of given samples",
                remedy="give them, as an array or a file (.npz, .npy): calibrate= of to_onnx, inputs= of verify",
            )
        found: Any = self.labels
        if isinstance(found, (str, PathLike)):
            found = read_array(found, "the labels", "np.save('labels.npy', classes) writes such a file")
        try:
            array = np.asarray(found)
        except ValueError:
            raise ArgumentError("the labels are no array: their rows have different lengths") from None
        if array.dtype.kind not in "biuf" or array.ndim == 0:
            raise ArgumentError(f"the labels are numbers, one for each sample, got {array.dtype} {list(array.shape)}")
        if self.name == ACCURACY and array.dtype.kind == "f" and not (array == np.round(array)).all():
            raise ArgumentError("the labels of an accuracy are whole numbers: the places of the classes")
        return array

    def of(self, labels: Array, output: Array) -> float:
        """The metric of one output. Raises ArgumentError where the labels are not as many as its rows."""
        if not output.ndim or len(labels) != len(output):
            rows = len(output) if output.ndim else "no"
            raise ArgumentError(f"there are {len(labels)} labels, and the output has {rows} rows")
        if not isinstance(self.name, str):
            return float(self.name(labels, output))
        classes = output[..., 0] > 0.5 if output.shape[-1] == 1 or output.ndim == 1 else output.argmax(-1)
        if output.ndim == 1:
            classes = output > 0.5
        labels = labels[..., 0] if labels.shape == (*classes.shape, 1) else labels
        if labels.shape != classes.shape:
            raise ArgumentError(f"the labels have shape {list(labels.shape)}, the classes {list(classes.shape)}")
        return float((classes == labels).mean())


@dataclass(frozen=True)
class Score:
    """A metric of one side. model: of the model in float64. found: of the side."""

    name: str
    model: float
    found: float
    max_drop: float

    @property
    def ok(self) -> bool:
        """Whether it is not lower than allowed; the last digits of a mean do not count."""
        return self.model - self.found <= self.max_drop + 1e-12

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {"metric": self.name, "model": self.model, "found": self.found, "max_drop": self.max_drop, "ok": self.ok}

    def __str__(self) -> str:
        allowed = "" if self.ok else f": it drops by {self.model - self.found:.4g}, and {self.max_drop:g} is allowed"
        return f"{self.name} {self.found:.4f}, of the model {self.model:.4f}{allowed}"


def scores(
    metric: Metric,
    labels: Array,
    runs: Sequence[tuple[list[Array], list[Expected]]],
    firsts: Mapping[str, Sequence[Array]],
) -> dict[str, Score]:
    """The metric of the first output of each side, by name. Raises ArgumentError where the labels do not fit.

    runs: the inputs with the answers of the model. firsts: of each side, the first outputs.
    """
    right = metric.of(labels, np.concatenate([expected[0].array for _, expected in runs]))
    found = {name: metric.of(labels, np.concatenate(list(arrays))) for name, arrays in firsts.items()}
    return {name: Score(metric.title, right, number, metric.max_drop) for name, number in found.items()}
