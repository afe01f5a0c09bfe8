"""Pushing to a Hub on this machine with the real clients: what arrives, who may see it, and what stops it."""

import io

import numpy as np
import pytest
from datasets import Dataset, DatasetDict, Image, IterableDataset, IterableDatasetDict, load_dataset
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled
from PIL import Image as Pillow

from hf_unlearnable import OnePixelTransform, RegTextTransform, TextureTransform
from hf_unlearnable.audit.records import Audit
from hf_unlearnable.publish import LeakError, push_protected
from hf_unlearnable.publish.staging import stage
from tests.examples import notes, pictures
from tests.hub import Hub
from tests.hub.card import FIELDS


def texts(count=40):
    clean = notes(count)
    cloak = RegTextTransform(seed=11).fit(clean)
    return clean, clean.map(cloak, batched=True), cloak


def images(count=12):
    clean = pictures(count)
    cloak = TextureTransform(seed=11).fit(clean)
    return clean, clean.map(cloak, batched=True), cloak


def stored_images(dataset):
    return [row["image"]["bytes"] for row in dataset.cast_column("image", Image(decode=False))]


def tree(hub, revision="main"):
    """What a revision holds, all of it read."""
    files = hub.files("tester/notes", revision)
    return {path: content if isinstance(content, bytes) else content.read_bytes() for path, content in files.items()}


# ---------------------------------------------------------------------- what arrives
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
        assert stored_images(cached) == stored_images(protected) == stored_images(streamed)


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


# ---------------------------------------------------------------------- who may see it
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


# ---------------------------------------------------------------------- again
def test_again_changes_nothing(hub):
    clean, protected, cloak = texts()
    HfApi().create_repo("tester/notes", repo_type="dataset", private=True)
    HfApi().upload_file(path_or_fileobj=b"MIT", path_in_repo="LICENSE", repo_id="tester/notes", repo_type="dataset")
    first = push_protected(protected, "tester/notes", key=cloak, original=clean)
    second = push_protected(protected, "tester/notes", key=cloak, original=clean)
    assert second.commit.oid == first.commit.oid
    assert len(hub.repo("tester/notes").commits) == 3


def test_more_rows_replace_the_files(hub):
    clean, protected, cloak = texts(60)
    push_protected(protected.select(range(40)), "tester/notes", key=cloak, original=clean.select(range(40)))
    push_protected(protected, "tester/notes", key=cloak, original=clean, max_shard_size=1)
    assert load_dataset("tester/notes", split="train")["text"][:] == protected["text"][:]
    assert "| train | 60 | 60 |" in tree(hub)["README.md"].decode()


def test_a_push_that_was_killed_goes_on_and_main_is_what_it_was(hub):
    clean, protected, cloak = texts(60)
    push_protected(protected.select(range(40)), "tester/notes", key=cloak, original=clean.select(range(40)))
    before = tree(hub)
    hub.fail = lambda method, path: 400 if "/commit/" in path else None
    with pytest.raises(Exception, match="400"):
        push_protected(protected, "tester/notes", key=cloak, original=clean)
    assert tree(hub) == before
    hub.fail = lambda method, path: None
    start = len(hub.log)
    push_protected(protected, "tester/notes", key=cloak, original=clean)
    assert load_dataset("tester/notes", split="train")["text"][:] == protected["text"][:]
    assert not [call for call in hub.log[start:] if call[0] == "PUT"]  # the file is there already


def test_an_edited_card_keeps_its_words(hub):
    clean, protected, cloak = texts()
    push_protected(protected, "tester/notes", key=cloak, original=clean)
    text = tree(hub)["README.md"].decode()
    edited = text.replace("# notes\n", "# My notes\n\nWritten in a garden.\n").replace(
        "tags:\n", "language:\n- en\ntags:\n- garden\n"
    )
    add = CommitOperationAdd("README.md", (edited + "\nThanks to the bees.\n").encode())
    HfApi().create_commit("tester/notes", [add], commit_message="Mine", repo_type="dataset")
    push_protected(protected, "tester/notes", key=cloak, original=clean, license="cc-by-nc-nd-4.0")
    card = tree(hub)["README.md"].decode()
    assert "# My notes\n\nWritten in a garden.\n" in card and card.endswith("Thanks to the bees.\n")
    assert "- garden\n" in card and "language:\n- en\n" in card and "license: cc-by-nc-nd-4.0\n" in card
    assert card.count("## Protected against training") == 1


