"""The table of what dagir reads of the corpus, beside the Keras of today."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

WRITERS = {
    "tf212": "tf.keras 2.12",
    "tf215": "tf.keras 2.15",
    "tfk219": "tf_keras 2.19",
    "k305": "Keras 3.0.5",
    "k333": "Keras 3.3.3",
    "k360": "Keras 3.6.0",
    "k3100": "Keras 3.10.0",
}


def table(judged, asked):
    """Markdown: a row for each writer and format, then the reasons of what is refused."""
    ours, theirs = _joined(judged), _joined(asked)
    version = theirs.pop("keras", "")
    lines = [
        "# Files of older Kerases",
        "",
        "`tools/old_keras_corpus.py` writes the files with the older Kerases themselves, and judges them: *right* is",
        "an answer within 1e-5 of the scale of the writer's own, by the NumPy interpreter in float64 and in float32,",
        "and by onnxruntime (models that compute in float16 within 5e-3, in bfloat16 within 4e-2). *Refused* is an",
        "error of dagir's that names the layer and the reason; whatever else is raised is a *crash*. On the right: the",
        f"same files loaded by Keras {version}, as far as it was asked: a sample that mixes all kinds. Files that",
        "their own writer answers otherwise, once it has loaded them, do not hold their model, and are left out.",
        "",
        "| writer | format | files | right | wrong | crash | refused | % right "
        f"| Keras {version} asked | right | wrong | cannot load | % right |",
        "| --- | --- |" + " ---: |" * 11,
    ]
    total, total_theirs = Counter(), Counter()
    for writer, said in WRITERS.items():
        for ending in (".h5", ".keras"):
            names = [name for name in ours if name.startswith(f"{writer}/") and name.endswith(ending)]
            if not names:
                continue
            counts = Counter(ours[name][0] for name in names)
            others = Counter(theirs[name][0] for name in names if name in theirs)
            total.update(counts)
            total_theirs.update(others)
            lines.append(_row(said, ending, counts, others))
    lines += [
        _row("all", "", total, total_theirs),
        "",
        "## What is refused",
        "",
        "| files | reason |",
        "| ---: | --- |",
    ]
    reasons = Counter(_short(what) for status, what in ours.values() if status == "refused")
    lines += [f"| {count} | {reason} |" for reason, count in reasons.most_common()]
    return "\n".join(lines)


def _joined(paths):
    """The results in several files, whose names are joined by commas."""
    found = {}
    for path in paths.split(","):
        found.update(json.loads(Path(path).read_text()))
    return found


def _row(said, ending, counts, others):
    numbers = (counts.total(), counts["right"], counts["wrong"], counts["crash"], counts["refused"], _share(counts))
    numbers += (others.total(), others["right"], others["wrong"], others["refused"], _share(others))
    return f"| {said} | {ending} | {' | '.join(map(str, numbers))} |"


def _share(counts):
    return f"{100 * counts['right'] / counts.total():.1f}" if counts.total() else ""


def _short(what):
    text = re.sub(r"/\S*/(\w+/)?(\S+\.(h5|keras))", r"\2", str(what)).replace("|", "\\|")
    return text if len(text) < 160 else f"{text[:157]}..."
