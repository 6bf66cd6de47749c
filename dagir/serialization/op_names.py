"""What ops are called in files: those of dagir.ops by the names of their classes, a user's own as `package>Name`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from dagir import ops
from dagir.errors import ArgumentError
from dagir.ir.graph import Op

Class = TypeVar("Class", bound=type[Op])

OPS: dict[str, type[Op]] = {
    name: cls for name, cls in vars(ops).items() if isinstance(cls, type) and issubclass(cls, Op)
}
_registered: dict[str, type[Op]] = {}


def register_op(package: str) -> Callable[[Class], Class]:
    """Let files hold an op of your own: a decorator, as keras.saving.register_keras_serializable is one.

    A file holds the name `package>Class` and the fields, no code: who loads it has registered the class before. A class
    of the same name that is defined again, as in a notebook, takes the place of the first. Raises ArgumentError.

    >>> @dagir.register_op("mine")
    ... class Same(dagir.Op):
    ...     def infer(self, x):
    ...         return (x,)
    """
    if not isinstance(package, str) or not package or ">" in package:
        raise ArgumentError(f"register_op takes the name of your package, got {package!r}")

    def register(cls: Class) -> Class:
        if not (isinstance(cls, type) and issubclass(cls, Op)):
            raise ArgumentError(f"register_op decorates a subclass of dagir.Op, got {cls!r}")
        _registered[f"{package}>{cls.__name__}"] = cls
        return cls

    return register


def name_of(op: type[Op]) -> str | None:
    """The name of an op in a file, None where it has none."""
    if OPS.get(op.__name__) is op:
        return op.__name__
    return next((name for name, cls in _registered.items() if cls is op), None)


def op_named(name: object) -> type[Op] | None:
    """The op of a name in a file, None where there is none."""
    return (OPS.get(name) or _registered.get(name)) if isinstance(name, str) else None


def known_names() -> Iterator[str]:
    """All names, for a hint."""
    yield from OPS
    yield from _registered
