"""CRC-32C (Castagnoli), the checksum of TensorFlow's files: RFC 3720, appendix B.4.

Each byte changes a sum by a table, which is slow in Python. So the data is cut into many rows of one length, whose sums
are computed side by side with NumPy, four bytes at a time. The sum of two rows follows from theirs, as the sum is
linear in the bits: the first is carried over as many zero bytes as the second has.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

_POLYNOMIAL = 0x82F63B78
_ROWS = (1 << 14, 1 << 7)  # of the data, and of what is left of it

_Words = npt.NDArray[np.uint32]


@cache
def _table() -> _Words:
    numbers = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        numbers = np.where(numbers & 1, (numbers >> 1) ^ _POLYNOMIAL, numbers >> 1).astype(np.uint32)
    return numbers


def crc32c(data: bytes | memoryview) -> int:
    """The sum of some bytes.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    octets = np.frombuffer(data, np.uint8)
    sum_ = 0xFFFFFFFF
    for rows in _ROWS:
        width = len(octets) // rows // 4 * 4
        body = width * rows
        if width:
            own = _joined(_of_rows(octets[:body].reshape(rows, width)), width)
            sum_ = int(_carried(np.asarray([sum_], np.uint32), body)[0]) ^ own
        octets = octets[body:]
    for octet in octets.tolist():
        sum_ = _numbers()[(sum_ ^ octet) & 255] ^ (sum_ >> 8)
    return sum_ ^ 0xFFFFFFFF


def masked(sum_: int) -> int:
    """A sum as TensorFlow stores it, so that sums of data with sums in it stay good ones."""
    return (((sum_ >> 15) | (sum_ << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _of_rows(rows: npt.NDArray[np.uint8]) -> _Words:
    """The raw sum of each row, begun at 0; the rows are some times four bytes long."""
    sums = np.zeros(len(rows), np.uint32)
    low, high = _pair_tables()
    for column in np.ascontiguousarray(rows.view("<u4").T):
        sums ^= column
        sums = low[sums & 0xFFFF] ^ high[sums >> np.uint32(16)]
    return sums


def _joined(sums: _Words, width: int) -> int:
    """The raw sum of all rows, in pairs: each time half as many, twice as long."""
    while len(sums) > 1:
        sums = _carried(sums[::2], width) ^ sums[1::2]
        width *= 2
    return int(sums[0])


def _carried(sums: _Words, count: int) -> _Words:
    """The raw sums after `count` more zero bytes."""
    for power in range(count.bit_length()):
        if count >> power & 1:
            sums = _mapped(_zeros(power), sums)
    return sums


@cache
def _zeros(power: int) -> _Words:
    """What 2**power zero bytes make of each of the four bytes of a sum: that map twice is the map of the next power."""
    octets = np.arange(256, dtype=np.uint32) << (8 * np.arange(4, dtype=np.uint32))[:, None]
    if power == 0:
        return _after_one(octets)
    return _mapped(_zeros(power - 1), _mapped(_zeros(power - 1), octets))


def _mapped(tables: _Words, sums: _Words) -> _Words:
    found: _Words = tables[0][sums & 255]
    for place in range(1, 4):
        found = found ^ tables[place][(sums >> np.uint32(8 * place)) & 255]
    return found


def _after_one(sums: _Words) -> _Words:
    """The raw sums after one zero byte."""
    found: _Words = _table()[sums & 255] ^ (sums >> np.uint32(8))
    return found


@cache
def _pair_tables() -> tuple[_Words, _Words]:
    """What four bytes make of the lower and of the higher half of a sum."""
    halves = np.arange(1 << 16, dtype=np.uint32)
    twice = _after_one(_after_one(halves))
    return _after_one(_after_one(twice)), twice


@cache
def _numbers() -> list[int]:
    return [int(entry) for entry in _table()]
