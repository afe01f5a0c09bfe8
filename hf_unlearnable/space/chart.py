"""Curves as SVG, drawn in the page's own colours: light and dark need no second picture, and no script is loaded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT, _LEFT, _TOP = 640, 330, 56, 16
_RIGHT, _BOTTOM = 620, 268
SMALL = 200  # test rows below which an interval is wider than 14 points around one half


def curves(runs: Mapping[str, Sequence[float]], epochs: int, guess: float | None) -> str:
    """Accuracy after each epoch, one line a training.

    Args:
        runs: Name to accuracies in [0, 1]. The first is drawn in ink, the second in red, more of them dotted.
        epochs: How many there will be.
        guess: Accuracy of a guess, drawn as a dashed line; None for none.
    """

    def x(epoch: int) -> float:
        return _LEFT + (_RIGHT - _LEFT) * epoch / max(1, epochs)

    def y(accuracy: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * accuracy

    said = "; ".join(f"{name}: {_percent(values)}" for name, values in runs.items()) or "nothing yet"
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Accuracy on clean test rows. {escape(said)}">'
    ]
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{y(share):.0f}" y2="{y(share):.0f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y(share) + 4:.0f}" text-anchor="end">{100 * share:.0f}</text>')
    for epoch in range(1, epochs + 1):
        parts.append(f'<text x="{x(epoch):.0f}" y="{_BOTTOM + 24}" text-anchor="middle">{epoch}</text>')
    parts.append(f'<text x="{_RIGHT}" y="{_HEIGHT - 8}" text-anchor="end">passes over the data</text>')
    if guess is not None:
        parts.append(f'<line class="guess" x1="{_LEFT}" x2="{_RIGHT}" y1="{y(guess):.0f}" y2="{y(guess):.0f}"/>')
        parts.append(f'<text x="{_LEFT + 6}" y="{y(guess) - 6:.0f}">a guess</text>')
    for number, values in enumerate(runs.values()):
        points = [(x(i + 1), y(value)) for i, value in enumerate(values)]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<polyline class="run{number}" points="{line}"/>')
        parts += [f'<circle class="run{number}" cx="{a:.1f}" cy="{b:.1f}" r="4"/>' for a, b in points]
    return "".join([*parts, "</svg>"])


def results(runs: Mapping[str, Sequence[float]], guess: float, rows: int) -> str:
    """The accuracies as large figures, each with its name and 95 % interval, and how far such intervals go.

    Args:
        runs: Name to accuracies in [0, 1] after each epoch.
        guess: Accuracy of a guess.
        rows: How many test rows the accuracies are of.
    """
    cells = []
    for number, (name, values) in enumerate(runs.items()):
        low, high = interval(values[-1], rows) if values else (0.0, 1.0)
        sure = f" <i>{100 * low:.0f} to {100 * high:.0f}</i>" if values else ""
        cells.append(
            f'<div class="figure run{number}"><b>{_percent(values)}</b>{sure}<span>{escape(name)}</span></div>'
        )
    cells.append(f'<div class="figure guess"><b>{_percent([guess])}</b><span>a guess</span></div>')
    said = f"In italics: 95 % intervals for the {rows:,} test rows. Another training would give other numbers again."
    few = f"<b>Only {rows} test rows.</b> Differences within these intervals mean nothing: take more data. "
    return f'<div class="figures">{"".join(cells)}</div><p class="sure">{few if rows < SMALL else ""}{said}</p>'


def interval(accuracy: float, rows: int) -> tuple[float, float]:
    """The 95 % interval of an accuracy (Wilson 1927), which has a width where every row or none is right, too.

    Args:
        accuracy: In [0, 1].
        rows: How many test rows it is of, at least 1.
    """
    z = 1.959964
    middle = (accuracy + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(accuracy * (1 - accuracy) / rows + (z / (2 * rows)) ** 2)
    return max(0.0, middle - half), min(1.0, middle + half)


def _percent(values: Sequence[float]) -> str:
    return f"{100 * values[-1]:.0f} %" if values else "…"


def figures(*pairs: tuple[str, str]) -> str:
    """Figures and what they are, as they stand below a protected text or image."""
    cells = "".join(
        f'<div class="figure"><b>{escape(value)}</b><span>{escape(name)}</span></div>' for value, name in pairs
    )
    return f'<div class="figures">{cells}</div>'
