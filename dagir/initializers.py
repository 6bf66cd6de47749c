"""Initializers of weights: the names, classes, defaults and distributions of keras.initializers.

The random numbers for a seed are NumPy's, not TensorFlow's: the distribution is the same, and every run repeats them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np

from dagir.errors import ArgumentError
from dagir.ir.arrays import frozen, owned
from dagir.ir.graph import Initializer
from dagir.ir.types import Array, DType
from dagir.support.did_you_mean import did_you_mean

_generator = np.random.default_rng()


def seed(number: int) -> None:
    """Seed the generator of initial weights: all weights that are drawn after this call are reproducible."""
    global _generator  # noqa: PLW0603  # one generator for the whole process, as in Keras
    _generator = np.random.default_rng(number)


def fans(
    shape: tuple[int, ...], input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
) -> tuple[float, float]:
    """(fan in, fan out) of a weight shape, as in Keras: receptive field times channels, or sizes of the given axes."""
    if input_axes is not None and output_axes is not None:
        return float(math.prod(shape[axis] for axis in input_axes)), float(math.prod(shape[a] for a in output_axes))
    if not shape:
        return 1.0, 1.0
    if len(shape) == 1:
        return float(shape[0]), float(shape[0])
    field = math.prod(shape[:-2])
    return float(shape[-2] * field), float(shape[-1] * field)


@dataclass(frozen=True)
class _Base:
    """The base of all initializers: a callable (shape, dtype) -> array, with a configuration like in Keras."""

    def __call__(self, shape: tuple[int, ...], dtype: DType) -> Array:
        """An array of the shape and dtype."""
        return frozen(np.asarray(self._values(shape)).astype(dtype.numpy))

    def _values(self, shape: tuple[int, ...]) -> Array:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The constructor arguments that make an equal initializer."""
        return asdict(self)


@dataclass(frozen=True)
class Zeros(_Base):
    """0 everywhere."""

    def _values(self, shape: tuple[int, ...]) -> Array:
        return np.zeros(shape)


@dataclass(frozen=True)
class Ones(_Base):
    """1 everywhere."""

    def _values(self, shape: tuple[int, ...]) -> Array:
        return np.ones(shape)


@dataclass(frozen=True)
class Constant(_Base):
    """`value` everywhere."""

    value: float = 0.0

    def _values(self, shape: tuple[int, ...]) -> Array:
        return np.full(shape, self.value)


@dataclass(frozen=True)
class Identity(_Base):
    """gain on the diagonal of a matrix, 0 elsewhere."""

    gain: float = 1.0

    def _values(self, shape: tuple[int, ...]) -> Array:
        if len(shape) != 2:
            raise ArgumentError(f"the Identity initializer makes matrices, the weight has shape {shape}")
        return self.gain * np.eye(*shape)


@dataclass(frozen=True)
class _Drawn(_Base):
    def _rng(self) -> np.random.Generator:
        given = getattr(self, "seed", None)
        return _generator if given is None else np.random.default_rng(given)


@dataclass(frozen=True)
class RandomNormal(_Drawn):
    """The normal distribution."""

    mean: float = 0.0
    stddev: float = 0.05
    seed: int | None = None

    def _values(self, shape: tuple[int, ...]) -> Array:
        return self._rng().normal(self.mean, self.stddev, shape)


@dataclass(frozen=True)
class RandomUniform(_Drawn):
    """The uniform distribution over [minval, maxval)."""

    minval: float = -0.05
    maxval: float = 0.05
    seed: int | None = None

    def _values(self, shape: tuple[int, ...]) -> Array:
        return self._rng().uniform(self.minval, self.maxval, shape)


@dataclass(frozen=True)
class TruncatedNormal(_Drawn):
    """The normal distribution; numbers beyond two standard deviations are drawn again."""

    mean: float = 0.0
    stddev: float = 0.05
    seed: int | None = None

    def _values(self, shape: tuple[int, ...]) -> Array:
        return self.mean + self.stddev * _truncated(self._rng(), shape)


def _truncated(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    values = np.asarray(rng.standard_normal(shape))
    outside = np.abs(values) > 2
    while outside.any():
        values[outside] = rng.standard_normal(int(outside.sum()))
        outside = np.abs(values) > 2
    return values


@dataclass(frozen=True)
class VarianceScaling(_Drawn):
    """Variance scale / fan; fan: the number of input units (fan_in), output units (fan_out), or their mean (fan_avg).

    distribution: "truncated_normal" (also called "normal"), "untruncated_normal" or "uniform". input_axes and
    output_axes: the axes of the weight that are input and output units; by default, the axes of a convolution kernel.
    """

    scale: float = 1.0
    mode: str = "fan_in"
    distribution: str = "truncated_normal"
    seed: int | None = None
    input_axes: Sequence[int] | None = None
    output_axes: Sequence[int] | None = None

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise ArgumentError(f"VarianceScaling takes a positive scale, got {self.scale!r}")
        for name, known in (("mode", _MODES), ("distribution", _DISTRIBUTIONS)):
            if getattr(self, name) not in known:
                raise ArgumentError(
                    f"VarianceScaling got {name} {getattr(self, name)!r}", remedy=f"use {', '.join(known)}"
                )

    def _values(self, shape: tuple[int, ...]) -> Array:
        fan_in, fan_out = fans(shape, self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, fan)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return self._rng().uniform(-limit, limit, shape)
        if self.distribution == "untruncated_normal":
            return math.sqrt(variance) * np.asarray(self._rng().standard_normal(shape))
        # truncation at two standard deviations reduces the variance; the constant compensates for that
        return math.sqrt(variance) / 0.87962566103423978 * _truncated(self._rng(), shape)


_MODES = ("fan_in", "fan_out", "fan_avg")
_DISTRIBUTIONS = ("truncated_normal", "normal", "untruncated_normal", "uniform")


@dataclass(frozen=True)
class _Scaled(VarianceScaling):
    """VarianceScaling with its first three arguments fixed by the class."""

    fixed: ClassVar[tuple[float, str, str]] = (1.0, "fan_in", "truncated_normal")

    def __init__(
        self,
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        scale, mode, distribution = self.fixed
        super().__init__(scale, mode, distribution, seed, input_axes, output_axes)

    def get_config(self) -> dict[str, Any]:
        """The constructor arguments that make an equal initializer."""
        return {"seed": self.seed, "input_axes": self.input_axes, "output_axes": self.output_axes}


class GlorotUniform(_Scaled):
    """Uniform, variance 1 / the mean of fan in and fan out; also called Xavier uniform."""

    fixed = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scaled):
    """Truncated normal, variance 1 / the mean of fan in and fan out; also called Xavier normal."""

    fixed = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Scaled):
    """Uniform, variance 2 / fan in."""

    fixed = (2.0, "fan_in", "uniform")


