"""What protecting did to images, in numbers, and the promises that it keeps."""

import math
import tracemalloc

import datasets
import numpy as np
import pytest
from datasets import Dataset, Features
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hf_unlearnable.image.codec import Picture
from hf_unlearnable.image.fidelity import (
    ImageFidelity,
    image_fidelity,
    require_lossless,
)
from hf_unlearnable.registry import MODALITIES
from tests import ROOT
from tests.image.fidelity import constant, images
from tests.image.files import file_of


def decibels(mean_square):
    return 10 * math.log10(255**2 / mean_square)


def test_one_changed_level():
    before = constant(100)
    after = before.copy()
    after[3, 4, 1] = 106
    measured = image_fidelity(images(before), images(after), max_levels=6)
    assert (measured.images, measured.changed, measured.max_change) == (1, 1, 6)
    assert measured.mean_change == pytest.approx(6 / 192)
    assert measured.psnr == pytest.approx(decibels(36 / 192))
    assert 0.9 < measured.ssim < 1
    assert measured.metadata == {}


def test_constant_images():
    """SSIM of two constant images has a closed form."""
    a, b, c = 100, 108, (0.01 * 255) ** 2
    measured = image_fidelity(images(constant(a)), images(constant(b)))
    assert (measured.max_change, measured.mean_change) == (8, 8)
    assert measured.psnr == pytest.approx(decibels(64))
    assert measured.ssim == pytest.approx((2 * a * b + c) / (a**2 + b**2 + c))


def test_means_are_over_changed_images_only():
    before = images(constant(100), constant(50), constant(200), constant(0))
    after = images(constant(104), constant(50), constant(198), constant(0))
    measured = image_fidelity(before, after)
    assert (measured.images, measured.changed, measured.max_change) == (4, 2, 4)
    assert measured.mean_change == 3
    assert measured.psnr == pytest.approx((decibels(16) + decibels(4)) / 2)


def test_a_level_that_went_down_counts_like_one_that_went_up():
    before, after = constant(250, 1, 2, 1), constant(250, 1, 2, 1)
    before[0, 0], after[0, 0] = 0, 255
    after[0, 1] = 245
    measured = image_fidelity(images(before), images(after))
    assert (measured.max_change, measured.mean_change) == (255, 130)
    assert measured.psnr == pytest.approx(decibels((255**2 + 5**2) / 2))


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 3]), st.integers(0, 2**32 - 1))
def test_any_size_and_any_change(height, width, channels, seed):
    random = np.random.default_rng(seed)
    before, after = random.integers(0, 256, (2, height, width, channels), dtype=np.uint8)
    after[0, 0, 0] = before[0, 0, 0] ^ 1
    change = np.abs(before.astype(int) - after)
    measured = image_fidelity(images(before), images(after))
    assert (measured.images, measured.changed, measured.max_change) == (1, 1, change.max())
    assert measured.mean_change == pytest.approx(change.mean())
    assert measured.psnr == pytest.approx(decibels((change**2).mean()))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 2), (1, 40), (40, 2)])
def test_tiny_images(height, width):
    measured = image_fidelity(images(constant(10, height, width)), images(constant(13, height, width)), max_levels=3)
    assert (measured.max_change, measured.mean_change) == (3, 3)
    assert measured.psnr == pytest.approx(decibels(9))


def test_a_tiny_image_does_not_spoil_the_similarity_of_the_others():
    """SSIM has no meaning for an image smaller than its window: it is the mean of those that have one."""
    alone = image_fidelity(images(constant(100)), images(constant(108)))
    beside = image_fidelity(images(constant(100), constant(1, 2, 2)), images(constant(108), constant(3, 2, 2)))
    assert beside.ssim == alone.ssim
    assert beside.changed == 2


def test_the_same_levels_in_other_bytes():
    array = constant(77)
    measured = image_fidelity(images(file_of(array, "BMP")), images(array), max_levels=0)
    assert (measured.changed, measured.max_change, measured.mean_change) == (1, 0, 0)
    assert (measured.psnr, measured.ssim) == (None, 1)


def test_identical_data():
    data = images(constant(1), constant(2), constant(3))
    measured = image_fidelity(data, data, max_levels=0)
    assert (measured.images, measured.changed, measured.max_change, measured.metadata) == (3, 0, 0, {})
    assert str(measured) == "3 images, none changed"


