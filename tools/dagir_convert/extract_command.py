"""The command `dagir-convert extract`."""

from __future__ import annotations

from typing import Annotated

import typer

import dagir
from dagir.modeling.input_shapes import resize_inputs
from dagir.precision.options import LowPrecision
from dagir_convert import completion, sources, targets
from dagir_convert.console import Output
from dagir_convert.conversion import Conversion
from dagir_convert.metrics import metric_of_low_precision
from dagir_convert.parameters import (
    Architecture,
    Budget,
    Calibrate,
    Custom,
    Disable,
    External,
    Force,
    FullRange,
    Json,
    KeepFloat,
    KeepLayers,
    Labels,
    MaxDrop,
    MetricName,
    NarrowIo,
    Nchw,
    Nhwc,
    Opaque,
    Opset,
    Precision,
    QuantizeTo,
    Quiet,
    RangesBy,
    Rename,
    Runtime,
    Signature,
    Sizes,
    Source,
    States,
    Strict,
    Target,
    Verify,
    interface,
    listed,
    reading,
)


def extract(
    source: Source,
    target: Target,
    outputs: Annotated[
        str,
        typer.Option(help="Layers or values, with commas between.", metavar="NAMES", autocompletion=completion.layers),
    ],
    inputs: Annotated[
        str | None,
        typer.Option(
            help="Where it begins; by default at the inputs.", metavar="NAMES", autocompletion=completion.layers
        ),
    ] = None,
    verify: Verify = True,
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
    opaque: Opaque = None,
    signature: Signature = None,
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
    """Convert the part of SOURCE that computes some of its layers. It is verified as a whole model is.

    The options are those of convert, for the part: --input, --rename, --nchw and --calibrate name its own inputs and
    outputs. Keras and onnxruntime run whole models, so that the source does not run beside the part.
    """
    ends, starts = _names(outputs), None if inputs is None else _names(inputs)
    shapes = targets.parse_sizes(sizes or ())

    def change(model: dagir.Model) -> dagir.Model:
        part = dagir.extract(model, ends, starts)
        return resize_inputs(part, shapes, target.suffix in targets.WITH_LAYERS) if shapes else part

    names, outside = tuple(keep_float or ()), True if external_data else None
    low = LowPrecision(precision, quantize, calibrate, budget, narrow_io, ranges, names, full_range)
    Conversion(
        sources.parse(source, reading(architecture, custom, opaque or [], signature, states=states)),
        target,
        targets.Options(opset, runtime, outside, tuple(disable or ()), low=low, keep_layers=keep_layers),
        Output(quiet=quiet, plain=as_json),
        change,
        interface(rename, nchw, nhwc),
        verify=verify,
        metric=metric_of_low_precision(metric, labels, max_drop, calibrate, verify and low.is_wanted),
        is_part=True,
        force=force,
        strict=strict,
        as_json=as_json,
    ).run()


def _names(text: str) -> str | list[str]:
    """A single name as a string, several as a list: a model with one output yields an array, not a list."""
    names = listed(text) or []
    return names[0] if len(names) == 1 else names
