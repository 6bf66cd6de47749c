"""`python -m dagir`: the same as dagir-convert, for an environment whose scripts are not on the path."""

from importlib.metadata import entry_points
from typing import NoReturn


def main() -> NoReturn:
    """Run the tool, which the core does not import: it is found by its entry point."""
    (tool,) = entry_points(group="console_scripts", name="dagir-convert")
    raise SystemExit(tool.load()())


if __name__ == "__main__":
    main()
