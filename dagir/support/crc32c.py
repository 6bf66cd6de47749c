"""CRC-32C (Castagnoli), the checksum of TensorFlow's files: RFC 3720, appendix B.4.

Each byte changes a sum by a table, which is slow in Python. So the data is cut into many rows of one length, whose sums
are computed side by side with NumPy. The sum of two rows follows from theirs, as the sum is linear in the bits: the
first is carried over as many zero bytes as the second has.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

_POLYNOMIAL = 0x82F63B78
_ROWS = 1 << 14

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
    width = len(octets) // _ROWS
    body = width * _ROWS
    sum_ = np.uint32(0xFFFFFFFF)
    if width:
        rows = _of_rows(octets[:body].reshape(_ROWS, width))
        sum_ = _carried(np.asarray([sum_]), body)[0] ^ _joined(rows, width)
    for octet in octets[body:]:
        sum_ = _table()[(sum_ ^ octet) & 255] ^ (sum_ >> np.uint32(8))
    return int(sum_) ^ 0xFFFFFFFF


def masked(sum_: int) -> int:
    """A sum as TensorFlow stores it, so that sums of data with sums in it stay good ones."""
    return (((sum_ >> 15) | (sum_ << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _of_rows(rows: npt.NDArray[np.uint8]) -> _Words:
    """The raw sum of each row, begun at 0."""
    sums = np.zeros(len(rows), np.uint32)
    table = _table()
    for column in np.ascontiguousarray(rows.T):
        sums = table[(sums ^ column) & 255] ^ (sums >> np.uint32(8))
    return sums


def _joined(sums: _Words, width: int) -> np.uint32:
    """The raw sum of all rows, in pairs: each time half as many, twice as long."""
    while len(sums) > 1:
        sums = _carried(sums[::2], width) ^ sums[1::2]
        width *= 2
    return np.uint32(sums[0])


def _carried(sums: _Words, count: int) -> _Words:
    """The raw sums after `count` more zero bytes: a linear map of their bits, by repeated squaring."""
    columns = _times_zero_byte()
    while count:
        if count & 1:
            sums = _applied(columns, sums)
        columns = _applied(columns, columns)
        count >>= 1
    return sums


def _times_zero_byte() -> _Words:
    bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
    columns: _Words = _table()[bits & 255] ^ (bits >> np.uint32(8))
    return columns


def _applied(columns: _Words, sums: _Words) -> _Words:
    found = np.zeros_like(sums)
    for bit, column in enumerate(columns):
        found ^= np.where((sums >> np.uint32(bit)) & 1, column, np.uint32(0))
    return found
