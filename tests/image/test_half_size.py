"""Half the size and back: an attacker who trains on thumbnails."""

import numpy as np
import pytest

pytest.importorskip("PIL", reason="images need pillow")

from hf_unlearnable.image.countermeasures import IMAGE_COUNTERMEASURES, half_size


@pytest.mark.parametrize("shape", [(16, 24), (17, 9), (1, 8), (1, 1)])
def test_an_image_keeps_its_size_and_its_even_colour(shape):
    even = np.full((*shape, 3), (10, 120, 250), np.uint8)
    assert np.array_equal(half_size(even), even)


def test_grain_of_one_pixel_goes_and_coarse_structure_stays():
    board = np.indices((64, 64)).sum(0) % 2
    fine = np.uint8(120 + 16 * board)[..., None].repeat(3, 2)
    assert np.ptp(half_size(fine)[4:-4, 4:-4].astype(int)) <= 1
    coarse = np.uint8(100 + 80 * (np.indices((64, 64))[1] >= 32))[..., None].repeat(3, 2)
    seen = half_size(coarse)[:, :, 0]
    assert set(seen[:, :28].ravel()) == {100} and set(seen[:, 36:].ravel()) == {180}


def test_it_is_in_the_grid():
    assert "half-size" in IMAGE_COUNTERMEASURES and IMAGE_COUNTERMEASURES["half-size"].in_training is None
