"""How TensorFlow's functions are drawn, by family."""

from tensorflow_cases import arrays, elementwise, images, matrices, others, recurrences, windows  # noqa: F401 - they fill the table
from tensorflow_cases.table import FUNCTIONS, RAW_OPS, Draw

__all__ = ["FUNCTIONS", "RAW_OPS", "Draw"]
