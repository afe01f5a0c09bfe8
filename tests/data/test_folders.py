"""Folders of pictures: every picture is read or named, and goes out under its name."""

import json
import os
from pathlib import Path

import pytest
from datasets import ClassLabel, Image
from PIL import Image as Pillow

from hf_unlearnable import TextureTransform
from hf_unlearnable.cli import main
from hf_unlearnable.data import load_rows, load_splits
from hf_unlearnable.image.files import holds_images, write_images
from tests.examples import levels


def draw(*paths, seed=0):
    for path, one in zip(paths, levels(len(paths), seed=seed), strict=True):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(one).save(path)


def names(dataset, folder="in"):
    stored = dataset.cast_column("image", Image(decode=False))["image"]
    return [Path(value["path"]).relative_to(Path(folder).absolute()).as_posix() for value in stored]


SIX = [f"in/{'ab'[i % 2]}/{i}.jpg" for i in range(6)]
SORTED = ["a/0.jpg", "a/2.jpg", "a/4.jpg", "b/1.jpg", "b/3.jpg", "b/5.jpg"]


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ([f"{path[:-4]}.json" for path in SIX], "6 files are no pictures and are not read (6 .json)"),
        ([f"{path}.supplemental-metadata.json" for path in SIX] + ["in/a/metadata.json"], "7 .json"),
        (["in/a/0.xmp", "in/notes.txt", "in/clip.mp4"], "3 files are no pictures"),
        (["in/labels.csv"], "1 .csv"),
        (["in/.DS_Store", "in/a/Thumbs.db", "in/.hidden/x.jpg", "in/__MACOSX/a/0.jpg"], None),
    ],
)
def test_files_beside_pictures_are_told_of_and_take_no_picture_away(here, caplog, others, told):
    draw(*SIX)
    for path in others:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text('{"caption": "x"}')
    read = load_rows("in")
    assert holds_images("in") and names(read) == SORTED
    assert read["label"][:] == [0, 0, 0, 1, 1, 1] and read.features["label"] == ClassLabel(names=["a", "b"])
    assert (told in caplog.text) if told else not caplog.text


def test_a_folder_with_more_tables_than_pictures_is_one_of_tables(here):
    draw("in/figure.png")
    Path("in/train.csv").write_text("text\na\n")
    Path("in/test.csv").write_text("text\nb\n")
    assert not holds_images("in") and load_rows("in")["text"][:] == ["a"]


@pytest.mark.parametrize("ending", ["AVIF", "bmp", "gif", "jfif", "webp", "tiff", "PNG", "ppm", "jp2"])
def test_kinds_of_pictures(here, ending):
    draw("in/a/0.png", "in/b/1.png", f"in/b/2.{ending}")
    read = load_rows("in")
    assert names(read) == ["a/0.png", "b/1.png", f"b/2.{ending}"]
    assert read[2]["image"].size == (12, 12)


