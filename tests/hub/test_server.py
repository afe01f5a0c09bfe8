"""The tests' Hub, by the real clients: what they push is what they load, and it refuses what the Hub refuses."""

import hashlib
import io
from pathlib import Path

import datasets
import pytest
from datasets import load_dataset
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    DatasetCard,
    HfApi,
    HfFileSystem,
    constants,
    hf_hub_download,
)
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import get_session

from tests.examples import notes, pictures
from tests.hub import Hub, User

USERS = {
    "hf_test": "tester",
    "hf_read": User("tester", write=False),
    "hf_other": "other",
}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with Hub(tmp_path / "hub", users=USERS) as hub:
        hub.client_settings(monkeypatch)
        yield hub


def api(hub, token="hf_test"):
    return HfApi(endpoint=hub.url, token=token or False)


def new_repo(hub, repo_id="tester/notes", **options):
    api(hub).create_repo(repo_id, repo_type="dataset", **options)
    return hub.repo(repo_id)


def commit(hub, files, token="hf_test", **options):
    operations = [CommitOperationAdd(path, content) for path, content in files.items()]
    return api(hub, token).create_commit(
        "tester/notes", operations, commit_message="Add", repo_type="dataset", **options
    )


def status(refused):
    return refused.value.response.status_code


@pytest.mark.parametrize("make", [notes, pictures])
def test_a_push_of_two_shards_loads_cached_and_streaming(hub, make):
    dataset = make(40)
    dataset.push_to_hub("tester/rows", private=True, num_shards=2)
    shards = [path for path in hub.files("tester/rows") if path.endswith(".parquet")]
    assert len(shards) == 2
    assert hub.repo("tester/rows").private
    assert load_dataset("tester/rows", split="train")[:] == dataset[:]
    assert list(load_dataset("tester/rows", split="train", streaming=True)) == list(dataset)


def test_large_files_are_blobs_on_disk_that_can_be_read_in_part(hub, tmp_path):
    repo = new_repo(hub)
    content = bytes(range(256)) * 5000
    commit(hub, {"data/a.bin": content, "small.txt": b"abc"})
    blob = hub.files("tester/notes")["data/a.bin"]
    assert blob.read_bytes() == content and blob.name == hashlib.sha256(content).hexdigest()
    assert hub.files("tester/notes")["small.txt"] == b"abc"
    assert len(repo.commits) == 2
    path = hf_hub_download("tester/notes", "data/a.bin", repo_type="dataset")
    assert Path(path).read_bytes() == content
    with HfFileSystem(endpoint=hub.url).open("datasets/tester/notes/data/a.bin", block_size=1000) as remote:
        remote.seek(300_001)
        assert remote.read(7) == content[300_001:300_008]
    again = len([entry for entry in hub.log if entry[0] == "PUT"])
    commit(hub, {"data/b.bin": content})
    assert len([entry for entry in hub.log if entry[0] == "PUT"]) == again == 1


def test_a_blob_that_is_not_what_it_is_called_is_refused_and_not_kept(hub):
    oid = "0" * 64
    assert get_session().put(f"{hub.url}/lfs/{oid}", content=b"other").status_code == 400
    assert hub.blob(oid) is None
    assert not list((hub.folder / "blobs").iterdir())


def test_a_private_repository_is_there_for_its_owner_alone(hub):
    new_repo(hub, private=True)
    for token in ["hf_test", "hf_read"]:
        assert api(hub, token).dataset_info("tester/notes").private
    for token, expected in {"hf_other": 404, None: 401, "hf_nobody": 401}.items():
        with pytest.raises(HfHubHTTPError) as refused:
            api(hub, token).dataset_info("tester/notes")
        assert status(refused) == expected
        assert isinstance(refused.value, RepositoryNotFoundError) == (token != "hf_nobody")
    api(hub).update_repo_settings("tester/notes", repo_type="dataset", visibility="public")
    assert not api(hub, None).dataset_info("tester/notes").private


