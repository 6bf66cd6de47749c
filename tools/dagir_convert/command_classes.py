"""Commands whose help fits the terminal, and names no types that say nothing: a flag has no value."""

from __future__ import annotations

import inspect
from typing import Any

from typer.core import TyperCommand, TyperGroup

from dagir_convert.errors import UsageError

WORDS = "dagir_convert.words"


def _plain(params: list[Any]) -> list[Any]:
    for param in params:
        if param.param_type_name == "argument":
            param.display_type_rich = _no_type  # its name and its help say what it is
        if param.param_type_name != "option" or param.metavar is not None:
            continue
        flag = getattr(param, "is_flag", False)
        param.metavar = "" if flag else "NUMBER"
    return params


def _no_type(ctx: Any) -> None:
    """The type of an argument, as the help shows it."""


def _flowing(help: str | None) -> str | None:
    """The help with each paragraph on one line, which is broken where the terminal ends; examples stay as they are."""
    if help is None:
        return None
    paragraphs = inspect.cleandoc(help).split("\n\n")
    return "\n\n".join(each if each.startswith("\b") else " ".join(each.split("\n")) for each in paragraphs)


class Command(TyperCommand):
    """A command of the tool. While a shell completes a line, it keeps the words: the parser drops them at a last
    option that has no value yet.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.help = _flowing(self.help)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse; the words of a line that is completed are in `ctx.meta[WORDS]`."""
        if ctx.resilient_parsing:
            ctx.meta[WORDS] = list(args)
        try:
            return super().parse_args(ctx, args)
        except Exception as error:  # typer brings a click of its own, or uses another: its classes have no one name
            if (told := _of_another_command(getattr(error, "option_name", None), ctx)) is None:
                raise
            raise told from None

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, each with what the help shows as its value."""
        return _plain(super().get_params(ctx))


def _of_another_command(option: str | None, ctx: Any) -> UsageError | None:
    """The error for an option that is not one of this command; None where no other one has it."""
    commands = {} if option is None or ctx.parent is None else ctx.parent.command.commands
    having = [
        name
        for name, command in commands.items()
        if any(option in (*each.opts, *each.secondary_opts) for each in command.params)
    ]
    if not having:
        return None
    told = f"{ctx.info_name} has no option {option}, which is one of {', '.join(having)}"
    return UsageError(told, remedy=f"its options: dagir-convert help {ctx.info_name}")


class Group(TyperGroup):
    """The tool itself."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, each with what the help shows as its value."""
        return _plain(super().get_params(ctx))
