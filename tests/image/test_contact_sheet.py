"""Pictures of what protecting did to images."""

import numpy as np
import pytest

from hf_unlearnable import TextureTransform
from hf_unlearnable.image.fidelity import (
    contact_sheet,
    full_size_crops,
)
from tests.examples import pictures
from tests.image.fidelity import constant, images


def test_contact_sheet():
    before = images(constant(100, 8, 8), constant(50, 8, 8))
    after = images(constant(104, 8, 8), constant(20, 8, 8))
    sheet = contact_sheet(before, after, side=16)
    assert (sheet.mode, sheet.size) == ("RGB", (48, 32))
    cells = np.asarray(sheet).reshape(2, 16, 3, 16, 3).transpose(0, 2, 1, 3, 4)
    expected = [[100, 104, 128 + 8 * 4], [50, 20, 0]]  # the last is far below black
    for row in range(2):
        for column in range(3):
            assert (cells[row, column] == expected[row][column]).all(), (row, column)


@pytest.mark.parametrize("side", [20, 7])
def test_the_difference_is_gray_where_nothing_changed(side):
    array = np.random.default_rng(0).integers(0, 256, (10, 10, 3), dtype=np.uint8)
    data = images(array, array[:, :, 0])
    pixels = np.asarray(contact_sheet(data, data, side=side))
    assert pixels.shape == (2 * side, 3 * side, 3)
    assert (pixels[:, 2 * side :] == 128).all()
    assert (pixels[:, :side] == pixels[:, side : 2 * side]).all()
    if side == 20:
        assert (pixels[:20:2, :20:2] == array).all()
        assert (pixels[20::2, :20:2] == array[:, :, :1]).all(), "gray is shown as gray"


def test_a_contact_sheet_of_a_part():
    data = images(*[constant(level) for level in range(40)])
    pixels = np.asarray(contact_sheet(data, data, rows=4, side=8))
    assert pixels.shape == (32, 24, 3)
    assert pixels[::8, 0, 0].tolist() == [0, 13, 26, 39], "spread from the first to the last"
    assert contact_sheet(data.select(range(3)), data.select(range(3)), side=8).size == (24, 24)


def test_a_contact_sheet_of_wide_images():
    data = images(constant(10, 4, 16))
    pixels = np.asarray(contact_sheet(data, data, side=16))
    assert (pixels[:4, :32] == 10).all() and (pixels[:4, 32:] == 128).all()
    assert (pixels[4:] == 255).all(), "the rest is white"


def test_crops_show_the_middle_of_a_photo_pixel_for_pixel(tmp_path):
    data = pictures(3, classes=3, height=500, width=700)
    cloak = TextureTransform(seed=1).fit(data)
    after = data.map(cloak, batched=True)
    sheet = np.asarray(full_size_crops(data, after, rows=2, side=200))
    assert sheet.shape == (2 * 218, 600, 3)
    for place, row in enumerate((0, 2)):
        strip = sheet[place * 218 + 18 : (place + 1) * 218]
        one, two = (np.asarray(rows[row]["image"])[150:350, 250:450].astype(int) for rows in (data, after))
        assert (strip[:, :200] == one).all() and (strip[:, 200:400] == two).all()
        assert (strip[:, 400:] == np.clip(128 + 8 * (two - one), 0, 255)).all()
        assert (sheet[place * 218 : place * 218 + 18] < 128).any(), "its name stands above"
