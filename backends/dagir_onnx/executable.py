"""Runs an ONNX model on onnxruntime, on the requested device and on no other."""

from __future__ import annotations

import contextlib
import ctypes
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto

from dagir import ops
from dagir.errors import BackendError, DagirError, FeedError
from dagir.ir.diagnostics import describe
from dagir.ir.graph import Graph, Node
from dagir.ir.types import Array, DType
from dagir.ir.weight_snapshot import Snapshot
from dagir.modeling.model import Model
from dagir.modeling.signature import Signature
from dagir.ops.call import first_of, parameters_of
from dagir.runtime.backend import Executable, Kept
from dagir.runtime.feeds import as_strings, refuse_nan
from dagir.runtime.probes import Body
from dagir_onnx.cut_bodies import cut_body
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.emitter import Tensor
from dagir_onnx.exact_codes import own_zero_points
from dagir_onnx.file import EMBEDDED_LIMIT, write
from dagir_onnx.onnxruntime_late import onnxruntime, states
from dagir_onnx.packing import bits_of, lent, unpacked
from dagir_onnx.points import Point, Watch, as_written, cut_out, marked_points
from dagir_onnx.runtime_errors import failed_run, refusal, refusals
from dagir_onnx.session_setup import SessionSetup
from dagir_onnx.weights import embed, header, lend, size_of

MODEL_FILE = "model.onnx"


