"""Clean rows mixed in: an adversary that can label some data itself, or buys it, adds it to the protected rows.

What it costs on clean data is nothing: more rows only help. What it breaks depends on the protection: one that only
makes its own rows worthless (Fowl et al., arXiv 2106.10807) loses nothing but what the clean rows teach by themselves,
so compare the result with a training on the clean rows alone.
"""

from __future__ import annotations

import logging

import numpy as np

from . import Attacker, Countermeasure, Rows

logger = logging.getLogger(__name__)


def mixed_with_clean(share: float) -> Countermeasure:
    """Adds clean rows of the attacker, of texts or images, behind the published ones.

    Args:
        share: Clean rows to add, as a share of the published ones, above 0; at least one row is added. An attacker
            that has fewer adds all of them, and a warning says so.

    Raises:
        ValueError: `share` is not above 0.
    """
    if not share > 0:
        raise ValueError(f"share is {share}, but it is a share of the rows to add: give a number above 0.")

    def on_rows(rows: Rows, attacker: Attacker) -> Rows:
        clean = attacker.clean
        if clean is None:
            raise ValueError("Mixing in clean rows needs some: give Attacker(clean=Rows(...)).")
        wanted = max(1, round(share * (attacker.published or len(rows))))
        if len(clean) < wanted:
            logger.warning("%d clean rows were to be mixed in, and the attacker has %d: all are.", wanted, len(clean))
        drawn = np.random.default_rng(attacker.seed).permutation(len(clean))[:wanted].tolist()
        return Rows(
            [*rows.inputs, *(clean.inputs[i] for i in drawn)],
            [*rows.labels, *(clean.labels[i] for i in drawn)],
        )

    return Countermeasure(on_rows, needs=("clean",), cost=1 + share)
