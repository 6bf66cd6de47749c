"""Op: what a node does. Its fields are the attributes, `infer` is the shape rule."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, ClassVar, NoReturn, Self, TypeAlias

from dagir.errors import ArgumentError
from dagir.ir import dims
from dagir.ir.dims import Dim
from dagir.ir.types import TensorType
from dagir.support.did_you_mean import did_you_mean

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


@dataclass(frozen=True)
class Op(Immutable, metaclass=_OpType):
    """What a node does. The fields of a subclass are its attributes; `infer` is its shape rule.

    >>> ops.Concatenate(axis=-1)
    Concatenate(axis=-1)
    >>> ops.Concatenate(axis=-1).axis
    -1
    """

    operands: ClassVar[tuple[str, ...]] = ("x",)
    shape_fields: ClassVar[tuple[str, ...]] = ()
    op_name: ClassVar[str] = "op"

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.op_name = snake_case(cls.__name__)

    def infer(self, *types: Any, **_: Any) -> Types:
        """The types of the outputs from those of the inputs. Raises ShapeError, DTypeError, ArgumentError."""
        raise NotImplementedError(f"{type(self).__name__} has no shape rule")

    def substitute(self, sizes: Mapping[str, Dim]) -> Self:
        """The op with named sizes replaced in its shape fields; itself where it has none."""
        if not self.shape_fields:
            return self
        shapes = {name: getattr(self, name) for name in self.shape_fields}
        return replace(self, **{k: tuple(dims.substitute(size, sizes) for size in v) for k, v in shapes.items()})
