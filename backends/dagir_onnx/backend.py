"""The ONNX backend: passes, emission, onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from dagir.display.contents import Contents
from dagir.equivalence import Report
from dagir.equivalence.progress import Progress
from dagir.errors import ArgumentError
from dagir.ir.graph import Graph
from dagir.ir.types import Array
from dagir.modeling.model import Model
from dagir.passes import DEPLOY
from dagir.runtime.backend import Backend, Executable, FileSummary, graph_of, signature
from dagir.support.backend_names import ONNX
from dagir_onnx.certificate import certify, recertify
from dagir_onnx.compare_files import compare_files
from dagir_onnx.contents import Arrays, contents_of_file
from dagir_onnx.executable import OnnxExecutable
from dagir_onnx.file import add_metadata
from dagir_onnx.kept_layers import FOLDS, KEPT, entry_of
from dagir_onnx.lowered import lowered
from dagir_onnx.model_file import OnnxFile, describe_file
from dagir_onnx.rules import rules
from dagir_onnx.session_setup import KNOWN, Provider, SessionSetup


class OnnxBackend(Backend):
    """Deploys: the graph with every pass, as ONNX, on onnxruntime."""

    name = ONNX
    rules = rules
    pipeline = DEPLOY

    def lower(
        self,
        model: Model | Graph,
        *,
        device: str = "cpu",
        opset: int | None = None,
        target: str | None = None,
        metadata: Mapping[str, str] = {},
        disable: Collection[str] = (),
        keep_layers: bool = False,
        session_options: Any = None,
        threads: int | None = None,
        providers: Sequence[Provider] = (),
        **unknown: Any,
    ) -> OnnxExecutable:
        """device: "cpu" or "cuda"; it is never replaced silently. opset: of the ai.onnx domain. disable: pass names.

        target: the runtime that must read the model, as "onnxruntime==1.17". metadata: metadata_props of the model.
        keep_layers: nothing is folded into the weights, and the metadata name the layers, which `read` makes again.
        session_options, threads, providers: `SessionSetup` says what they are.

        Raises BackendError where the device is absent, UnsupportedOp where ONNX lacks an op.
        """
        if unknown:
            known = ", ".join(("opset", "target", "metadata", "disable", "keep_layers", *KNOWN))
            raise ArgumentError(f"the onnx backend has no option {sorted(unknown)[0]!r}", remedy=f"it has: {known}")
        setup = SessionSetup(device, session_options, threads, providers)
        disable = tuple(dict.fromkeys([*disable, *FOLDS])) if keep_layers else disable
        proto, initializers = lowered(
            model, opset=opset, target=target, metadata=metadata, kernels=setup.kernels, disable=disable
        )
        if keep_layers:
            proto.metadata_props.add(key=KEPT, value=entry_of(model, proto, initializers, disable))
        return OnnxExecutable(graph_of(model), signature(model), proto, initializers, setup)

    def variants(self, model: Model | Graph) -> dict[str, Callable[[], Executable]]:
        """onnxruntime at each level of its own optimizer, on CUDA where it is, and onnx's reference evaluator."""
        # imported here, for it imports onnx.reference, which takes as long as reading a model
        from dagir_onnx.execution_configs import onnx_variants

        return onnx_variants(self, model)

    def read(self, source: Any, *, inputs: Any = None, custom_objects: Any = None, **unknown: Any) -> Model:
        """The model of an .onnx file or an onnx.ModelProto. inputs: shapes in place of those declared, by name.

        A file that was written with keep_layers is the model of these layers, where it was not changed since.
        custom_objects: classes of such layers by name, beyond dagir's own. Raises FileError (UnsafeFile),
        UnsupportedOp with every node that cannot be taken, and ArgumentError.
        """
        if unknown:
            known = "inputs, custom_objects"
            raise ArgumentError(f"reading ONNX has no option {sorted(unknown)[0]!r}", remedy=f"it has: {known}")
        from dagir_onnx.importing import read_model  # not needed for writing files

        return read_model(source, inputs, custom_objects or {})

    def annotate(self, path: str | os.PathLike[str], entries: Mapping[str, str]) -> None:
        """Add metadata_props to an .onnx file. Raises FileError."""
        add_metadata(Path(path), entries)

    def open(
        self,
        path: Any,
        model: Model | Graph,
        *,
        device: str = "cpu",
        session_options: Any = None,
        threads: int | None = None,
        providers: Sequence[Provider] = (),
        names: Mapping[str, str] = {},
        **unknown: Any,
    ) -> OnnxFile:
        """Run an .onnx file as it is. names: of the model's inputs and outputs, by those in the file.

        Others are matched by name, else by position and type: `.renamed` tells. Raises FileError, ArgumentError.
        """
        if unknown:
            known = ", ".join((*KNOWN, "names"))
            raise ArgumentError(f"an ONNX file has no option {sorted(unknown)[0]!r}", remedy=f"it has: {known}")
        return OnnxFile(path, model, SessionSetup(device, session_options, threads, providers), names)

    def compare(
        self,
        first: str | os.PathLike[str],
        second: str | os.PathLike[str],
        seed: int = 0,
        progress: Progress | None = None,
        names: Mapping[str, str] = {},
        tell: Callable[[str], None] = lambda line: None,
    ) -> Report:
        """Two .onnx files against each other, without a float64 oracle; `report.judgement` says how.

        names: of the first's inputs and outputs, by those of the second. Others are matched by name, else by position
        and type; each line about one goes to `tell`.
        """
        return compare_files(Path(first), Path(second), seed=seed, progress=progress, names=names, tell=tell)

    def certify(self, path: str | os.PathLike[str], report: Report, source: str) -> str:
        """Write into a file how it was verified, so that `recertify` can run it again. Raises FileError.

        Returns the reason why nothing was written, or an empty string: an output without elements proves nothing.
        """
        return certify(Path(path), report, source)

    def recertify(self, path: str | os.PathLike[str]) -> Report:
        """Run the certificate in a file again, without its source. Raises FileError."""
        return recertify(path)

    def describe(self, path: str | os.PathLike[str]) -> FileSummary:
        """What is in an .onnx file. Raises FileError."""
        return describe_file(path)

    def arrays(self, path: str | os.PathLike[str]) -> Mapping[str, Array]:
        """The weights of an .onnx file by name, without those of bodies. Raises FileError."""
        return Arrays(Path(path))

    def contents(self, path: str | os.PathLike[str]) -> Contents:
        """The nodes of an .onnx file, with what onnx infers of their shapes, and its weights. Raises FileError."""
        return contents_of_file(Path(path))
