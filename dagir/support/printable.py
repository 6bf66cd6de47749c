"""Make text from files safe to print: names in files can contain commands to the terminal.

Everything in dagir that prints names (errors, tables, summaries) passes them through `printable` when it prints.
"""

from __future__ import annotations

_JOINERS = "\u200c\u200d"  # letters of many scripts need them, and they do nothing else


def printable(text: str) -> str:
    """One line in which control characters, line ends, marks that turn the direction of writing, and halves of
    surrogate pairs stand as escapes: they are seen, and obeyed by nothing.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in _JOINERS else _escaped(char) for char in text)


def printable_lines(text: str) -> str:
    """The same for text that has lines of its own."""
    return "\n".join(map(printable, text.split("\n")))


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
