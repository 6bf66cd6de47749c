"""The attributes of windows that slide: kernels, strides, dilations and padding, as dagir's ops have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dagir import ops
from dagir.ir.dims import Dim
from dagir.ir.graph import Value
from dagir.ops.conv import Padding, same_pads
from dagir_onnx.importing.node_call import NodeCall


@dataclass(frozen=True)
class Windows:
    """The windows of a node over its spatial axes. pads: (before, after) for each axis where they are written out."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    auto_pad: str
    pads: tuple[tuple[int, int], ...]

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.kernel)

    @property
    def extents(self) -> tuple[int, ...]:
        """The sizes that a window covers."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    def same_pads(self, sizes: Sequence[Dim]) -> tuple[tuple[Dim, Dim], ...]:
        """The padding of SAME_UPPER and SAME_LOWER: a result as large as the size over the stride."""
        pairs = (same_pads(*args) for args in zip(sizes, self.extents, self.strides, strict=True))
        return tuple((large, small) if self.auto_pad == "SAME_LOWER" else (small, large) for small, large in pairs)


def windows_of(call: NodeCall, rank: int, kernel: Sequence[int] | None = None) -> Windows:
    """Those of a node. kernel: the sizes of its weight, where it has one. Raises Refused."""
    if rank < 1:
        raise call.refused("it has no spatial axes")
    sizes = call.attribute("kernel_shape", kernel)
    if sizes is None or len(sizes) != rank or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise call.refused(f"its kernel_shape {sizes} is not one of {rank} axes")
    if kernel is not None and list(kernel) != list(sizes):
        raise call.refused(f"its kernel_shape {sizes} is not that of its weight, {list(kernel)}")
    strides, dilations = (call.attribute(name, [1] * rank) for name in ("strides", "dilations"))
    pads = call.attribute("pads", [0] * (2 * rank))
    if len(strides) != rank or len(dilations) != rank or len(pads) != 2 * rank:
        raise call.refused(f"its strides, dilations or pads are not those of {rank} axes")
    auto_pad = call.attribute("auto_pad", "NOTSET") or "NOTSET"
    if auto_pad not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise call.refused(f"its auto_pad {auto_pad!r} is none that ONNX has")
    pairs = tuple(zip(pads[:rank], pads[rank:], strict=True)) if auto_pad == "NOTSET" else ((0, 0),) * rank
    return Windows(tuple(sizes), tuple(strides), tuple(dilations), auto_pad, pairs)


def padded(windows: Windows, x: Value, filling: float = 0.0) -> tuple[Value, Padding]:
    """The operand, channels first, and the padding for its op.

    What an op cannot have as its padding is padded before it: crops, and SAME_LOWER where a size is not known.
    """
    if windows.auto_pad == "VALID":
        return x, "valid"
    if windows.auto_pad == "SAME_UPPER":
        return x, "same"
    pads: Sequence[tuple[Dim, Dim]] = windows.pads
    if windows.auto_pad == "SAME_LOWER":
        pads = windows.same_pads(x.type.shape[2:])
    if all(before == 0 and after == 0 for before, after in pads):
        return x, "valid"
    plain = [(before, after) for before, after in pads if isinstance(before, int) and isinstance(after, int)]
    if len(plain) == len(pads) and all(min(pair) >= 0 for pair in plain):
        return x, tuple(plain)
    return ops.pad(x, ((0, 0), (0, 0), *pads), constant_values=filling), "valid"


__all__ = ["Windows", "padded", "windows_of"]
