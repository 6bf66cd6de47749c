"""An extension of griffe, for the reference pages: docstrings are plain text with examples, and become Markdown.

mkdocs.yml names it. A paragraph that begins with >>> is an example; elsewhere, what Markdown would read as a link or as
emphasis is text, unless it stands between backticks.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_MARKS = re.compile(r"([\[\]*_<>|])")


def as_markdown(docstring: str) -> str:
    """The docstring with its examples fenced."""
    return "\n\n".join(map(_paragraph, re.split(r"\n\s*\n", docstring.strip("\n"))))


def _paragraph(text: str) -> str:
    lines = text.split("\n")
    start = next((place for place, line in enumerate(lines) if line.lstrip().startswith(">>>")), len(lines))
    said, shown = "\n".join(lines[:start]), "\n".join(lines[start:])
    plain = "`".join(part if place % 2 else _MARKS.sub(r"\\\1", part) for place, part in enumerate(said.split("`")))
    return plain + ("\n\n" if said and shown else "") + (f"```pycon\n{shown}\n```" if shown else "")


class Docstrings(griffe.Extension):  # type: ignore[misc]  # griffe comes with the extra `docs` alone
    """Rewrites each docstring once it is read."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        """Rewrite the docstring of a module, class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
