"""Every planted clean copy is found, and what a camera wrote."""

import base64
import io
import json
import random
import re

import datasets
import pytest
from datasets import Dataset
from PIL import Image

from hf_unlearnable.publish.leaks import scan
from tests.examples import levels, pictures
from tests.image.files import file_of
from tests.publish.staged import ROWS, known, photos, shape, sparse, stage, texts

pytestmark = pytest.mark.usefixtures("home")


def copied(random, text, known=True):
    """A copy of a text; one with words left out can be told from a protected text only if the original is `known`."""
    words = text.split()
    return random.choice([
        lambda: text, lambda: text.upper(), lambda: re.sub(r"[^\w ]", "", text), lambda: "  ".join(words) + "\n",
        lambda: " ".join(word for i, word in enumerate(words) if i % 11 != 10 or not known),
        lambda: f"Here is what the reader wrote to us yesterday: {text} And that was all that he had to say.",
        lambda: json.dumps({"id": 7, "text": text}), lambda: "- " + re.sub(r"[.,] ", "\n- ", text),
        lambda: text.encode(),
    ])  # fmt: skip


@pytest.mark.parametrize("number", range(50))
def test_a_clean_copy_of_a_text_is_found(tmp_path, number):
    rng = random.Random(number)
    original, protected, cloak, held_out = texts()
    words = {word for group in cloak.secrets()["words"] for word in group}
    plain = [i for i, text in enumerate(original["text"]) if not words & set(text.split())]
    mode = rng.choice(["original", "key", "both", "none"])
    where = rng.choice(["column", "column", "split", "order", "rows", "card"]) if mode != "none" else "column"
    card, row, splits = "# Notes\n", None, {}
    if where == "column":
        state = rng.getstate()
        values = []
        for text in original["text"]:  # the same kind of copy for all rows
            rng.setstate(state)
            values.append(copied(rng, text, mode != "none")())
        if isinstance(values[0], bytes) and mode == "none":
            values = [value.decode() for value in values]
        values, row = sparse(rng, values, filler=None)
        column, end = shape(rng, values)
        protected, place = protected.add_column("extra", column), f"train/extra{end}"
    elif where == "split":
        change = rng.choice([str, str.upper, lambda text: re.sub(r"[^\w]+", " ", text)])
        leaked = list(held_out["text"])
        row = rng.randrange(20)
        leaked[row] = change(original["text"][rng.choice(plain)])
        splits, place = {"validation": held_out.remove_columns("text").add_column("text", leaked)}, "validation/text"
    elif where == "order":
        order = list(range(ROWS))[::-1]
        protected = protected.add_column("extra", [original["text"][i].lower() for i in order])
        place, row = "train/extra", 0
    elif where == "rows":  # a row that was left clean, and holds what is protected in another
        a, b = rng.sample(range(ROWS), 2)
        before, after = list(original["text"]), list(protected["text"])
        before[a] = after[a] = before[b]
        original = original.remove_columns("text").add_column("text", before)
        protected = protected.remove_columns("text").add_column("text", after)
        place, row = "train/text", a
    else:
        card, place = f"# Notes\n\n| text | label |\n|---|---|\n| {original['text'][5]} | 0 |\n", "README.md"
    folder = stage(tmp_path / "x", card, train=protected, **splits)
    found = scan(folder, protected_columns=["text"], **known(mode, original, cloak))
    assert [(finding.name, finding.row) for finding in found] == [(f"clean-copy:{place}", row)], (where, mode)


@pytest.mark.parametrize("number", range(40))
def test_a_clean_copy_of_an_image_is_found(tmp_path, number):
    rng = random.Random(number)
    original, protected, cloak, files = photos()
    opened = [Image.open(io.BytesIO(file)) for file in files]
    change = rng.choice([
        lambda one: file_of(one), lambda one: file_of(one, "JPEG", quality=60), lambda one: file_of(one, "WEBP", quality=70),
        lambda one: file_of(one.resize((16, 14))), lambda one: file_of(one.resize((48, 40)), "JPEG"),
        lambda one: file_of(one.crop((1, 1, 23, 19))), lambda one: file_of(one, "BMP"),
    ])  # fmt: skip
    mode = rng.choice(["original", "both", "key", "none"])
    where = rng.choice(["image", "binary", "base64", "markdown", "split", "order"])
    splits, row = {}, 0
    if where in ("split", "order"):  # there only the very same levels are found, and only with the originals
        mode, change = (
            rng.choice(["original", "both"]),
            rng.choice([file_of, lambda one: file_of(one, "WEBP", lossless=True)]),
        )
    values = [change(one) for one in opened]
    features = datasets.Image()
    if where == "order":
        values = values[1:] + values[:1]
    elif where != "split":
        values, row = sparse(rng, values)
    place = "train/extra"
    if where in ("image", "order"):
        protected = protected.add_column("extra", values).cast_column("extra", features)
    elif where == "binary":
        column, end = shape(rng, values)
        protected, place = protected.add_column("extra", column), f"train/extra{end}"
    elif where == "base64":
        protected = protected.add_column(
            "extra", [None if one is None else base64.b64encode(one).decode() for one in values]
        )
    elif where == "markdown":
        coded = [
            None if one is None else f"![x](data:image/x;base64,{base64.b64encode(one).decode()})" for one in values
        ]
        protected = protected.add_column("extra", coded)
    else:
        other = pictures(20, seed=9, height=20, width=24).cast_column("image", datasets.Image(decode=False))
        leaked = [one["bytes"] for one in other["image"]]
        row = 13
        leaked[row] = values[rng.randrange(ROWS)]
        splits = {"test": Dataset.from_dict({"image": leaked}, datasets.Features({"image": features}))}
        place = "test/image"
    folder = stage(tmp_path / "x", train=protected, **splits)
    found = scan(folder, protected_columns=["image"], **known(mode, original, cloak))
    assert [(finding.name, finding.row) for finding in found] == [(f"clean-copy:{place}", row)], (where, mode)