def test_a_gated_repository_gives_files_to_who_was_let_in(hub):
    repo = new_repo(hub)
    commit(hub, {"small.txt": b"abc"})
    api(hub).update_repo_settings("tester/notes", repo_type="dataset", gated="manual")
    assert api(hub, None).dataset_info("tester/notes").gated == "manual"
    for token, expected in {"hf_other": 403, None: 401}.items():
        with pytest.raises(GatedRepoError) as refused:
            api(hub, token).hf_hub_download("tester/notes", "small.txt", repo_type="dataset")
        assert status(refused) == expected
    repo.readers.add("other")
    assert api(hub, "hf_other").hf_hub_download("tester/notes", "small.txt", repo_type="dataset")


def test_a_read_only_token_writes_nothing(hub):
    repo = new_repo(hub)
    reader = api(hub, "hf_read")
    assert reader.whoami()["auth"]["accessToken"]["role"] == "read"
    assert api(hub).whoami()["auth"]["accessToken"]["role"] == "write"
    writes = [
        lambda: reader.create_repo("tester/new", repo_type="dataset"),
        lambda: reader.update_repo_settings("tester/notes", repo_type="dataset", gated="auto"),
        lambda: reader.create_branch("tester/notes", repo_type="dataset", branch="new"),
        lambda: reader.delete_repo("tester/notes", repo_type="dataset"),
        lambda: commit(hub, {"small.txt": b"abc"}, "hf_read"),
        lambda: commit(hub, {"large.bin": b"abc"}, "hf_read", create_pr=True),
        lambda: commit(hub, {"small.txt": b"abc"}, "hf_other"),
    ]
    for write in writes:
        with pytest.raises(HfHubHTTPError) as refused:
            write()
        assert status(refused) == 403
    assert len(repo.commits) == 1 and not repo.gated and list(hub.repos) == [("dataset", "tester/notes")]


def test_a_stale_parent_is_refused(hub):
    repo = new_repo(hub)
    start = repo.refs["main"]
    first = commit(hub, {"a.txt": b"a"}, parent_commit=start)
    with pytest.raises(HfHubHTTPError) as refused:
        commit(hub, {"a.txt": b"b"}, parent_commit=start)
    assert status(refused) == 412
    assert hub.files("tester/notes")["a.txt"] == b"a"
    assert [one.commit_id for one in api(hub).list_repo_commits("tester/notes", repo_type="dataset")] == [
        first.oid,
        start,
    ]


def test_a_pull_request_and_a_branch_leave_main_alone(hub):
    new_repo(hub)
    proposed = commit(hub, {"a.txt": b"a"}, create_pr=True)
    api(hub).create_branch("tester/notes", repo_type="dataset", branch="trial/1")
    with pytest.raises(HfHubHTTPError) as refused:
        api(hub).create_branch("tester/notes", repo_type="dataset", branch="trial/1")
    assert status(refused) == 409
    commit(hub, {"b.txt": b"b"}, revision="trial/1")
    refs = api(hub).list_repo_refs("tester/notes", repo_type="dataset", include_pull_requests=True)
    assert [branch.name for branch in refs.branches] == ["main", "trial/1"]
    assert [request.ref for request in refs.pull_requests] == ["refs/pr/1"]
    assert proposed.pr_num == 1
    assert list(hub.files("tester/notes")) == [".gitattributes"]
    assert list(hub.files("tester/notes", "refs/pr/1")) == [".gitattributes", "a.txt"]
    assert list(hub.files("tester/notes", "trial/1")) == [".gitattributes", "b.txt"]
    with pytest.raises(RevisionNotFoundError):
        api(hub).list_repo_files("tester/notes", repo_type="dataset", revision="absent")


