"""What the first commands of a new user say, and which names of data they take."""

import json

import pytest

from hf_unlearnable import RegTextTransform
from hf_unlearnable.cli import main
from hf_unlearnable.cli.protect import _show_words
from hf_unlearnable.rows import file_of, require_columns
from tests.examples import notes


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def shards(here):
    """Three shards of notes in data/, and protected/ beside them."""
    (here / "data").mkdir()
    for part in range(3):
        notes(120).shard(3, part, contiguous=True).to_parquet(f"data/train-{part}.parquet")
    assert main(["protect", "regtext", "data/*.parquet", "--output", "protected", "--key", "k", "--quiet"]) == 0
    return here


def test_a_command_line_without_a_command_shows_the_help(capsys):
    assert main([]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    for command in ("protect", "restore", "attack", "publish", "verify", "space", "demo", "list"):
        assert f"\n    {command} " in shown.err


@pytest.mark.parametrize(
    ("columns", "more", "option"),
    [
        (["review", "label"], [], "--text-column"),
        (["text", "sentiment"], [], "--label-column"),
        (["review", "sentiment"], ["--text-column", "review"], "--label-column"),
        (["review", "sentiment"], ["--label-column", "sentiment"], "--text-column"),
    ],
)
def test_a_usual_column_that_is_missing_names_the_option_for_another(here, columns, more, option, capsys):
    notes(40).rename_columns(dict(zip(["text", "label"], columns, strict=True))).to_csv("a.csv", index=False)
    assert main(["protect", "regtext", "a.csv", "--output", "out", "--key", "k", *more]) == 1
    said = capsys.readouterr().err
    assert said.endswith(f"Columns: {columns[0]!r}, {columns[1]!r}. Name yours with {option}.\n")
    assert list(here.iterdir()) == [here / "a.csv"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("image", "There is no column 'image'. Columns: 'photo'. Name yours with image_column."),
        ("label", "There is no column 'label'. Columns: 'photo'. Name yours with label_column."),
        ("photos", "There is no column 'photos'. Did you mean 'photo'? Columns: 'photo'."),
        ("id", "There is no column 'id'. Columns: 'photo'."),
    ],
)
def test_in_python_a_missing_column_names_the_parameter_of_a_default_only(name, said):
    with pytest.raises(ValueError) as raised:
        require_columns(["photo"], [name])
    assert str(raised.value) == said


def test_publish_takes_patterns_for_data_and_original(shards, capsys):
    argv = ["publish", "protected/*.parquet", "me/notes", "--key", "k", "--dry-run", "dry", "--json"]
    assert main([*argv, "--original", "data/train-*.parquet"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted(found["files"]) == ["README.md", "data/train-00000-of-00001.parquet"]
    assert "| train | 120 | 120 |" in (shards / "dry" / "README.md").read_text()


def test_publish_finds_a_clean_copy_in_a_pattern(shards, capsys):
    argv = ["publish", "data/train-[01].parquet", "me/notes", "--key", "k", "--dry-run", "dry"]
    assert main([*argv, "--original", "data/train-[01].parquet"]) == 1
    assert "hf-unlearnable: " in capsys.readouterr().err
    assert not (shards / "dry").exists()


def test_attack_takes_patterns_for_all_its_data(shards, monkeypatch, capsys):
    def attack(*parts, own_clean, **options):
        raise RuntimeError([len(part) for part in (*parts, own_clean)])

    monkeypatch.setattr("hf_unlearnable.audit.run.attack", attack)
    notes(200).select(range(120, 200)).to_parquet("test-0.parquet")
    given = [
        "--clean",
        "data/*",
        "--protected",
        "protected/train-[012].*",
        "--test",
        "test*",
        "--own-clean",
        "*/*-2.*",
    ]
    assert main(["attack", *given, "--report", "report"]) == 1
    assert capsys.readouterr().err.endswith("hf-unlearnable: [120, 120, 80, 80]\n")


@pytest.mark.parametrize("option", ["--clean", "--protected", "--test", "--own-clean", "--corpus"])
def test_attack_says_which_pattern_matches_nothing(shards, option, capsys):
    given = {"--clean": "data/*", "--protected": "protected/*", "--test": "data/train-0.parquet", option: "gone/*.csv"}
    assert main(["attack", *(one for pair in given.items() for one in pair), "--report", "report"]) == 1
    assert "There is no file or folder gone/*.csv, and as a pattern it matches none." in capsys.readouterr().err
    assert not (shards / "report").exists()


@pytest.mark.parametrize(("count", "shown"), [(1, 1), (12, 12), (13, 12), (100, 12)])
def test_protect_shows_at_most_twelve_words_of_a_class(count, shown, capsys):
    words = [f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(2 * count)]
    cloak = RegTextTransform(word_source={0: words[:count], 1: words[count:]}, tokens_per_class=count, seed=1)
    _show_words(cloak, notes(40), key_is_new=True)
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("Words for "))
    more = f", and {count - shown} more" if count > shown else ""
    assert line.partition(": ")[2].startswith(f"{', '.join(words[:shown])}{more} (keep them to yourself")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("{here}/photos/cat/one.jpg", " (photos/cat/one.jpg)"),
        ("{here}/one.jpg", " (one.jpg)"),
        ("{here}-2/one.jpg", " ({here}-2/one.jpg)"),
        ("cat/one.jpg", " (cat/one.jpg)"),
        (None, ""),
    ],
)
def test_a_file_below_the_working_directory_is_named_from_there(here, path, told):
    given = None if path is None else path.format(here=here)
    assert file_of({"bytes": b"", "path": given}) == told.format(here=here)
