"""The command line on the id of a data set, with the real clients and a Hub on this machine."""

import os
import subprocess
import sys

from datasets import load_dataset

from hf_unlearnable import load_transform
from tests.data import notes
from tests.hub import loopback_hub


def run(tmp_path, endpoint, *argv):
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    command = [sys.executable, "-m", "hf_unlearnable.cli", "protect", "regtext", *argv]
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)


def test_protect_a_dataset_on_the_hub(tmp_path):
    repo = tmp_path / "repo"
    repo.mkdir()
    notes(40).to_parquet(repo / "train.parquet")
    notes(60).select(range(40, 60)).to_parquet(repo / "test.parquet")
    with loopback_hub({"me/notes": repo}) as endpoint:
        done = run(tmp_path, endpoint, "me/notes", "--output", "out", "--key", "my.key", "--split", "test")
        absent = run(tmp_path, endpoint, "me/absent", "--output", "out2", "--key", "other.key")
    assert done.returncode == 0, done.stderr
    protected = load_dataset(str(tmp_path / "out"), split="test")
    assert load_transform(tmp_path / "my.key").restore(protected)["text"][:] == notes(60)["text"][40:]
    assert absent.returncode == 1
    assert "me/absent" in absent.stderr.splitlines()[-1]
    assert "Traceback" not in absent.stderr
