"""The model as one function that is compiled: by TensorFlow, with XLA or without, or by JAX."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dagir.errors import BackendError
from dagir.ir.graph import Graph
from dagir.ir.nest import pack
from dagir.ir.types import Array
from dagir.modeling.model import Model
from dagir.runtime.backend import Executable, Kept
from dagir.support.backend_names import KERAS
from dagir_keras.engine import ENGINE, TITLE
from dagir_keras.executable import KerasExecutable, tensor_of

_BOLD = re.compile(r"\x1b\[1m(.+?)\x1b\[0m", re.DOTALL)  # Keras prints the reason in bold


class CompiledExecutable(KerasExecutable):
    """The same model, called within a function that `compiler` makes of a function on the inputs."""

    def __init__(self, model: Model | Graph, compiler: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        super().__init__(model)
        self._function = compiler(lambda inputs: self.artifact(inputs, training=False))

    def points(self) -> Mapping[str, str]:
        """None: a point would be computed outside of the compiled function."""
        return {}

    def keep(self, folder: Path) -> Kept | None:
        """None: a file has no compiled function."""
        return None

    def _call(self, arrays: Sequence[Array]) -> Any:
        tensors = [tensor_of(array) for array in arrays]
        try:
            return self._function(pack(self.signature.input_structure, tensors))
        except (ValueError, TypeError) as error:  # raised while the function is traced; many lines long
            said = [line.strip() for line in _BOLD.findall(str(error)) or str(error).splitlines() if line.strip()]
            raise BackendError(f"{TITLE} cannot trace the model: {said[-1]}") from error


def compiled(model: Model | Graph) -> dict[str, Callable[[], Executable]]:
    """The ways to compile a model that there are here, by their names."""
    found: dict[str, Callable[[], Executable]] = {}
    for how, compiler in _compilers().items():
        found[f"{KERAS}, {how}"] = lambda compiler=compiler: CompiledExecutable(model, compiler)  # type: ignore[misc]
    return found


def _compilers() -> dict[str, Callable[..., Any]]:
    if ENGINE == "tensorflow":
        import tensorflow as tf

        return {"tf.function": tf.function, "XLA": tf.function(jit_compile=True)}
    if ENGINE == "jax":
        import jax

        return {"XLA": jax.jit}
    return {}
