"""The command line on the id of a dataset, with the real clients and a Hub on this machine."""

import subprocess
import sys

from datasets import load_dataset

from hf_unlearnable import load_transform
from tests.examples import notes
from tests.hub import Hub


def run(tmp_path, hub, *argv):
    command = [sys.executable, "-m", "hf_unlearnable.cli", "protect", "regtext", *argv]
    environment = hub.environment(token=None)
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)


def test_protect_a_dataset_on_the_hub(tmp_path):
    repo = tmp_path / "repo"
    repo.mkdir()
    notes(40).to_parquet(repo / "train.parquet")
    notes(60).select(range(40, 60)).to_parquet(repo / "test.parquet")
    with Hub(tmp_path / "hub") as hub:
        hub.serve_folder("me/notes", repo)
        done = run(tmp_path, hub, "me/notes", "--output", "out", "--key", "my.key", "--split", "test")
        absent = run(tmp_path, hub, "me/absent", "--output", "out2", "--key", "other.key")
    assert done.returncode == 0, done.stderr
    protected = load_dataset(str(tmp_path / "out"), split="test")
    assert load_transform(tmp_path / "my.key").restore(protected)["text"][:] == notes(60)["text"][40:]
    assert absent.returncode == 1
    assert "me/absent" in absent.stderr.splitlines()[-1]
    assert "Traceback" not in absent.stderr
