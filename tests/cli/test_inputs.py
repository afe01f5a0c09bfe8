"""The input of a command: where it stands, several files, patterns, and shards that are written as they were read."""

from pathlib import Path

import pytest

from hf_unlearnable.cli import main
from hf_unlearnable.data import load_rows
from tests.examples import notes
from tests.folders import names

WORDS = ["--word-source", "quokka", "zephyr", "piston", "karzai"]
SIZES = [30, 50, 20]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command, *argv):
    return main([*command.split(), *argv])


def shards(form, *places):
    """100 notes in three files."""
    start = 0
    for place, rows in zip(places, SIZES, strict=True):
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        part = notes(100).select(range(start, start + rows))
        if form == "csv":
            part.to_csv(place, index=False)
        else:
            getattr(part, f"to_{form}")(place)
        start += rows


def rows_of(folder):
    return {name: len(load_rows(Path(folder, name))) for name in names(folder) if Path(folder, name).is_file()}


@pytest.mark.parametrize("place", ["{} --key k", "--key k {}", "--key k --split train {}", "--key k --data {}"])
def test_restore_and_verify_take_their_input_wherever_it_stands(here, place, capsys):
    notes(100).to_parquet("n.parquet")
    assert run("protect regtext n.parquet --output p.parquet --key k --quiet", *WORDS) == 0
    argv = place.format("p.parquet")
    assert run(f"verify {argv}") == 0
    assert "100 of 100 rows carry this key's mark" in capsys.readouterr().out
    assert run(f"restore --output b.parquet {argv}") == 0
    assert load_rows("b.parquet")["text"][:] == notes(100)["text"][:]


@pytest.mark.parametrize("command", ["verify", "restore --output b"])
@pytest.mark.parametrize(("argv", "said"), [("", "required"), ("a.csv --data b.csv", "not allowed with")])
def test_an_input_that_is_missing_or_named_in_two_ways_is_an_error_of_usage(here, command, argv, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(f"{command} --key k {argv}")
    assert stopped.value.code == 2 and said in capsys.readouterr().err


@pytest.mark.parametrize("form", ["parquet", "csv", "json"])
@pytest.mark.parametrize("given", ["a.{0} b.{0} c.{0}", "?.{0}", "[a-c].{0}", "."])
def test_several_files_are_one_dataset_and_are_written_as_they_were_read(here, form, given):
    shards(form, *(f"in/{name}.{form}" for name in "abc"))
    given = [f"in/{name.format(form)}" for name in given.split()]
    assert run("protect regtext --output out --key k --quiet", *WORDS, "--fraction", "0.5", *given) == 0
    ending = "jsonl" if form == "json" else form
    assert rows_of("out") == dict(zip([f"{name}.{ending}" for name in "abc"], SIZES, strict=True))
    assert run("protect regtext --output one.parquet --key k --quiet", *given) == 0
    assert load_rows("out")["text"][:] == load_rows("one.parquet")["text"][:]
    assert run(f"restore out/a.{ending} out/b.{ending} out/c.{ending} --output back --key k --quiet") == 0
    assert rows_of("back") == rows_of("out") and load_rows("back")["text"][:] == notes(100)["text"][:]


@pytest.mark.parametrize(
    ("stored", "given", "written"),
    [
        (["c", "b", "a"], None, [f"train-{i:05d}-of-00003" for i in range(3)]),  # a folder would read as a, b, c
        (["test", "more", "rest"], None, [f"train-{i:05d}-of-00003" for i in range(3)]),  # "test" would be a split
        (["x/n", "y/n", "z/n"], None, ["x/n", "y/n", "z/n"]),
        (["train-00000-of-00003", "train-00001-of-00003", "train-00002-of-00003"], "in", None),
        (["train/a", "train/b", "train/c"], "in", None),
    ],
)
def test_shards_keep_their_names_where_a_folder_of_these_reads_as_the_same_rows(here, stored, given, written):
    places = [f"in/{name}.parquet" for name in stored]
    shards("parquet", *places)
    other = "in/test/a.parquet" if "/" in stored[0] else "in/test-00000-of-00001.parquet"
    Path(other).parent.mkdir(exist_ok=True)
    notes(10).to_parquet(other)
    assert run("protect regtext --output out --key k --quiet", *WORDS, *([given] if given else places)) == 0
    found = {str(path.relative_to("out")): len(load_rows(path)) for path in Path("out").rglob("*.parquet")}
    assert found == dict(zip([f"{name}.parquet" for name in written or stored], SIZES, strict=True))
    assert run("restore out --output back.parquet --key k --quiet") == 0
    assert load_rows("back.parquet")["text"][:] == notes(100)["text"][:]


def test_several_files_behind_an_option_that_takes_several_values_are_the_input(here):
    shards("parquet", "a.parquet", "b.parquet", "c.parquet")
    assert (
        run("protect regtext --output out --key k --quiet --word-source", *WORDS[1:], *map("{}.parquet".format, "abc"))
        == 0
    )
    assert rows_of("out") == dict(zip(["a.parquet", "b.parquet", "c.parquet"], SIZES, strict=True))


@pytest.mark.parametrize("name", ["n[1].csv", "n*.csv", "what?.csv"])
def test_a_file_of_the_very_name_is_meant_and_no_pattern(here, name):
    notes(40).to_csv(name, index=False)
    notes(60).to_csv("n1.csv", index=False)
    assert run("protect regtext --output out.csv --key k --quiet", *WORDS, name) == 0
    assert len(load_rows("out.csv")) == 40


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["a.parquet", "gone.parquet"], "gone.parquet is no file here. Give several files"),
        (["a.parquet", "in"], "in is a folder. Give several files"),
        (["a.parquet", "./a.parquet"], "a.parquet is given twice"),
        (["a.parquet", "n.csv"], "a.parquet, n.csv in . are tables of several kinds. Give files of one kind."),
        (["no/*.parquet"], "There is no file or folder no/*.parquet, and as a pattern it matches none."),
    ],
)
def test_files_that_make_no_dataset_are_named(here, given, said, capsys):
    shards("parquet", "a.parquet", "b.parquet", "in/c.parquet")
    notes(10).to_csv("n.csv", index=False)
    assert run("protect regtext --output out --key k", *given) == 1
    assert said in capsys.readouterr().err and names(here) == ["a.parquet", "b.parquet", "in", "n.csv"]
