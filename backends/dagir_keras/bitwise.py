"""Operations on the bits of integers."""

from __future__ import annotations

from keras import ops as K

from dagir import ops
from dagir_keras.rules import rules

for _op, _function in {
    ops.BitwiseNot: K.bitwise_not,
    ops.BitwiseAnd: K.bitwise_and,
    ops.BitwiseOr: K.bitwise_or,
    ops.BitwiseXor: K.bitwise_xor,
    ops.LeftShift: K.left_shift,
    ops.RightShift: K.right_shift,
}.items():
    rules.rule(_op)(lambda op, *xs, function=_function: function(*xs))
