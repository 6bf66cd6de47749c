"""How the house stands: rings of modules, imports inside functions, long files, branching functions, uses of Any.

python tools/house_rules.py prints all of it; tests/test_house.py holds the limits.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import networkx

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {
    "dagir": ROOT,
    "dagir_numpy": ROOT / "backends",
    "dagir_onnx": ROOT / "backends",
    "dagir_keras": ROOT / "backends",
}
ROOMS["dagir_convert"] = ROOT / "tools"
_BRANCHES = (
    ast.If, ast.For, ast.While, ast.IfExp, ast.ExceptHandler, ast.With, ast.Assert, ast.comprehension, ast.match_case
)  # fmt: skip


@dataclass(frozen=True)
class Import:
    """One import of a module of ours: from where, of what, on which line, and whether a function does it."""

    importer: str
    imported: str
    line: int
    inside_function: bool


def modules(package: str) -> dict[str, Path]:
    """Every module of a package by its dotted name."""
    found = {}
    for path in sorted((ROOMS[package] / package).rglob("*.py")):
        parts = path.relative_to(ROOMS[package]).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(package: str) -> Iterator[Import]:
    """Every import that a module of the package makes of another one of it, wherever in the file it stands."""
    known = modules(package)
    for name, path in known.items():
        pending: list[tuple[ast.AST, bool]] = [(ast.parse(path.read_text(encoding="utf-8")), False)]
        while pending:
            node, inside = pending.pop()
            for target in _targets(node, known):
                if target != name:
                    yield Import(name, target, getattr(node, "lineno", 0), inside)
            inside = inside or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            pending.extend((child, inside) for child in ast.iter_child_nodes(node))


def _targets(node: ast.AST, known: dict[str, Path]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names if alias.name in known]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        full = [f"{node.module}.{alias.name}" for alias in node.names]
        return [name if name in known else node.module for name in full if name in known or node.module in known]
    return []


def rings(package: str) -> list[list[str]]:
    """The sets of modules that import each other in a ring, the largest first; faces of folders count as modules."""
    graph = networkx.DiGraph()
    graph.add_edges_from((each.importer, each.imported) for each in imports(package))
    found = [sorted(ring) for ring in networkx.strongly_connected_components(graph) if len(ring) > 1]
    return sorted(found, key=len, reverse=True)


def branching(package: str) -> Iterator[tuple[int, str, str]]:
    """(branches, module, function): if, for, while, except, with, assert, case, comprehensions, boolean operands."""
    for name, path in modules(package).items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                inner = [each for each in ast.walk(node) if each is not node]
                count = sum(isinstance(each, _BRANCHES) for each in inner)
                count += sum(len(each.values) - 1 for each in inner if isinstance(each, ast.BoolOp))
                count += sum(len(each.ifs) for each in inner if isinstance(each, ast.comprehension))
                yield count, name, node.name


def lengths(package: str) -> dict[str, int]:
    """Lines of each module."""
    return {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules(package).items()}


def any_density(package: str) -> float:
    """How often `Any` stands in annotations and elsewhere, its imports left out, in a thousand lines."""
    uses = lines = 0
    for path in modules(package).values():
        text = path.read_text(encoding="utf-8")
        lines += len(text.splitlines())
        uses += sum(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(ast.parse(text)))
    return 1000 * uses / lines


def main() -> None:
    """Print it all."""
    for package in ROOMS:
        print(f"{package}: {any_density(package):.1f} Any in a thousand lines")
        for ring in rings(package):
            print(f"  ring of {len(ring)}: {', '.join(ring)}")
        for each in imports(package):
            if each.inside_function:
                print(f"  inside a function: {each.importer}:{each.line} imports {each.imported}")
        for count, module, function in sorted(branching(package), reverse=True):
            if count > 18:
                print(f"  {count} branches: {module}.{function}")
        for module, count in lengths(package).items():
            if count > 400:
                print(f"  {count} lines: {module}")


if __name__ == "__main__":
    main()
