"""dagir-convert: the command line."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
import warnings
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

import dagir
from dagir.errors import DagirError, FileError, NonFiniteWarning
from dagir.modeling.input_shapes import resize_inputs
from dagir.precision.options import LowPrecision
from dagir.support.extras import missing
from dagir_convert import commands, diff_command, extract_command, inspect_command, sources, targets
from dagir_convert.command_classes import Command
from dagir_convert.console import Output, print_error, print_line
from dagir_convert.conversion import Conversion
from dagir_convert.default_command import ConvertByDefault
from dagir_convert.errors import UsageError, of_a_path
from dagir_convert.help_texts import CONVERT, FAULT, HELP
from dagir_convert.metrics import metric_of, metric_of_low_precision
from dagir_convert.parameters import (
    Architecture,
    Atol,
    Budget,
    Calibrate,
    Cosine,
    Custom,
    Disable,
    External,
    Force,
    FullRange,
    Inputs,
    Json,
    KeepFloat,
    KeepLayers,
    Labels,
    MaxDrop,
    MetricName,
    NameMap,
    NarrowIo,
    Nchw,
    Nhwc,
    Opaque,
    Opset,
    Outputs,
    Precision,
    QuantizeTo,
    Quiet,
    RangesBy,
    Rename,
    Rtol,
    Runtime,
    Signature,
    Sizes,
    Source,
    States,
    Strict,
    Target,
    Top1,
    Verify,
    WithKeras,
    interface,
    listed,
    reading,
)

app = typer.Typer(
    cls=ConvertByDefault,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help=HELP,
    context_settings={"help_option_names": ["--help", "-h"]},
)


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


def _with_custom(source: sources.Source, custom: list[Path] | None) -> sources.Source:
    """A source of a comparison, with the user's own layers and ops if it may name some."""
    if not custom or not source.takes_custom:
        return source
    return replace(source, reading=replace(source.reading, custom=tuple(custom)))


def _with_ends(source: sources.Source, signature: str | None, outputs: str | None) -> sources.Source:
    """A source of a comparison, with the signature to read if it is a SavedModel, or the outputs of a graph."""
    chosen = signature if source.format == sources.SAVED_MODEL else None
    ends = listed(outputs) if source.of_tensorflow else None
    return replace(source, reading=replace(source.reading, signature=chosen, outputs=ends))


