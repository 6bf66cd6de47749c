"""Core layers: Input, Dense, Identity, Embedding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Never, Unpack

import numpy.typing as npt

from dagir import ops
from dagir.errors import ArgumentError, DTypeError, ShapeError
from dagir.ir.graph import Structure, Value
from dagir.ir.naming import auto_name
from dagir.ir.types import DType, Shape, Size, TensorType, shape_from_user
from dagir.layers import activation as activations
from dagir.layers.argument_types import (
    ActivationLike,
    BatchSize,
    Constraint,
    InitializerLike,
    InputOptions,
    LayerDType,
    LayerOptions,
    Mask,
    NameAndDType,
    Regularizer,
)
from dagir.layers.arguments import dtype_of, not_taken, unknown_argument
from dagir.layers.base import Layer
from dagir.support.location import LayerCall, caller

__all__ = [
    "Dense",
    "Embedding",
    "Identity",
    "Input",
    "InputLayer",
    "ReversibleEmbedding",
]


class InputLayer(Layer):
    """The layer of an input of a model.  keras.layers.InputLayer.

    shape, batch_size, batch_shape: as for `Input`. sparse, ragged, input_tensor, optional: refused.

    >>> layers.InputLayer(("time", 3), name="steps").output
    <Value steps float32[batch, time, 3]>
    """

    def __init__(
        self,
        shape: Sequence[Size] | None = None,
        batch_size: BatchSize | None = None,
        dtype: LayerDType | None = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Sequence[Size] | None = None,
        input_tensor: object = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Unpack[InputOptions],
    ) -> None:
        super().__init__(name=name, **kwargs)
        _dense_only(sparse=sparse, ragged=ragged, tensor=input_tensor, optional=optional)
        if (shape is None) == (batch_shape is None):
            raise ArgumentError("Input takes either shape= (without the batch) or batch_shape=, and not both")
        if batch_shape is None:
            batch = "batch" if batch_size is None else batch_size
            sizes = (*shape_from_user((batch,), self.name), *_after_batch(shape, self.name))
        else:
            first = "batch" if list(batch_shape)[:1] == [None] else None
            sizes = shape_from_user([first or batch_shape[0], *batch_shape[1:]] if batch_shape else [], self.name)
        self.dtype = DType.FLOAT32 if dtype is None else DType.of(dtype)
        self.batch_shape = sizes
        call = LayerCall(self, None, caller())
        value = Value(TensorType(self.dtype, sizes), call, name=self.name)
        call.args, call.outputs = (value,), value
        self._calls.append(call)
        self.built = True

    def call(self, inputs: Value) -> Value:
        """x -> x."""
        return inputs

    def get_config(self) -> dict[str, Any]:
        """The batch shape, named sizes as text."""
        shape = [size if isinstance(size, int) else str(size) for size in self.batch_shape]
        return {"batch_shape": shape, "dtype": str(self.dtype), "name": self.name}


def _dense_only(**arguments: object) -> None:
    for name, value in arguments.items():
        if value is not None and value is not False:
            raise ArgumentError(
                f"Input takes no {name}: a value of a graph is a dense tensor that every call gives",
                remedy="give dense arrays when the model runs",
            )


def _after_batch(shape: Sequence[Size] | None, name: str) -> Shape:
    """Read a shape without its batch; fresh names count axes with the batch as axis 0."""
    if not isinstance(shape, (list, tuple)):
        return shape_from_user(shape, name)  # type: ignore[arg-type]  # which raises
    return shape_from_user((1, *(shape or ())), name)[1:]


def Input(  # noqa: N802  # Keras's name
    shape: Sequence[Size] | None = None,
    batch_size: BatchSize | None = None,
    dtype: LayerDType | None = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[Size] | None = None,
    name: str | None = None,
    tensor: object = None,
    optional: bool = False,
    **unknown: Never,
) -> Value:
    """A new input. shape: without the batch; a size may be an int, a name such as "time", or None (a fresh name).

    The batch is the named size "batch" unless batch_size or batch_shape gives it. dtype: float32 by default.
    sparse, ragged, tensor and optional are Keras's, and refused. Returns a Value of dtype[batch, *shape].
    Raises ArgumentError.
    An unknown argument is refused.

    >>> dagir.Input(("time", 3), name="steps")
    <Value steps float32[batch, time, 3]>
    """
    if unknown:
        raise unknown_argument(Input, sorted(unknown)[0])
    if isinstance(shape, int):
        sizes = [size for size in (shape, batch_size, dtype) if isinstance(size, int)]
        raise ArgumentError(f"a shape is a tuple, got {shape!r}", remedy=f"write Input({tuple(sizes)!r})")
    _dense_only(sparse=sparse, ragged=ragged, tensor=tensor, optional=optional)
    named = name or auto_name("input_layer")
    layer = InputLayer(shape, batch_size, dtype, batch_shape=batch_shape, name=named)
    value: Value = layer.output
    return value


def positive_int(layer: str, name: str, number: object) -> int:
    """`number` if it is an int above 0. Raises ArgumentError that names the argument."""
    if isinstance(number, bool) or not isinstance(number, int) or number <= 0:
        raise ArgumentError(f"{layer} takes a positive int for {name}, got {number!r}")
    return number


class Dense(Layer):
    """activation(x @ kernel + bias) on the last axis.  keras.layers.Dense.

    >>> layers.Dense(3)(dagir.Input((4,)))
    <Value dense float32[batch, 3]>
    """

    supports_masking = True

    def __init__(
        self,
        units: int,
        activation: ActivationLike | None = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: Regularizer | None = None,
        bias_regularizer: Regularizer | None = None,
        activity_regularizer: Regularizer | None = None,
        kernel_constraint: Constraint | None = None,
        bias_constraint: Constraint | None = None,
        lora_rank: None = None,
        lora_alpha: None = None,
        quantization_config: None = None,
        **kwargs: Unpack[NameAndDType],
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        not_taken(self, lora_rank=lora_rank, lora_alpha=lora_alpha, quantization_config=quantization_config)
        self.units = positive_int("Dense", "units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """kernel [i, units], bias [units]."""
        if not input_shape:
            raise ShapeError(f"Dense layer {self.name!r} takes values of rank 1 or more, got a scalar")
        self.kernel = self.add_weight((input_shape[-1], self.units), self.kernel_initializer, name="kernel")
        self.bias = self.add_weight((self.units,), self.bias_initializer, name="bias") if self.use_bias else None

    def call(self, inputs: Value) -> Value:
        """x: f[*d, i] -> f[*d, units]."""
        return self.activation(ops.linear(inputs, self.kernel, self.bias))


class Identity(Layer):
    """x itself.  keras.layers.Identity.

    >>> layers.Identity()(dagir.Input((4,)))
    <Value identity float32[batch, 4]>
    """

    supports_masking = True

    def __init__(self, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)

    def call(self, inputs: Value) -> Value:
        """x -> x."""
        return ops.identity(inputs)


def refuse_text(layer: str, ids: object) -> None:
    """Raise DTypeError for text where ids are taken."""
    if isinstance(ids, Value) and ids.dtype is DType.STRING:
        raise DTypeError(f"{layer} takes numbers as ids, got {ids.dtype}", remedy="begin with a StringLookup")


def as_ids(numbers: Value, dtype: DType = DType.INT32) -> Value:
    """Numbers as ids, in Keras's way: without their fractions."""
    return numbers if numbers.dtype.is_integer else ops.cast(numbers, dtype)


