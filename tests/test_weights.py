"""What is looked at in the array of a weight, and at what cost."""

from __future__ import annotations

import numpy as np
import pytest

from dagir.weights import not_finite
from effort import allocated

SIZE = 1 << 21


@pytest.fixture(params=[0, 2], ids=["aligned", "as a zip lays it"])
def numbers(request):
    return np.zeros(SIZE * 4 + 4, np.uint8)[request.param : request.param + SIZE * 4].view(np.float32)


def test_numbers_are_looked_at_without_a_copy(numbers):
    assert allocated(lambda: not_finite(numbers)) < numbers.nbytes // 8


@pytest.mark.parametrize("place", [0, SIZE // 2, SIZE - 1])
def test_one_number_of_many_is_found(numbers, place):
    numbers[place] = np.nan
    assert not_finite(numbers) == f"1 NaN of {SIZE} numbers"
    numbers[place] = -np.inf
    assert not_finite(numbers) == f"1 infinite of {SIZE} numbers"
    numbers[place] = 3e38  # whose square is infinite
    assert not_finite(numbers) == ""