@pytest.mark.parametrize("line", ["The seed is 987654321987654321.", "Words: {words}", "hf_" + "aB3x" * 9, "> {text}"])
def test_a_card_that_tells_a_secret_is_not_pushed_again(hub, line):
    clean, protected, _ = texts()
    cloak = RegTextTransform(seed=987654321987654321).fit(clean)
    protected = clean.map(cloak, batched=True)
    words = ", ".join(f"`{group[0]}`" for group in cloak.secrets()["words"])
    line = line.format(words=words, text=clean["text"][3])
    HfApi().create_repo("tester/notes", repo_type="dataset", private=True)
    add = CommitOperationAdd("README.md", f"# Notes\n\n{line}\n".encode())
    HfApi().create_commit("tester/notes", [add], commit_message="Mine", repo_type="dataset")
    before = tree(hub)
    with pytest.raises(LeakError) as stopped:
        push_protected(protected, "tester/notes", key=cloak, original=clean)
    places = {finding.place.split("@")[0] for finding in stopped.value.findings}
    assert places == {"README.md", "main"}  # the card, and the history
    assert tree(hub) == before
    (kind,) = {finding.kind for finding in stopped.value.findings} - {"history"}
    push_protected(protected, "tester/notes", key=cloak, original=clean, allow=[f"{kind}:README.md"])


def test_a_card_that_changes_during_the_push_is_not_written_over(hub, monkeypatch):
    from hf_unlearnable.publish.hub import Repository

    clean, protected, cloak = texts()
    prepare = Repository.prepare

    def prepared(self, *arguments):
        prepare(self, *arguments)
        add = CommitOperationAdd("README.md", b"# Of somebody else\n")
        HfApi().create_commit("tester/notes", [add], commit_message="Meanwhile", repo_type="dataset")

    monkeypatch.setattr(Repository, "prepare", prepared)
    with pytest.raises(ValueError, match="changed while this push was under way"):
        push_protected(protected, "tester/notes", key=cloak, original=clean)
    assert tree(hub)["README.md"] == b"# Of somebody else\n"


@pytest.mark.parametrize("license", ["CC BY-NC 4.0", "", "my own", "gpl3"])
def test_what_the_hub_refuses_of_the_card_is_told_before_anything_is_made(hub, monkeypatch, license):
    monkeypatch.setitem(FIELDS, "license", ("one of [mit, apache-2.0]", lambda value: value in ("mit", "apache-2.0")))
    clean, protected, cloak = texts()
    if not license:
        push_protected(protected, "tester/notes", key=cloak, original=clean, license="mit")
        return
    with pytest.raises(ValueError, match=r'"license" must be one of .mit, apache-2.0.*--license'):
        push_protected(protected, "tester/notes", key=cloak, original=clean, license=license)
    assert not hub.repos
    assert [path for method, path in hub.log if method != "GET"] == ["/api/validate-yaml"]


def test_files_of_ones_own_beside_the_report_stay(hub):
    clean, protected, cloak = texts()
    HfApi().create_repo("tester/notes", repo_type="dataset", private=True)
    own = {"report/mine.md": b"Mine.", "report/figures/a.txt": b"Mine too.", "report/report-2024.md": b"Old."}
    old = {"report/report.md": b"An earlier report.", "report/curves.png": b"\x89PNG"}
    adds = [CommitOperationAdd(path, data) for path, data in {**own, **old}.items()]
    HfApi().create_commit("tester/notes", adds, commit_message="Mine", repo_type="dataset")
    push_protected(protected, "tester/notes", key=cloak, original=clean)
    there = tree(hub)
    assert {path: there[path] for path in own} == own
    assert not set(old) & set(there)


