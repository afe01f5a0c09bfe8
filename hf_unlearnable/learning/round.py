"""What a round of a fit tells."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Round:
    """One round of a fit.

    Args:
        number: From 0 on.
        error: Share of images that their noise has not brought yet where it moves them: to the right class, to the
            class that is its target, or away from their own. A method may count something else.
        loss: The surrogate's mean loss on them.
    """

    number: int
    error: float = 1.0
    loss: float = 0.0
