"""Commands whose help names no types that say nothing: a flag has no value, and a number is a number."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

WORDS = "dagir_convert.words"


def _plain(params: list[Any]) -> list[Any]:
    for param in params:
        if param.param_type_name != "option" or param.metavar is not None:
            continue
        flag = getattr(param, "is_flag", False)
        param.metavar = "" if flag else "NUMBER"
    return params


class Command(TyperCommand):
    """A command of the tool. While a shell completes a line, it keeps the words: the parser drops them at a last
    option that has no value yet.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse; the words of a line that is completed are in `ctx.meta[WORDS]`."""
        if ctx.resilient_parsing:
            ctx.meta[WORDS] = list(args)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, each with what the help shows as its value."""
        return _plain(super().get_params(ctx))


class Group(TyperGroup):
    """The tool itself."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, each with what the help shows as its value."""
        return _plain(super().get_params(ctx))