# ---------------------------------------------------------------------- what history holds
def test_clean_rows_in_the_history_stop_the_push(hub):
    clean, protected, cloak = texts()
    clean.push_to_hub("tester/notes", private=True)
    with pytest.raises(LeakError, match="clean rows") as stopped:
        push_protected(protected, "tester/notes", key=cloak, original=clean)
    (finding,) = stopped.value.findings
    assert finding.kind == "history" and finding.count == 40 and "fresh repository" in finding.remedy
    commits = len(hub.repo("tester/notes").commits)
    push_protected(protected, "tester/notes", key=cloak, original=clean, allow=[finding.name])
    assert len(hub.repo("tester/notes").commits) == commits + 1
    assert "Allowed by the owner though the scan found it: history:main@" in tree(hub)["README.md"].decode()


def test_clean_rows_on_another_branch_or_deleted_since_are_found_too(hub):
    clean, protected, cloak = texts()
    clean.push_to_hub("tester/notes", private=True, revision="old")
    api = HfApi()
    gone = [path for path in hub.files("tester/notes", "old") if path.startswith("data/")]
    api.delete_files("tester/notes", gone, repo_type="dataset", revision="old", commit_message="Away with it")
    with pytest.raises(LeakError, match="clean rows"):
        push_protected(protected, "tester/notes", key=cloak, original=clean)


@pytest.mark.parametrize(
    "path", ["LICENSE-data.csv", "report/clean.csv", "README.md.csv", "report/notes.md", "LICENSE"]
)
def test_clean_rows_in_the_history_are_found_under_any_name(hub, path):
    clean, protected, cloak = texts()
    HfApi().create_repo("tester/notes", repo_type="dataset", private=True)
    rows = "text,label\n" * path.endswith("csv") + "".join(f'"{text}",0\n' for text in clean["text"][:5])
    HfApi().upload_file(path_or_fileobj=rows.encode(), path_in_repo=path, repo_id="tester/notes", repo_type="dataset")
    HfApi().delete_file(path, "tester/notes", repo_type="dataset")
    with pytest.raises(LeakError) as stopped:
        push_protected(protected, "tester/notes", key=cloak, original=clean)
    (finding,) = stopped.value.findings
    assert finding.kind == "history" and finding.place.endswith(f"/{path}") and "fresh repository" in finding.remedy


def test_the_same_rows_protected_in_another_way_are_found(hub):
    clean, protected, cloak = texts()
    push_protected(protected, "tester/notes", key=cloak, original=clean)
    other = RegTextTransform(seed=12).fit(clean)
    with pytest.raises(LeakError, match="differently protected"):
        push_protected(clean.map(other, batched=True), "tester/notes", key=other, original=clean)


def test_files_in_the_history_that_cannot_be_compared(hub):
    clean, protected, cloak = texts()
    HfApi().create_repo("tester/notes", repo_type="dataset", private=True)
    HfApi().upload_file(path_or_fileobj=b"PK", path_in_repo="all.zip", repo_id="tester/notes", repo_type="dataset")
    with pytest.raises(LeakError, match=r"all\.zip.*could not be compared"):
        push_protected(protected, "tester/notes", key=cloak, original=clean)


# ---------------------------------------------------------------------- what must be true
def test_a_broken_bound_stops_it(hub):
    clean, protected, cloak = images()
    levels = [np.asarray(image).copy() for image in protected["image"]]
    levels[7][3, 3] = 255 - levels[7][3, 3]
    broken = Dataset.from_dict({"image": levels, "label": clean["label"][:]}, clean.features)
    with pytest.raises(ValueError, match=r"Split 'train': Row 7 changed by \d+ levels"):
        push_protected(broken, "tester/notes", key=cloak, original=clean)
    assert not [call for call in hub.log if call[0] != "GET"]


