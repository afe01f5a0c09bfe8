"""What is looked at in a sample of the rows, and what in all bytes of all files."""

import io

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hf_unlearnable import TextureTransform
from hf_unlearnable.image.copies import ImageCopies
from hf_unlearnable.publish import push_protected
from hf_unlearnable.publish.leaks import scan
from hf_unlearnable.publish.spotting import Needles, Texts
from tests.examples import levels
from tests.image.files import PNG, chunk, file_of
from tests.publish.protected import image_bytes, images, texts
from tests.publish.staged import photos, stage


@pytest.fixture
def few_opened(monkeypatch):
    monkeypatch.setattr("hf_unlearnable.publish.checks._OPENED", (8, 8))


def push(protected, folder, **given):
    return push_protected(protected, "me/notes", dry_run=folder, **given)


@pytest.mark.parametrize("make", [texts, images])
def test_the_card_says_how_many_rows_were_opened_and_counts_the_changed_ones_of_all(tmp_path, few_opened, make):
    clean, protected, cloak = make(30)
    mixed = [protected[i] if i % 3 else clean[i] for i in range(30)]
    done = push(Dataset.from_list(mixed, clean.features), tmp_path / "dry", original=clean)
    assert "| train | 30 | 20 |" in done.card
    assert "train: of 8 sampled rows, " in done.card
    whole = push(protected, tmp_path / "whole", key=cloak, original=clean)
    assert "| train | 30 | 30 |" in whole.card and "of 8 sampled rows, 8 of 8 " in whole.card


def test_data_that_was_never_protected_is_told_by_all_rows(tmp_path, few_opened):
    clean, protected, cloak = texts(400)
    with pytest.raises(ValueError, match="never protected"):
        push(clean, tmp_path / "a", original=clean, key=cloak)
    one = Dataset.from_list([*clean.select(range(399)), protected[399]], clean.features)
    assert "| train | 400 | 1 |" in push(one, tmp_path / "b", original=clean).card
    assert not (tmp_path / "a").exists()


def test_another_key_and_a_broken_bound_are_found_in_a_sample(tmp_path, few_opened):
    clean, protected, _ = images(40)
    with pytest.raises(ValueError, match="protected with another key"):
        push(protected, tmp_path / "a", key=type(images()[2])(seed=12).fit(clean), original=clean)
    pixels = [np.asarray(image).copy() for image in protected["image"]]
    for one in pixels[20:]:
        one[3, 3] = 255 - one[3, 3]
    broken = Dataset.from_dict({"image": pixels, "label": clean["label"][:]}, clean.features)
    with pytest.raises(ValueError, match=r"Split 'train': Row (2\d|3\d) changed by \d+ levels"):
        push(broken, tmp_path / "b", key=images()[2], original=clean)


def test_every_changed_image_is_stored_without_loss_whether_it_is_opened_or_not(tmp_path, few_opened):
    clean, protected, cloak = images(40)
    for row in (3, 38):
        files = image_bytes(protected)
        files[row] = file_of(protected[row]["image"], "JPEG", quality=100)
        lossy = Dataset.from_dict({"image": files, "label": clean["label"][:]}, clean.features)
        with pytest.raises(ValueError, match=f"Row {row}, column 'image': the changed image is stored as JPEG"):
            push(lossy, tmp_path / "a", key=cloak, original=clean)


# ---------------------------------------------------------------------- all bytes of a file
SEED = 0xC0FFEE1234567 * 3000 + 7


def found_in_picture(folder, data):
    original, protected, _, _ = photos()
    values = [None] * len(original)
    values[31] = data
    key = TextureTransform(seed=SEED).fit(original).key
    return [
        (one.name, one.row)
        for one in scan(
            stage(folder, train=protected.add_column("photo", values)), protected_columns=["image"], key=key
        )
    ]


@pytest.mark.parametrize("secret", ["token", "seed"])
@pytest.mark.parametrize("place", ["pixels", "chunk", "behind", "broken"])
def test_a_secret_in_any_part_of_a_png_is_found(tmp_path, place, secret):
    hidden = {"token": b" hf_" + b"aB3" * 12 + b" ", "seed": SEED.to_bytes(8, "little")}[secret]
    data = file_of(levels(1, seed=5)[0])
    body, end = data[:-12], data[-12:]
    data = {
        "pixels": body + chunk(b"IDAT", bytes(9) + hidden + bytes(3)) + end,
        "chunk": body + chunk(b"prVt", hidden) + end,
        "behind": data + hidden,
        "broken": data[:60] + hidden,
    }[place]
    assert found_in_picture(tmp_path / "x", data) == [(f"{secret}:train/photo", 31)]


def test_metadata_behind_the_pixels_of_a_png_are_found(tmp_path):
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>")
    before = file_of(Image.fromarray(levels(1, seed=5)[0]), pnginfo=info)
    at = before.index(b"iTXt") - 4
    size = 12 + int.from_bytes(before[at : at + 4], "big")
    data = before[:at] + before[at + size : -12] + before[at : at + size] + before[-12:]
    assert data.index(b"IDAT") < data.index(b"iTXt")
    assert found_in_picture(tmp_path / "x", data) == [("camera:train/photo", 31)]


def test_what_a_png_holds_beside_its_pixels():
    copies, data = ImageCopies(), file_of(levels(1, seed=5)[0])
    (start, stop), *_ = copies.compressed(data)
    assert data[start - 4 : start] == b"IDAT" and Image.open(io.BytesIO(data)).size
    assert copies.besides(data) == data[:start] + data[stop:]
    for broken in (data[:-1], data[:-12], PNG, b"", data[: start + 3]):
        assert copies.compressed(broken) == [] and copies.besides(broken) == broken
    assert copies.besides(data + b"more").endswith(b"IEND\xaeB`\x82more")
    assert copies.compressed(file_of(levels(1, seed=5)[0], "JPEG")) == []


def test_needles_are_found_at_any_place_and_not_across_two_files():
    rng = np.random.default_rng(0)
    files = [rng.integers(0, 256, 1001, np.uint8).tobytes() for _ in range(40)]
    needles = [b"seven77", b"twelve bytes", rng.integers(0, 256, 8, np.uint8).tobytes()]
    wanted = set()
    for i, needle in enumerate(needles):
        for offset in range(4):
            number, at = 10 * i + offset, (0, 1001 - len(needle), 500 + offset, 5)[offset]
            files[number] = files[number][:at] + needle + files[number][at + len(needle) :]
            wanted.add(number)
    files[35], files[36] = files[35] + needles[1][:6], needles[1][6:] + files[36]
    assert set(Needles(needles).stand_in(Texts(pa.array(files, pa.large_binary()))).tolist()) == wanted
    assert not len(Needles([]).stand_in(Texts(pa.array(files, pa.large_binary()))))


def test_digits_are_found_at_any_place():
    rng = np.random.default_rng(0)
    for size in (0, 1, 7, 8, 9, 999, 300_000):
        texts_of = Texts(pa.array([rng.integers(0, 256, size, np.uint8).tobytes()], pa.large_binary()))
        expected = np.flatnonzero((texts_of.bytes >= ord("0")) & (texts_of.bytes <= ord("9")))
        np.testing.assert_array_equal(texts_of._digits, expected)
