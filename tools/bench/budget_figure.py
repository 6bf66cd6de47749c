"""Draws docs/figures/budget.svg: the shares of the budget that rounding uses, and that a wrong weight uses.

python tools/bench/budget_figure.py --models 150
"""

from __future__ import annotations

import argparse
from math import floor, log10
from pathlib import Path

import numpy as np
from drawn import drawn

import dagir

PATH = Path(__file__).resolve().parent.parent.parent / "docs" / "figures" / "budget.svg"
LOW, HIGH, BINS = -3.0, 3.0, 48  # powers of ten of the budget
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720, 260, 45, 30, 50


def shares(count: int) -> tuple[list[float], list[float]]:
    """The largest share of the budget of each model, as it is and with one weight scaled by 1.001."""
    sound, faulty = [], []
    for number, model in enumerate(drawn(count, 7)):
        sound.append(_used(dagir.verify(model, ["onnx"], seed=number)))
        weights = [weight for weight in model.weights if weight.dtype.is_float and np.any(weight.numpy())]
        if weights:
            other = dagir.clone(model)
            for mine, theirs in zip(model.weights, other.weights, strict=True):
                theirs.assign(mine.numpy() * np.float32(1.001 if mine is weights[number % len(weights)] else 1))
            faulty.append(_used(dagir.verify(model, {"other": dagir.lower(other, "onnx")}, seed=number)))
    return sound, faulty


def _used(report: dagir.Report) -> float:
    return max(row.used for row in report.rows)


def picture(sound: list[float], faulty: list[float]) -> str:
    """The SVG: two histograms over the same axis."""
    counts = [_histogram(each) for each in (sound, faulty)]
    tallest, step = max(map(max, counts)), (WIDTH - 2 * LEFT) / BINS
    room = HEIGHT - TOP - BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="13" role="img">',
        "<title>Shares of the error budget that are used</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for colour, bars in zip(("#2a7f62", "#c0392b"), counts, strict=True):
        for place, number in enumerate(bars):
            if number:
                tall = room * number / tallest
                parts.append(
                    f'<rect x="{LEFT + place * step:.1f}" y="{HEIGHT - BOTTOM - tall:.1f}" width="{step - 1:.1f}" '
                    f'height="{tall:.1f}" fill="{colour}" fill-opacity="0.75"/>'
                )
    for power in range(int(LOW), int(HIGH) + 1):
        at = _place(power)
        label = f"{10 ** (power + 2):g} %"
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" fill="#333">{label}</text>')
    limit, bottom = _place(0), HEIGHT - BOTTOM
    parts += [
        f'<line x1="{limit}" x2="{limit}" y1="{TOP - 12}" y2="{bottom}" stroke="#333" stroke-dasharray="4 3"/>',
        f'<text x="{limit - 8}" y="{TOP}" text-anchor="end" fill="#2a7f62">rounding: {len(sound)} models</text>',
        f'<text x="{limit + 8}" y="{TOP}" fill="#c0392b">one weight times 1.001: {len(faulty)} models</text>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 10}" text-anchor="middle" fill="#333">share of the budget used</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _place(power: float) -> float:
    return round(LEFT + (WIDTH - 2 * LEFT) * (power - LOW) / (HIGH - LOW), 1)


def _histogram(used: list[float]) -> list[int]:
    counts = [0] * BINS
    for share in used:
        power = log10(min(share, 10**HIGH)) if share > 0 else LOW
        counts[min(max(floor((power - LOW) / (HIGH - LOW) * BINS), 0), BINS - 1)] += 1
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=int, default=150)
    sound, faulty = shares(parser.parse_args().models)
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(picture(sound, faulty), encoding="utf-8")
    missed = sum(share <= 1 for share in faulty)
    print(f"{PATH}: rounding used at most {max(sound):.0%}; of {len(faulty)} faults {missed} stay within the budget")