def test_what_a_sentence_says():
    fidelity = ImageFidelity(9, 7, 8, 4.06, 34.449, 0.99649, {"GPS": 3, "EXIF": 4})
    assert str(fidelity) == (
        "7 of 9 images changed: at most 8 of 255 levels, 4.1 on average, PSNR 34.4 dB, SSIM 0.996; "
        "left out: GPS (3), EXIF (4)"
    )
    assert str(ImageFidelity(9, 7, 8, 4.0, 34.0, 1.0)).endswith("PSNR 34.0 dB, SSIM 1.000")


def test_more_images_than_are_measured():
    """PSNR is of a sample; the bound, the largest and the mean change are of all."""
    before = images(*[constant(100, 3, 3, 1)] * 450)
    after = images(*[constant(101 + (i == 436) * 4, 3, 3, 1) for i in range(450)])
    measured = image_fidelity(before, after, max_levels=5)
    assert (measured.images, measured.changed, measured.max_change) == (450, 450, 5)
    assert measured.mean_change == pytest.approx((449 + 5) / 450)
    assert measured.psnr == pytest.approx(decibels(1), abs=0.2)
    with pytest.raises(ValueError, match="Row 436 changed by 5 levels, and the bound is 4"):
        image_fidelity(before, after, max_levels=4)


