"""The metric that the command line asks for."""

from __future__ import annotations

from pathlib import Path

import dagir
from dagir_convert.errors import UsageError


def metric_of(
    name: str | None, labels: Path | None, max_drop: float | None, samples: Path | None, option: str
) -> dagir.Metric | None:
    """The metric; None where none is asked for. Raises UsageError where a part is missing, ArgumentError.

    samples: what the labels are of. option: where they are given.
    """
    if name is None:
        if labels is not None or max_drop is not None:
            raise UsageError("--labels and --max-drop are of a metric", remedy="name it: --metric accuracy")
        return None
    if labels is None or samples is None:
        missing = "--labels y.npy" if labels is None else f"{option} samples.npz"
        raise UsageError(f"--metric {name} is of samples with labels", remedy=f"give {missing}")
    found = dagir.Metric(name, labels, max_drop or 0.0)
    found.known_labels(samples)  # before any work is done
    return found


def metric_of_low_precision(
    name: str | None, labels: Path | None, max_drop: float | None, samples: Path | None, is_verified: bool
) -> dagir.Metric | None:
    """The metric of a conversion. is_verified: whether it makes a narrow file, and verifies it. Raises UsageError."""
    found = metric_of(name, labels, max_drop, samples, "--calibrate")
    if found is not None and not is_verified:
        raise UsageError("--metric is of a low precision that is verified", remedy="add --precision or --quantize")
    return found
