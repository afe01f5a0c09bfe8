"""What an attack of a certain effort tries."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Grid:
    """What an attack of a certain effort tries on this kind of data.

    Args:
        victims: Names to settings.
        countermeasures: Names, None for all there are.
        wear: Names of what is tried where wear is asked for, None for all there is.
        dearest: Where all countermeasures are tried: the largest `cost` of those that are.
    """

    victims: Mapping[str, Mapping[str, Any]]
    countermeasures: Sequence[str] | None = None
    wear: Sequence[str] | None = None
    dearest: float = math.inf
