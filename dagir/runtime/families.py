"""The modules in which a backend has its rules: they are named as the families of ops in dagir.ops."""

from __future__ import annotations

import importlib
import pkgutil

from dagir import ops


def load_families(package: str) -> None:
    """Import those modules of a backend's package that are named as a family of ops, and so register their rules."""
    families = {module.name for module in pkgutil.iter_modules(ops.__path__)}
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if module.name in families:
            importlib.import_module(f"{package}.{module.name}")
