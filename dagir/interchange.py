"""From and to the other frameworks' models. The core names no framework: each goes through its backend."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any, Literal, TypeAlias, overload

from dagir.equivalence.certifying import confirmed, measured, origin_of, remember, takes_the_sizes, was_read, written
from dagir.equivalence.closeness import Closeness
from dagir.equivalence.metric import Metric
from dagir.errors import ArgumentError, UnsupportedOp
from dagir.ir.arrays import warn_of
from dagir.ir.graph import Graph, Values
from dagir.ir.types import Array
from dagir.layers.base import Layer
from dagir.modeling.input_shapes import resize_inputs
from dagir.modeling.model import Model
from dagir.modeling.states import States
from dagir.modeling.trainer import TrainingState
from dagir.ops.call import parameters_of
from dagir.precision.options import LowPrecision, metadata_of
from dagir.runtime.backend import backend, graph_of
from dagir.runtime.feeds import Feed
from dagir.serialization import formats, weight_files
from dagir.support.backend_names import KERAS, ONNX
from dagir.support.did_you_mean import did_you_mean
from dagir.support.frameworks import KerasLayer, KerasModel, OnnxModel, is_keras_model, kind, takes_a_model

Sizes: TypeAlias = Sequence[int | str | None]
Architecture: TypeAlias = "str | os.PathLike[str] | Mapping[str, object] | Model | KerasModel"
CustomObjects: TypeAlias = Mapping[str, "type | Layer | KerasLayer | Callable[..., Any] | Sequence[Callable[..., Any]]"]


@overload
def to_onnx(
    model: Model | Graph,
    path: None = None,
    *,
    opset: int | None = None,
    target: str | None = None,
    input_shapes: Mapping[str, Sizes] | None = None,
    external_data: bool | None = None,
    disable: Collection[str] = (),
    keep_layers: bool = False,
    precision: str | None = None,
    quantize: str | None = None,
    calibrate: Feed | str | os.PathLike[str] | None = None,
    budget: float | None = None,
    narrow_io: bool = False,
    ranges: str | None = None,
    keep_float: Collection[str] = (),
    full_range: bool = False,
    metric: Metric | None = None,
    metadata: Mapping[str, str] = {},
    overwrite: bool = True,
    verify: Literal[False] = False,
) -> Any: ...
@overload
def to_onnx(
    model: Model | Graph,
    path: str | os.PathLike[str],
    *,
    opset: int | None = None,
    target: str | None = None,
    input_shapes: Mapping[str, Sizes] | None = None,
    external_data: bool | None = None,
    disable: Collection[str] = (),
    keep_layers: bool = False,
    precision: str | None = None,
    quantize: str | None = None,
    calibrate: Feed | str | os.PathLike[str] | None = None,
    budget: float | None = None,
    narrow_io: bool = False,
    ranges: str | None = None,
    keep_float: Collection[str] = (),
    full_range: bool = False,
    metric: Metric | None = None,
    metadata: Mapping[str, str] = {},
    overwrite: bool = True,
    verify: bool | str | os.PathLike[str] | KerasModel = False,
) -> Path: ...
def to_onnx(
    model: Model | Graph,
    path: str | os.PathLike[str] | None = None,
    *,
    opset: int | None = None,
    target: str | None = None,
    input_shapes: Mapping[str, Sizes] | None = None,
    external_data: bool | None = None,
    disable: Collection[str] = (),
    keep_layers: bool = False,
    precision: str | None = None,
    quantize: str | None = None,
    calibrate: Feed | str | os.PathLike[str] | None = None,
    budget: float | None = None,
    narrow_io: bool = False,
    ranges: str | None = None,
    keep_float: Collection[str] = (),
    full_range: bool = False,
    metric: Metric | None = None,
    metadata: Mapping[str, str] = {},
    overwrite: bool = True,
    verify: object = False,
    **unknown: object,
) -> Any:
    """The model as an onnx.ModelProto, or, with a path, written to a file whose path is returned.

    opset: of the ai.onnx domain. target: the runtime that shall read it, "onnxruntime==1.17". input_shapes: sizes by
    input name that are fixed (a number) or freed (a name, or None). external_data: weights in `<path>.data`; by default
    only past 2 GiB. disable: passes by name. metadata: metadata_props, next to the version of dagir.
    keep_layers: nothing is folded into the weights, and the file names the layers: `from_onnx` makes the same model.
    precision: "float16" or "bfloat16" compute in these, and store the weights so, but for nodes that leave their range
    or move the outputs by more than `budget`, as a relative error; "mixed" keeps the worst nodes in float32 until all
    others together stay within `budget`. Inputs and outputs keep their dtypes, unless narrow_io. calibrate: samples of
    the inputs, or an .npz or .npy file with them, for the choice of these nodes (see `dagir.sensitivity`); by default
    they are drawn.
    quantize: "int8" computes convolutions and products in integers, with `ranges` of the samples by "minmax",
    "percentile", "entropy" or "mse" (the default); "int8-dynamic" and "int4-weights" have products of codes of weights.
    metric: what the file may not lose on the samples in `calibrate` (`dagir.Metric`), if it is verified.
    keep_float: names of layers and nodes that are not quantized; with a budget, the worst nodes are not either.
    full_range: codes of weights in all of int8, nearly one bit more, for CPUs with VNNI alone: on others they saturate.
    verify: True runs what was written and compares it with the model in float64, before the file has its name; its
    certificate is in the file, and `dagir.verified(path)` runs it again. A model that came from a Keras model that is
    in memory is compared with that too, and so is a Keras model, or the path of its file, given in place of True.
    Raises ArgumentError, UnsupportedOp, FileError, and VerificationError, after which nothing has been written.
    overwrite: whether a file that exists is replaced.

    >>> x = dagir.Input((3,), name="x")
    >>> [node.op_type for node in dagir.to_onnx(dagir.Model(x, ops.tanh(x))).graph.node]
    ['Tanh']
    """
    if not isinstance(model, (Model, Graph)):
        raise takes_a_model("to_onnx", model, "a Model or a Graph")
    if path is not None:
        formats.refuse_other_suffix(path, formats.ONNX)
    warn_of(parameters_of(graph_of(model)))
    if unknown:
        raise _unknown_option(next(iter(unknown)))
    _check_verify(verify, path)
    resized = _resized(model, input_shapes)
    given: Any = resized
    _check_metric(metric, verify, precision or quantize, calibrate)
    low = LowPrecision(precision, quantize, calibrate, budget, narrow_io, ranges, keep_float, full_range).applied(
        resized
    )
    if low is not None and keep_layers:
        raise ArgumentError("keep_layers is for a file of full precision", remedy="leave out precision and quantize")
    if low is not None:
        metadata = metadata_of(low, metadata)
        if verify is not False and path is not None:
            _confirm(model, resized, verify)
            verify = True
        model = resized = low.model
    exe: Any = backend(ONNX).lower(
        resized, opset=opset, target=target, metadata=metadata, disable=disable, keep_layers=keep_layers
    )
    if path is None:
        return exe.artifact
    write = partial(exe.save, external_data=external_data, overwrite=overwrite)
    if verify is False:
        return write(Path(path))
    measure = None if low is None else partial(_measure, given, low.closeness, calibrate, metric)
    source = metadata.get("dagir.source", model.name)
    return _verified(model, resized, Path(path), write, verify, source, overwrite, measure)


def _resized(model: Any, input_shapes: Mapping[str, Sizes] | None) -> Any:
    return resize_inputs(model, input_shapes) if input_shapes else model


def _check_verify(verify: object, path: object) -> None:
    if not isinstance(verify, (bool, str, os.PathLike)) and not is_keras_model(verify):
        raise ArgumentError(f"verify is True, False, a Keras model or the path of its file, got {kind(verify)}")
    if verify is not False and path is None:
        raise ArgumentError("verify=True compares the file that is written", remedy="give a path: to_onnx(model, path)")


def _verified(
    given: Any,
    model: Any,
    path: Path,
    write: Callable[[Path], object],
    verify: object,
    source: str,
    overwrite: bool,
    measure: Callable[[Path], Mapping[str, Any]] | None,
) -> Path:
    """given: the model before `input_shapes`, which may ask for sizes that Keras cannot run."""
    witness = None if verify is True else verify
    if verify is True and was_read(given) and takes_the_sizes(given, model):
        witness = origin_of(given)
    from_keras = witness is not None or was_read(given)
    how: dict[str, Any] = {"witness": witness, "from_keras": from_keras, "source": source, "overwrite": overwrite}
    return written(model, path, write, measure=measure, **how)


def _check_metric(metric: Metric | None, verify: object, low: str | None, calibrate: object) -> None:
    """Raise ArgumentError for a metric of nothing, and for labels that are none."""
    if metric is None:
        return
    if verify is False or low is None:
        raise ArgumentError(
            "a metric is of a file of low precision that is verified", remedy="add precision= or quantize=, verify=True"
        )
    metric.known_labels(calibrate)


def _measure(
    model: Any, near: Sequence[Closeness], samples: object, metric: Metric | None, path: Path
) -> Mapping[str, Any]:
    """How close the file is to the model that was narrowed. Raises VerificationError."""
    exe = None if metric is None else backend(ONNX).open(path, model)
    return measured(model, near, exe, samples, metric)


def _confirm(given: Any, model: Any, verify: object) -> None:
    """Compare the source with what was read of it: the narrow model that is written differs from it on purpose."""
    witness = None if verify is True else verify
    if verify is True and was_read(given) and takes_the_sizes(given, model):
        witness = origin_of(given)
    if witness is not None:
        confirmed(model, witness)


def _unknown_option(name: str) -> ArgumentError:
    if name == "dynamic_axes":
        remedy = "sizes that are None in the model stay free; input_shapes={'x': ('batch', 224, 224, 3)} frees or fixes"
    else:
        known = tuple(name for name in signature(to_onnx).parameters if name not in ("model", "path", "unknown"))
        remedy = did_you_mean(name, known, 1) or f"it has: {', '.join(known)}"
    return ArgumentError(f"to_onnx has no argument {name!r}", remedy=remedy)


def to_keras(model: Model | Graph) -> Any:
    """The model as a keras.Model of real layers, with the same weights. Raises UnsupportedOp.

    It is compiled as the model is, its optimizer in the same state, unless loss or metrics are functions of your own.
    What Keras has no layer and no operation for is a layer of dagir: a file that holds one loads after `import dagir`.
    TensorFlow takes a name with a colon or a space for no layer and no loss: there, an underscore stands in its place.

    >>> dagir.to_keras(model).save("digits.keras")  # doctest: +SKIP
    """
    if not isinstance(model, (Model, Graph)):
        raise takes_a_model("to_keras", model, "a Model or a Graph")
    warn_of(parameters_of(graph_of(model)))
    state = _training_state(model)
    return backend(KERAS).lower(model).artifact if state is None else _resumed(model, state)


def _training_state(model: Model | Graph) -> TrainingState | None:
    """How Keras trains the model, if it does, and if that can be described as data."""
    try:
        state = model.training_state if isinstance(model, Model) else None
    except UnsupportedOp:
        return None
    return state if state is not None and state.backend == KERAS else None


def _resumed(model: Model | Graph, state: TrainingState) -> Any:
    trainer: Any = backend(KERAS).resume(model, state)
    return trainer.model


@overload
def from_keras(
    source: str | os.PathLike[str] | KerasModel,
    *,
    custom_objects: CustomObjects | None = None,
    inputs: Values | None = None,
    architecture: Architecture | None = None,
    opaque: bool | Mapping[str, Sizes] = False,
    states: States | None = None,
) -> Model: ...
@overload
def from_keras(
    source: KerasLayer, *, custom_objects: CustomObjects | None = None, inputs: Values | None = None
) -> Layer: ...
def from_keras(
    source: object,
    *,
    custom_objects: CustomObjects | None = None,
    inputs: Values | None = None,
    architecture: object = None,
    opaque: object = False,
    states: States | None = None,
) -> Layer:
    """A keras.Model, or a .keras, .h5 or .hdf5 file, as a Model; any other Keras layer as a Layer.

    A file is read without Keras, and nothing in it is executed. custom_objects: what the names in a file mean, with or
    without their package. For a class, or the name of one layer: a dagir Layer class that takes the configuration, its
    class of Keras, a layer, or f(config) -> Layer. For a function: the function, written with dagir.ops or keras.ops.
    "<lambda>": the function of all lambdas, or a list of one for each in the order of the file; a Lambda's own name
    stands for it too. Without, the `call` of a live layer is traced. inputs: dagir Inputs for a subclassed model that
    was never called.
    architecture: for a file of weights alone (.weights.h5, .h5, .weights.json): the path of the JSON that
    `model.to_json` wrote, or of a model file, the configuration as a dict, or a model, which gets the weights.
    opaque: True lets layers of a file that cannot be taken stay in the model as opaque ones: it can be summarized,
    plotted, and cut before or behind them, and not run. A dict gives the shapes that they return by name, where the
    file does not tell them: {"attention": (None, 64)}.
    states: for recurrent layers with stateful=True. "inputs" makes each state a further input, `<layer>_state_<i>`, and
    what it becomes a further output, `<layer>_new_state_<i>`, for who runs the model to hand on; "zeros" begins each
    call anew. Without, such layers are refused, as a graph keeps nothing from call to call. Raises
    BackendError, FileError (UnsafeFile), UnsupportedLayer, which names every layer that cannot be taken.
    source: a model, a layer, or a path.

    >>> model = dagir.from_keras("digits.keras")  # doctest: +SKIP
    """
    options = {"custom_objects": custom_objects, "inputs": inputs, "architecture": architecture}
    options["opaque"], options["states"] = opaque or None, states
    options = {key: part for key, part in options.items() if part is not None}
    model = backend(KERAS).read(source, **options)
    if isinstance(model, Model):
        runs = is_keras_model(source) and states is None  # else it goes on where its last call ended
        remember(model, source if runs else None, options)
    return model


def from_tensorflow(
    source: object,
    *,
    inputs: object = None,
    outputs: str | Sequence[str] | None = None,
    signature: str | None = None,
) -> Model:
    """A tf.function, concrete function or tf.Module, the folder of a SavedModel, or a frozen graph, as a Model.

    A function is read as the graph that TensorFlow traced, op by op: variables become weights by identity, unknown
    sizes stay unknown and named, branches and loops become If and Loop. A SavedModel is read as the protocol buffer
    and the checkpoint that it is, without TensorFlow, and nothing in it is run; its inputs and outputs have the names
    of the signature. A frozen graph is a .pb file alone: its constants of floats become weights, its placeholders are
    the inputs, and it gives what no node reads, unless you name others. Ops that are random, change a state or compute
    on text are refused, all of them at once.

    source: what is read. inputs: what to trace a function for: tf.TensorSpecs, dagir Inputs or arrays; by default its
    input signature. Of a file, the names of inputs; or by name a shape, {"x": (None, 224, 224, 3)}, or an array, which
    takes the place of the input. outputs: the names of the tensors that a graph gives, in place of a signature:
    "logits", "top:1". signature: of a SavedModel ("serving_default"), or the name of a method of a tf.Module.
    Raises BackendError, FileError (UnsafeFile), UnsupportedLayer, ArgumentError.

    >>> model = dagir.from_tensorflow("exported/", signature="serving_default")  # doctest: +SKIP
    """
    return backend(KERAS).read_graph(source, inputs=inputs, outputs=outputs, signature=signature)


def load_weights(model: Model, path: str | os.PathLike[str]) -> None:
    """Read weights into a model: a .safetensors file, or Keras's .weights.h5, .h5, .hdf5, .weights.json and .keras.

    Of a Keras file they are matched by structure, as Keras does. Raises FileError before anything is changed.
    """
    if os.fspath(path).lower().endswith((*formats.KERAS.suffixes, ".weights.json")):
        backend(KERAS).load_weights(model, os.fspath(path))
    else:
        weight_files.load_weights(model, path)


def from_onnx(
    source: str | os.PathLike[str] | OnnxModel,
    *,
    inputs: Mapping[str, Sizes | Array] | None = None,
    custom_objects: Mapping[str, type[Layer]] | None = None,
) -> Model:
    """An .onnx file, or an onnx.ModelProto, as a Model.

    It is read node by node, and nothing of it is run: opsets from 6 on, functions in the file opened. Inputs, outputs
    and weights keep their names. Weights stay in the mapped file where they lie in one beside the model. Sizes that the
    file names have these names, and shapes that are computed from shapes are known by them. A file that `to_onnx` wrote
    with keep_layers gives the model of these layers, where it was not changed since. What the file declares and its
    graph contradicts is corrected, with a DeclarationWarning. Nodes that cannot be taken (random numbers, text,
    sequences, ...) are refused, all of them at once.

    source: a path or a proto. inputs: by the name of the input, a shape in place of the one that the file declares,
    {"x": ("batch", 3, 224, 224)}, None for a size that is free; or an array, which takes the place of the input.
    custom_objects: classes of layers by name, for a file that names layers that are not dagir's own.
    Raises FileError (UnsafeFile), UnsupportedOp, ArgumentError.

    >>> model = dagir.from_onnx("digits.onnx")  # doctest: +SKIP
    """
    options: dict[str, Any] = {"inputs": inputs, "custom_objects": custom_objects}
    options = {name: given for name, given in options.items() if given is not None}
    return backend(ONNX).read(source, **options)
