"""Operations on bits."""

from __future__ import annotations

from function_cases.table import binary, unary

_SIGNED = ("int32", "int64", "int8")

unary("bitwise_not", "bitwise_invert", low=-100, high=100, dtypes=_SIGNED)
binary("bitwise_and", "bitwise_or", "bitwise_xor", low=-100, high=100, dtypes=_SIGNED)
binary("left_shift", "bitwise_left_shift", low=-100, high=100, second=(0, 6), dtypes=_SIGNED)
binary("right_shift", "bitwise_right_shift", low=-100, high=100, second=(0, 6), dtypes=_SIGNED)
