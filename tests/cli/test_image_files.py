"""Folders of images: told from other data, and written under the names that they had."""

import io
import os
from pathlib import Path

import datasets
from datasets import load_dataset
from PIL import Image

from hf_unlearnable import load_transform
from hf_unlearnable.cli import main
from hf_unlearnable.image.files import holds_images, write_images
from tests.examples import levels
from tests.folders import contents


def test_holds_images(here):
    assert holds_images("photos") and holds_images("classes")
    assert not holds_images(here), "there is a table"
    os.mkdir("other")
    assert not holds_images("other")
    Path("other/notes.txt").write_text("no picture")
    assert not holds_images("other")
    Image.new("L", (1, 1)).save("other/x.WEBP")
    assert holds_images("other")
    Path("other/train.parquet").write_bytes(b"")
    assert not holds_images("other")


def test_write_images(here):
    data = load_dataset(str(here / "classes"), split="train")
    png, webp = (Path("classes/cat/two.png").read_bytes(), io.BytesIO())
    Image.fromarray(levels(1)[0]).save(webp, format="WEBP", lossless=True)
    raw = data.cast_column("image", datasets.Image(decode=False))
    changed = [{"bytes": one, "path": None} for one in (png, None, webp.getvalue(), png)]
    changed[1] = raw[1]["image"]
    after = datasets.Dataset.from_dict({"image": changed}, features=datasets.Features({"image": datasets.Image()}))
    write_images(after, data, "out", "image", "classes")
    assert contents("out") == {
        "cat/one.png": png,
        "cat/two.png": png,
        "dog/one.webp": webp.getvalue(),
        "dog/two.png": png,
    }


def test_no_photo_takes_the_place_of_one_that_is_left_alone(here):
    """a.jpg is protected and becomes a PNG; a.png beside it is left alone and keeps its name."""
    os.mkdir("pairs")
    array = levels(3)
    Image.fromarray(array[0]).save("pairs/a.jpg")
    Image.fromarray(array[1]).save("pairs/a.png")
    new, old = Path("classes/cat/two.png").read_bytes(), Path("pairs/a.png").read_bytes()
    data = load_dataset(str(here / "pairs"), split="train")
    raw = data.cast_column("image", datasets.Image(decode=False))
    rows = [{"bytes": new, "path": None}, raw[1]["image"]]
    assert rows[1]["path"].endswith("a.png")
    after = datasets.Dataset.from_dict({"image": rows}, features=datasets.Features({"image": datasets.Image()}))
    write_images(after, data, "out", "image", "pairs")
    assert contents("out") == {"a.jpg.png": new, "a.png": old}


def test_a_folder_of_classes_is_not_taken_for_splits(tmp_path):
    for name in ("car", "train", "plane"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i, one in enumerate(levels(2, seed=len(name))):
            Image.fromarray(one).save(tmp_path / "photos" / name / f"test_{i}.png")
    command = ["protect", "texture", str(tmp_path / "photos"), "--output", str(tmp_path / "out")]
    assert main([*command, "--key", str(tmp_path / "k")]) == 0
    files = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.png"))
    assert files == [f"{name}/test_{i}.png" for name in ("car", "plane", "train") for i in (0, 1)]
    assert len(load_transform(tmp_path / "k").key.state["labels"]) == 3