class HeNormal(_Scaled):
    """Truncated normal, variance 2 / fan in."""

    fixed = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Scaled):
    """Uniform, variance 1 / fan in."""

    fixed = (1.0, "fan_in", "uniform")


class LecunNormal(_Scaled):
    """Truncated normal, variance 1 / fan in."""


@dataclass(frozen=True)
class Orthogonal(_Drawn):
    """gain times a random matrix with orthogonal columns (or rows, if it has fewer rows); columns are the last axis."""

    gain: float = 1.0
    seed: int | None = None

    def _values(self, shape: tuple[int, ...]) -> Array:
        if len(shape) < 2:
            raise ArgumentError(f"the Orthogonal initializer needs two axes or more, the weight has shape {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(self._rng().standard_normal((max(rows, columns), min(rows, columns))))
        q = q * np.sign(np.diag(r))
        return self.gain * np.asarray(q if rows >= columns else q.T).reshape(shape)


_CLASSES: dict[str, type[_Base]] = {
    cls.__name__: cls
    for cls in (
        *(Zeros, Ones, Constant, Identity, RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling),
        *(GlorotUniform, GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal, Orthogonal),
    )
}
_BY_NAME: dict[str, type[_Base]] = {
    **_CLASSES,
    **{re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): cls for name, cls in _CLASSES.items()},
    **{"one": Ones, "zero": Zeros, "normal": RandomNormal, "uniform": RandomUniform},
    **{"IdentityInitializer": Identity, "OrthogonalInitializer": Orthogonal},
}


def get(initializer: Any) -> Initializer:
    """The initializer for a Keras name, a Keras configuration, an array, or a callable f(shape, dtype).

    Raises ArgumentError, which lists the nearest names.
    """
    if isinstance(initializer, type) and issubclass(initializer, _Base):
        return initializer()
    if callable(initializer):
        return initializer  # type: ignore[no-any-return]
    if isinstance(initializer, Mapping):
        return _from_config(initializer)
    if isinstance(initializer, np.ndarray):
        return _given(owned(initializer))
    found = _BY_NAME.get(initializer) if isinstance(initializer, str) else None
    if found is None:
        remedy = did_you_mean(initializer, _BY_NAME) or f"use one of {', '.join(sorted(_CLASSES))}"
        raise ArgumentError(f"unknown initializer {initializer!r}", remedy=remedy)
    return found()


def _from_config(config: Mapping[str, object]) -> Initializer:
    name, arguments = config.get("class_name"), config.get("config") or {}
    if not isinstance(name, str) or name not in _BY_NAME or not isinstance(arguments, Mapping):
        raise ArgumentError(
            f"unknown initializer {name!r}", remedy=f"its class_name is one of {', '.join(sorted(_CLASSES))}"
        )
    seed = arguments.get("seed")
    if isinstance(seed, Mapping):  # a SeedGenerator
        arguments = {**arguments, "seed": (seed.get("config") or {}).get("seed")}
    try:
        return _BY_NAME[name](**arguments)
    except TypeError as error:
        raise ArgumentError(f"the configuration of initializer {name} does not fit it: {error}") from None


def _given(array: Array) -> Initializer:
    def initialize(shape: tuple[int, ...], dtype: DType) -> Array:
        if array.shape != tuple(shape):
            raise ArgumentError(f"the initial array has shape {array.shape}, the weight has {shape}")
        return frozen(array.astype(dtype.numpy, copy=False))

    return initialize


def serialize(initializer: object) -> dict[str, object] | None:
    """The configuration of an initializer of this module, in the form that Keras reads; None for any other callable."""
    if _CLASSES.get(type(initializer).__name__) is not type(initializer):  # a user's class may have the same name
        return None
    return {"class_name": type(initializer).__name__, "config": initializer.get_config()}


def with_axes(initializer: object, input_axes: Sequence[int], output_axes: Sequence[int]) -> Initializer:
    """The initializer with the input and output axes of the weight set, if it uses them and they are not set yet."""
    made = get(initializer)
    if not isinstance(made, VarianceScaling) or (made.input_axes is not None and made.output_axes is not None):
        return made
    axes = {"input_axes": tuple(input_axes), "output_axes": tuple(output_axes)}
    return type(made)(seed=made.seed, **axes) if isinstance(made, _Scaled) else replace(made, **axes)  # type: ignore[arg-type]
