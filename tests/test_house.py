"""The limits that keep files, functions and imports small: tools/house_rules.py prints what stands near them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[1] / "tools"
sys.path.insert(0, str(TOOLS))

import house_rules  # noqa: E402  # stands in tools, which is no package

PACKAGES = ("dagir", "dagir_numpy", "dagir_onnx", "dagir_keras", "dagir_convert")
MOST_IN_A_RING = 4
MOST_BRANCHES = 18
MOST_LINES = 400


@pytest.mark.parametrize("package", PACKAGES)
def test_no_ring_of_modules_is_large(package):
    assert [ring for ring in house_rules.rings(package) if len(ring) > MOST_IN_A_RING] == []


def test_no_function_of_the_core_imports_the_core():
    inside = [f"{each.importer}:{each.line}" for each in house_rules.imports("dagir") if each.inside_function]
    assert inside == [], "import at the top of the module, or bind a service in dagir/wiring.py"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_function_branches_too_often(package):
    many = [f"{module}.{name}: {n}" for n, module, name in house_rules.branching(package) if n > MOST_BRANCHES]
    assert many == [], "break it along its stages"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_is_long(package):
    assert {module: n for module, n in house_rules.lengths(package).items() if n > MOST_LINES} == {}
