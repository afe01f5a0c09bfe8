"""What a person looks at: images before and after, their difference, each named by its file and row."""

import datasets
import numpy as np
import pytest
from datasets import Dataset, Features
from PIL import Image, ImageDraw

from hf_unlearnable import TextureTransform
from hf_unlearnable.image.sheets import LINE, _shortened, contact_sheet, full_size_crops
from tests.examples import pictures
from tests.image.fidelity import constant, images


def named(data, names):
    """The same images with the names of files."""
    stored = data.cast_column("image", datasets.Image(decode=False))["image"][:]
    rows = [None if name is None else {**one, "path": name} for one, name in zip(stored, names)]
    return Dataset.from_dict({"image": rows}, features=Features({"image": datasets.Image()}))


def cells(sheet, side):
    """The squares of a sheet [rows, 3, side, side, channels], and its lines of text [rows + 1, ...]."""
    pixels = np.asarray(sheet)
    rows = (len(pixels) - LINE) // (LINE + side)
    assert pixels.shape == (LINE + rows * (LINE + side), 3 * side, 3)
    lines = [pixels[:LINE], *(pixels[LINE + i * (LINE + side) :][:LINE] for i in range(rows))]
    squares = [pixels[2 * LINE + i * (LINE + side) :][:side].reshape(side, 3, side, 3) for i in range(rows)]
    return np.array(squares).transpose(0, 2, 1, 3, 4), np.array(lines)


def line_of(text, width, left=4):
    """A line of a sheet with this text."""
    line = Image.new("RGB", (width, LINE), "white")
    ImageDraw.Draw(line).text((left, 3), text, fill="black")
    return np.asarray(line)


def test_a_sheet_shows_before_after_and_the_difference_amplified():
    before = images(constant(100, 8, 8), constant(50, 8, 8))
    after = images(constant(104, 8, 8), constant(20, 8, 8))
    sheet = contact_sheet(before, after, side=16)
    assert sheet.mode == "RGB"
    squares, _ = cells(sheet, 16)
    expected = [[100, 104, 128 + 8 * 4], [50, 20, 0]]  # the last is far below black
    for row in range(2):
        for column in range(3):
            assert (squares[row, column] == expected[row][column]).all(), (row, column)


@pytest.mark.parametrize("side", [20, 7])
def test_the_difference_is_gray_where_nothing_changed(side):
    array = np.random.default_rng(0).integers(0, 256, (10, 10, 3), dtype=np.uint8)
    data = images(array, array[:, :, 0])
    squares, _ = cells(contact_sheet(data, data, side=side), side)
    assert (squares[:, 2] == 128).all() and (squares[:, 0] == squares[:, 1]).all()
    if side == 20:
        assert (squares[0, 0, ::2, ::2] == array).all()
        assert (squares[1, 0, ::2, ::2] == array[:, :, :1]).all(), "gray is shown as gray"


def test_the_rows_of_a_sheet_are_spread_over_the_data():
    data = images(*[constant(level) for level in range(40)])
    squares, _ = cells(contact_sheet(data, data, rows=4, side=8), 8)
    assert squares[:, 0, 0, 0, 0].tolist() == [0, 13, 26, 39]
    squares, _ = cells(contact_sheet(data.select(range(3)), data.select(range(3)), side=8), 8)
    assert len(squares) == 3


def test_a_wide_image_keeps_its_shape():
    data = images(constant(10, 4, 16))
    squares, _ = cells(contact_sheet(data, data, side=16), 16)
    assert (squares[0, :2, :4] == 10).all() and (squares[0, 2, :4] == 128).all()
    assert (squares[0, :, 4:] == 255).all(), "the rest is white"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("cat.png", "cat.png, row 0"),
        ("photos/2026/dog 7.png", "dog 7.png, row 0"),
        ("été.png", "été.png, row 0"),
        (None, "row 0"),
    ],
)
def test_a_row_is_named_by_its_file(path, said):
    data = images(constant(10, 8, 8))
    data = named(data, [path]) if path else data
    for make, added in ((contact_sheet, ""), (full_size_crops, ", at full size")):
        _, lines = cells(make(data, data, side=160), 160)
        assert (lines[1] == line_of(said + added, 480)).all()


def test_the_columns_are_named_with_the_amplification():
    data = images(constant(10, 8, 8))
    _, lines = cells(contact_sheet(data, data, side=120), 120)
    for column, title in enumerate(("before", "after", "difference x 8")):
        assert (lines[0][:, 120 * column : 120 * (column + 1)] == line_of(title, 120)).all()


@pytest.mark.parametrize("length", [1, 20, 80, 300])
def test_a_long_name_keeps_its_ends(length):
    name = "a" * length + "-0017.png"
    draw = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    short = _shortened(name, 200, draw)
    assert draw.textlength(short) <= 200 and (short == name) == (draw.textlength(name) <= 200)
    if short != name:
        assert short.startswith("aaa") and short.endswith("-0017.png") and "..." in short


def test_a_row_without_an_image_is_left_out():
    data = images(constant(10, 8, 8), constant(20, 8, 8), constant(30, 8, 8))
    data = named(data, ["a.png", None, "c.png"])
    for make in (contact_sheet, full_size_crops):
        squares, lines = cells(make(data, data, side=160), 160)
        assert squares[:, 0, 0, 0, 0].tolist() == [10, 30]
        assert (lines[2][:, :40] == line_of("c.png", 480)[:, :40]).mean() > 0.9


def test_crops_show_the_middle_of_a_photo_pixel_for_pixel():
    data = pictures(3, classes=3, height=500, width=700)
    after = data.map(TextureTransform(seed=1).fit(data), batched=True)
    squares, _ = cells(full_size_crops(data, after, rows=2, side=200), 200)
    for place, row in enumerate((0, 2)):
        one, two = (np.asarray(rows[row]["image"])[150:350, 250:450].astype(int) for rows in (data, after))
        assert (squares[place, 0] == one).all() and (squares[place, 1] == two).all()
        assert (squares[place, 2] == np.clip(128 + 8 * (two - one), 0, 255)).all()


def test_a_small_image_is_not_enlarged_at_full_size():
    squares, _ = cells(full_size_crops(images(constant(10, 5, 9)), images(constant(12, 5, 9)), side=16), 16)
    assert (
        (squares[0, 0, :5, :9] == 10).all()
        and (squares[0, 0, 5:] == 255).all()
        and (squares[0, 0, :, 9:] == 255).all()
    )
    assert (squares[0, 2, :5, :9] == 144).all()
