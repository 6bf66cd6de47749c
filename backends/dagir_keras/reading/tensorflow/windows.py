"""What convolutions and poolings have in common: strides, dilations, padding and layout as TensorFlow writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.shape import layout
from dagir_keras.reading.tensorflow.tensors import ints


@dataclass(frozen=True)
class Window:
    """rank: of spatial axes. layout: channels_last or channels_first."""

    rank: int
    layout: str

    @staticmethod
    def of(rank: int, data_format: Any) -> Window:
        """The window over this many spatial axes."""
        return Window(rank, layout(data_format))

    def spatial(self, given: Any, what: str) -> tuple[int, ...]:
        """One number for each spatial axis, of one number, of these, or of one for each axis of the tensor."""
        if given is None:
            return (1,) * self.rank
        found = ints(given, what)
        if len(found) == 1:
            return found * self.rank
        if len(found) == self.rank:
            return found
        if len(found) != self.rank + 2:
            raise Refused(f"its {what} are {found}, for {self.rank} axes of height and width")
        first = 1 if self.layout == "channels_last" else 2
        others = (*found[:first], *found[first + self.rank :])
        if any(number != 1 for number in others):
            raise Refused(f"its {what} {found} go over the batch or the channels")
        return found[first : first + self.rank]

    def padding(self, given: Any, explicit: Any = None) -> str | tuple[tuple[int, int], ...]:
        """ "same", "valid", or pairs for the spatial axes."""
        if isinstance(given, str) and given.upper() in ("SAME", "VALID"):
            return given.lower()
        if isinstance(given, str) and given.upper() == "EXPLICIT":
            flat = ints(explicit, "explicit_paddings")
            given = list(zip(flat[::2], flat[1::2], strict=True))
        if not isinstance(given, Sequence) or isinstance(given, str) or len(given) != self.rank + 2:
            raise Refused(f"its padding is {str(given)[:40]!r}")
        pairs = [ints(list(pair), "padding") for pair in given]
        first = 1 if self.layout == "channels_last" else 2
        if any(any(pair) for pair in (*pairs[:first], *pairs[first + self.rank :])):
            raise Refused(f"its padding {given} goes over the batch or the channels")
        return tuple((low, high) for low, high in pairs[first : first + self.rank])
