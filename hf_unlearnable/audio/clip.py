"""What victims and countermeasures take for a recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Clip:
    """A decoded recording.

    Args:
        samples: float32 [frames, channels], full scale is 1.
        rate: Frames per second.
    """

    samples: np.ndarray
    rate: int

    @property
    def mono(self) -> np.ndarray:
        """The mean of the channels, float32 [frames]."""
        return self.samples.mean(axis=1)
