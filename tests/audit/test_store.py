"""Results at rest, after a full disk and after a kill."""

import json
import subprocess
import sys

import pytest
from filelock import FileLock

from hf_unlearnable import _files
from hf_unlearnable.audit.store import Store


def kept(store, names=("a", "b")):
    """Asks for results, computes what is missing, and returns what was computed."""
    computed = []

    def compute(place):
        computed.append(names[place])
        return {"accuracy": place}

    assert sorted(store.each(names, compute)) == list(range(len(names)))
    return computed


@pytest.mark.parametrize("left", ["", '{"accur', "\0" * 40, "[]", "null", "3"])
def test_a_damaged_result_is_computed_again(tmp_path, caplog, left):
    assert kept(Store(tmp_path)) == ["a", "b"]
    (tmp_path / "a.json").write_text(left)
    assert kept(Store(tmp_path)) == ["a"]
    assert f"{tmp_path / 'a.json'} is damaged" in caplog.text
    assert json.loads((tmp_path / "a.json").read_text()) == {"accuracy": 0}
    assert kept(Store(tmp_path)) == []


def test_what_a_killed_run_left_is_removed_and_what_a_live_one_holds_stays(tmp_path):
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    kept(Store(tmp_path))
    (tmp_path / f".c.json.{done.pid}@{_files._host()}.abcd1234").mkdir()
    (tmp_path / ".a.lock").touch()
    with FileLock(tmp_path / ".live.lock"):
        Store(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == [".live.lock", "a.json", "b.json"]