def test_pictures_that_cannot_be_read_are_named_or_skipped(here, monkeypatch, caplog):
    draw(*SIX, "in/cover.jpg")
    Path("in/a/half.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    Pillow.new("CMYK", (4, 4)).save("in/b/print.jpg")
    Path("in/b/IMG.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    monkeypatch.setattr("hf_unlearnable.image.files._reads_heic", lambda: False)
    with pytest.raises(ValueError, match=r"b/IMG\.HEIC is HEIC: install pillow-heif"):
        load_rows("in")
    skipped = []
    read = load_rows("in", skip_broken=True, skipped=skipped)
    assert names(read) == SORTED and read.features["label"].names == ["a", "b"]
    told = {Path(line.split(" ")[0]).name: line for line in skipped}
    assert set(told) == {"half.png", "print.jpg", "IMG.HEIC", "cover.jpg"}
    assert "does not open" in told["half.png"] and "CMYK" in told["print.jpg"]
    assert "outside the folders of classes" in told["cover.jpg"]
    assert "4 pictures are left out" in caplog.text
    assert {split: len(part) for split, part in load_splits("in", skip_broken=True).items()} == {"train": 6}


@pytest.mark.parametrize("stray", [["in/cover.jpg"], ["in/a/deep/0.jpg"], ["in/cover.jpg", "in/b/x/y/0.png"]])
def test_a_picture_outside_the_classes_is_named(here, stray):
    draw(*SIX, *stray)
    with pytest.raises(ValueError, match="not in a folder of a class") as refused:
        load_rows("in")
    assert all(path in str(refused.value) for path in stray)
    whole = load_rows("in", need_labels=False)
    assert len(whole) == 6 + len(stray) and whole.column_names == ["image"]


@pytest.mark.parametrize(
    "files", [["in/0.jpg", "in/1.jpg", "in/2.jpg", "in/raw/0.jpg"], ["in/x/0.jpg", "in/x/1.jpg"], ["in/0.jpg"]]
)
def test_pictures_without_classes(here, files):
    draw(*files)
    read = load_rows("in")
    assert read.column_names == ["image"] and [f"in/{name}" for name in names(read)] == files


def test_splits_share_the_numbers_of_their_classes(here):
    draw("in/train/a/0.png", "in/train/b/0.png", "in/train/c/0.png", "in/val/b/0.png", "in/val/c/0.png")
    splits = load_splits("in")
    assert list(splits) == ["train", "validation"]
    assert splits["validation"].features["label"].names == ["a", "b", "c"]
    assert splits["validation"]["label"][:] == [1, 2] and str(splits["validation"].split) == "validation"
    draw("one/train/a/0.png", "one/train/b/0.png", "one/test/b/0.png")
    assert load_rows("one", split="test")["label"][:] == [1], "one class of two"
    draw("in/cover.png")
    with pytest.raises(ValueError, match=r"in/cover\.png stands beside the folders of splits"):
        load_rows("in")


def test_a_link_to_the_folder_above_ends(here):
    draw("in/a/0.png", "in/b/0.png", "far/1.png")
    os.symlink(here / "in", "in/a/loop")
    os.symlink(here / "far/1.png", "in/b/1.png")
    assert names(load_rows("in")) == ["a/0.png", "b/0.png", "b/1.png"]


def test_another_picture_under_the_same_name_is_another_dataset(here):
    draw("in/0.png")
    first = load_rows("in")
    assert load_rows("in")._fingerprint == first._fingerprint
    draw("in/0.png", seed=5)
    os.utime("in/0.png", ns=(1, 1))
    assert load_rows("in")._fingerprint != first._fingerprint


def test_names_with_two_colons_are_refused(here):
    draw("in/10::00.png", "in/1.png")
    with pytest.raises(ValueError, match=r"10::00\.png has '::' in its name"):
        load_rows("in")
    assert names(load_rows("in", skip_broken=True)) == ["1.png"]


# ---------------------------------------------------------------------- metadata
METADATA = {
    "metadata.csv": "file_name,id,label\na/0.png,007,x\n1.jpg,008,y\n",
    "metadata.jsonl": '{"file_name": "a/0.png", "id": "007", "label": "x"}\n{"file_name": "1.jpg", "id": "008", "label": "y"}\n',
}


@pytest.mark.parametrize("name", METADATA)
def test_metadata_comes_in_and_goes_out_letter_by_letter(here, name):
    draw("in/a/0.png", "in/1.jpg")
    Path("in", name).write_text(METADATA[name])
    read = load_rows("in")
    assert read.column_names == ["image", "id", "label"]
    assert names(read) == ["a/0.png", "1.jpg"] and read["id"][:] == ["007", "008"] and read["label"][:] == ["x", "y"]
    assert main(["protect", "texture", "in", "--output", "out", "--key", "k"]) == 0
    assert Path("out", name).read_text() == METADATA[name].replace("1.jpg", "1.png")
    again = load_rows("out")
    assert names(again, "out") == ["a/0.png", "1.png"] and again["id"][:] == ["007", "008"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "metadata.csv: the file is empty"),
        ("file_name,id\n", "a header and no rows"),
        ("name,id\na.png,1\n", "no column 'file_name'. Columns: 'name', 'id'"),
        ("file_name,id\nabsent.png,1\n", "row 0 names 'absent.png', and there is no such file"),
        ("file_name,id\n../secret.png,1\n", r"row 0 names '../secret.png', which is not beside it"),
        ("file_name,id\n/etc/passwd,1\n", "which is not beside it"),
        ("file_name,id\n0.png,1\n", r"1\.png: not named in metadata\.csv"),
    ],
)
def test_metadata_that_does_not_fit_is_one_sentence(here, content, message):
    draw("in/0.png", "in/1.png", "secret.png")
    Path("in/metadata.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        load_rows("in")


def test_metadata_of_pairs_of_pictures(here):
    draw("in/0.png", "in/1.png")
    Path("in/metadata.jsonl").write_text(json.dumps({"file_name": "0.png", "mask_file_name": "1.png", "n": 1}) + "\n")
    read = load_rows("in")
    assert read.column_names == ["image", "mask", "n"] and isinstance(read.features["mask"], Image)


def test_order_is_the_same_before_and_after(here):
    draw(*(f"in/{c}/{i}{more}.jpg" for c in "ab" for i in range(3) for more in ("", ".large", "-b")))
    before = load_rows("in")
    write_images(before.map(TextureTransform().fit(before), batched=True), before, "out", "image", "in")
    after = [Path(name).with_suffix("") for name in names(load_rows("out"), "out")]
    assert after == [Path(name).with_suffix("") for name in names(before)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metadata.csv", "file_name,id,label,todo\na/0.png,007,x,True\n,008,y,False\n1.png,009,y,True\n"),
        ("metadata.csv", "id;file_name;label;todo\n007;a/0.png;x;True\n008;;y;False\n009;1.png;y;True\n"),
        (
            "metadata.jsonl",
            '{"file_name": "a/0.png", "label": "x", "todo": true}\n{"file_name": null, "label": "y", "todo": false}\n'
            '{"file_name": "1.png", "label": "y", "todo": true}\n',
        ),
    ],
)
def test_a_row_of_metadata_without_a_picture_stays_one(here, name, content):
    draw("in/a/0.png", "in/1.png")
    Path("in", name).write_text(content)
    assert main(["protect", "texture", "in", "--output", "out", "--key", "k", "--mask-column", "todo"]) == 0
    before, after = load_rows("in"), load_rows("out")
    assert [value is None for value in after["image"]] == [False, True, False]
    assert after.remove_columns("image")[:] == before.remove_columns("image")[:]
    assert sorted(path.relative_to("out").as_posix() for path in Path("out").rglob("*.png")) == ["1.png", "a/0.png"]
