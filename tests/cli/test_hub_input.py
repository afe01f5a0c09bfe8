"""The command line on the id of a dataset, with the real clients and a Hub on this machine."""

from datasets import load_dataset

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