class OnnxExecutable(Executable):
    """An onnxruntime session. `.artifact` is the ModelProto, `.session` the session, made at the first run."""

    def __init__(
        self,
        graph: Graph,
        signature: Signature,
        model: ModelProto,
        initializers: dict[str, Tensor],
        setup: SessionSetup | None = None,
    ) -> None:
        super().__init__(graph, signature)
        self.input_names = [name for name, _ in signature.inputs]
        self.output_names = [name for name, _ in signature.outputs]
        self.setup = setup or SessionSetup()
        self._model, self._initializers = model, initializers
        self._artifact: ModelProto | None = None
        self._session: Any = None
        self._weights = Snapshot(parameters_of(graph))

    @property
    def artifact(self) -> ModelProto:
        """The ONNX model, with its weights inside. Raises BackendError above 2 GiB: call `save` instead."""
        if size_of(self._initializers) > EMBEDDED_LIMIT:
            raise BackendError("the weights exceed 2 GiB, the limit of one protobuf message", remedy="use save(path)")
        with self._lock:
            if self._artifact is None:
                whole = ModelProto()
                whole.CopyFrom(self._model)
                with self._weights.seen():
                    self._artifact = embed(whole, self._initializers)
            return self._artifact

    def save(self, path: str | os.PathLike[str], *, external_data: bool | None = None, overwrite: bool = True) -> Path:
        """Write the model; weights go beside it in `<name>.data` past 2 GiB, or where external_data is True.

        A temporary file is renamed, so that no incomplete file remains. Raises FileError.
        """
        with self._weights.seen():
            return write(self._model, self._initializers, Path(path), external_data=external_data, overwrite=overwrite)

    @property
    def session(self) -> Any:
        """The onnxruntime.InferenceSession. Raises BackendError where the device does not take the model."""
        if self._session is None:
            with self._lock:
                if self._session is None:
                    self._session = self._open()
        return self._session

    def _open(self) -> Any:
        setup = self.setup
        options = setup.options(self._model_of_codes)
        if setup.refuses_the_cpu:
            options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        with self._source(options) as (source, lent):
            try:
                session = onnxruntime.InferenceSession(source, options, providers=setup.entries, enable_fallback=0)
            except refusals() as error:
                raise self._refused(error) from None
        session.lent = lent  # the session reads this memory, and may live longer than the executable
        setup.check(session)
        return session

    def warm_up(self) -> None:
        """Make the session."""
        _ = self.session  # no assertion: python -O leaves these out

    def _refused(self, error: Exception) -> DagirError:
        return refusal(error, self._model_for_points(), self.setup.title)

    @contextlib.contextmanager
    def _source(self, options: Any) -> Iterator[tuple[str | bytes, Any]]:
        """The bytes of a model whose weights are in the options, or a path, for the user's own options are not changed.

        Then the objects that must live as long as the session.
        """
        try:
            with tempfile.TemporaryDirectory(prefix="dagir-", ignore_cleanup_errors=True) as folder:
                if self.setup.session_options is None:
                    with self._weights.seen():
                        found = lend(self._model, self._initializers, options, Path(folder), self.setup.is_default_cpu)
                    yield found
                else:
                    yield str(self.save(Path(folder) / "model.onnx", external_data=True)), None
        except OSError as error:
            raise BackendError(f"no room for the weights: {error.strerror or error}") from error

    def _run(self, arrays: Sequence[Array]) -> Sequence[Array]:
        names, outputs = self.input_names, self.output_names
        types = [type for _, type in [*self.signature.inputs, *self.signature.outputs]]
        self._refuse_fatal(arrays)
        if self._loses_nan is not None:
            who = f"onnxruntime would make numbers of them in {describe(self._loses_nan)}"
            refuse_nan(self.signature.inputs, arrays, who)
        arrays = as_objects(arrays)
        try:
            if any(_is_bound(type.dtype) for type in types):
                return self._run_bound(dict(zip(names, arrays, strict=True)))
            found: Sequence[Array] = self.session.run(outputs, dict(zip(names, arrays, strict=True)))
        except states.InvalidArgument as error:
            raise failed_run(error) from error
        except (states.RuntimeException, states.Fail) as error:
            raise FeedError(f"onnxruntime failed: {_first_line(error)}") from error
        return [as_strings(array) for array in found]

    @cached_property
    def _loses_nan(self) -> Node | None:
        """A node whose CPU kernel drops NaN (onnxruntime 1.32), so that the answers would be wrong."""
        return first_of(self._graph, (ops.LSTM, ops.GRU, ops.MaxPool, ops.MaxPoolWithIndices))

    def _refuse_fatal(self, arrays: Sequence[Array]) -> None:
        """Raise FeedError for a batch of 0 where onnxruntime 1.32 would end the process."""
        node = None if all(array.size for array in arrays) else first_of(self._graph, (ops.LSTM, ops.GRU, ops.Scan))
        if node is not None:
            raise FeedError(
                f"onnxruntime cannot run {describe(node)} on an empty batch",
                remedy="feed at least one row and one time step, or use the numpy backend",
            )

    @cached_property
    def _points(self) -> dict[str, Point]:
        return marked_points(self._model_for_points())

    def _model_for_points(self) -> ModelProto:
        return self._model

    def _model_of_codes(self) -> ModelProto:
        """What the session computes, with the names of the codes that are stored."""
        codes = [name for name, tensor in self._initializers.items() if tensor.type.dtype is DType.INT8]
        found = ModelProto()
        if codes:
            found.CopyFrom(self._model)
            found.graph.initializer.extend(header(name, self._initializers[name]) for name in codes)
            own_zero_points(found)
        return found

    def points(self) -> Mapping[str, str]:
        """The points that a node of the file makes, and the node's name."""
        return {name: point.node for name, point in self._points.items()}

    def observe(self, arrays: Sequence[Array], names: Sequence[str]) -> list[Array]:
        """A session with the same options and more outputs."""
        points = [self._points[name] for name in names]
        feeds = dict(zip(self.input_names, as_objects(arrays), strict=True))
        found = self._watch()(feeds, [point.tensor for point in points])
        return [as_written(as_strings(array), point) for array, point in zip(found, points, strict=True)]

    def part(self, model: Model, inputs: Mapping[str, str], output: str, sizes: Mapping[str, int]) -> OnnxExecutable:
        """The nodes of the file between these points, with the file's own weights."""
        known = {point: self._points[point] for point in (*inputs.values(), output) if point in self._points}
        own = dict(zip((name for name, _ in self.signature.inputs), self.input_names, strict=True))
        inputs = {title: name if name in known else own.get(name, name) for title, name in inputs.items()}
        proto = cut_out(self._whole(), model, inputs, output, known)
        return OnnxPart(model.graph, model.signature, proto, {}, self.setup)

    def body(self, point: str, body: Body, arrays: Sequence[Array]) -> OnnxExecutable | None:
        """The nodes of the subgraph, and those outside of it that tell it sizes."""
        feeds = dict(zip(self.input_names, arrays, strict=True))
        found = cut_body(self._whole(), self._points[point].tensor, body, feeds)
        if found is None:
            return None
        return OnnxPart(body.points.graph, *found, {}, self.setup)

    def _whole(self) -> ModelProto:
        """The model with all its weights."""
        return self.artifact

    def keep(self, folder: Path) -> Kept | None:
        """An .onnx file, run by onnxruntime itself where NumPy has all dtypes of its interface."""
        self._keep(folder / MODEL_FILE)
        outputs = self.output_names
        if any(_is_bound(type.dtype) for _, type in (*self.signature.inputs, *self.signature.outputs)):
            return Kept(f'dagir.backend("onnx").open("{MODEL_FILE}", model)(feeds)')
        options = "" if self.setup.is_default_cpu else f", providers={[name for name, _ in self.setup.entries]}"
        one = len(outputs) == 1
        run = f"run({None if one else outputs}, feeds){'[0]' if one else ''}"
        return Kept(f'onnxruntime.InferenceSession("{MODEL_FILE}"{options}).{run}', ("onnxruntime",))

    def _keep(self, path: Path) -> None:
        self.save(path)

    def _watch(self, folder: str | None = None) -> Watch:
        proto = self.artifact
        own_zero_points(proto)
        options = self.setup.options(lambda: proto)
        options.log_severity_level = 4  # what it would log is raised
        return Watch(proto, options, self.setup.entries, folder, self._refused)

    def _run_bound(self, feeds: dict[str, Array]) -> list[Array]:
        """With OrtValues over the bytes of the arrays, for NumPy itself has no bfloat16, and no codes."""
        binding = self.session.io_binding()
        for name, array in feeds.items():
            contiguous = np.ascontiguousarray(array)
            code = TO_ONNX[DType.of(array.dtype)]
            contiguous = contiguous.reshape(array.shape)  # NumPy makes a vector of a scalar
            raw = contiguous.view(np.uint16) if contiguous.dtype == DType.BFLOAT16.numpy else contiguous
            raw = lent(array) if DType.of(array.dtype).is_code else raw
            binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(raw, code))
        for name in self.output_names:
            binding.bind_output(name)
        self.session.run_with_iobinding(binding)
        types = [type for _, type in self.signature.outputs]
        return [_to_numpy(value, type.dtype) for value, type in zip(binding.get_outputs(), types, strict=True)]