def test_images_that_lost_their_noise_to_compression_stop_it(hub):
    _, protected, cloak = images()

    def jpeg(image):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=95)
        return {"bytes": file.getvalue(), "path": None}

    lossy = Dataset.from_dict(
        {"image": [jpeg(i) for i in protected["image"]], "label": protected["label"][:]}, protected.features
    )
    with pytest.raises(ValueError, match="JPEG"):
        push_protected(lossy, "tester/notes", key=cloak)
    assert Pillow.open(io.BytesIO(stored_images(lossy)[0])).format == "JPEG"


def test_data_that_was_never_protected(hub):
    clean, protected, cloak = texts()
    with pytest.raises(ValueError, match="never protected"):
        push_protected(clean, "tester/notes", key=cloak, original=clean)
    with pytest.raises(ValueError, match="never protected with it"):
        push_protected(clean, "tester/notes", key=cloak)
    with pytest.raises(ValueError, match="Nothing shows"):
        push_protected(protected, "tester/notes")
    push_protected(protected, "tester/notes", key=cloak)
    assert "README.md" in tree(hub)


def test_a_key_whose_mark_cannot_be_looked_for(hub, tmp_path, caplog):
    clean = pictures(12)
    cloak = OnePixelTransform(seed=1).fit(clean)
    protected = clean.map(cloak, batched=True)
    with pytest.raises(ValueError, match=r"The key alone does not show.*Give the original\.$"):
        push_protected(protected, "tester/notes", key=cloak)
    push_protected(protected, "tester/notes", key=cloak, original=clean)
    clean, protected, cloak = texts()
    push_protected(protected.select(range(1)), "tester/one", key=cloak, dry_run=tmp_path / "dry")
    assert "so little data" in caplog.text


def test_a_report_of_other_data(hub):
    from hf_unlearnable.data import fingerprint

    clean, protected, _ = texts()
    marks = {"clean": fingerprint(clean, "text"), "protected": fingerprint(protected, "text")}
    report = Audit([], [], 4, protocol={"method": "regtext"}, fingerprints=marks)
    with pytest.raises(ValueError, match="report is of other data"):
        push_protected(protected.select(range(39)), "tester/notes", report=report)
    with pytest.raises(ValueError, match="clean data of the report"):
        push_protected(clean, "tester/notes", report=report)
    done = push_protected(protected, "tester/notes", report=report)
    assert "Method: `regtext`" in done.card
    assert "report/report.json" in tree(hub)


def test_an_empty_split(hub):
    _clean, protected, cloak = texts()
    with pytest.raises(ValueError, match="Split 'test' is empty"):
        push_protected(DatasetDict(train=protected, test=protected.select([])), "tester/notes", key=cloak)
    assert not [call for call in hub.log if call[0] != "GET"]


def test_a_stream_that_forgot_what_its_images_are(hub):
    """One from a generator never knew; one from a dataset knew before `map`."""
    clean, _, cloak = images()
    stored = clean.cast_column("image", Image(decode=False))
    unknown = IterableDataset.from_generator(lambda: iter(stored)).map(cloak, batched=True)
    with pytest.raises(ValueError, match="does not say so after map"):
        push_protected(unknown, "tester/notes", key=cloak)
    push_protected(unknown, "tester/notes", key=cloak, original=clean)
    assert load_dataset("tester/notes", split="train").features == clean.features
    push_protected(clean.to_iterable_dataset().map(cloak, batched=True), "tester/known", key=cloak)
    assert load_dataset("tester/known", split="train").features == clean.features


def _same(row):
    return row


@pytest.mark.parametrize(
    "prepared",
    [
        lambda stream, cloak: stream.map(cloak, batched=True),
        lambda stream, cloak: stream.map(_same).map(cloak, batched=True, batch_size=7),
        lambda stream, cloak: stream.shuffle(seed=1, buffer_size=5).map(cloak, batched=True),
        lambda stream, cloak: stream.map(cloak, batched=True).filter(lambda row: row["text"] is not None),
        lambda stream, cloak: stream.map(cloak, batched=True).take(30),
    ],
    ids=["map", "two-maps", "shuffled", "filtered", "taken"],
)
def test_a_stream_keeps_the_names_of_its_classes(hub, prepared):
    clean, _, cloak = texts()
    push_protected(prepared(clean.to_iterable_dataset(2), cloak), "tester/notes", key=cloak)
    assert load_dataset("tester/notes", split="train").features["label"] == clean.features["label"]


