"""The command line on the id of a dataset, with the real clients and a Hub on this machine."""

import shutil
from pathlib import Path

import pytest
from datasets import load_dataset
from huggingface_hub import HfApi

from hf_unlearnable import load_transform
from hf_unlearnable.cli import main
from tests.examples import notes


def test_protect_a_dataset_on_the_hub(hub, tmp_path, monkeypatch, capsys):
    hub.client_settings(monkeypatch, token=None)
    monkeypatch.chdir(tmp_path)
    repo = tmp_path / "repo"
    repo.mkdir()
    notes(40).to_parquet(repo / "train.parquet")
    notes(60).select(range(40, 60)).to_parquet(repo / "test.parquet")
    hub.serve_folder("me/notes", repo)
    argv = ["protect", "regtext", "me/notes", "--output", "out", "--key", "my.key", "--split", "test"]
    assert main(argv) == 0, capsys.readouterr().err
    protected = load_dataset(str(tmp_path / "out"), split="test")
    assert load_transform(tmp_path / "my.key").restore(protected)["text"][:] == notes(60)["text"][40:]
    assert main(["protect", "regtext", "me/absent", "--output", "out2", "--key", "other.key"]) == 1
    said = capsys.readouterr().err
    assert "me/absent" in said.splitlines()[-1] and "Traceback" not in said
    assert not (tmp_path / "out2").exists() and not (tmp_path / "other.key").exists()


@pytest.fixture
def on_the_hub(hub, tmp_path, monkeypatch):
    """Three shards on the Hub and the same here, under in/; the repository."""
    hub.client_settings(monkeypatch, token=None)
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "repo" / "data"
    data.mkdir(parents=True)
    for i in range(3):
        notes(120).select(range(40 * i, 40 * i + 40)).to_parquet(data / f"train-{i:05d}-of-00003.parquet")
    notes(140).select(range(120, 140)).to_parquet(data / "test-00000-of-00001.parquet")
    (tmp_path / "repo" / "README.md").write_text("# Notes\n")
    hub.serve_folder("me/notes", tmp_path / "repo")
    (tmp_path / "in").mkdir()
    for file in data.glob("train-*"):
        (tmp_path / "in" / file.name).write_bytes(file.read_bytes())
    return "hf://datasets/me/notes"


def test_shards_on_the_hub_are_protected_one_by_one_as_those_of_a_folder_are(on_the_hub, tmp_path, monkeypatch):
    assert main(["protect", "regtext", "in", "--output", "here", "--key", "k", "--seed", "7", "--quiet"]) == 0
    expected = {path.name: path.read_bytes() for path in Path("here").iterdir()}
    pattern = f"{on_the_hub}@main/data/train-*.parquet"
    for rank in (0, 1, 0):  # 0 counts; 1 counts, makes the key and protects; 0 protects
        argv = [pattern, "--output", "there", "--key", "k2", "--seed", "7", "--rank", str(rank), "--world-size", "2"]
        assert main(["protect", "regtext", *argv]) == 0
    assert {path.name: path.read_bytes() for path in Path("there").iterdir()} == expected
    assert load_transform("k").key.same_secret(load_transform("k2").key)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    argv = [on_the_hub, "--output", "loaded", "--key", "k", "--num-proc", "2", "--quiet"]
    assert main(["protect", "regtext", *argv]) == 0
    assert {path.name: path.read_bytes() for path in Path("loaded").iterdir()} == expected
    assert not list((tmp_path / "cache").rglob("*.parquet"))  # nothing of the originals stays here


def test_a_commit_meanwhile_ends_a_run_on_the_hub_and_a_commit_by_its_name_goes_on(on_the_hub, hub, capsys):
    first = HfApi().dataset_info("me/notes").sha
    argv = ["protect", "regtext", "--output", "out", "--key", "k", "--rank", "0", "--world-size", "2"]
    assert main([*argv, f"{on_the_hub}/data"]) == 0
    later = Path("later").absolute()
    shutil.copytree("repo", later)
    notes(90).select(range(50, 90)).to_parquet(later / "data" / "train-00001-of-00003.parquet")
    hub.serve_folder("me/notes", later)
    assert HfApi().dataset_info("me/notes").sha != first
    assert main([*argv, f"{on_the_hub}/data"]) == 1
    assert "train-00001-of-00003.parquet was changed since out was begun" in capsys.readouterr().err
    assert main([*argv, f"{on_the_hub}@{first}/data"]) == 0


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["hf://datasets/me/absent/data"], "hf://datasets/me/absent/data is not found on the Hub"),
        (["hf://datasets/me/notes@gone/data"], "hf://datasets/me/notes@gone/data is not found on the Hub"),
        (["hf://datasets/me/notes/README.md"], "holds no Parquet file"),
        (["hf://datasets/me/notes/data/x*.parquet"], "holds no Parquet file"),
        (["hf://datasets/me/notes", "--split", "extra"], "has no split 'extra'. Splits: train, test."),
        (["hf://datasets/me/notes/data", "in"], "in does not begin with hf://datasets/"),
        (["hf://datasets/me/notes", "--report", "r"], "Give the id of the dataset, OWNER/NAME"),
        (["hf://datasets/me/notes", "--format", "csv"], "are read file by file"),
    ],
)
def test_what_paths_on_the_hub_do_not_name_is_said_and_nothing_is_written(on_the_hub, argv, said, capsys):
    assert main(["protect", "regtext", *argv, "--output", "out", "--key", "k"]) == 1
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error
    assert not Path("out").exists() and not Path("k").exists()
