"""What says how much generated values show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    from hf_unlearnable.adversary.countermeasures import Rows


class Judge(Protocol):
    """What says how much generated values show."""

    def judged(
        self, made: Sequence[Any], labels: Sequence[int], trained_on: Rows
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """The label that each value shows, int [m], and measures of all; "sheet" is a PNG of them in base64.

        Args:
            made: m values.
            labels: What each should show.
            trained_on: The rows that the generator was trained on.
        """
