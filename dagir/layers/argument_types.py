"""What the arguments of layers are, for type checkers: as Keras documents them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Concatenate, Protocol, TypeAlias, TypedDict, TypeVar

from dagir.ir.dims import Dim
from dagir.ir.graph import Value
from dagir.ir.types import Array, DType, DTypeLike


class Policy(Protocol):
    """A dtype policy of Keras: an object with a name."""

    @property
    def name(self) -> str:
        """The name of the policy: "float32"."""


Named: TypeAlias = str | Mapping[str, object]  # a name, or a configuration as Keras writes it
ActivationLike: TypeAlias = Named | Callable[[Value], Value]
InitializerLike: TypeAlias = Named | Array | Callable[[tuple[int, ...], DType], Array]
Regularizer: TypeAlias = Named | Callable[..., object]  # of training: Keras gets it
Constraint: TypeAlias = Named | Callable[..., object]  # of training: Keras gets it
LayerDType: TypeAlias = DTypeLike | Mapping[str, object] | Policy
BuildShape: TypeAlias = tuple[int | None, ...]  # what `build` is given; None for a size that is not known
Factor: TypeAlias = float | Sequence[float]  # an upper bound, or lower and upper
Range: TypeAlias = Sequence[float]  # the least and the greatest number
FillValue: TypeAlias = float  # of training: Keras checks it
State: TypeAlias = Value | Sequence[Value]
BatchSize: TypeAlias = Dim | str | None
Mask: TypeAlias = Value | Sequence[Value | None] | None  # of one value, or of each of several


class CellKind(TypedDict, total=False):
    """What a recurrent layer hands on to its cell."""

    trainable: bool
    dtype: LayerDType | None


class ModelOptions(TypedDict, total=False):
    """What a model takes of what a layer takes."""

    dtype: LayerDType | None
    autocast: bool
    activity_regularizer: Regularizer | None


class UnnamedOptions(ModelOptions, total=False):
    """What a layer takes that has `name` among its own arguments."""

    trainable: bool


class InputOptions(TypedDict, total=False):
    """What InputLayer takes of what a layer takes."""

    trainable: bool
    autocast: bool
    activity_regularizer: Regularizer | None


class StringLookupOptions(UnnamedOptions, total=False):
    """What StringLookup takes and leaves, as Keras writes it into configurations."""

    vocabulary_size: int | None
    oov_method: str


class LookupOptions(UnnamedOptions, total=False):
    """What IntegerLookup takes and leaves, as Keras writes it into configurations."""

    vocabulary_size: int | None


class NameAndDType(CellKind, total=False):
    """What every layer takes, but for what training alone needs."""

    autocast: bool
    name: str | None


class LayerOptions(NameAndDType, total=False):
    """What every layer takes."""

    activity_regularizer: Regularizer | None


class CellOptions(LayerOptions, total=False):
    """What a cell takes; `implementation` says how Keras computes, not what."""

    implementation: int


class RecurrentOptions(NameAndDType, total=False):
    """What LSTM, GRU and SimpleRNN take, as Keras takes it."""

    zero_output_for_mask: bool
    implementation: int


class BoxOptions(LayerOptions, total=False):
    """What a layer of images takes."""

    bounding_box_format: str | None


class ImageOptions(BoxOptions, total=False):
    """What a layer of images takes that does not name its data_format itself."""

    data_format: str | None


class BidirectionalOptions(LayerOptions, total=False):
    """Bidirectional's, of which the last is for what makes it again: its layers are copies already."""

    layers_are_own: bool


X_contra = TypeVar("X_contra", contravariant=True)
Y_co = TypeVar("Y_co", covariant=True)


class CalledOn(Protocol[X_contra, Y_co]):
    """A layer for a type checker: a call takes first what its own `call` takes first, and gives what that gives."""

    @property
    def call(self) -> Callable[Concatenate[X_contra, ...], Y_co]:
        """What the layer computes."""


class Gives(Protocol[Y_co]):
    """A layer that is called with names alone."""

    @property
    def call(self) -> Callable[..., Y_co]:
        """What the layer computes."""