def test_preuploaded_files_are_stored_before_their_commit(hub):
    repo = new_repo(hub)
    addition = CommitOperationAdd("data/a.parquet", b"PAR1" * 1000)
    api(hub).preupload_lfs_files("tester/notes", [addition], repo_type="dataset")
    assert hub.blob(addition.upload_info.sha256.hex()).stat().st_size == 4000
    assert len(repo.commits) == 1
    api(hub).create_commit("tester/notes", [addition], commit_message="Add", repo_type="dataset")
    assert hub.files("tester/notes")["data/a.parquet"].stat().st_size == 4000
    tree = api(hub).list_repo_tree("tester/notes", repo_type="dataset", recursive=True)
    assert [item.path for item in tree] == ["data", ".gitattributes", "data/a.parquet"]
    deletion = CommitOperationDelete("data/", is_folder=True)
    api(hub).create_commit("tester/notes", [deletion], commit_message="Delete", repo_type="dataset")
    assert list(hub.files("tester/notes")) == [".gitattributes"]


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("license: [", "YAML metadata error"),
        ("- license", "must be a mapping"),
        ("license: 3", '"license" must be a string or a list'),
        ("task_categories: text-classification", '"task_categories" must be a list of strings'),
        ("configs:\n- data_files: x", '"configs" must be a list of mappings with a config_name'),
        ("license: cc-by-4.0\ntask_categories: [text-classification]", None),
    ],
)
def test_metadata_of_cards_is_checked(hub, metadata, message):
    new_repo(hub)
    card = f"---\n{metadata}\n---\n# Notes\n".encode()
    if message is None:
        commit(hub, {"README.md": card})
        assert DatasetCard.load("tester/notes").data.license == "cc-by-4.0"
        DatasetCard(card.decode()).validate()
    else:
        with pytest.raises(ValueError, match=message):
            commit(hub, {"README.md": card})
        assert "README.md" not in hub.files("tester/notes")


@pytest.mark.parametrize("fault", [409, 500, "drop", "drop-after"])
def test_faults(hub, fault):
    new_repo(hub)
    hub.fail = lambda method, path: fault if "/commit/" in path else None
    with pytest.raises(Exception) as failed:
        commit(hub, {"a.txt": b"a"})
    if isinstance(fault, int):
        assert status(failed) == fault
    assert ("a.txt" in hub.files("tester/notes")) == (fault == "drop-after")
    hub.fail = lambda method, path: None
    commit(hub, {"b.txt": b"b"})
    assert hub.files("tester/notes")["b.txt"] == b"b"
    assert sum("/commit/" in path for _, path in hub.log) == 2


def test_a_dropped_upload_is_retried_by_the_client(hub):
    new_repo(hub)
    faults = ["drop"]
    hub.fail = lambda method, path: faults.pop() if faults and method == "PUT" else None
    commit(hub, {"a.bin": io.BytesIO(b"a" * 5000)})
    assert hub.files("tester/notes")["a.bin"].stat().st_size == 5000
    assert sum(method == "PUT" for method, _ in hub.log) == 2


def test_nobody_reads_a_public_repository_and_writes_nothing(hub, tmp_path, monkeypatch):
    notes(20).to_parquet(tmp_path / "served" / "train.parquet")
    repo = hub.serve_folder("me/notes", tmp_path / "served")
    hub.client_settings(monkeypatch, token=None)
    assert load_dataset("me/notes", split="train")[:] == notes(20)[:]
    with pytest.raises(HfHubHTTPError):
        notes(20).push_to_hub("me/notes")
    assert len(repo.commits) == 2


def test_round_trip_by_xet(tmp_path, monkeypatch):
    with Hub(tmp_path / "hub", users=USERS) as hub:
        hub.enable_xet()
        hub.client_settings(monkeypatch)
        notes(40).push_to_hub("tester/notes", num_shards=2)
        assert load_dataset("tester/notes", split="train")[:] == notes(40)[:]
        assert any("/xet-write-token/" in path for _, path in hub.log)
        assert not any(method == "PUT" for method, _ in hub.log)


def test_client_settings_end_with_the_test(tmp_path):
    before = (
        constants.ENDPOINT,
        constants.HF_HUB_OFFLINE,
        datasets.config.HF_ENDPOINT,
        datasets.config.HF_HUB_OFFLINE,
    )
    with Hub(tmp_path / "hub") as hub, pytest.MonkeyPatch.context() as monkeypatch:
        hub.client_settings(monkeypatch)
        assert constants.ENDPOINT == datasets.config.HF_ENDPOINT == hub.url
    after = (constants.ENDPOINT, constants.HF_HUB_OFFLINE, datasets.config.HF_ENDPOINT, datasets.config.HF_HUB_OFFLINE)
    assert after == before
