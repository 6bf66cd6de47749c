"""What a layer does with its weights: make them, list them, set them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dagir import initializers
from dagir.errors import ArgumentError
from dagir.ir.graph import Parameter
from dagir.ir.types import DType, TensorType
from dagir.support.location import current_scope

if TYPE_CHECKING:
    from dagir.layers.base import Layer


class Weighted:
    """The weights of a layer and of the layers inside: the half of Layer that does not trace."""

    name: str
    dtype: DType
    _trainable: bool
    _weights: list[Parameter]
    _sublayers: dict[Layer, None]  # each once, in the order in which they were set
    _path: str
    _stored_weights: Sequence[Parameter] | None = None  # weights of a file, for add_weight to hand out

    def add_weight(
        self,
        shape: Sequence[int | None] = (),
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        name: str | None = None,
        **ignored: Any,
    ) -> Parameter:
        """Make a weight of this layer. initializer: a Keras name, or f(shape, dtype); Glorot uniform for floats.

        Raises ArgumentError where a size is not a known positive int.
        """
        unknown = ignored.keys() - {"regularizer", "constraint", "autocast", "aggregation", "overwrite_with_gradient"}
        if unknown:
            raise ArgumentError(f"add_weight takes no argument {sorted(unknown)[0]!r}")
        sizes = tuple(map(_size, shape if isinstance(shape, Iterable) else (shape,)))
        for axis, size in enumerate(sizes):
            if not isinstance(size, int) or isinstance(size, bool) or size < 0:
                raise ArgumentError(
                    f"axis {axis} of weight {name!r} of layer {self.name!r} would have size {size}",
                    remedy="give the input a fixed size on the axis that the weight is made from",
                )
        scope = current_scope.get()
        path = scope.path if scope is not None and scope.layer is self else self._path
        type = TensorType(self.dtype if dtype is None else DType.of(dtype), sizes)
        default = "glorot_uniform" if type.dtype.is_float else "zeros"
        if self._stored_weights is not None:
            return self._take_stored(type)
        weight = Parameter(
            f"{path}/{name or f'variable_{len(self._weights)}'}",
            type,
            initializers.get(default if initializer is None else initializer),
            trainable=trainable,
        )
        self._weights.append(weight)
        return weight

    def _take_stored(self, type: TensorType) -> Parameter:
        """The next weight of a file in place of a new one: how a layer that is loaded gets its weights."""
        assert self._stored_weights is not None
        place = len(self._weights)
        if place >= len(self._stored_weights) or self._stored_weights[place].type != type:
            found = self._stored_weights[place].type if place < len(self._stored_weights) else "none"
            raise ArgumentError(
                f"weight {place} of layer {self.name!r} is {type} by its configuration, stored is {found}"
            )
        self._weights.append(self._stored_weights[place])
        return self._weights[-1]

    @property
    def trainable(self) -> bool:
        """Whether the weights train; setting it sets the layers inside too."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for layer in self._sublayers:
            layer.trainable = value

    def _own_weights(self) -> Sequence[Parameter]:
        """The weights that are of no layer inside."""
        return self._weights

    @property
    def weights(self) -> list[Parameter]:
        """Every weight once: this layer's trainable ones, its others, then those of the layers inside."""
        own = sorted(self._own_weights(), key=lambda weight: not weight.trainable)
        inner = [weight for layer in self._sublayers for weight in layer.weights]
        return list(dict.fromkeys([*own, *inner]))

    @property
    def trainable_weights(self) -> list[Parameter]:
        """The weights that training changes."""
        if not self._trainable:
            return []
        own = [weight for weight in self._own_weights() if weight.trainable]
        inner = [weight for layer in self._sublayers for weight in layer.trainable_weights]
        return list(dict.fromkeys([*own, *inner]))

    @property
    def non_trainable_weights(self) -> list[Parameter]:
        """The weights that training does not change by gradient."""
        trained = set(self.trainable_weights)
        return [weight for weight in self.weights if weight not in trained]

    variables = weights

    def get_weights(self) -> list[Any]:
        """Copies of the arrays, in the order of `weights`; `weight.array` is the array itself."""
        return [weight.numpy() for weight in self.weights]

    def set_weights(self, arrays: Sequence[Any]) -> None:
        """Assign copies of arrays in the order of `weights`. Raises ShapeError before anything is changed."""
        weights = self.weights
        if len(arrays) != len(weights):
            names = ", ".join(f"{weight.name} {weight.shape}" for weight in weights)
            raise ArgumentError(
                f"layer {self.name!r} has {len(weights)} weights, got {len(arrays)} arrays", remedy=f"give {names}"
            )
        fitting = [weight.fitting(array) for weight, array in zip(weights, arrays, strict=True)]
        for weight, array in zip(weights, fitting, strict=True):
            weight.assign(array)

    def count_params(self) -> int:
        """The number of elements in all weights."""
        total = 0
        for weight in self.weights:
            size = 1
            for axis in weight.shape:
                size *= axis
            total += size
        return total


def _size(size: Any) -> Any:
    return size.item() if isinstance(size, np.integer) else size
