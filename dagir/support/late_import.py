"""Modules that are imported when they are needed, and a call once another package is imported."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Container, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


def import_modules(package: str, names: Container[str] | None = None) -> None:
    """Import the modules of a package, or those of these names, and so let them register what they hold."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if names is None or module.name in names:
            importlib.import_module(f"{package}.{module.name}")


def when_imported(name: str, function: Callable[[ModuleType], None]) -> None:
    """Call function(package): now, if the package is imported, else at the end of its import.

    dagir imports no framework, and some must know of it.
    """
    package = sys.modules.get(name)
    if package is not None:
        function(package)
    elif name not in sys.modules:  # None there forbids the import
        sys.meta_path.insert(0, _Finder(name, function))


class _Finder(MetaPathFinder):
    """Finds nothing itself. The package that it waits for is found by the others, and its loader calls the function."""

    def __init__(self, name: str, function: Callable[[ModuleType], None]) -> None:
        self.name, self.function = name, function

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        finders = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]
        specs = (finder.find_spec(fullname, path, target) for finder in finders)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            _call_after(spec.loader, self.function)
        return spec


def _call_after(loader: Loader, function: Callable[[ModuleType], None]) -> None:
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        function(module)

    loader.exec_module = exec_module  # type: ignore[method-assign]  # of this object alone, which loads one module
