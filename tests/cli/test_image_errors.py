"""One sentence for what cannot be done with photos, and nothing left behind."""

import os
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from hf_unlearnable.cli import main
from tests.cli.photos import FLAT, error_of, protect
from tests.examples import levels, pictures
from tests.folders import files, names
from tests.image.files import file_of


def test_texture_without_labels_names_the_method_that_needs_none(here, capsys):
    before = names(here)
    assert protect("texture", "photos") == 1
    message = error_of(capsys)
    assert "needs labels" in message and "no column 'label'" in message
    assert "side by side in photos, and a label is the name of a folder" in message
    assert (
        "Without labels, give --cluster-model, an image model" in message and "or use unlearnable-clusters" in message
    )
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
    rows = [{"bytes": b"broken" if i == 20 else file_of(levels(1)[0]), "path": None} for i in range(24)]
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
