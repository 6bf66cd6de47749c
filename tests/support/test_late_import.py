"""What is called once a package is imported: at once, or at the end of its import."""

from __future__ import annotations

import importlib
import sys

import pytest

from dagir.support.late_import import when_imported


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "arriving_late.py").write_text("value = 3\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield "arriving_late"
    sys.modules.pop("arriving_late", None)


def test_it_is_called_at_the_end_of_the_import(package):
    found = []
    when_imported(package, lambda module: found.append(module.value))
    assert found == []
    importlib.import_module(package)
    assert found == [3]
    importlib.reload(sys.modules[package])
    assert found == [3]


def test_it_is_called_at_once_where_the_package_is_imported(package):
    module = importlib.import_module(package)
    found = []
    when_imported(package, found.append)
    assert found == [module]


def test_a_package_that_does_not_exist_is_still_an_import_error():
    before = list(sys.meta_path)
    when_imported("never_arriving", lambda module: None)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("never_arriving")
    assert sys.meta_path == before
