"""Tables come out as they went in: names of files, JSON, folders of splits."""

import json
import os
from pathlib import Path

import pytest
from datasets import Dataset

from hf_unlearnable.data import load_rows, load_splits, write_rows
from tests.data.tables import rows
from tests.examples import notes
from tests.hub import Hub

NAMES = [
    "reviews [1]", "a*b", "what?", "{a,b}", "a::b", "hf:__x", "50%25 #1", "%5B1%5D", "~", "-", "ünï 漢字", "[!a]",
    "a;b", "$HOME", "q'uo\"te", "train-00000-of-00001", "zip:", "..a",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_never_a_pattern(here, name):
    """Beside it stand files that a pattern, an address or a decoded name would find."""
    for other in ("reviews 1", "a1b", "what1", "a", "b", "x", "50% #1", "[1]"):
        Path(f"{other}.csv").write_text("text\nother\n")
        os.mkdir(other)
        Path(other, "a.csv").write_text("text\nother\n")
    Path(f"{name}.csv").write_text("text\nmine\n")
    Dataset.from_dict({"text": ["mine"]}).to_parquet("plain")
    os.rename("plain", f"{name}.parquet")
    Path(f"{name}.jsonl").write_text('{"text": "mine"}\n')
    os.mkdir(name)
    Path(name, "x [1].csv").write_text("text\nmine\n")
    for source in (f"{name}.csv", f"{name}.parquet", f"{name}.jsonl", name):
        assert rows(source) == [("mine",)]
        assert {split: list(data["text"]) for split, data in load_splits(source).items()} == {"train": ["mine"]}
    streamed = load_splits(f"{name}.parquet", streaming=True)
    assert [row["text"] for row in streamed["train"]] == ["mine"]


def test_what_only_datasets_reads_is_refused_where_it_would_read_something_else(here):
    notes(3).save_to_disk("plain")
    for name in ("disk [1]", "disk*", "a::b"):
        os.rename("plain", name)
        if "::" in name:
            with pytest.raises(ValueError, match=r"a::b has '::' in its path"):
                load_rows(name)
        else:
            assert len(load_rows(name)) == 3
        os.rename(name, "plain")
    os.mkdir("texts [1]")
    Path("texts [1]/a.txt").write_text("a line\n")
    with pytest.raises(ValueError, match=r"texts \[1\] has .* in its path"):
        load_rows("texts [1]")
    os.rename("texts [1]", "texts")
    assert rows("texts") == [("a line",)]


def test_json_keeps_numbers_texts_and_nulls(tmp_path):
    objects = [
        {"text": "2021-01-01 00:00:00", "n": None, "deep": {"a": [1, 2]}},
        {"text": "None", "n": 1, "deep": None, "late": "007"},
        {"text": "é\u2028", "n": 2**62, "deep": {"a": []}, "late": None},
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(one) + "\n" for one in objects))
    (tmp_path / "b.json").write_text(json.dumps(objects, indent=1))
    whole = [{"text": one["text"], "n": one["n"], "deep": one["deep"], "late": one.get("late")} for one in objects]
    assert load_rows(tmp_path / "a.jsonl").to_list() == load_rows(tmp_path / "b.json").to_list() == whole
    write_rows(load_rows(tmp_path / "a.jsonl"), tmp_path / "c.jsonl")
    assert [json.loads(line) for line in (tmp_path / "c.jsonl").read_text("utf-8").split("\n")[:-1]] == whole


def test_a_column_of_nulls_at_first_has_the_type_of_what_comes_later(tmp_path):
    lines = [{"text": "a", "late": None}] * 1500 + [{"text": "a", "late": 1.5}, {"text": "a", "late": 2}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    assert load_rows(tmp_path / "a.jsonl")["late"][1499:] == [None, 1.5, 2.0]


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (["a.csv", "b.csv"], {"train": 2}),
        (["train.csv", "test.csv"], {"train": 1, "test": 1}),
        (["my_training-1.csv", "my_dev-1.csv", "eval 2.csv"], {"train": 1, "validation": 1, "test": 1}),
        (["train/a.csv", "val/b.csv"], {"train": 1, "validation": 1}),
        (["data/extra-00000-of-00002.csv", "data/extra-00001-of-00002.csv"], {"extra": 2}),
        (["contest.csv", "trainer.csv"], {"train": 2}),
        (["train.csv", ".hidden.csv", "__pycache__/x.csv"], {"train": 1}),
    ],
)
def test_splits_of_a_folder(tmp_path, files, splits):
    for name in files:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text("text\na\n")
    assert {name: len(part) for name, part in load_splits(tmp_path / "in").items()} == splits
    with pytest.raises(ValueError, match="no split 'absent'. Splits: "):
        load_rows(tmp_path / "in", split="absent")


def test_a_table_that_belongs_to_no_split_is_named(tmp_path):
    for name in ("train.csv", "test.csv", "notes.csv"):
        (tmp_path / name).write_text("text\na\n")
    with pytest.raises(ValueError, match=r"notes\.csv belongs to no split"):
        load_rows(tmp_path)


def test_a_readme_that_says_what_the_files_are(tmp_path):
    (tmp_path / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: odd\n    path: x.csv\n---\n"
    )
    (tmp_path / "x.csv").write_text("id,text\n007,None\n")
    (tmp_path / "y.csv").write_text("id,text\n1,other\n")
    assert rows(tmp_path, split="odd") == [("007", "None")]


def test_csv_on_the_hub_is_read_letter_by_letter(tmp_path):
    import subprocess
    import sys

    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "train.csv").write_text("id,text\n007,None\n1.10,\n")
    code = "from hf_unlearnable.data import load_rows; print(load_rows('me/table')[:])"
    with Hub(tmp_path / "hub") as hub:
        hub.serve_folder("me/table", tmp_path / "repo")
        done = subprocess.run(
            [sys.executable, "-c", code], env=hub.environment(token=None), capture_output=True, text=True, check=False
        )
    assert "{'id': ['007', '1.10'], 'text': ['None', '']}" in done.stdout, done.stderr
