"""What a document calls the classes of layers: by `__name__`, which says which class is meant only while one bears it.

Classes that share a name are called by their modules and qualified names, so that custom_objects can tell them apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from dagir import layers as layer_classes
from dagir.errors import ArgumentError
from dagir.serialization.opaque import OpaqueLayer


def is_exported(cls: type) -> bool:
    """Whether a class is the one that dagir.layers has under its name: such a class needs no custom_objects."""
    return vars(layer_classes).get(cls.__name__) is cls


def class_names(layers: Iterable[Any], taken: Iterable[str] = ()) -> dict[type, str]:
    """A name for each class of custom layers, which no other class has.

    taken: names that stand for something else. The class of an OpaqueLayer is known by its name alone, which is kept.
    """
    found: dict[type, None] = {}
    used = Counter(set(taken))
    for layer in layers:
        if isinstance(layer, OpaqueLayer):
            used[layer.class_name] = max(used[layer.class_name], 1)
        elif not is_exported(type(layer)):
            found[type(layer)] = None
    used.update(cls.__name__ for cls in found)
    names: dict[type, str] = {}
    for cls in found:
        names[cls] = cls.__name__ if used[cls.__name__] == 1 else _free(full_name(cls), used)
    return names


def full_name(cls: type) -> str:
    """The module and the qualified name."""
    return f"{cls.__module__}.{cls.__qualname__}"


def is_named(cls: type, name: str) -> bool:
    """Whether a document may mean a class by this name."""
    return name == cls.__name__ or name.partition("#")[0] == full_name(cls)


def given_class(name: str, given: Mapping[str, Any], names: Collection[str]) -> Any:
    """What custom_objects has for the class that a document calls `name`; None where it has nothing.

    names: of all classes of the document. Raises ArgumentError where custom_objects names one of several by a name
    that all of them bear.
    """
    if name in given:
        is_dagirs = hasattr(layer_classes, name) and any("." in each and _last(each) == name for each in names)
        return None if is_dagirs else given[name]
    short = _last(name)
    if short == name or short not in given:
        return None
    alike = [each for each in names if _last(each) == short and each != short]
    if len(alike) == 1 and hasattr(layer_classes, short):  # the other class of this name is dagir's
        return given[short]
    raise ArgumentError(
        f"custom_objects has {short!r}, and classes of this name are in the model more than once",
        remedy=f"give them by the names {', '.join(map(repr, sorted(alike)))}",
    )


def _last(name: str) -> str:
    return name.partition("#")[0].rpartition(".")[2]


def _free(name: str, used: Counter[str]) -> str:
    """The name, with a number where it is not free: classes that one function makes have the same."""
    number, found = 1, name
    while used[found]:
        number += 1
        found = f"{name}#{number}"
    used[found] += 1
    return found