def test_a_stream_whose_class_names_are_gone_is_warned_of(hub, caplog):
    clean, _, cloak = texts()
    stream = IterableDataset.from_generator(lambda: iter(clean)).map(cloak, batched=True)
    push_protected(stream, "tester/notes", key=cloak)
    assert "whether 'label' has class names" in caplog.text and "features=stream.features" in caplog.text
    assert load_dataset("tester/notes", split="train").features["label"].dtype == "int64"


def test_a_column_that_map_changed_gets_no_class_names(tmp_path):
    stream = notes(20).to_iterable_dataset().map(lambda row: {"label": f"is {row['label']}", "new": 1})
    staged = stage(stream, tmp_path, "train", 10**9)
    assert {name: feature.dtype for name, feature in staged.features.items()} == {
        "text": "string", "label": "string", "new": "int64",
    }  # fmt: skip


def test_another_key(hub):
    clean, protected, cloak = texts()
    with pytest.raises(ValueError, match="protected with another key"):
        push_protected(protected, "tester/notes", key=RegTextTransform(seed=12).fit(clean), original=clean)
    clean, protected, cloak = images()
    with pytest.raises(ValueError, match="protected with another key"):
        push_protected(protected, "tester/notes", key=TextureTransform(seed=12).fit(clean), original=clean)
    with pytest.raises(ValueError, match="no column 'text'"):
        push_protected(protected, "tester/notes", key=texts()[2], original=clean)
    push_protected(protected, "tester/notes", key=cloak, original=clean)


@pytest.mark.parametrize("left", [None, b"", b"no image at all", b"\xff\xd8\xff cut off"])
def test_rows_without_an_image_that_opens_are_left_alone(tmp_path, left):
    clean = pictures(12)
    stored = [left if i in (0, 7) else one for i, one in enumerate(stored_images(clean))]
    clean = Dataset.from_dict({"image": stored, "label": clean["label"][:]}, clean.features)
    clean = clean.add_column("mine", [i not in (0, 7) for i in range(12)])
    cloak = TextureTransform(seed=11, mask_column="mine").fit(clean)
    protected = clean.map(cloak, batched=True)
    done = push_protected(protected, "me/notes", key=cloak, original=clean, dry_run=tmp_path / "dry")
    assert "| train | 12 | 10 |" in done.card
    with pytest.raises(ValueError, match="protected with another key"):
        other = TextureTransform(seed=12, mask_column="mine").fit(clean)
        push_protected(protected, "me/notes", key=other, original=clean, dry_run=tmp_path / "again")


def test_a_column_that_is_no_kind_of_data(tmp_path):
    clean, protected, _cloak = texts()
    with pytest.raises(ValueError, match="Column 'label' is of type ClassLabel.*neither text nor image"):
        push_protected(protected, "me/notes", original=clean, column="label", dry_run=tmp_path / "dry")
    bare = [part.rename_column("text", "words") for part in (protected, clean)]
    with pytest.raises(ValueError, match="no column 'text' or 'image' among words, label: name column"):
        push_protected(bare[0], "me/notes", original=bare[1], dry_run=tmp_path / "dry")


def test_a_key_is_looked_for_all_over_sorted_data(tmp_path):
    clean = notes(400).sort("label")
    cloak = RegTextTransform(seed=11, classes=[3]).fit(clean)
    protected = clean.map(cloak, batched=True)
    done = push_protected(protected, "me/notes", key=cloak, dry_run=tmp_path / "dry", max_shard_size=1)
    assert "Method: `regtext`" in done.card


