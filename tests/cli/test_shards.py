"""`protect` on several Parquet files: ranks, what is printed, and what goes with it."""

import json
from pathlib import Path

import pytest

from hf_unlearnable import load_transform
from hf_unlearnable.cli import main
from hf_unlearnable.data import load_rows
from tests.examples import notes, pictures
from tests.folders import names


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for i, letter in enumerate("abc"):
        notes(120).select(range(40 * i, 40 * i + 40)).to_parquet(f"in/{letter}.parquet")
    return tmp_path


def run(command):
    return main(command.split())


def test_ranks_one_after_the_other_leave_what_one_process_leaves(here, capsys):
    for rank in (0, 1, 0):  # 0 counts; 1 counts, makes the key and protects; 0 protects
        assert run(f"protect regtext in --output out --key k --rank {rank} --world-size 2") == 0
    out = capsys.readouterr().out
    assert "Counted. The key is made when all processes have counted" in out
    assert "Missing, for other processes: a.parquet, c.parquet" in out
    assert names("out") == ["a.parquet", "b.parquet", "c.parquet"]
    assert run("protect regtext in/*.parquet --output one --key k --quiet") == 0
    assert load_rows("one")["text"][:] == load_rows("out")["text"][:]
    assert load_rows("one")["text"][:] == load_rows("in").map(load_transform("k"), batched=True)["text"][:]


def test_json_names_the_shards_and_what_the_first_rows_are_like(here, capsys):
    assert run("protect regtext in --output out --key k --classes garden --json --rank 0 --world-size 1") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["shards"] == ["a.parquet", "b.parquet", "c.parquet"] and found["missing"] == []
    assert (found["rows"], found["protected"], found["key_is_new"]) == (120, 30, True)
    assert found["fidelity"]["text"]["texts"] == 40


@pytest.mark.parametrize(
    "command",
    [
        "protect regtext in/a.parquet --output out --key k --rank 0 --world-size 2",
        "protect regtext in --output out --key k --world-size 2 --report r",
        "protect regtext in --output out --key k --world-size 2 --format csv",
        "protect regtext in --output out.parquet --key k --rank 1",
        "protect error-min photos --output out --key k --world-size 2",
    ],
)
def test_what_cannot_be_shared_is_said_before_anything_is_written(here, command, capsys):
    Path("photos").mkdir()
    for name in "ab":
        pictures(8).to_parquet(f"photos/{name}.parquet")
    assert run(command) == 1
    assert "--rank and --world-size go with no other input" in capsys.readouterr().err
    assert names(here) == ["in", "photos"]
