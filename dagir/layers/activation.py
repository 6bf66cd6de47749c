"""Activation layers, and the activation functions that other layers name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, Unpack

from dagir import ops
from dagir.errors import ArgumentError
from dagir.ir.graph import Structure, Value
from dagir.ir.operands import as_value
from dagir.layers.argument_types import ActivationLike, Constraint, InitializerLike, LayerOptions, Regularizer
from dagir.layers.base import Layer
from dagir.support.did_you_mean import did_you_mean
from dagir.support.frameworks import refuse_function

__all__ = [
    "ELU",
    "Activation",
    "LeakyReLU",
    "PReLU",
    "ReLU",
    "Softmax",
]

ActivationFunction: TypeAlias = Callable[[Value], Value]

_SAME = (  # dagir.ops has them with the same names and defaults
    *("relu", "sigmoid", "tanh", "softmax", "log_softmax", "softplus", "softsign", "silu", "swish", "hard_sigmoid"),
    *("elu", "selu", "leaky_relu", "relu6", "celu", "glu", "hard_silu", "hard_swish", "hard_tanh", "hard_shrink"),
    *("soft_shrink", "tanh_shrink", "log_sigmoid", "squareplus", "sparse_plus", "sparse_sigmoid", "sparsemax"),
)
_BY_NAME: dict[str, ActivationFunction] = {
    **{name: getattr(ops, name) for name in _SAME},
    "linear": lambda x: x,
    "gelu": lambda x: ops.gelu(x, approximate=False),
    "exponential": ops.exp,
    "mish": lambda x: x * ops.tanh(ops.softplus(x)),
}


def get(activation: ActivationLike | None) -> ActivationFunction:
    """The function for a Keras name, a Keras configuration, a callable, or None (linear).

    Raises ArgumentError with the nearest names.
    """
    if activation is None:
        return _BY_NAME["linear"]
    if isinstance(activation, Mapping):
        return _from_config(activation)
    if callable(activation):
        name = name_of_keras(activation)
        if name is not None:
            return _BY_NAME[name]
        refuse_function(activation, "an activation of dagir is", "name it, as in activation='relu', or use dagir.ops")
        function: ActivationFunction = activation
        return function
    if activation in _BY_NAME:
        return _BY_NAME[activation]
    if activation == "threshold":
        raise ArgumentError(
            "the activation 'threshold' needs two numbers, which a name has no place for",
            remedy="activation=lambda x: dagir.ops.threshold(x, threshold, default_value)",
        )
    remedy = did_you_mean(activation, _BY_NAME, instead=list(_BY_NAME))
    raise ArgumentError(f"unknown activation {activation!r}", remedy=remedy)


def name_of_keras(function: object) -> str | None:
    """The name of a function that is Keras's own; None for any other, whatever it is called.

    keras.activations and keras.ops are one but for gelu, which is the tanh form in keras.ops.
    """
    for module in ("activations", "ops"):  # in Keras 3.8, keras.activations is the module keras.api.activations
        known = vars(getattr(sys.modules.get("keras"), module, object))
        name = next((name for name in _BY_NAME if known.get(name) is function), None)
        if name is not None:
            return None if (module, name) == ("ops", "gelu") else name
    return None


def _from_config(config: Mapping[str, Any]) -> ActivationFunction:
    """A function by its name, or a layer that is an activation, with its arguments."""
    kind, content = config.get("class_name"), config.get("config")
    module, registered = str(config.get("module") or "keras"), config.get("registered_name")
    if module.partition(".")[0] not in ("keras", "builtins") or registered not in (None, kind):
        raise ArgumentError(
            f"the activation {registered or kind!r} of {module!r} is of its own, whatever its name",
            remedy="give the function itself, or a layer of dagir",
        )
    if kind == "function" or isinstance(content, str):
        return get(content)
    if isinstance(kind, str) and kind in _LAYERS and isinstance(content, Mapping):
        return _LAYERS[kind].from_config(dict(content))
    if isinstance(kind, str) and kind in _BY_NAME:
        return get(kind)
    raise ArgumentError(f"unknown activation {kind!r}", remedy=f"a layer among {', '.join(_LAYERS)}, or a function")


def name_of(activation: object) -> str | None:
    """The Keras name of what `get` takes; None where it has none."""
    if isinstance(activation, str):
        return activation
    return next((name for name, function in _BY_NAME.items() if function is activation), None)


class Activation(Layer):
    """Apply an activation function.  keras.layers.Activation.

    >>> layers.Activation("relu")(dagir.Input((4,)))
    <Value activation float32[batch, 4]>
    """

    supports_masking = True

    def __init__(self, activation: ActivationLike, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.activation = get(activation)

    def call(self, inputs: Value) -> Value:
        """x: f[*s] -> f[*s]."""
        return self.activation(inputs)


class ReLU(Layer):
    """max(x, 0) with a slope below `threshold` and a ceiling.  keras.layers.ReLU.

    max_value: the ceiling, None for none. negative_slope: the slope below the threshold.

    >>> layers.ReLU()(dagir.Input((4,)))
    <Value re_lu float32[batch, 4]>
    """

    supports_masking = True

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        for name, number in (("max_value", max_value), ("negative_slope", negative_slope), ("threshold", threshold)):
            if number is not None and number < 0:
                raise ArgumentError(f"ReLU takes {name} >= 0, got {number}")
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    def call(self, inputs: Value) -> Value:
        """x: f[*s] -> f[*s]."""
        x = inputs
        if self.threshold:
            kept = ops.where(ops.greater_equal(x, self.threshold), x, 0.0)
            x = ops.where(ops.less(x, self.threshold), (x - self.threshold) * self.negative_slope, kept)
        elif self.negative_slope:
            x = ops.leaky_relu(x, self.negative_slope)
        else:
            x = ops.relu(x)
        return x if self.max_value is None else ops.minimum(x, float(self.max_value))


class LeakyReLU(Layer):
    """x where positive, else negative_slope * x.  keras.layers.LeakyReLU.

    >>> layers.LeakyReLU()(dagir.Input((4,)))
    <Value leaky_re_lu float32[batch, 4]>
    """

    supports_masking = True

    def __init__(self, negative_slope: float = 0.3, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.negative_slope = negative_slope

    def call(self, inputs: Value) -> Value:
        """x: f[*s] -> f[*s]."""
        return ops.leaky_relu(inputs, self.negative_slope)


class ELU(Layer):
    """x where positive, else alpha * (e**x - 1).  keras.layers.ELU.

    >>> layers.ELU()(dagir.Input((4,)))
    <Value elu float32[batch, 4]>
    """

    supports_masking = True

    def __init__(self, alpha: float = 1.0, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha

    def call(self, inputs: Value) -> Value:
        """x: f[*s] -> f[*s]."""
        return ops.elu(inputs, self.alpha)


class PReLU(Layer):
    """x where positive, else alpha * x, alpha being a weight.  keras.layers.PReLU.

    alpha has the shape of x after the batch axis, with size 1 on `shared_axes`, which count the batch as axis 0.

    >>> layers.PReLU()(dagir.Input((4,)))
    <Value p_re_lu float32[batch, 4]>
    """

    supports_masking = True

    def __init__(
        self,
        alpha_initializer: InitializerLike = "Zeros",
        alpha_regularizer: Regularizer | None = None,
        alpha_constraint: Constraint | None = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        listed = [shared_axes] if isinstance(shared_axes, int) else list(shared_axes or ())
        if not all(isinstance(axis, int) and not isinstance(axis, bool) and axis >= 1 for axis in listed):
            raise ArgumentError(f"PReLU takes axes counted from 1 for shared_axes, got {shared_axes!r}")
        self.alpha_initializer, self.shared_axes = alpha_initializer, listed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """alpha, by the shape of x."""
        beyond = [axis for axis in self.shared_axes if axis >= len(input_shape)]
        if beyond:
            raise ArgumentError(f"PReLU shares axis {beyond[0]}, and its input has {len(input_shape)} axes")
        shape = [1 if axis in self.shared_axes else size for axis, size in enumerate(input_shape)][1:]
        self.alpha = self.add_weight(shape, self.alpha_initializer, name="alpha")

    def call(self, inputs: Value) -> Value:
        """x: f[n, *s] -> f[n, *s]."""
        return ops.prelu(inputs, self.alpha)


class Softmax(Layer):
    """e**x over its sum along `axis`, one or several; positions where the mask is False get 0.  keras.layers.Softmax.

    The mask broadcasts to x, and numbers in it count as True above 1/2.

    >>> layers.Softmax()(dagir.Input((4,)))
    <Value softmax float32[batch, 4]>
    """

    supports_masking = True

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Value, mask: Structure | None = None) -> Value:
        """x: f[*s], mask: bool[*s]? -> f[*s]."""
        axis = self.axis if isinstance(self.axis, int) else tuple(self.axis)
        if mask is None:
            return ops.softmax(inputs, axis)
        kept = as_value(mask)
        kept = kept if kept.dtype == "bool" else ops.greater(kept, 0.5 if kept.dtype.is_float else 0)
        low = -3e4 if inputs.dtype == "float16" else -1e9  # Keras's numbers
        return ops.where(kept, ops.softmax(ops.where(kept, inputs, low), axis), 0.0)


_LAYERS: dict[str, type[Layer]] = {cls.__name__: cls for cls in (ReLU, LeakyReLU, ELU, PReLU, Softmax, Activation)}
