"""The modules in which a backend has its rules: they are named as the families of ops in dagir.ops."""

from __future__ import annotations

import pkgutil

from dagir import ops
from dagir.support.late_import import import_modules


def load_families(package: str) -> None:
    """Import those modules of a backend's package that are named as a family of ops, and so register their rules."""
    families = {module.name for module in pkgutil.iter_modules(ops.__path__)}
    import_modules(package, families)
