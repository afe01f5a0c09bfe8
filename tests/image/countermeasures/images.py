"""Images with classes for the tests of countermeasures."""

import numpy as np
import pytest

from tests.examples import levels

torch = pytest.importorskip("torch", reason="image countermeasures need torch")


def photos(rows: int, seed: int = 0, size: int = 16) -> np.ndarray:
    """Smooth pictures from 40 to 215: room for noise on both sides."""
    return (40 + levels(rows, seed, size, size) * (175 / 255)).astype(np.uint8)
