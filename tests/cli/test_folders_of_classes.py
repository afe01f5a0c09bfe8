"""Folders that give no labels: one sentence says how the pictures stand and how folders tell classes."""

from pathlib import Path

import pytest
from PIL import Image

from hf_unlearnable._words import counted
from hf_unlearnable.cli import main
from hf_unlearnable.data import load_rows
from tests.examples import levels
from tests.folders import names


@pytest.fixture
def draw(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def drawn(*paths):
        for number, path in enumerate(paths):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(levels(1, seed=number)[0]).save(path)

    return drawn


SIDE_BY_SIDE = "The pictures stand side by side in in, and a label is the name of a folder."
ONE_CLASS = "one class, and it takes two or more. Add a folder for each other class."


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["in/1.png", "in/2.png"], SIDE_BY_SIDE),
        (["in/1.png"], SIDE_BY_SIDE),
        (["in/cat/1.png", "in/cat/2.png"], f"All pictures stand in in/cat, {ONE_CLASS}"),
        (["in/train/cat/1.png"], ONE_CLASS),
        (["in/2024/may/1.png", "in/2024/may/2.png"], f"All pictures stand in in/2024/may, {ONE_CLASS}"),
        (["in/1.png", "in/2.png", "in/cat/3.png"], "The pictures stand at several depths in in."),
    ],
)
@pytest.mark.parametrize("command", ["protect texture in --output o --key k", "attack --clean in --protected in --test in --report o"])  # fmt: skip
def test_a_folder_without_classes_is_told_in_a_sentence(draw, capsys, command, files, message):
    draw(*files)
    before = names(".")
    assert main(command.split()) == 1
    (line,) = [one for one in capsys.readouterr().err.splitlines() if one.startswith("hf-unlearnable: ")]
    assert message in line and "needs labels, and there is no column 'label'" in line
    assert names(".") == before


def test_two_classes_and_metadata_give_labels(draw, capsys):
    draw("in/cat/1.png", "in/dog/2.png", "meta/1.png", "meta/2.png")
    Path("meta/metadata.csv").write_text("file_name,label\n1.png,0\n2.png,1\n")
    for folder in ("in", "meta"):
        assert main(f"protect texture {folder} --output {folder}-o --key {folder}-k --quiet".split()) == 0
        assert sorted(load_rows(f"{folder}-o")["label"]) == [0, 1]
    draw("flat/1.png", "flat/2.png")
    assert main("protect random-noise flat --output o --key k --quiet".split()) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("others", "said"),
    [
        (["a.txt"], "1 file is no picture and is not read (1 .txt)"),
        (["a.txt", "b.txt"], "2 files are no pictures and are not read (2 .txt)"),
        (["a.xmp", "b.mov", "c.txt"], "3 files are no pictures and are not read"),
    ],
)
def test_counts_stand_with_their_nouns(draw, caplog, others, said):
    draw("in/a/1.png", "in/b/2.png")
    for name in others:
        Path("in", name).touch()
    load_rows("in")
    assert said in caplog.text


@pytest.mark.parametrize("broken", [1, 2])
def test_pictures_that_are_left_out_are_counted(draw, caplog, broken):
    draw("in/a/1.png", "in/b/2.png")
    for number in range(broken):
        Path(f"in/a/broken{number}.png").write_bytes(b"no picture")
    load_rows("in", skip_broken=True)
    assert ("1 picture is left out" if broken == 1 else "2 pictures are left out") in caplog.text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((1, "file"), "1 file"), ((0, "file"), "0 files"), ((1200, "row"), "1,200 rows"),
        ((1, "class", "classes"), "1 class"), ((3, "class", "classes"), "3 classes"),
    ],
)  # fmt: skip
def test_a_number_with_its_noun(arguments, said):
    assert counted(*arguments) == said
