"""Photos on the command line: a folder in, a folder out, no pixel value further off than promised."""

import os
from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from PIL import Image

from hf_unlearnable import load_transform
from hf_unlearnable.image.codec import decode
from tests.cli.photos import FLAT, change, error_of, protect, strict_json
from tests.examples import levels, stored
from tests.folders import contents, files, names


def test_a_folder_of_photos_needs_no_labels(here, capsys):
    before = contents("photos")
    assert protect("random-noise", "photos", "--epsilon", "8/255") == 0
    out = capsys.readouterr().out
    assert "4 of 4 rows protected with random-noise: protected" in out
    assert "4 of 4 images changed: at most 8 of 255 levels" in out
    assert "Key: my.key (new" in out
    after = contents("protected")
    assert sorted(after) == ["DSC 1.png", "beach [2].png", "logo.png", "scan.png"]
    for name in FLAT:
        data = after[str(Path(name).with_suffix(".png"))]
        assert data.startswith(b"\x89PNG")
        difference = change(before[name], data)
        assert np.abs(difference).max() == 8 and difference.min() < 0 < difference.max()
        assert decode(data).metadata == ()
        assert b"Camera" not in data and b"at home" not in data
    assert decode(after["DSC 1.png"]).levels.shape == (24, 20, 3), "turned the right way up"
    assert decode(after["logo.png"]).alpha is not None
    assert contents("photos") == before, "the source is not touched"
    assert names(here) == ["classes", "my.key", "photos", "pictures.parquet", "protected"]
    assert str(load_transform("my.key").key.seed) not in out


def test_epsilon_is_a_share_of_the_range(here):
    for text, most in (("2/255", 2), ("0.05", 12), ("3 / 255", 3)):
        key = f"{most}.key"
        assert protect("random-noise", "photos", "--epsilon", text, output=f"out-{most}", key=key) == 0
        assert load_transform(key).max_levels == most
        data = {name: Path(f"out-{most}", name).read_bytes() for name in ("logo.png", "scan.png")}
        assert max(np.abs(change(Path("photos", name).read_bytes(), data[name])).max() for name in data) == most


def test_folders_of_classes(here, capsys):
    assert protect("texture", "classes", "--epsilon", "6/255", "--report", "report") == 0
    assert "4 of 4 rows protected with texture" in capsys.readouterr().out
    assert files("protected") == ["cat/one.png", "cat/two.png", "dog/one.png", "dog/two.png"]
    grains = {}
    for name in files("classes"):
        after = Path("protected", name).with_suffix(".png").read_bytes()
        difference = change(Path("classes", name).read_bytes(), after)
        assert np.abs(difference).max() == 6
        inside = (decode(after).levels > 0) & (decode(after).levels < 255)
        assert set(np.abs(difference[inside]).tolist()) == {6}, "every level goes up or down by all that is allowed"
        grains[name] = difference
    assert load_transform("my.key").key.state["labels"] == [0, 1]
    fidelity = strict_json("report/fidelity.json")
    assert (fidelity["images"], fidelity["changed"], fidelity["max_change"]) == (4, 4, 6)
    mean = np.mean([np.abs(grain).mean() for grain in grains.values()])
    assert fidelity["mean_change"] == pytest.approx(mean)


def test_classes_by_the_names_of_their_folders(here, capsys):
    assert protect("texture", "classes", "--classes", "dog") == 0
    assert "2 of 4 rows protected" in capsys.readouterr().out
    assert files("protected") == ["cat/one.jpg", "cat/two.png", "dog/one.png", "dog/two.png"]
    before, after = contents("classes"), contents("protected")
    for name in ("cat/one.jpg", "cat/two.png"):
        assert after[name] == before[name], "what is left alone is still the file that it was"
    assert np.abs(change(before["dog/two.png"], after["dog/two.png"])).max() == 8


def test_a_key_is_used_again(here, capsys):
    assert protect("random-noise", "photos") == 0
    first = contents("my.key")
    assert protect("random-noise", "photos", output="again") == 0
    assert contents("again") == contents("protected")
    assert contents("my.key") == first
    assert "(new" not in capsys.readouterr().out.splitlines()[-1]
    assert protect("random-noise", "photos", output="other", key="other.key") == 0
    assert contents("other").keys() == contents("protected").keys()
    assert contents("other") != contents("protected")
    assert protect("random-noise", "photos", "--epsilon", "4/255", output="weaker") == 1
    assert "fixes --epsilon" in error_of(capsys)
    assert protect("random-noise", "photos", "--epsilon", "8/255", output="equal") == 0
    assert contents("equal") == contents("protected")
    assert "weaker" not in names(here)


def test_a_key_protects_new_photos_of_its_classes(here):
    assert protect("texture", "classes") == 0
    os.makedirs("more/cat")
    os.makedirs("more/dog")
    for name in ("cat/two.png", "dog/two.png"):
        Path("more", name).write_bytes(Path("classes", name).read_bytes())
    assert protect("texture", "more", output="protected-more") == 0
    expected = contents("protected")
    assert contents("protected-more") == {name: expected[name] for name in ("cat/two.png", "dog/two.png")}


def test_more_processes_give_the_same_files(here):
    assert protect("random-noise", "photos") == 0
    assert protect("random-noise", "photos", "--num-proc", "2", output="again") == 0
    assert contents("again") == contents("protected")