def test_a_file_and_another_column(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(file_of(constant(10)))
    before = Dataset.from_dict({"img": [str(path)]}, features=Features({"img": datasets.Image()}))
    measured = image_fidelity(before, images(constant(14), column="img"), image_column="img")
    assert (measured.changed, measured.max_change, measured.mean_change) == (1, 4, 4)


def test_an_untouched_file_that_is_stored_in_the_data_is_not_changed(tmp_path):
    """`save_to_disk` and Parquet hold the bytes of what was a path before: the same picture, byte for byte."""
    path = tmp_path / "photo.png"
    path.write_bytes(file_of(constant(10)))
    before = Dataset.from_dict({"image": [str(path)]}, features=Features({"image": datasets.Image()}))
    assert image_fidelity(before, images(path.read_bytes())).changed == 0


def test_metadata_is_counted():
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    exif.get_ifd(0x8825)[1] = "N"
    with_place = file_of(constant(10), exif=exif)
    with_comment = file_of(constant(10), "GIF", comment=b"at home")
    before = images(with_place, with_comment, with_place, with_place, constant(5))
    after = images(constant(11), constant(10), constant(12), with_place, constant(5))
    measured = image_fidelity(before, after)
    assert measured.changed == 3
    assert measured.metadata == {"EXIF": 2, "GPS": 2, "comment": 1}


def test_the_bound_names_the_row():
    before = images(constant(100), constant(100), constant(100))
    after = images(constant(108), constant(91), constant(100))
    assert image_fidelity(before, after, max_levels=9).max_change == 9
    with pytest.raises(ValueError, match="^Row 1 changed by 9 levels, and the bound is 8.$"):
        image_fidelity(before, after, max_levels=8)


def test_a_change_of_zero_is_a_bound_too():
    with pytest.raises(ValueError, match="Row 0 changed by 1 levels, and the bound is 0"):
        image_fidelity(images(constant(1)), images(constant(2)), max_levels=0)


@pytest.mark.parametrize("after", [None, constant(254, channels=1)[:, :, 0]])
def test_lost_transparency(after):
    alpha = constant(255, channels=1)[:, :, 0]
    before = Picture(constant(10), alpha)
    assert image_fidelity(images(before), images(Picture(constant(11), alpha))).max_change == 1
    with pytest.raises(ValueError, match="Row 1 lost its transparency"):
        image_fidelity(images(constant(1), before), images(constant(1), Picture(constant(11), after)))


@pytest.mark.parametrize("after", [None, b"another profile"])
def test_lost_colour_profile(after):
    before = Picture(constant(10), icc_profile=b"a profile")
    assert image_fidelity(images(before), images(Picture(constant(11), None, b"a profile"))).max_change == 1
    with pytest.raises(ValueError, match="Row 1 lost its colour profile"):
        image_fidelity(images(constant(1), before), images(constant(1), Picture(constant(11), None, after)))


@pytest.mark.parametrize("after", [constant(10, 8, 9), constant(10, 7, 8), constant(10, channels=1)])
def test_another_size(after):
    with pytest.raises(ValueError, match="Row 1 had .*8, 8, 3.* and has"):
        image_fidelity(images(constant(1), constant(10)), images(constant(1), after))


def test_other_numbers_of_rows():
    with pytest.raises(ValueError, match="3 images before and 2 after"):
        image_fidelity(images(*map(constant, range(3))), images(*map(constant, range(2))))


def test_an_image_that_does_not_open_names_the_row():
    before, broken = images(constant(1), constant(2)), images(constant(1), b"broken")
    for one, two in ((before, broken), (broken, before)):
        with pytest.raises(ValueError, match="^Row 1, column 'image': the image does not open"):
            image_fidelity(one, two)


def test_the_first_broken_row_is_named_whatever_breaks_behind_it(tmp_path):
    """Images are compared side by side, and the answer is still that of one after the other."""
    levels = np.random.default_rng(0).integers(0, 200, (60, 64, 64, 3), dtype=np.uint8)
    changes = np.arange(60) % 5 + 1
    for first in (0, 17, 59):
        broken = [b"broken" if row > first and row % 3 == 0 else one + np.uint8(9 if row >= first else changes[row])
                  for row, one in enumerate(levels)]  # fmt: skip
        with pytest.raises(ValueError, match=f"^Row {first} changed by 9 levels, and the bound is 8.$"):
            image_fidelity(images(*levels), images(*broken), max_levels=8)
    before = images(*levels[:3])
    gone = Dataset.from_dict(
        {"image": [before[0]["image"], before[1]["image"], str(tmp_path / "gone.png")]}, features=before.features
    )
    with pytest.raises(ValueError, match="Row 1 changed by 9"):
        image_fidelity(gone, images(levels[0], levels[1] + np.uint8(9), levels[2]), max_levels=8)


def test_a_stream_is_measured_like_the_data():
    levels = np.random.default_rng(0).integers(0, 200, (30, 9, 9, 3), dtype=np.uint8)
    before, after = images(*levels), images(*(levels + (np.arange(30) % 4).astype(np.uint8)[:, None, None, None]))
    measured = image_fidelity(before, after, max_levels=3)
    assert measured == image_fidelity(before, after.to_iterable_dataset(num_shards=3), max_levels=3)
    assert (measured.images, measured.changed, measured.max_change) == (30, 22, 3)
    for fewer, more in ((before, after.select(range(29))), (before.select(range(29)), after)):
        with pytest.raises(ValueError, match="not as many images after as before"):
            image_fidelity(fewer, more.to_iterable_dataset())


def test_lossless_files():
    array = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x010F] = "Camera"  # puts a header before the pixels of a WebP
    good = [array, file_of(array, "WEBP", lossless=True), file_of(array, "WEBP", lossless=True, exif=exif)]
    assert require_lossless(images(*good)) is None
    assert require_lossless(images(*good).to_iterable_dataset()) is None
    lossy = {
        "JPEG": file_of(array, "JPEG"), "GIF": file_of(array, "GIF"), "lossy WebP": file_of(array, "WEBP"),
        "an unknown format": b"broken", "BMP": file_of(array, "BMP"),
    }  # fmt: skip
    lossy |= {"lossy WebP ": file_of(array, "WEBP", exif=exif), "broken WebP": good[1][:12]}
    for name, data in lossy.items():
        with pytest.raises(ValueError, match=f"^Row 3, column 'img' is stored as {name.strip()}, "):
            require_lossless(images(*good, data, data, column="img"), "img")


def test_what_it_needs_is_in_the_image_extra():
    line = next(
        line for line in ROOT.joinpath("pyproject.toml").read_text().splitlines()
        if line.startswith("image = [")
    )  # fmt: skip
    assert "pillow" in line and "scikit-image" in line


def test_the_line_on_one_row_takes_the_memory_of_a_few_pictures():
    levels = np.random.default_rng(0).integers(0, 248, (1500, 2000, 3), np.uint8)
    original, protected = images(levels), images(levels + 8)
    tracemalloc.start()
    told = MODALITIES["image"].example(original, protected, "image", 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert told == ["Row 0, 2000 x 1500 pixels: changed by 8.0 of 255 levels, at most 8"]
    assert peak < 8 * levels.nbytes