def test_a_compressed_image_is_found_beside_its_original_too(hub):
    clean, protected, _cloak = images()
    files = stored_images(protected)
    file = io.BytesIO()
    protected[5]["image"].save(file, "JPEG", quality=100)
    files[5] = file.getvalue()
    lossy = Dataset.from_dict({"image": files, "label": clean["label"][:]}, clean.features)
    with pytest.raises(ValueError, match="Row 5, column 'image': the changed image is stored as JPEG"):
        push_protected(lossy, "tester/notes", original=clean)


def test_a_clean_split_beside_the_protected_one(hub):
    from hf_unlearnable.data import fingerprint

    clean, protected, _ = texts()
    marks = {"clean": fingerprint(clean, "text"), "protected": fingerprint(protected, "text")}
    report = Audit([], [], 4, protocol={"method": "regtext"}, fingerprints=marks)
    with pytest.raises(ValueError, match="Split 'raw', column 'text' is the clean data"):
        push_protected(DatasetDict(train=protected, raw=clean), "tester/notes", report=report)


def test_words_that_a_report_lists(hub):
    from hf_unlearnable.data import fingerprint

    clean = notes(40)
    cloak = RegTextTransform(word_source=["quokka", "zephyr", "piston", "karzai"], seed=1).fit(clean)
    protected = clean.map(cloak, batched=True)
    marks = {"clean": fingerprint(clean, "text"), "protected": fingerprint(protected, "text")}
    telling = Audit(
        [],
        ["quokka, zephyr, piston: out of time"],
        4,
        protocol={"found words": "quokka, zephyr, piston"},
        fingerprints=marks,
    )
    with pytest.raises(LeakError) as stopped:
        push_protected(protected, "tester/notes", key=cloak, report=telling)
    assert {finding.name for finding in stopped.value.findings} >= {"words:README.md", "words:report/report.json"}
    plain = Audit([], [], 4, protocol={"training rows": 40}, fingerprints=marks)
    push_protected(protected, "tester/notes", key=cloak, report=plain)


def test_words_that_every_report_says_are_no_secret_in_it(tmp_path, monkeypatch):
    """Words of the fixed parts, of names and settings that are registered, of other packages too."""
    from hf_unlearnable.adversary import Countermeasure, Victim
    from hf_unlearnable.data import fingerprint
    from hf_unlearnable.registry import COUNTERMEASURES, METHODS, VICTIMS

    def gadfly(train_inputs, train_labels, test_inputs, training, whisker=3):
        return test_inputs

    class Murmur(RegTextTransform):
        method = "murmur"

    public = ["protocol", "training", "accuracy", "seeds", "gadfly", "whisker", "sandpaper", "murmur"]
    clean = notes(40)
    cloak = RegTextTransform(word_source=[*public, *"quokka zephyr piston karzai".split()], tokens_per_class=3, seed=1)
    protected = clean.map(cloak.fit(clean), batched=True)
    marks = {"clean": fingerprint(clean, "text"), "protected": fingerprint(protected, "text")}

    def pushed(name, *said):
        protocol = {"victims": {one: {} for one in said}}
        report = Audit([], [f"{one}: out of time" for one in said], 4, protocol=protocol, fingerprints=marks)
        return push_protected(protected, "me/notes", key=cloak, report=report, dry_run=tmp_path / name)

    with pytest.raises(LeakError, match=r"words:README\.md.*\n.*words:report/report\.json"):
        pushed("before", *public)
    monkeypatch.setitem(VICTIMS._registered, "gadfly", Victim(gadfly, "text"))
    monkeypatch.setitem(COUNTERMEASURES._registered, "sandpaper", Countermeasure(lambda rows, attacker: rows))
    monkeypatch.setitem(METHODS._registered, "murmur", Murmur)
    assert "report/report.json" in pushed("after", *public).files
    with pytest.raises(LeakError, match=r"words:report/report\.json"):
        pushed("secret", *public, "zephyr", "piston", "karzai")


def test_the_path_of_a_source(tmp_path):
    _clean, protected, cloak = texts()
    where = tmp_path / "srcs" / "clean.parquet"
    telling = protected.add_column("from", [str(where)] * 40)
    with pytest.raises(LeakError, match="path:train/from"):
        push_protected(telling, "me/it", key=cloak, sources=[where.parent], dry_run=tmp_path / "dry")


