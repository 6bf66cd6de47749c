"""dagir-convert: the command line."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from dagir.errors import DagirError
from dagir_convert import commands, sources, targets
from dagir_convert.console import Output, print_error

_HELP = """Convert a neural network, and check that what was written computes the same.

\b
Your Python code builds a model; onnxruntime shall run it:
  dagir-convert model.py:build model.onnx
A saved model, to train it in Keras:
  dagir-convert net.dagir net.keras
Inputs, outputs, ops and weights of a file:
  dagir-convert inspect net.onnx
Does that file still compute what the model does?
  dagir-convert verify net.dagir net.onnx

\b
Options of a conversion:  dagir-convert convert --help
Exit codes: 0 done, 2 usage, 3 verification failed, 4 unsupported,
            5 unsafe or damaged file
"""

_CONVERT = """Convert SOURCE to TARGET. The word "convert" may be left out.

SOURCE is file.py:name or a .dagir file. name is a dagir.Model, or a
function without arguments that returns one; only for such a source is
code run. TARGET is a .onnx, .keras or .dagir file.

The file that was written is read back, run on several inputs, and
compared with the model in float64. Where rounding does not explain a
difference, the exit code is 3, and no file has the target's name.

\b
  dagir-convert model.py:build model.onnx
  dagir-convert model.py:build model.onnx --opset 20 --force
  dagir-convert model.py:build model.onnx --external-data
  dagir-convert model.py:build model.onnx --json | jq .outputs
"""


class ConvertByDefault(TyperGroup):
    """A group in which `SOURCE TARGET` without a command means `convert SOURCE TARGET`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the word in where the first argument is no command of ours."""
        own = {"--help", "--version", *self.commands}
        if args and args[0] not in own and not args[0].startswith(("--install-completion", "--show-completion")):
            args = ["convert", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=ConvertByDefault,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help=_HELP,
    context_settings={"help_option_names": ["--help", "-h"]},
)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON to stdout in place of a table.")]
_Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors and nothing else.")]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"dagir-convert {version('dagir')}")
        raise typer.Exit


@app.callback()
def _group(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the group."""


@app.command(help=_CONVERT)
def convert(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="file.py:name, or a .dagir file.")],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="A .onnx, .keras or .dagir file.")],
    verify: Annotated[bool, typer.Option("--verify/--no-verify", help="Run what was written, and compare.")] = True,
    opset: Annotated[int | None, typer.Option(help="Of the ai.onnx domain, 18 to 24.", metavar="N")] = None,
    external_data: Annotated[
        bool, typer.Option("--external-data", help="Write weights beside the .onnx file.")
    ] = False,
    disable: Annotated[
        list[str] | None, typer.Option(help="Leave out a pass; may be repeated.", metavar="PASS")
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace a target that exists.")] = False,
    quiet: _Quiet = False,
    as_json: _Json = False,
) -> None:
    """Convert SOURCE to TARGET."""
    options = targets.Options(opset, True if external_data else None, tuple(disable or ()))
    output = Output(quiet=quiet, plain=as_json)
    found = sources.parse(source)
    commands.convert(found, target, options, verify=verify, force=force, output=output, as_json=as_json)


@app.command()
def inspect(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A .onnx or .dagir file, or file.py:name.")],
    as_json: _Json = False,
) -> None:
    """Print the inputs, outputs, ops and weights of a model."""
    commands.inspect(sources.parse(file), Output(plain=as_json), as_json)


@app.command()
def verify(
    first: Annotated[str, typer.Argument(metavar="A", help="The model that is right, or one .onnx file alone.")],
    second: Annotated[str | None, typer.Argument(metavar="[B]", help="What is compared with it.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page that shows it.", metavar="FILE")] = None,
    reproduce: Annotated[
        Path | None, typer.Option(help="Write the smallest part that still differs.", metavar="DIR")
    ] = None,
    each_pass: Annotated[
        bool, typer.Option("--verify-each-pass", help="Check each pass of the conversion to ONNX too.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the inputs that are drawn.", metavar="N")] = 0,
    quiet: _Quiet = False,
    as_json: _Json = False,
) -> None:
    """Compare B with the float64 evaluation of A: any two of .keras, .h5, .dagir, .onnx and file.py:name.

    An .onnx file alone: run the certificate that was written into it again. The exit code is 3 where rounding does
    not explain a difference; the first node that diverges is named.
    """
    output = Output(quiet=quiet, plain=as_json)
    other = None if second is None else sources.parse(second)
    commands.verify(
        sources.parse(first), other, output, as_json, html=html, reproduce=reproduce, each_pass=each_pass, seed=seed
    )


def main() -> None:
    """The entry point: a DagirError becomes its message and its exit code."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow greets on stderr
    try:
        app(prog_name="dagir-convert")
    except DagirError as error:
        print_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