def with_thumbnail(image, thumbnail):
    """A PNG whose EXIF holds a small image, as cameras write it: a field, then the directory of the small image."""

    def entry(tag, type, value):
        return tag.to_bytes(2, "little") + type.to_bytes(2, "little") + b"\1\0\0\0" + value.to_bytes(4, "little")

    exif = b"II*\0" + (8).to_bytes(4, "little") + b"\1\0" + entry(0x0112, 3, 1) + (26).to_bytes(4, "little")
    exif += b"\2\0" + entry(0x0201, 4, 56) + entry(0x0202, 4, len(thumbnail)) + bytes(4)
    return file_of(image, exif=b"Exif\0\0" + exif + thumbnail)


def test_a_thumbnail_of_the_clean_image_within_the_protected_file(tmp_path):
    original, protected, cloak, files = photos()
    values = [one["bytes"] for one in protected.cast_column("image", datasets.Image(decode=False))["image"]]
    small = file_of(Image.open(io.BytesIO(files[7])).resize((16, 14)), "JPEG")
    values[7] = with_thumbnail(Image.open(io.BytesIO(values[7])), small)
    changed = Dataset.from_dict({"image": values, "label": protected["label"]}, protected.features)
    for mode in ("none", "original"):
        found = scan(
            stage(tmp_path / mode, train=changed), protected_columns=["image"], **known(mode, original, cloak)
        )
        assert [(one.name, one.row, one.count) for one in found] == [("clean-copy:train/image", 7, 1)]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("kind", ["gps", "camera", "serial", "xmp"])
def test_what_a_camera_wrote(tmp_path, kind, format):
    if format == "TIFF" and kind != "camera":
        pytest.skip("Pillow does not write this into a TIFF")
    original, protected, cloak, _ = photos()
    exif = Image.Exif()
    exif[0x0131] = "a program"  # no secret, and without it Pillow leaves out what lies deeper
    if kind == "gps":
        exif.get_ifd(0x8825)[1] = "N"
    elif kind == "serial":
        exif.get_ifd(0x8769)[0xA431] = "12345"
    elif kind == "camera":
        exif[0x010F] = "Maker"
    options = {"exif": exif} if kind != "xmp" else {"xmp": b"<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>"}
    if (kind, format) == ("xmp", "PNG"):
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>")
        options = {"pnginfo": info}
    other = Image.fromarray(levels(1, seed=5)[0])
    values = [None] * ROWS
    values[31] = file_of(other, format, **options)
    staged = protected.add_column("photo", values)
    expected = "gps" if kind == "gps" else "camera"
    for i, dataset in enumerate((staged, staged.cast_column("photo", datasets.Image()))):
        found = scan(
            stage(tmp_path / str(i), train=dataset), protected_columns=["image"], **known("key", original, cloak)
        )
        assert [(one.name, one.row, one.count) for one in found] == [(f"{expected}:train/photo", 31, 1)]


def test_the_path_that_is_stored_with_an_image(tmp_path):
    _, protected, _, _ = photos()
    values = protected.cast_column("image", datasets.Image(decode=False))["image"]
    for path, expected in (("/Users/bo/x.png", 1), ("C:\\photos\\x.png", 1), ("x.png", 0), ("train/x.png", 0)):
        stored = [{"bytes": one["bytes"], "path": path if i == 4 else None} for i, one in enumerate(values)]
        changed = Dataset.from_dict({"image": stored}, datasets.Features({"image": datasets.Image()}))
        found = scan(stage(tmp_path / path.replace("/", "-"), train=changed), protected_columns=["image"])
        assert [(one.name, one.row) for one in found] == [("path:train/image", 4)] * expected
