"""What is left of a protection under a watermark, and the table of both orders."""

import numpy as np
import pytest

from recipes.bench import tables
from recipes.bench import watermark as bench


@pytest.mark.parametrize(("kept", "left"), [(8, 1.0), (4, 0.5), (0, 0.0), (-8, -1.0)])
def test_what_is_left_is_the_change_beside_the_watermark_alone(kept, left):
    clean = np.full((4, 4, 3), 100, np.uint8)
    protected, marked = clean + np.uint8(8), clean + np.uint8(30)
    assert bench.left([clean], [protected], [marked], [(marked.astype(int) + kept).astype(np.uint8)]) == left


def test_the_table_has_both_orders(monkeypatch):
    cells = [
        {"method": "none", "order": "watermark alone", "read": 1.0, "left": None},
        {"method": "texture", "order": "protection first", "read": 1.0, "left": 0.776},
        {"method": "texture", "order": "watermark first", "read": 0.466, "left": None},
    ]
    monkeypatch.setattr(tables, "lines", lambda name: cells)
    assert tables.watermark().splitlines()[2:] == ["| texture | 100 | 0.78 | 47 |"]


def test_a_watermark_is_read_back():
    pytest.importorskip("imwatermark", reason="watermarks need invisible-watermark")
    images = [np.random.default_rng(0).integers(90, 160, (320, 320, 3)).astype(np.uint8)]
    assert bench.read([bench.watermarked(image) for image in images]) > 0.9
