"""Photos on the command line: a folder in, a folder out, not a level further off than promised, one sentence if not."""

import io
import json
import os
from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from PIL import Image

from hf_unlearnable import load_transform
from hf_unlearnable.cli import main
from hf_unlearnable.image.codec import decode
from hf_unlearnable.image.files import holds_images, write_images
from tests.examples import levels, pictures

FLAT = ["DSC 1.JPG", "beach [2].jpg", "logo.png", "scan.png"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Photos of four kinds, the same in folders of classes, and a table of pictures."""
    monkeypatch.chdir(tmp_path)
    array = levels(8, height=20, width=24)
    os.mkdir("photos")
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Camera"
    exif.get_ifd(0x8825)[1] = "N"
    Image.fromarray(array[0]).save(f"photos/{FLAT[0]}", exif=exif, quality=90)
    Image.fromarray(array[1]).save(f"photos/{FLAT[1]}", comment=b"at home")
    Image.fromarray(np.dstack([array[2], array[3, :, :, 0]])).save(f"photos/{FLAT[2]}")
    Image.fromarray(array[3, :, :, 0]).save(f"photos/{FLAT[3]}")
    for i, name in enumerate(["cat", "dog"]):
        os.makedirs(f"classes/{name}")
        Image.fromarray(array[2 * i]).save(f"classes/{name}/one.jpg")
        Image.fromarray(array[2 * i + 1]).save(f"classes/{name}/two.png")
    pictures(12, height=20, width=16).to_parquet("pictures.parquet")
    return tmp_path


def protect(method, source, *more, output="protected", key="my.key"):
    return main(["protect", method, str(source), "--output", output, "--key", key, *more])


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def bytes_of(folder):
    return {name: Path(folder, name).read_bytes() for name in files(folder)}


def stored(folder):
    data = load_dataset(str(folder), split="train")
    return data.cast_column("image", datasets.Image(decode=False))["image"][:]


def change(before, after):
    """Of every level; size, transparency and colour profile are the same."""
    one, two = decode(before), decode(after)
    assert one.levels.shape == two.levels.shape
    assert (one.alpha is None) == (two.alpha is None)
    assert one.alpha is None or (one.alpha == two.alpha).all()
    assert one.icc_profile == two.icc_profile
    return two.levels.astype(int) - one.levels


def strict_json(path):
    """As any other language reads it: without NaN and Infinity."""

    def refuse(constant):
        raise AssertionError(f"{path} holds {constant}, which is no JSON")

    return json.loads(Path(path).read_text(), parse_constant=refuse)


def error_of(capsys):
    """The one sentence on standard error."""
    text = capsys.readouterr().err
    lines = [line for line in text.splitlines() if line.startswith("hf-unlearnable: ")]
    assert len(lines) == 1 and "Traceback" not in text, text
    return lines[0]


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


# ---------------------------------------------------------------------------------------------- folders of photos
def test_a_folder_of_photos_needs_no_labels(here, capsys):
    before = bytes_of("photos")
    assert protect("random-noise", "photos", "--epsilon", "8/255") == 0
    out = capsys.readouterr().out
    assert "4 of 4 rows protected with random-noise: protected" in out
    assert "4 of 4 images changed: at most 8 of 255 levels" in out
    assert "Key: my.key (new" in out
    after = bytes_of("protected")
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
    assert bytes_of("photos") == before, "the source is not touched"
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
    before, after = bytes_of("classes"), bytes_of("protected")
    for name in ("cat/one.jpg", "cat/two.png"):
        assert after[name] == before[name], "what is left alone is still the file that it was"
    assert np.abs(change(before["dog/two.png"], after["dog/two.png"])).max() == 8


def test_a_key_is_used_again(here, capsys):
    assert protect("random-noise", "photos") == 0
    first = bytes_of("my.key")
    assert protect("random-noise", "photos", output="again") == 0
    assert bytes_of("again") == bytes_of("protected")
    assert bytes_of("my.key") == first
    assert "(new" not in capsys.readouterr().out.splitlines()[-1]
    assert protect("random-noise", "photos", output="other", key="other.key") == 0
    assert bytes_of("other").keys() == bytes_of("protected").keys()
    assert bytes_of("other") != bytes_of("protected")
    assert protect("random-noise", "photos", "--epsilon", "4/255", output="weaker") == 1
    assert "fixes --epsilon" in error_of(capsys)
    assert protect("random-noise", "photos", "--epsilon", "8/255", output="equal") == 0
    assert bytes_of("equal") == bytes_of("protected")
    assert "weaker" not in names(here)


def test_a_key_protects_new_photos_of_its_classes(here):
    assert protect("texture", "classes") == 0
    os.makedirs("more/cat")
    os.makedirs("more/dog")
    for name in ("cat/two.png", "dog/two.png"):
        Path("more", name).write_bytes(Path("classes", name).read_bytes())
    assert protect("texture", "more", output="protected-more") == 0
    expected = bytes_of("protected")
    assert bytes_of("protected-more") == {name: expected[name] for name in ("cat/two.png", "dog/two.png")}


def test_more_processes_give_the_same_files(here):
    assert protect("random-noise", "photos") == 0
    assert protect("random-noise", "photos", "--num-proc", "2", output="again") == 0
    assert bytes_of("again") == bytes_of("protected")


def test_lossless_webp(here):
    before = bytes_of("photos")
    assert protect("random-noise", "photos", "--encoding", "webp") == 0
    after = bytes_of("protected")
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
    before = bytes_of("photos")
    assert protect("random-noise", "photos", "--format", "parquet") == 0
    assert files("protected") == ["train.parquet"]
    after = stored("protected")
    for name, value in zip(sorted(before), after, strict=True):
        assert value["path"] is None
        assert np.abs(change(before[name], value["bytes"])).max() == 8
    assert str(here).encode() not in Path("protected/train.parquet").read_bytes()


@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_a_table_holds_also_the_photos_that_are_left_alone(here, capsys, format):
    """Whoever gets the table gets pictures, and learns nothing of the owner's folders."""
    before = bytes_of("photos")
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
    assert bytes_of("again") == bytes_of("protected")


@pytest.mark.parametrize("name", ["json", "text", "imagefolder"])
def test_a_folder_that_is_named_like_a_reader(here, name):
    """`load_dataset("json")` would read every JSON file around instead."""
    os.rename("photos", name)
    Path("other.json").write_text('{"private": 1}')
    assert protect("random-noise", name) == 0
    assert files("protected") == ["DSC 1.png", "beach [2].png", "logo.png", "scan.png"]


# ---------------------------------------------------------------------------------------------- tables
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
    assert [value["bytes"] for value in saved["image"]] == [value["bytes"] for value in stored("plain")]


# ---------------------------------------------------------------------------------------------- report
def test_report(here):
    before = bytes_of("photos")
    assert protect("random-noise", "photos", "--report", "report") == 0
    assert files("report") == ["contact-sheet.png", "fidelity.json", "full-size.png"]
    fidelity = strict_json("report/fidelity.json")
    assert set(fidelity) == {"images", "changed", "max_change", "mean_change", "psnr", "ssim", "metadata"}
    assert (fidelity["images"], fidelity["changed"], fidelity["max_change"]) == (4, 4, 8)
    assert fidelity["metadata"] == {"EXIF": 1, "GPS": 1, "comment": 1}
    changes = [change(before[name], Path("protected", name).with_suffix(".png").read_bytes()) for name in FLAT]
    assert fidelity["mean_change"] == pytest.approx(np.mean([np.abs(one).mean() for one in changes]))
    ratios = [10 * np.log10(255**2 / (one**2).mean()) for one in changes]
    assert fidelity["psnr"] == pytest.approx(np.mean(ratios))
    with Image.open("report/contact-sheet.png") as sheet:
        assert sheet.size == (480, 640)
        pixels = np.asarray(sheet).astype(int)
    scan = slice(480, 613)  # 24 to 20 pixels, 160 wide
    assert 128 - 64 <= pixels[scan, 320:].min() < 128 < pixels[scan, 320:].max() <= 128 + 64
    assert (pixels[620:] == 255).all()


def test_report_when_nothing_changed(here):
    assert protect("random-noise", "photos", "--fraction", "0", "--report", "report") == 0
    assert bytes_of("protected") == bytes_of("photos")
    fidelity = strict_json("report/fidelity.json")
    assert (fidelity["images"], fidelity["changed"], fidelity["max_change"]) == (4, 0, 0)
    with Image.open("report/contact-sheet.png") as sheet:
        column = np.asarray(sheet)[:130, 320:450]
    assert (column == 128).all()


def test_report_of_a_tiny_picture(here):
    os.mkdir("tiny")
    Image.fromarray(levels(1, height=1, width=1)[0]).save("tiny/dot.png")
    assert protect("random-noise", "tiny", "--seed", "1", "--report", "report") == 0
    assert strict_json("report/fidelity.json")["images"] == 1


def test_a_report_within_the_output_is_refused_before_the_work(here, capsys):
    before = names(here)
    assert protect("random-noise", "photos", "--report", "protected/report") == 1
    assert "report" in error_of(capsys)
    assert names(here) == before, "nothing is left behind"


# ---------------------------------------------------------------------------------------------- what cannot be done
def test_texture_without_labels_names_the_method_that_needs_none(here, capsys):
    before = names(here)
    assert protect("texture", "photos") == 1
    message = error_of(capsys)
    assert "needs labels" in message and "no column 'label'" in message
    assert "RandomNoiseTransform" in message or "random-noise" in message
    assert names(here) == before


def test_epsilon_in_levels_is_refused(here, capsys):
    before = names(here)
    assert protect("random-noise", "photos", "--epsilon", "8") == 1
    message = error_of(capsys)
    assert "epsilon is 8" in message and "8/255" in message
    assert names(here) == before


@pytest.mark.parametrize("text", ["many", "1/0", "1e999", "nan", "8/255/2", ""])
def test_epsilon_that_is_no_number(here, capsys, text):
    with pytest.raises(SystemExit) as stopped:
        protect("random-noise", "photos", "--epsilon", text)
    assert stopped.value.code == 2
    assert "--epsilon" in capsys.readouterr().err


def test_a_broken_photo_is_named(here, capsys):
    data = Path("photos", FLAT[1]).read_bytes()
    Path("photos/broken.jpg").write_bytes(data[: len(data) // 2])
    before = names(here)
    assert protect("random-noise", "photos", "--report", "report") == 1
    message = error_of(capsys)
    assert "broken.jpg" in message and "does not open" in message
    assert names(here) == before, "neither output, key nor report"


def test_a_broken_picture_in_a_table_is_named_by_its_row(here, capsys):
    """Row 20 of the data, not of a batch that the user never sees."""
    file = io.BytesIO()
    Image.fromarray(levels(1)[0]).save(file, format="PNG")
    rows = [{"bytes": b"broken" if i == 20 else file.getvalue(), "path": None} for i in range(24)]
    data = datasets.Dataset.from_dict({"image": rows}, features=datasets.Features({"image": datasets.Image()}))
    data.to_parquet("broken.parquet")
    before = names(here)
    assert protect("random-noise", "broken.parquet") == 1
    assert "Row 20" in error_of(capsys)
    assert names(here) == before


def test_a_photo_whose_levels_cannot_be_kept_is_named(here, capsys):
    Image.new("CMYK", (4, 4)).save("photos/print.jpg")
    before = names(here)
    assert protect("random-noise", "photos") == 1
    message = error_of(capsys)
    assert "print.jpg" in message and "CMYK" in message
    assert names(here) == before


@pytest.mark.parametrize("option", ["output", "report"])
def test_what_is_there_is_not_overwritten(here, capsys, option):
    os.mkdir("taken")
    Path("taken/file").write_text("mine")
    before = names(here)
    more = ["--report", "taken"] if option == "report" else []
    assert protect("random-noise", "photos", *more, output="taken" if option == "output" else "protected") == 1
    message = error_of(capsys)
    assert "taken exists" in message and f"--{option}" in message
    assert names(here) == before and files("taken") == ["file"]


def test_files_of_photos_from_a_table(here, capsys):
    """There are no names to give the files."""
    before = names(here)
    assert protect("random-noise", "pictures.parquet", "--format", "images") == 1
    message = error_of(capsys)
    assert "folder" in message and "NoneType" not in message
    assert names(here) == before


def test_a_broken_promise_fails_the_run(here, capsys, monkeypatch):
    """The check looks at what is written, not at what the method meant to do."""
    from hf_unlearnable.image.methods import random_noise

    monkeypatch.setattr(random_noise, "uniform_levels", lambda stream, shape, most: np.full(shape, most + 1))
    before = names(here)
    assert protect("random-noise", "photos", "--report", "report") == 1
    assert "changed by 9 levels, and the bound is 8" in error_of(capsys)
    assert names(here) == before


def test_interrupted(here, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("hf_unlearnable.image.modality.write_images", interrupt)
    before = names(here)
    assert protect("random-noise", "photos", "--report", "report") == 130
    assert names(here) == before


# ---------------------------------------------------------------------------------------------- functions
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
    assert bytes_of("out") == {
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
    assert bytes_of("out") == {"a.jpg.png": new, "a.png": old}


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


@pytest.mark.parametrize("option", ["--key", "--report"])
def test_nothing_goes_into_the_output(tmp_path, option, capsys):
    pictures(8).to_parquet(str(tmp_path / "in.parquet"))
    paths = {"--key": str(tmp_path / "k"), "--report": str(tmp_path / "r"), option: str(tmp_path / "out/inside")}
    more = [part for pair in paths.items() for part in pair]
    assert main(["protect", "texture", str(tmp_path / "in.parquet"), "--output", str(tmp_path / "out"), *more]) == 1
    assert f"{option} is within --output" in capsys.readouterr().err
    assert not (tmp_path / "out").exists() and not (tmp_path / "k").exists()


def test_classes_that_no_row_has(tmp_path, capsys):
    rows = pictures(8).remove_columns("label").add_column("label", list("abababab"))
    rows.to_parquet(str(tmp_path / "in.parquet"))
    command = ["protect", "texture", str(tmp_path / "in.parquet"), "--output", str(tmp_path / "out"), "--key"]
    assert main([*command, str(tmp_path / "k"), "--classes", "c"]) == 1
    assert "No row has one of --classes" in capsys.readouterr().err
    assert not (tmp_path / "out").exists() and not (tmp_path / "k").exists()


@pytest.mark.parametrize("stray", ["cover.png", "cat/broken.png", "cat/deep/far.png"])
def test_what_was_left_out_of_a_folder_is_left_out_by_the_other_commands_too(here, capsys, stray):
    path = here / "classes" / stray
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"no picture" if "broken" in stray else (here / "classes/cat/two.png").read_bytes())
    assert protect("texture", "classes") == 1
    assert protect("texture", "classes", "--skip-broken") == 0
    assert "4 of 4 rows protected" in capsys.readouterr().out
    publish = ["publish", "protected", "me/photos", "--key", "my.key", "--original", "classes", "--dry-run", "look"]
    assert main(publish) == 1
    assert "The original has 5 rows and the protected data 4" in capsys.readouterr().err
    assert main([*publish, "--skip-broken"]) == 0
    assert "Nothing was uploaded" in capsys.readouterr().out
    attack = ["attack", "--clean", "classes", "--protected", "protected", "--test", "classes", "--report", "r"]
    assert main([*attack, "--skip-broken", "--quick", "--victims", "small_cnn", "--budget", "0"]) == 1
    assert "no training on the protected rows ran" in capsys.readouterr().err, "they are read, and belong together"