def test_lossless_webp(here):
    before = contents("photos")
    assert protect("random-noise", "photos", "--encoding", "webp") == 0
    after = contents("protected")
    assert sorted(after) == ["DSC 1.webp", "beach [2].webp", "logo.webp", "scan.png"], "WebP has no gray"
    assert after["logo.webp"][8:12] == b"WEBP"
    assert np.abs(change(before["logo.png"], after["logo.webp"])).max() == 8
    assert np.abs(change(before["DSC 1.JPG"], after["DSC 1.webp"])).max() == 8


def test_two_photos_of_one_name(here):
    os.mkdir("pairs")
    array = levels(3, height=20, width=24)
    for i, ending in enumerate(["jpeg", "jpg", "png"]):
        Image.fromarray(array[i]).save(f"pairs/a.{ending}")
    assert protect("random-noise", "pairs") == 0
    assert files("protected") == ["a.jpeg.png", "a.jpg.png", "a.png"]
    for name, source in {"a.jpeg.png": "a.jpeg", "a.jpg.png": "a.jpg", "a.png": "a.png"}.items():
        assert np.abs(change(Path("pairs", source).read_bytes(), Path("protected", name).read_bytes())).max() == 8


def test_photos_become_a_table_when_asked_for(here):
    before = contents("photos")
    assert protect("random-noise", "photos", "--format", "parquet") == 0
    assert files("protected") == ["train.parquet"]
    after = stored(load_dataset("protected", split="train"))
    for name, value in zip(sorted(before), after, strict=True):
        assert value["path"] is None
        assert np.abs(change(before[name], value["bytes"])).max() == 8
    assert str(here).encode() not in Path("protected/train.parquet").read_bytes()


@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_a_table_holds_also_the_photos_that_are_left_alone(here, capsys, format):
    """Whoever gets the table gets pictures, and learns nothing of the owner's folders."""
    before = contents("photos")
    assert protect("random-noise", "photos", "--format", format, "--fraction", "0.5", "--seed", "3") == 0
    out = capsys.readouterr().out
    data = datasets.load_from_disk("protected") if format == "arrow" else load_dataset("protected", split="train")
    after = data.cast_column("image", datasets.Image(decode=False))["image"][:]
    changed = 0
    for name, value in zip(sorted(before), after, strict=True):
        assert value["bytes"] is not None, f"{name} is not in the table, only its path: {value['path']}"
        assert os.sep not in (value["path"] or "")
        changed += value["bytes"] != before[name]
    assert 0 < changed < 4
    assert f"{changed} of 4 rows protected" in out
    assert f"{changed} of 4 images changed" in out


def test_links_to_photos(here):
    """A folder of links to where the photos stand is a folder of photos."""
    os.mkdir("links")
    for name in ("logo.png", "scan.png"):
        os.symlink(here / "photos" / name, f"links/{name}")
    os.symlink("links", "linked")
    assert protect("random-noise", "links") == 0
    assert files("protected") == ["logo.png", "scan.png"]
    assert protect("random-noise", "linked", output="again") == 0
    assert contents("again") == contents("protected")


@pytest.mark.parametrize("name", ["json", "text", "imagefolder"])
def test_a_folder_that_is_named_like_a_reader(here, name):
    """`load_dataset("json")` would read every JSON file around instead."""
    os.rename("photos", name)
    Path("other.json").write_text('{"private": 1}')
    assert protect("random-noise", name) == 0
    assert files("protected") == ["DSC 1.png", "beach [2].png", "logo.png", "scan.png"]


@pytest.mark.parametrize("method", ["random-noise", "texture"])
def test_parquet_to_parquet(here, capsys, method):
    assert protect(method, "pictures.parquet", "--epsilon", "4/255") == 0
    assert f"12 of 12 rows protected with {method}: protected" in capsys.readouterr().out
    assert files("protected") == ["train.parquet"]
    before = load_dataset("parquet", data_files="pictures.parquet", split="train")
    after = load_dataset("protected", split="train")
    assert after.features == before.features
    assert after["label"][:] == before["label"][:]
    raw = [data.cast_column("image", datasets.Image(decode=False))["image"][:] for data in (before, after)]
    for one, two in zip(*raw, strict=True):
        assert set(np.abs(change(one, two)).ravel()) <= {0, 1, 2, 3, 4} and np.abs(change(one, two)).max() == 4
        assert two["path"] is None
    assert protect(method, "pictures.parquet", output="again.parquet") == 0
    assert Path("again.parquet").read_bytes() == Path("protected/train.parquet").read_bytes()
    images = pq.read_table("protected/train.parquet")["image"].to_pylist()
    assert [value["bytes"] for value in images] == [value["bytes"] for value in raw[1]]


def test_the_output_of_save_to_disk(here):
    assert protect("texture", "pictures.parquet", "--format", "arrow", "--seed", "5") == 0
    assert protect("texture", "pictures.parquet", "--seed", "5", output="plain", key="other.key") == 0
    saved = datasets.load_from_disk("protected").cast_column("image", datasets.Image(decode=False))
    assert [value["bytes"] for value in saved["image"]] == [
        value["bytes"] for value in stored(load_dataset("plain", split="train"))
    ]
