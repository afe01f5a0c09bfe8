"""What is pushed arrives, with those who may see it."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, DatasetDict, IterableDatasetDict, load_dataset
from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled
from PIL import Image

from hf_unlearnable import RegTextTransform, TextureTransform
from hf_unlearnable.publish import push_protected
from hf_unlearnable.publish.staging import stage
from tests.examples import pictures
from tests.hub import Hub
from tests.publish.protected import image_bytes, images, texts, tree


@pytest.mark.parametrize("make", [texts, images])
@pytest.mark.parametrize("streaming", [False, True])
def test_round_trip(hub, make, streaming):
    clean, protected, cloak = make()
    source = protected.to_iterable_dataset() if streaming else protected
    done = push_protected(source, "tester/notes", key=cloak, original=clean, max_shard_size=2000)
    assert hub.repo("tester/notes").private
    assert done.commit.oid == hub.repo("tester/notes").refs["main"]
    cached = load_dataset("tester/notes", split="train", revision=done.commit.oid)
    streamed = load_dataset("tester/notes", split="train", streaming=True)
    assert cached.features == protected.features == streamed.features
    for column in ("text", "label") if make is texts else ("label",):
        assert cached[column][:] == protected[column][:] == [row[column] for row in streamed]
    if make is images:
        assert image_bytes(cached) == image_bytes(protected) == image_bytes(streamed)


def test_many_files_and_splits(hub):
    clean, _, cloak = texts(120)
    parts = DatasetDict(train=clean.select(range(80)), test=clean.select(range(80, 120)))
    protected = DatasetDict(train=parts["train"].map(cloak, batched=True), test=parts["test"])
    rows = protected["train"].to_iterable_dataset(num_shards=8).with_format("arrow").iter(10)
    assert sum(len(batch) for batch in rows) == 80
    done = push_protected(protected, "tester/notes", key=cloak, original=parts)
    loaded = load_dataset("tester/notes")
    assert {name: part["text"][:] for name, part in loaded.items()} == {
        name: part["text"][:] for name, part in protected.items()
    }
    assert "| train | 80 | 80 |\n| test | 40 | 0 |" in done.card
    assert "- 40 rows are not protected" in done.card


def test_streams_by_split(hub):
    clean, _, cloak = texts()
    parts = DatasetDict(train=clean.select(range(30)), validation=clean.select(range(30, 40)))
    protected = DatasetDict({name: part.map(cloak, batched=True) for name, part in parts.items()})
    streams = IterableDatasetDict({name: part.to_iterable_dataset() for name, part in protected.items()})
    push_protected(streams, "tester/notes", key=cloak, original=parts)
    loaded = load_dataset("tester/notes")
    assert {name: part[:] for name, part in loaded.items()} == {name: part[:] for name, part in protected.items()}


def test_over_xet(tmp_path, monkeypatch):
    with Hub(tmp_path / "hub") as hub:
        hub.enable_xet()
        hub.client_settings(monkeypatch)
        clean, protected, cloak = texts()
        push_protected(protected, "tester/notes", key=cloak, original=clean)
        assert not [call for call in hub.log if call[1].startswith("/lfs/")]
        assert load_dataset("tester/notes", split="train")["text"][:] == protected["text"][:]


def test_a_shard_ends_where_it_was_told_to(tmp_path):
    clean = Dataset.from_dict({"text": [f"{i} " + "some words " * 40 for i in range(6000)], "label": [0, 1] * 3000})
    cloak = RegTextTransform(word_source=["piston", "karzai"], seed=1).fit(clean)
    protected = clean.map(cloak, batched=True)
    done = push_protected(protected, "me/it", key=cloak, dry_run=tmp_path / "dry", max_shard_size=30_000)
    shards = [path for path in done.files if path.startswith("data/")]
    assert len(shards) >= 3
    assert all(path.endswith(f"-of-{len(shards):05d}.parquet") for path in shards)
    assert load_dataset(str(tmp_path / "dry"), split="train")["text"][:] == protected["text"][:]


def test_a_dry_run_is_what_would_be_uploaded(hub, tmp_path):
    clean, protected, cloak = texts()
    push_protected(protected, "tester/notes", key=cloak, original=clean, dry_run=tmp_path / "dry")
    assert hub.log == []
    push_protected(protected, "tester/notes", key=cloak, original=clean)
    uploaded = tree(hub)
    del uploaded[".gitattributes"]
    folder = tmp_path / "dry"
    assert {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()} == uploaded
    with pytest.raises(FileExistsError, match="dry exists"):
        push_protected(protected, "tester/notes", key=cloak, original=clean, dry_run=folder)


def test_embedded_files(hub, tmp_path):
    clean = pictures(4)
    for i, image in enumerate(clean["image"]):
        image.save(tmp_path / f"{i}.png")
    paths = [str(tmp_path / f"{i}.png") for i in range(4)]
    clean = Dataset.from_dict({"image": paths, "label": clean["label"][:]}, clean.features)
    cloak = TextureTransform(seed=1, classes=[0]).fit(clean)  # the others stay files that are pointed at
    protected = clean.map(cloak, batched=True)
    push_protected(protected, "tester/notes", key=cloak, original=clean)
    loaded = load_dataset("tester/notes", split="train")
    assert [np.asarray(a).tolist() for a in loaded["image"]] == [np.asarray(a).tolist() for a in protected["image"]]
    assert str(tmp_path).encode() not in b"".join(tree(hub).values())


@pytest.mark.parametrize("in_table", [True, False])
def test_files_are_stored_as_they_are_and_few_at_a_time_where_they_stand_outside(tmp_path, monkeypatch, in_table):
    from datasets import table as tables

    pixels = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), np.uint8)
    for i, image in enumerate(map(Image.fromarray, pixels)):
        image.save(tmp_path / f"{i}.png")
    values = [{"path": str(tmp_path / f"{i}.png"), "bytes": None} for i in range(20)]
    if in_table:
        values = [{"path": f"/a/{i}.png", "bytes": (tmp_path / f"{i}.png").read_bytes()} for i in range(20)]
    rows = Dataset.from_dict({"image": values, "label": [0] * 20}, pictures(1).features)
    sizes, embed = [], tables.embed_table_storage
    monkeypatch.setattr(tables, "embed_table_storage", lambda table: sizes.append(len(table)) or embed(table))
    part = stage(rows, tmp_path / "staged", "train", 1 << 20)
    assert sizes == ([20] if in_table else [8, 8, 4])
    stored = pq.read_table(part.files[0])["image"].to_pylist()
    assert stored == [{"bytes": (tmp_path / f"{i}.png").read_bytes(), "path": f"{i}.png"} for i in range(20)]
    group = pq.read_metadata(part.files[0]).row_group(0)
    told = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    assert (told["image.bytes"].compression, set(told["image.bytes"].encodings)) == ("UNCOMPRESSED", {"PLAIN", "RLE"})
    assert (told["image.path"].compression, told["label"].compression) == ("SNAPPY", "SNAPPY")


def test_columns_of_any_type(hub):
    from decimal import Decimal

    import pyarrow as pa

    clean, protected, cloak = texts()
    more = {
        "nothing": pa.nulls(40), "when": pa.array(range(40), pa.timestamp("us")), "took": pa.array(range(40), pa.duration("s")),
        "price": pa.array([Decimal("1.5")] * 40), "blob": pa.array([b"\x00\xff"] * 40), "tags": pa.array([["a"]] * 40),
        "nested": pa.array([{"a": [{"b": 1.0}]}] * 40), "large": pa.array(["x"] * 40, pa.large_string()),
    }  # fmt: skip
    table = protected.with_format("arrow")[:]
    for name, values in more.items():
        table = table.append_column(name, values)
    wide = Dataset(table)
    push_protected(wide, "tester/notes", key=cloak, original=clean)
    loaded = load_dataset("tester/notes", split="train")
    assert loaded[:] == wide[:]
    assert loaded.column_names == wide.column_names


def test_a_public_repository_is_refused_where_private_was_asked(hub):
    clean, protected, cloak = texts()
    HfApi().create_repo("tester/notes", repo_type="dataset", private=False)
    with pytest.raises(FileExistsError, match="is public"):
        push_protected(protected, "tester/notes", key=cloak, original=clean)
    assert list(tree(hub)) == [".gitattributes"]
    push_protected(protected, "tester/notes", key=cloak, original=clean, private=False)
    assert not hub.repo("tester/notes").private


def test_a_gate_with_questions_is_closed_before_there_is_data(hub):
    clean, protected, cloak = texts()
    gate = {"gated": "manual", "questions": ["Your name", "What for"], "prompt": "No training, please."}
    push_protected(protected, "tester/notes", key=cloak, original=clean, private=False, **gate)
    calls = [path for method, path in hub.log]
    assert hub.repo("tester/notes").gated == "manual"
    assert calls.index("/api/datasets/tester/notes/settings") < next(
        i for i, p in enumerate(calls) if "preupload" in p
    )
    card = tree(hub)["README.md"].decode()
    assert "extra_gated_prompt: No training, please.\nextra_gated_fields:\n  Your name: text\n  What for: text" in card


def test_branch_and_pull_request_leave_main_alone(hub):
    clean, protected, cloak = texts()
    done = push_protected(protected, "tester/notes", key=cloak, original=clean, revision="draft")
    assert list(tree(hub)) == [".gitattributes"]
    assert "data/train-00000-of-00001.parquet" in tree(hub, "draft")
    asked = push_protected(protected, "tester/notes", key=cloak, original=clean, create_pr=True)
    assert asked.commit.pr_url.endswith("/discussions/1")
    assert tree(hub, "refs/pr/1")["README.md"] == tree(hub, "draft")["README.md"]
    assert list(tree(hub)) == [".gitattributes"]
    assert load_dataset("tester/notes", split="train", revision=done.commit.oid)["text"][:] == protected["text"][:]


def test_a_name_without_an_owner_is_ones_own(hub):
    clean, protected, cloak = texts()
    assert push_protected(protected, "notes", key=cloak, original=clean).repo_id == "tester/notes"
    assert "README.md" in tree(hub)


def test_no_token(hub, monkeypatch):
    _, protected, cloak = texts()
    hub.client_settings(monkeypatch, token=None)
    with pytest.raises(PermissionError, match="hf auth login"):
        push_protected(protected, "tester/notes", key=cloak)


@pytest.mark.parametrize("token", ["hf_read", "hf_unknown"])
def test_a_token_that_may_not_write(hub, token):
    _, protected, cloak = texts()
    with pytest.raises(PermissionError, match="write access"):
        push_protected(protected, "tester/notes", key=cloak, token=token)
    assert not hub.repos


@pytest.mark.parametrize("name", ["a/b/c", "me/with space", "me/-x", "me/" + "x" * 200])
def test_an_invalid_name(hub, name):
    _, protected, cloak = texts()
    with pytest.raises((HFValidationError, ValueError), match=r"[Rr]epo"):
        push_protected(protected, name, key=cloak)
    assert hub.log == []


def test_offline(monkeypatch):
    _, protected, cloak = texts()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises((OfflineModeIsEnabled, ConnectionError), match="offline"):
        push_protected(protected, "tester/notes", key=cloak, token="hf_test")


def test_no_hub_at_all(hub, monkeypatch):
    _, protected, cloak = texts()
    hub.fail = lambda method, path: "drop"
    with pytest.raises(ConnectionError, match="cannot be reached"):
        push_protected(protected, "tester/notes", key=cloak)