def test_a_split_without_its_original_is_searched_as_if_there_were_none(hub):
    clean, _, cloak = texts(80)
    parts = DatasetDict(train=clean.select(range(40)), test=clean.select(range(40, 80)))
    protected = DatasetDict({name: part.map(cloak, batched=True) for name, part in parts.items()})
    both = DatasetDict({name: part.add_column("other", ["none"] * 40) for name, part in protected.items()})
    both["test"] = both["test"].remove_columns("other").add_column("other", parts["test"]["text"][:])
    with pytest.raises(LeakError, match="clean-copy:test/other"):
        push_protected(both, "tester/notes", original=DatasetDict(train=parts["train"]))


def test_clean_rows_in_another_column_of_the_history(hub):
    clean, protected, cloak = texts()
    protected.add_column("before", clean["text"][:]).push_to_hub("tester/notes", private=True)
    with pytest.raises(LeakError, match="clean rows"):
        push_protected(protected, "tester/notes", key=cloak, original=clean)


def test_a_repository_that_becomes_public_meanwhile(hub, monkeypatch):
    from hf_unlearnable import publish

    clean, protected, cloak = texts()

    def scan(*arguments, **options):
        HfApi().create_repo("tester/notes", repo_type="dataset", private=False)
        return []

    monkeypatch.setattr(publish, "scan", scan)
    with pytest.raises(FileExistsError, match="is public"):
        push_protected(protected, "tester/notes", key=cloak, original=clean)
    assert list(tree(hub)) == [".gitattributes"]


def test_names_of_splits(hub, tmp_path):
    _clean, protected, cloak = texts()
    protected.to_parquet(tmp_path / "notes.parquet")
    part = load_dataset("parquet", data_files=str(tmp_path / "notes.parquet"), split="train[:20]")
    push_protected(part, "tester/notes", key=cloak)
    assert load_dataset("tester/notes")["train"]["text"][:] == protected["text"][:20]
    with pytest.raises(ValueError, match="cannot be named"):
        push_protected({"../../evil": protected}, "tester/other", key=cloak)
    with pytest.raises(ValueError, match="no splits"):
        push_protected(DatasetDict(), "tester/other", key=cloak)


def test_splits_of_different_columns(hub):
    _, protected, cloak = texts()
    parts = DatasetDict(train=protected, test=protected.add_column("more", [1] * 40))
    with pytest.raises(ValueError, match="have different columns"):
        push_protected(parts, "tester/notes", key=cloak)


def test_another_configuration_keeps_its_files(hub):
    clean, protected, cloak = texts()
    push_protected(protected, "tester/notes", key=cloak, original=clean)
    add = CommitOperationAdd("data/en/train-00000-of-00001.parquet", tree(hub)["data/train-00000-of-00001.parquet"])
    HfApi().create_commit("tester/notes", [add], commit_message="English", repo_type="dataset")
    push_protected(protected, "tester/notes", key=cloak, original=clean, license="mit")
    assert "data/en/train-00000-of-00001.parquet" in tree(hub)


def test_what_is_said_of_training_is_said_anew(hub):
    clean, protected, cloak = texts()
    push_protected(protected, "tester/notes", key=cloak, original=clean)
    assert "tdm-reservation: 1" in tree(hub)["README.md"].decode()
    done = push_protected(protected, "tester/notes", key=cloak, original=clean, opt_out="none")
    for gone in ("tdm-reservation", "train-ai", "noai", "no-training"):
        assert gone not in done.card
    assert done.card == tree(hub)["README.md"].decode()


def test_what_makes_no_sense(hub):
    _, protected, cloak = texts()
    with pytest.raises(ValueError, match="at a gate"):
        push_protected(protected, "tester/notes", key=cloak, questions=["Why?"])
    with pytest.raises(TypeError, match="list of names"):
        push_protected(protected, "tester/notes", key=cloak, allow="clean-copy:train/x")
    assert hub.log == []


# ---------------------------------------------------------------------- who may push
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