class Embedding(Layer):
    """Row `id` of a table for each id. With mask_zero, id 0 is padding and makes a mask.  keras.layers.Embedding.

    Ids of a float dtype are cast as Keras casts them: 1.9 is row 1, and 0.3 is row 0, yet no padding.
    input_dim: how many ids there are. output_dim: the size of a vector. weights: a list of one array, to begin
    with.

    >>> layers.Embedding(1000, 16)(dagir.Input(("time",), dtype="int32"))
    <Value embedding float32[batch, time, 16]>
    """

    takes_floats = True  # as every Embedding does: configurations written before may say so
    set_by_readers: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"takes_floats": bool}

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: InitializerLike = "uniform",
        embeddings_regularizer: Regularizer | None = None,
        embeddings_constraint: Constraint | None = None,
        mask_zero: bool = False,
        weights: Sequence[npt.ArrayLike] | None = None,
        lora_rank: None = None,
        lora_alpha: None = None,
        quantization_config: None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        not_taken(self, lora_rank=lora_rank, lora_alpha=lora_alpha, quantization_config=quantization_config)
        self.input_dim = positive_int("Embedding", "input_dim", input_dim)
        self.output_dim = positive_int("Embedding", "output_dim", output_dim)
        self.embeddings_initializer, self.mask_zero = embeddings_initializer, mask_zero
        self.initial_weights = weights

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """embeddings [input_dim, output_dim]."""
        self.embeddings = self.add_weight(
            (self.input_dim, self.output_dim), self.embeddings_initializer, name="embeddings"
        )
        if self.initial_weights is not None:
            self.set_weights(self.initial_weights)

    def check_dtype(self, inputs: object) -> None:
        """Only numbers are ids."""
        refuse_text("Embedding", inputs)

    def call(self, inputs: Value) -> Value:
        """ids: int[*s] -> f[*s, output_dim]."""
        return ops.embedding(as_ids(inputs), self.embeddings)

    def compute_mask(self, inputs: Value, mask: Mask = None) -> Value | None:
        """ids != 0, where mask_zero."""
        return ops.not_equal(inputs, 0) if self.mask_zero else None


