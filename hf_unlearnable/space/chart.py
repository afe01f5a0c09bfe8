"""Curves as SVG, drawn in the page's own colours: light and dark need no second picture, and no script is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT, _LEFT, _TOP = 640, 330, 56, 16
_RIGHT, _BOTTOM = 620, 268


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


def results(runs: Mapping[str, Sequence[float]], guess: float | None) -> str:
    """The accuracies as large figures, each with its name."""
    cells = [
        f'<div class="figure run{number}"><b>{_percent(values)}</b><span>{escape(name)}</span></div>'
        for number, (name, values) in enumerate(runs.items())
    ]
    if guess is not None:
        cells.append(f'<div class="figure guess"><b>{_percent([guess])}</b><span>a guess</span></div>')
    return f'<div class="figures">{"".join(cells)}</div>'


def _percent(values: Sequence[float]) -> str:
    return f"{100 * values[-1]:.0f} %" if values else "…"


def figures(*pairs: tuple[str, str]) -> str:
    """Figures and what they are, as they stand below a protected text or image."""
    cells = "".join(
        f'<div class="figure"><b>{escape(value)}</b><span>{escape(name)}</span></div>' for value, name in pairs
    )
    return f'<div class="figures">{cells}</div>'
