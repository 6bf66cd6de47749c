"""CRC-32C, judged by the definition of the sum, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest

from dagir.support.crc32c import crc32c


def by_definition(data):
    sum_ = 0xFFFFFFFF
    for octet in data:
        sum_ ^= octet
        for _ in range(8):
            sum_ = (sum_ >> 1) ^ (0x82F63B78 if sum_ & 1 else 0)
    return sum_ ^ 0xFFFFFFFF


@pytest.mark.parametrize("size", [0, 1, 3, 127, 512, 513, 1000, 65_535, 65_536, 131_075, 200_001])
def test_it_is_the_sum_of_all_bytes(size):
    """Also of data that begins at an odd address."""
    data = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8).tobytes()
    assert crc32c(data) == by_definition(data)
    assert crc32c(memoryview(b"x" + data)[1:]) == by_definition(data)


def test_the_check_value_of_the_standard():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
