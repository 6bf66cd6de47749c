"""How an onnxruntime session is made: device or execution providers, threads, or the user's own options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from onnx import ModelProto

from dagir.errors import ArgumentError, BackendError
from dagir_onnx.exact_codes import multiply_exactly
from dagir_onnx.onnxruntime_late import onnxruntime

Provider: TypeAlias = "str | tuple[str, Mapping[str, str]]"

CPU = "CPUExecutionProvider"
_DEVICES = {"cpu": CPU, "cuda": "CUDAExecutionProvider"}
# TF32 would keep ten bits of a float32's mantissa, and the answers would not be those of the other backends.
_OPTIONS: dict[str, dict[str, str]] = {"CUDAExecutionProvider": {"use_tf32": "0"}}
_SUFFIX = "ExecutionProvider"
# arithmetic on a few sizes: onnxruntime leaves it on the CPU, where shapes are needed
HOST_OPS = frozenset(
    {"Shape", "Gather", "Unsqueeze", "Squeeze", "Concat", "Slice", "Cast", "Add", "Sub", "Mul", "Div", "Min", "Max"}
)
KNOWN = ("device", "session_options", "threads", "providers")
"""The options of the backend that say how a session is made."""


@dataclass(frozen=True)
class SessionSetup:
    """Raises ArgumentError and BackendError where it is made, and not where the first session is.

    device: "cpu" or "cuda". session_options: the user's onnxruntime.SessionOptions, which are not changed. threads: on
    which one node is computed, None for onnxruntime's choice, which is one a core. providers: in place of a device, by
    onnxruntime's names with or without "ExecutionProvider", each alone or with its options; where "CPU" is not among
    them, a node that would compute there is an error. without_saturation: whether kernels that add products of uint8
    and int8 in 16 bits are avoided, as CPUs without VNNI have them.
    """

    device: str = "cpu"
    session_options: Any = None
    threads: int | None = None
    providers: Sequence[Provider] = ()
    without_saturation: bool = True

    def __post_init__(self) -> None:
        if self.device not in _DEVICES:
            raise ArgumentError(f"unknown device {self.device!r}", remedy="use device='cpu' or device='cuda'")
        if isinstance(self.providers, str):
            raise ArgumentError(f"providers is a list, got {self.providers!r}", remedy=f"[{self.providers!r}]")
        if self.providers and self.device != "cpu":
            raise ArgumentError("the onnx backend takes a device or providers, not both", remedy="name CUDA among them")
        self._check_threads()
        available = onnxruntime.get_available_providers()
        absent = [name for name, _ in self.entries if name not in available]
        if absent:
            asked = f"provider {absent[0]!r}" if self.providers else f"device {self.device!r}"
            raise BackendError(
                f"{asked} was asked for, and this onnxruntime cannot use it",
                facts=[("onnxruntime", onnxruntime.__version__), ("it has", ", ".join(available))],
                remedy="install a build of onnxruntime that has it"
                if self.providers
                else "pip install 'dagir[onnx-gpu]' on a machine with a CUDA GPU, or use device='cpu'",
            )

    def _check_threads(self) -> None:
        if self.threads is None:
            return
        if isinstance(self.threads, bool) or not isinstance(self.threads, int) or self.threads < 1:
            raise ArgumentError(f"threads is a positive int, got {self.threads!r}")
        if self.session_options is not None:
            raise ArgumentError(
                "the onnx backend takes threads or session_options, not both",
                remedy="set intra_op_num_threads in your session_options",
            )

    @property
    def entries(self) -> list[tuple[str, dict[str, str]]]:
        """The providers with their options, as onnxruntime takes them."""
        given = self.providers or (_DEVICES[self.device],)
        pairs = [(each, {}) if isinstance(each, str) else each for each in given]
        full = [(name if name.endswith(_SUFFIX) else name + _SUFFIX, options) for name, options in pairs]
        return [(name, {**_OPTIONS.get(name, {}), **options}) for name, options in full]

    @property
    def kernels(self) -> str:
        """The device whose kernels the file is written for: "cpu" or "cuda"."""
        return "cuda" if any(name == _DEVICES["cuda"] for name, _ in self.entries) else "cpu"

    @property
    def title(self) -> str:
        """The device or the providers in a few words, for errors."""
        return " and ".join(name.removesuffix(_SUFFIX) for name, _ in self.entries) if self.providers else self.device

    @property
    def is_default_cpu(self) -> bool:
        """Whether all is computed on the CPU, so that a session may read weights where they lie."""
        return all(name == CPU for name, _ in self.entries)

    def options(self, model: Callable[[], ModelProto]) -> Any:
        """The user's SessionOptions, or new ones for a model."""
        if self.session_options is not None:
            return self.session_options
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what it would log is raised
        if self.threads is not None:
            options.intra_op_num_threads = self.threads
        if self.without_saturation:
            multiply_exactly(options, model())
        return options

    @property
    def refuses_the_cpu(self) -> bool:
        """Whether a node that computes on the CPU is an error."""
        return all(name != CPU for name, _ in self.entries)

    def check(self, session: Any) -> None:
        """Raise BackendError where a provider did not start, or where a computing node is on the CPU unasked."""
        started = session.get_providers()
        absent = [name for name, _ in self.entries if name not in started]
        if absent:
            raise BackendError(
                f"{absent[0]} was asked for, and onnxruntime could not start it",
                facts=[("it started", ", ".join(started))],
                remedy="check its driver, and the version that onnxruntime was built for, or use device='cpu'",
            )
        if not self.refuses_the_cpu:
            return
        parts = [part for part in session.get_provider_graph_assignment_info() if part.ep_name == CPU]
        nodes = [node for part in parts for node in part.get_nodes() if node.op_type not in HOST_OPS]
        if nodes:
            listed = ", ".join(f"{node.name} ({node.op_type})" for node in nodes[:8])
            raise BackendError(
                f"onnxruntime has no {self.title} kernel for {len(nodes)} nodes, and would run them on the CPU",
                facts=[("nodes", listed)],
                remedy="use device='cpu'" if not self.providers else "add 'CPU' to the providers, which allows it",
            )