@app.command(cls=Command, help=CONVERT)
def convert(
    source: Source,
    target: Target,
    verify: Verify = True,
    with_keras: WithKeras = None,
    opset: Opset = None,
    runtime: Runtime = None,
    sizes: Sizes = None,
    rename: Rename = None,
    nchw: Nchw = None,
    nhwc: Nhwc = None,
    external_data: External = False,
    disable: Disable = None,
    keep_layers: KeepLayers = False,
    force: Force = False,
    strict: Strict = False,
    architecture: Architecture = None,
    custom: Custom = None,
    signature: Signature = None,
    outputs: Outputs = None,
    states: States = None,
    precision: Precision = None,
    quantize: QuantizeTo = None,
    calibrate: Calibrate = None,
    budget: Budget = None,
    narrow_io: NarrowIo = False,
    ranges: RangesBy = None,
    keep_float: KeepFloat = None,
    full_range: FullRange = False,
    metric: MetricName = None,
    labels: Labels = None,
    max_drop: MaxDrop = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Convert SOURCE to TARGET."""
    names = tuple(keep_float or ())
    low = LowPrecision(precision, quantize, calibrate, budget, narrow_io, ranges, names, full_range)
    outside = True if external_data else None
    options = targets.Options(opset, runtime, outside, tuple(disable or ()), low=low, keep_layers=keep_layers)
    output, shapes = Output(quiet=quiet, plain=as_json), targets.parse_sizes(sizes or ())
    found = sources.parse(source, reading(architecture, custom, None, signature, outputs, states))
    found = replace(found, reading=replace(found.reading, sizes=shapes or None))
    if found.of_tensorflow:
        shapes = {}

    def change(model: dagir.Model) -> dagir.Model:
        return resize_inputs(model, shapes, target.suffix in targets.WITH_LAYERS) if shapes else model

    asked = metric_of_low_precision(metric, labels, max_drop, calibrate, verify and low.is_wanted)
    how: dict[str, Any] = {"verify": verify, "force": force, "strict": strict, "as_json": as_json, "metric": asked}
    how["interface"] = interface(rename, nchw, nhwc)
    if with_keras and not verify:
        raise UsageError("--with-keras compares, and --no-verify says not to", remedy="leave one of them out")
    Conversion(found, target, options, output, change, with_keras=with_keras, **how).run()


app.command(cls=Command)(extract_command.extract)


@app.command(cls=Command)
def plot(
    source: Source,
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="A .svg, .png, .pdf or .dot file.")],
    shapes: Annotated[bool, typer.Option("--shapes", help="Show the shapes.")] = False,
    nested: Annotated[bool, typer.Option("--nested", help="Open nested models up.")] = False,
    force: Force = False,
    architecture: Architecture = None,
    custom: Custom = None,
    opaque: Opaque = None,
    signature: Signature = None,
    outputs: Outputs = None,
    states: States = None,
    quiet: Quiet = False,
) -> None:
    """Draw SOURCE."""
    found = sources.parse(source, reading(architecture, custom, opaque or [], signature, outputs, states))
    commands.plot(found, target, shapes=shapes, nested=nested, force=force, output=Output(quiet=quiet))


@app.command(cls=Command)
def sensitivity(
    source: Source,
    precision: Annotated[str, typer.Option(help="float16 or bfloat16.", metavar="DTYPE")] = "float16",
    calibrate: Calibrate = None,
    most: Annotated[int, typer.Option(help="How many nodes to print.", metavar="N")] = 20,
    seed: Annotated[int, typer.Option(help="Of the inputs that are drawn.", metavar="N")] = 0,
    architecture: Architecture = None,
    custom: Custom = None,
    signature: Signature = None,
    outputs: Outputs = None,
    states: States = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Print how far the outputs of SOURCE move where a node is computed in a narrow dtype; the worst nodes first."""
    found = sources.parse(source, reading(architecture, custom, None, signature, outputs, states))
    output = Output(quiet=quiet, plain=as_json)
    commands.sensitivity(found, output, as_json, precision=precision, calibrate=calibrate, most=most, seed=seed)


app.command(cls=Command)(inspect_command.inspect)
app.command(cls=Command)(diff_command.diff)


@app.command(cls=Command)
def verify(
    first: Annotated[str, typer.Argument(metavar="A", help="The model that is right, or one .onnx file alone.")],
    second: Annotated[str | None, typer.Argument(metavar="B", help="What is compared with it.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page that shows it.", metavar="FILE")] = None,
    reproduce: Annotated[
        Path | None, typer.Option(help="Write the smallest part that still differs.", metavar="DIR")
    ] = None,
    each_pass: Annotated[
        bool, typer.Option("--verify-each-pass", help="Check each pass of the conversion to ONNX too.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the inputs that are drawn.", metavar="N")] = 0,
    named: NameMap = None,
    inputs: Inputs = None,
    rtol: Rtol = None,
    atol: Atol = None,
    cosine: Cosine = None,
    top1: Top1 = None,
    metric: MetricName = None,
    labels: Labels = None,
    max_drop: MaxDrop = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace files that exist.")] = False,
    architecture: Architecture = None,
    custom: Custom = None,
    signature: Signature = None,
    outputs: Outputs = None,
    states: States = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Compare B with the float64 evaluation of A.

    They are any two of .keras, .h5, .hdf5, .dagir, .onnx and .pb files, folders of SavedModels, and file.py:name.

    An .onnx file alone: run the certificate that was written into it again. The exit code is 3 where rounding does
    not explain a difference; the first node that diverges is named. A file of a lower precision than the model's is
    judged by how close its outputs are: by default --rtol 0.01 --cosine 0.9999 in float16, --rtol 0.03 --cosine 0.999
    in bfloat16, --cosine 0.99 with int8 or int4. Any of --rtol, --atol, --cosine and --top1 replaces all of these, and
    the error budget where the file is of full precision. --metric with --labels says how much of the metric B may lose
    on the samples of --inputs.

    \b
      dagir-convert verify net.keras net.onnx
      dagir-convert verify net.keras half.onnx --rtol 0.01
      dagir-convert verify net.keras int8.onnx --rtol 0.05 --atol 0.001
      dagir-convert verify net.keras int8.onnx --cosine 0.999
      dagir-convert verify net.keras int8.onnx --top1 0.99 --inputs x.npz
      dagir-convert verify net.onnx
    """
    output = Output(quiet=quiet, plain=as_json)
    other = None if second is None else _with_ends(_with_custom(sources.parse(second), custom), signature, outputs)
    ends: dict[str, Any] = {"html": html, "reproduce": reproduce, "force": force, "named": named or ()}
    wanted = dagir.Thresholds(rtol, atol, cosine, top1)
    asked = metric_of(metric, labels, max_drop, inputs, "--inputs")
    if second is None and (wanted.any or inputs is not None):
        raise UsageError("thresholds and --inputs are for a comparison", remedy="give a second model to compare with")
    found = _with_ends(
        _with_custom(sources.parse(first, reading(architecture, None, states=states)), custom), signature, outputs
    )
    if custom:
        sources.check_custom(*(each for each in (found, other) if each is not None))
    if signature and not any(each is not None and each.reading.signature for each in (found, other)):
        raise UsageError(f"--signature is for the folder of a SavedModel, and {first} is none")
    commands.verify(
        found,
        other,
        output,
        as_json,
        each_pass=each_pass,
        seed=seed,
        inputs=inputs,
        thresholds=wanted,
        metric=asked,
        **ends,
    )


_INTERRUPTED = 128 + signal.SIGINT


def _leave(number: int, frame: FrameType | None) -> None:
    """Exit by an exception, so that temporary files are removed."""
    sys.exit(128 + number)


def main() -> None:
    """Run the command line; for a DagirError, print its message and exit with its exit code."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow prints messages to stderr
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # escape what the terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        warnings.simplefilter("ignore", NonFiniteWarning)  # the commands print it themselves
        app(prog_name="dagir-convert")
    except DagirError as error:
        print_error(error)
        sys.exit(error.exit_code)
    except OSError as error:  # an invalid path, or a full disk
        print_error(of_a_path(error))
        sys.exit(FileError.exit_code)
    except SystemExit as left:
        if left.code == _INTERRUPTED:  # so typer ends where a command is interrupted, or read, and says nothing
            print_line("interrupted")
        raise
    except KeyboardInterrupt:
        print_line("interrupted")
        sys.exit(_INTERRUPTED)
    except Exception as error:
        told = missing(error, "this") if isinstance(error, ImportError) else None
        if told is None:
            traceback.print_exception(error)
            print_line("this is a fault of dagir: please report it, with these lines and the model if you can share it")
            sys.exit(FAULT)
        print_error(told)
        sys.exit(told.exit_code)
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    main()
