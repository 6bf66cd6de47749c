"""Behind dagir.verify: the float64 oracle, the error budget, the comparison, the search, the report."""

from dagir.equivalence.blame import Verdict, blame, executors
from dagir.equivalence.each_pass import PassResult, verify_each_pass
from dagir.equivalence.report import Report, Row
from dagir.equivalence.verification import verify

__all__ = ["PassResult", "Report", "Row", "Verdict", "blame", "executors", "verify", "verify_each_pass"]
