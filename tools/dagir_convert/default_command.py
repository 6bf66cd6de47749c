"""The tool itself: `SOURCE TARGET` without a command converts, `help` helps, and a slip is told what is near."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dagir.support.did_you_mean import did_you_mean
from dagir_convert.command_classes import Group
from dagir_convert.errors import UsageError

_OF_SHELLS = ("--install-completion", "--show-completion")


class ConvertByDefault(Group):
    """A group in which `SOURCE TARGET` without a command means `convert SOURCE TARGET`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert `convert` if the first argument is not a command. `help` is one, unless a file has that name."""
        if args and args[0] == "help" and not Path("help").exists():
            args = self._as_help(args[1:])
        own = {"--help", "-h", "--version", *self.commands}
        if args and args[0] not in own and not args[0].startswith(_OF_SHELLS):
            self._refuse_slip(args)
            args = ["convert", *args]
        return super().parse_args(ctx, args)

    def _as_help(self, words: list[str]) -> list[str]:
        """`help` and `help COMMAND`, as the option --help. Raises UsageError."""
        if words and words[0] not in self.commands:
            raise UsageError(
                f"{words[0]} is no command", remedy=did_you_mean(words[0], self.commands) or self._listed()
            )
        return [*words[:1], "--help"]

    def _refuse_slip(self, args: list[str]) -> None:
        """Raise UsageError for what is no file, and nearly a command, or all that there is."""
        word = args[0]
        if not word.isalpha() or Path(word).exists():
            return
        near = did_you_mean(word, self.commands)
        if near is not None or len(args) == 1:
            raise UsageError(f"{word} is no command, and there is no file {word}", remedy=near or self._listed())

    def _listed(self) -> str:
        return f"the commands are {', '.join(self.commands)}; dagir-convert --help"
