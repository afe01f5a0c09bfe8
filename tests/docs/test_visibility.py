"""The guide to what a person sees shows what the product makes of the photos, and says what it measures."""

import numpy as np
import pytest
from PIL import Image

from tests import ROOT

visibility = pytest.importorskip("docs._make.visibility", reason="matplotlib or scikit-image is not installed")


@pytest.mark.parametrize("part", visibility.PARTS)
def test_a_picture_is_what_the_method_makes_of_the_photo(part):
    stored = np.asarray(Image.open(ROOT / f"docs/assets/visibility-{part}.png"))
    np.testing.assert_array_equal(stored, np.asarray(visibility.picture(part)))


@pytest.mark.parametrize("part", visibility.PARTS)
@pytest.mark.parametrize("strength", visibility.STRENGTHS)
def test_a_photo_changes_by_its_strength_and_no_more(part, strength):
    name, *_ = visibility.PARTS[part]
    before, (after, found) = visibility.photo(name), visibility.protected(name, strength)
    change = np.abs(after.astype(int) - before)
    assert change.max() == found.max_change == strength
    # Almost every pixel value reaches the bound, which is a PSNR of 20 log10(255 / strength).
    assert (change == strength).mean() > 0.9
    assert found.psnr == pytest.approx(20 * np.log10(255 / strength), abs=0.2)


def test_the_page_says_what_was_measured():
    page = visibility.PAGE.read_text(encoding="utf-8")
    assert visibility.filled(page) == page and visibility.fidelity_table() in page


def test_ssim_falls_with_strength_and_more_where_a_photo_is_smooth():
    sky, fur = (
        [visibility.protected(name, one)[1].ssim for one in visibility.STRENGTHS] for name in ("rocket", "chelsea")
    )
    assert sky == sorted(sky, reverse=True) and fur == sorted(fur, reverse=True)
    assert all(smooth < rough for smooth, rough in zip(sky, fur, strict=True))
