"""The implementation of dagir.verify: the float64 oracle, the error budget, comparison, bisection, report."""

from dagir.equivalence.pass_validation import PassResult, verify_each_pass
from dagir.equivalence.report import Report, Row
from dagir.equivalence.verification import verify
from dagir.equivalence.vote import Verdict, blame, executors

__all__ = ["PassResult", "Report", "Row", "Verdict", "blame", "executors", "verify", "verify_each_pass"]
