"""The choice of a backend where the user named none: the fastest that is installed and takes the model."""

from __future__ import annotations

from dataclasses import dataclass

from dagir.errors import BackendError, UnsupportedOp
from dagir.modeling.model import Model
from dagir.runtime.backend import Executable
from dagir.runtime.lowering import lower
from dagir.support.backend_names import NUMPY, ONNX

FASTEST_FIRST = (ONNX, NUMPY)
"""By tools/bench/interpreter.md. Keras is not among them: its import alone takes seconds."""


@dataclass(frozen=True)
class Choice:
    """backend: the one that was chosen. passed_over: a line for each faster one, with the reason."""

    backend: str
    executable: Executable
    passed_over: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "; ".join([self.backend, *self.passed_over])


def lower_to_fastest(model: Model) -> Choice:
    """The model on the first of FASTEST_FIRST that can run it, warmed up. Raises what the last of them raises."""
    passed_over: list[str] = []
    for name in FASTEST_FIRST[:-1]:
        try:
            executable = lower(model, name)
            executable.warm_up()
        except (BackendError, UnsupportedOp) as error:
            passed_over.append(f"not {name}: {str(error).splitlines()[0]}")
        else:
            return Choice(name, executable, tuple(passed_over))
    return Choice(FASTEST_FIRST[-1], lower(model, FASTEST_FIRST[-1]), tuple(passed_over))
