"""Behind dagir.verify: the float64 oracle, the error budget, the comparison and the report."""

from dagir.equivalence.report import Report, Row
from dagir.equivalence.verification import verify

__all__ = ["Report", "Row", "verify"]
