"""The arguments and options of the commands, as types that typer reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dagir.equivalence.samples import HOW_TO_WRITE
from dagir.modeling.interface import FIRST, LAST, Interface
from dagir_convert import completion, sources, targets
from dagir_convert.errors import UsageError


def _samples(path: Path | None) -> Path | None:
    """A file of samples. Raises UsageError where it is missing, before any work is done."""
    return _existing(path, HOW_TO_WRITE)


def _file_of_samples(what: str) -> Any:
    """An option for a file with an array for each input."""
    told = f"{what}: an .npz file with one array each, or an .npy file for one input."
    return typer.Option(help=told, metavar="FILE.npz", callback=_samples)


def _labels(path: Path | None) -> Path | None:
    return _existing(path, "np.save('labels.npy', classes) writes such a file")


def _existing(path: Path | None, remedy: str) -> Path | None:
    if path is not None and not path.exists():
        raise UsageError(f"there is no file {path}", remedy=remedy)
    return path


Json = Annotated[bool, typer.Option("--json", help="Print JSON to stdout in place of a table.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors and nothing else.")]
SOURCE_HELP = "file.py:name, a .keras, .h5, .hdf5, .dagir, .onnx or .pb file, or the folder of a SavedModel."
Source = Annotated[str, typer.Argument(metavar="SOURCE", help=SOURCE_HELP)]
Architecture = Annotated[
    str | None,
    typer.Option(help="Of weights alone: model.json, a model file, or file.py:name, which is run.", metavar="FILE"),
]
Custom = Annotated[
    list[Path] | None,
    typer.Option(
        help="Your own layers, functions and ops: a Python file, which is run; may be repeated.", metavar="FILE.py"
    ),
]
Opaque = Annotated[
    list[str] | None,
    typer.Option(help="The shape that an unknown layer gives; may be repeated.", metavar="NAME=SIZES"),
]
States = Annotated[
    str | None,
    typer.Option(
        help="Of layers with stateful=True: inputs makes their states inputs and outputs, zeros begins anew.",
        metavar="HOW",
        autocompletion=completion.one_of("inputs", "zeros"),
    ),
]
Signature = Annotated[
    str | None, typer.Option(help="Of a SavedModel; by default serving_default, or its only one.", metavar="NAME")
]
Outputs = Annotated[
    str | None, typer.Option("--outputs", help="Of a graph of TensorFlow: the tensors that it gives.", metavar="NAMES")
]
Target = Annotated[Path, typer.Argument(metavar="TARGET", help="A .onnx, .keras or .dagir file.")]
NameMap = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        help="An input or output of the .onnx file, and what the model calls it; may be repeated.",
        metavar="FILE=MODEL",
    ),
]
Verify = Annotated[bool, typer.Option("--verify/--no-verify", help="Run what was written, and compare.")]
WithKeras = Annotated[
    bool | None,
    typer.Option(
        "--with-keras/--without-keras",
        help="Run SOURCE by Keras itself too, and compare: nothing was misread. By default for a model in memory.",
        show_default=False,
    ),
]
Opset = Annotated[int | None, typer.Option(help="Of the ai.onnx domain, 13 to 24.", metavar="N")]
Runtime = Annotated[
    str | None, typer.Option("--target", help="What shall run it: onnxruntime==1.17.", metavar="RUNTIME")
]
Sizes = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        help="Fix or free sizes of an input; may be repeated.",
        metavar="NAME=SIZES",
        autocompletion=completion.sizes,
    ),
]
External = Annotated[bool, typer.Option("--external-data", help="Write weights beside the .onnx file.")]
Disable = Annotated[
    list[str] | None,
    typer.Option(help="Leave out a pass; may be repeated.", metavar="PASS", autocompletion=completion.passes),
]
KeepLayers = Annotated[
    bool, typer.Option("--keep-layers", help="Fold no weights, and name the layers in the .onnx file: it can go back.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse weights that hold NaN or infinity.")]
Rename = Annotated[
    list[str] | None,
    typer.Option(
        help="Of an input or output of the file that is written; may be repeated.",
        metavar="OLD=NEW",
        autocompletion=completion.ends,
    ),
]
Nchw = Annotated[
    list[str] | None,
    typer.Option(
        "--nchw",
        help="An input that the file takes channels-first; may be repeated.",
        metavar="INPUT",
        autocompletion=completion.inputs,
    ),
]
Nhwc = Annotated[
    list[str] | None,
    typer.Option(
        "--nhwc",
        help="An input that the file takes channels-last; may be repeated.",
        metavar="INPUT",
        autocompletion=completion.inputs,
    ),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace a target that exists.")]

Precision = Annotated[
    str | None,
    typer.Option(
        help="Compute in float16, bfloat16, or mixed: see --budget.",
        metavar="DTYPE",
        autocompletion=completion.one_of("float16", "bfloat16", "mixed"),
    ),
]
Calibrate = Annotated[Path | None, _file_of_samples("Samples of the inputs")]
Inputs = Annotated[Path | None, _file_of_samples("Run on these")]
Budget = Annotated[
    float | None, typer.Option(help="The relative error that a low precision may cost.", metavar="ERROR")
]
NarrowIo = Annotated[bool, typer.Option("--narrow-io", help="Narrow inputs and outputs too.")]
QuantizeTo = Annotated[
    str | None,
    typer.Option(
        "--quantize",
        help="int8 (needs --calibrate), int8-dynamic or int4-weights.",
        metavar="CODES",
        autocompletion=completion.one_of("int8", "int8-dynamic", "int4-weights"),
    ),
]
RangesBy = Annotated[
    str | None,
    typer.Option(
        "--ranges",
        help="Of int8: minmax, percentile, entropy or mse.",
        metavar="METHOD",
        autocompletion=completion.one_of("minmax", "percentile", "entropy", "mse"),
    ),
]
MetricName = Annotated[
    str | None, typer.Option("--metric", help="What may not drop on labelled samples: accuracy.", metavar="NAME")
]
Labels = Annotated[
    Path | None,
    typer.Option(help="Of the samples: the class of each, a number.", metavar="FILE.npy", callback=_labels),
]
MaxDrop = Annotated[float | None, typer.Option(help="How much lower the metric may be, 0 by default.", metavar="SHARE")]
Rtol = Annotated[
    float | None, typer.Option(help="The most that an output as a whole may be off, relative to it: 0.01.")
]
Atol = Annotated[
    float | None, typer.Option(help="The most that an element may be off; with --rtol, one of both is enough.")
]
Cosine = Annotated[float | None, typer.Option(help="The least cosine of the angle between both outputs: 0.999.")]
Top1 = Annotated[float | None, typer.Option(help="The least share of rows with the same top class: 0.99.")]
KeepFloat = Annotated[
    list[str] | None,
    typer.Option(
        help="A layer that is not quantized; may be repeated.", metavar="NAME", autocompletion=completion.layers
    ),
]

FullRange = Annotated[
    bool,
    typer.Option(
        "--full-range", help="Of int8: codes of weights in the full range, for CPUs with VNNI: on others they saturate."
    ),
]


def reading(
    architecture: str | None,
    custom: list[Path] | None,
    opaque: list[str] | None = None,
    signature: str | None = None,
    outputs: str | None = None,
    states: str | None = None,
) -> sources.Reading:
    """How a source is read. opaque: for a command that may meet unknown layers, the shapes that are told of them."""
    shapes = None if opaque is None else targets.parse_sizes(opaque, "--opaque")
    return sources.Reading(architecture, tuple(custom or ()), shapes, signature, listed(outputs), states=states)


def interface(rename: list[str] | None, nchw: list[str] | None, nhwc: list[str] | None) -> Interface:
    """The names and layouts that the written file has in place of the source's. Raises UsageError."""
    names: dict[str, str] = {}
    for text in rename or ():
        old, equals, new = text.rpartition("=")
        if not (equals and old and new):
            raise UsageError(f"--rename {text}: is no OLD=NEW", remedy="--rename Identity:0=probabilities")
        if old in names:
            raise UsageError(f"--rename {old} is given twice")
        names[old] = new
    both = set(nchw or ()) & set(nhwc or ())
    if both:
        raise UsageError(f"input {min(both)!r} cannot be both --nchw and --nhwc")
    return Interface(names, {**dict.fromkeys(nchw or (), FIRST), **dict.fromkeys(nhwc or (), LAST)})


def listed(names: str | None) -> list[str] | None:
    """The names in a text with commas between them; None for no text."""
    return None if names is None else [name.strip() for name in names.split(",") if name.strip()]
