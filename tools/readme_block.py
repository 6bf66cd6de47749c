"""Prints a shell block of the README's "Quick start": `main` is the first, `tests` the second."""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"


def quick_start(text: str) -> list[str]:
    """The shell blocks of the section. Raises ValueError unless there are exactly two."""
    section = text.split("## Quick start", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"```(?:sh|bash|shell)\n(.*?)```", section, flags=re.S)
    if len(blocks) != 2:
        raise ValueError(f"Quick start must hold exactly two shell blocks, it has {len(blocks)}")
    return blocks


if __name__ == "__main__":
    main, tests = quick_start(README.read_text(encoding="utf-8"))
    print({"main": main, "tests": tests}[sys.argv[1]], end="")