class ReversibleEmbedding(Embedding):
    """Embedding that also goes back: called with reverse=True it projects from output_dim to input_dim.

    With tie_weights by the transposed table, else by a weight of its own. keras.layers.ReversibleEmbedding.
    mask_zero: id 0 is masked. reverse_dtype: of the logits. logit_soft_cap: logits become cap * tanh(logits / cap).

    >>> layers.ReversibleEmbedding(1000, 16)(dagir.Input(("time",), dtype="int32"))
    <Value reversible_embedding float32[batch, time, 16]>
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        tie_weights: bool = True,
        embeddings_initializer: InitializerLike = "uniform",
        embeddings_regularizer: Regularizer | None = None,
        embeddings_constraint: Constraint | None = None,
        mask_zero: bool = False,
        reverse_dtype: LayerDType | None = None,
        logit_soft_cap: float | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(input_dim, output_dim, embeddings_initializer, mask_zero=mask_zero, **kwargs)
        self.tie_weights, self.logit_soft_cap = bool(tie_weights), logit_soft_cap
        self.reverse_dtype = None if reverse_dtype is None else dtype_of(reverse_dtype)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """embeddings [input_dim, output_dim]; unless tied, reverse_embeddings [output_dim, input_dim]."""
        super().build(input_shape)
        if not self.tie_weights:
            shape = (self.output_dim, self.input_dim)
            self.reverse_embeddings = self.add_weight(shape, self.embeddings_initializer, name="reverse_embeddings")

    def check_dtype(self, inputs: object) -> None:
        """Nothing: `call` checks ids or features, by its direction."""

    def call(self, inputs: Value, reverse: bool = False) -> Value:
        """ids: int[*s] -> f[*s, output_dim]; with reverse, x: f[*s, output_dim] -> f[*s, input_dim]."""
        if reverse:
            return self._project(inputs)
        refuse_text("ReversibleEmbedding", inputs)
        found = super().call(inputs)
        found.attach_mask(super().compute_mask(inputs))
        return found

    def _project(self, inputs: Value) -> Value:
        kernel = ops.transpose(self.embeddings) if self.tie_weights else self.reverse_embeddings.value
        if self.reverse_dtype is not None:
            inputs, kernel = ops.cast(inputs, self.reverse_dtype), ops.cast(kernel, self.reverse_dtype)
        logits = ops.matmul(inputs, kernel)
        if self.logit_soft_cap is None:
            return logits
        return ops.tanh(logits / self.logit_soft_cap) * self.logit_soft_cap

    def compute_mask(self, inputs: Structure, mask: Mask = None) -> None:
        """None: `call` knows the direction, and sets the mask itself."""
