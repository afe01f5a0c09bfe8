"""The recipe for Ray Data: two workers give the bytes of `map`, from a folder and from the Hub."""

from pathlib import Path

import pytest

from hf_unlearnable import load_transform
from hf_unlearnable.data import load_rows
from tests.examples import notes
from tests.hub import Hub

ray = pytest.importorskip("ray", reason="Ray is not installed (the extra ray)")
pytestmark = pytest.mark.slow


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Three shards in a folder and on a Hub, which processes that are started here know too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # else Ray leaves a token in the home of the person who tests
    Path("in").mkdir()
    for i, letter in enumerate("abc"):
        notes(120).select(range(40 * i, 40 * i + 40)).to_parquet(f"in/{letter}.parquet")
    with Hub(tmp_path / "hub") as hub:
        hub.client_settings(monkeypatch)
        for name, value in hub.environment().items():
            monkeypatch.setenv(name, value)
        from huggingface_hub import HfApi

        api = HfApi()
        api.create_repo("tester/notes", repo_type="dataset", private=True)
        api.upload_folder(repo_id="tester/notes", repo_type="dataset", folder_path="in", path_in_repo="data")
        yield


@pytest.fixture
def cluster(here):
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20)
    yield
    ray.shutdown()


def test_two_workers_give_the_bytes_of_one_map_from_a_folder_and_from_the_hub(cluster, monkeypatch):
    from recipes import ray_protect

    monkeypatch.setattr(ray_protect, "BATCH", 16)
    ray_protect.main(["--input", "in", "--output", "out", "--key", "k"])
    expected = load_rows("in").map(load_transform("k"), batched=True, load_from_cache_file=False)
    assert expected["text"][:] != load_rows("in")["text"][:]
    ray_protect.main(["--input", "hf://datasets/tester/notes/data", "--output", "of-hub", "--key", "k"])
    for output in ("out", "of-hub"):
        made = load_rows(output)
        assert sorted(zip(made["text"], made["label"], strict=True)) == sorted(
            zip(expected["text"], expected["label"], strict=True)
        )


def test_a_key_learned_from_the_hub_is_the_one_of_the_folder(here):
    from huggingface_hub import HfFileSystem

    from recipes.ray_protect import learned

    there = [f"hf://{path}" for path in sorted(HfFileSystem().glob("hf://datasets/tester/notes/data/*.parquet"))]
    here = [str(path) for path in sorted(Path("in").glob("*.parquet"))]
    assert len(there) == len(here) == 3
    one, two = (learned(files, key, seed=5) for files, key in ((there, "k1"), (here, "k2")))
    assert one.key.same_secret(two.key)