class OnnxPart(OnnxExecutable):
    """A model that was cut out of another, its weights inside."""

    def save(self, path: str | os.PathLike[str], *, external_data: bool | None = None, overwrite: bool = True) -> Path:
        """Write the model. Raises FileError."""
        return write(self._model, {}, Path(path), external_data=False, overwrite=overwrite)


def as_objects(arrays: Sequence[Array]) -> list[Array]:
    """The arrays for onnxruntime, which takes text as Python strings."""
    return [array.astype(object) if array.dtype.kind == "T" else array for array in arrays]


def _is_bound(dtype: DType) -> bool:
    """Whether onnxruntime exchanges no arrays of the dtype, so that the bytes are lent and read."""
    return dtype is DType.BFLOAT16 or dtype.is_code


def _to_numpy(value: Any, dtype: DType) -> Array:
    if not _is_bound(dtype):
        array: Array = value.numpy()
        return array
    shape = tuple(value.shape())
    raw = bytearray(ctypes.string_at(value.data_ptr(), -(-prod(shape) * bits_of(dtype) // 8)))
    if bits_of(dtype) < 8:
        return unpacked(np.frombuffer(raw, np.uint8), dtype, shape)
    return np.frombuffer(raw, dtype.numpy).reshape(shape)


def _first_line(error: BaseException) -> str:
    return str(error).split("\n", 1)[0]
