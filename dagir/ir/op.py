"""Op: what a node does. Its fields are the attributes, `infer` is the shape rule."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, ClassVar, NoReturn, Self, TypeAlias

from dagir.errors import ArgumentError
from dagir.ir import dims
from dagir.ir.dims import Dim
from dagir.ir.rounding import ROUNDED, Rounding
from dagir.ir.types import Inferred, TensorType
from dagir.support.did_you_mean import did_you_mean
from dagir.support.user_code import of_class

Types: TypeAlias = tuple[TensorType, ...]


@cache
def snake_case(name: str) -> str:
    """The Keras default name for a class: "Conv2DTranspose" gives "conv2d_transpose"."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


class Immutable:
    """Base of objects that never change once they are made."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable: {name} cannot be set")

    def __reduce__(self) -> NoReturn:
        """Refuse copy and pickle: the object belongs to the graph that it was made in."""
        raise ArgumentError(
            f"a {type(self).__name__} of a graph cannot be copied or pickled alone", remedy="copy or pickle the model"
        )


class _OpType(type):
    """Names the attributes of an op in the error for a wrong one."""

    def __call__(cls, *args: object, **kwargs: object) -> object:
        try:
            return super().__call__(*args, **kwargs)
        except TypeError as error:
            known = [field.name for field in fields(cls)]  # type: ignore[arg-type]  # every op is a dataclass
            unknown = next((name for name in kwargs if name not in known), None)
            listed = f"its attributes are: {', '.join(known) or 'none'}"
            if unknown is None:
                raise ArgumentError(
                    f"{cls.__name__}: {str(error).partition('() ')[2] or error}", remedy=listed
                ) from None
            remedy = did_you_mean(unknown, known) or listed
            raise ArgumentError(f"{cls.__name__} has no attribute {unknown!r}", remedy=remedy) from None


def inferred(op: Op, types: Sequence[TensorType | None]) -> Inferred:
    """What the shape rule of an op finds for the types of its operands.

    Raises what the rule raises, ArgumentError where it gives anything but TensorTypes, and UserCodeError for any other
    exception: it may be a user's.
    """
    try:
        found: object = op.infer(*types)
    except Exception as error:
        told = of_class(type(op), error, f"infer of {type(op).__name__}")
        if told is None:
            raise
        raise told from error
    given = found.types if isinstance(found, Inferred) else found
    if not isinstance(given, (tuple, list)) or not given or not all(isinstance(each, TensorType) for each in given):
        raise ArgumentError(
            f"infer of {type(op).__name__} returned {_shown(found)}, which is no tuple of TensorTypes",
            remedy="return a tuple with the type of each output: (x,), (x.with_shape((*x.shape, 2)),), "
            "(dagir.TensorType(x.dtype, (3,)),)",
        )
    return found if isinstance(found, Inferred) else Inferred(tuple(given))


def _shown(found: object) -> str:
    return f"{found!s:.60} ({type(found).__name__})"


@dataclass(frozen=True)
class Op(Immutable, metaclass=_OpType):
    """What a node does. The fields of a subclass are its attributes; `infer` is its shape rule.

    Its traits are facts of the op, stated by its class; passes and checks read them here and keep no lists of ops.

    >>> ops.Concatenate(axis=-1)
    Concatenate(axis=-1)
    >>> ops.Concatenate(axis=-1).axis
    -1
    """

    operands: ClassVar[tuple[str, ...]] = ("x",)
    shape_fields: ClassVar[tuple[str, ...]] = ()
    size_fields: ClassVar[tuple[str, ...]] = ()
    """The fields that name the sizes which the op makes, because the data decide them: see dagir.ir.data_sizes."""
    graph_fields: ClassVar[tuple[str, ...]] = ()
    """The fields that hold a graph: a nested model, a branch, the body of a loop."""
    op_name: ClassVar[str] = "op"
    rounding: ClassVar[Rounding] = ROUNDED
    """How its results round: see dagir.ir.rounding. Each op of dagir states it."""
    elementwise: ClassVar[bool] = False
    """Whether each element of the result comes from the elements at its place in the operands, which broadcast."""
    moves_only: ClassVar[bool] = False
    """Whether each element of the result is an element of an operand, chosen by place or index, not by its size."""
    nonnegative: ClassVar[bool] = False
    """Whether no float that it yields is below 0."""
    bound_to_layout: ClassVar[bool] = False
    """Whether its field data_format says on which axis the channels of its first operand and its result are."""
    random: ClassVar[bool] = False
    """Whether two nodes of it, over the same operands, differ in training."""
    needs_elements: ClassVar[bool] = False
    """Whether it has no answer for an axis of size 0 that it reduces."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.op_name = snake_case(cls.__name__)

    def infer(self, *types: Any, **_: Any) -> Types | Inferred:
        """The types of the outputs from those of the inputs, with Equations where these leave something open.

        Raises ShapeError, DTypeError, ArgumentError.
        """
        raise ArgumentError(
            f"{type(self).__name__} has no shape rule",
            remedy="write infer(self, x), which takes the TensorTypes of the operands: return (x,)",
        )

    def how_it_rounds(self) -> Rounding:
        """How this op rounds; as its class does, unless that depends on its attributes."""
        return self.rounding

    def is_nonnegative(self) -> bool:
        """Whether no float that this op yields is below 0; as of its class, unless that depends on its attributes."""
        return self.nonnegative

    def works_apart_along(self, axis: int) -> bool:
        """Whether each slice of the result along an axis (>= 0) comes from the same slice of the operands alone."""
        return self.elementwise

    def substitute(self, sizes: Mapping[str, Dim]) -> Self:
        """The op with named sizes replaced in its fields of sizes; itself where it has none."""
        if not self.shape_fields and not self.size_fields:
            return self
        shapes = {name: getattr(self, name) for name in (*self.shape_fields, *self.size_fields)}
        return replace(self, **{k: tuple(dims.substitute(size, sizes) for size in v) for k, v in shapes.items()})
