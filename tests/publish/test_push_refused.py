"""What is pushed is what it is said to be; all else is refused before it leaves."""

import io

import numpy as np
import pytest
from datasets import Dataset, DatasetDict, Image, IterableDataset, load_dataset
from PIL import Image as Pillow

from hf_unlearnable import OnePixelTransform, RegTextTransform, TextureTransform
from hf_unlearnable.audit.records import Audit
from hf_unlearnable.publish import LeakError, push_protected
from hf_unlearnable.publish.staging import stage
from tests.examples import notes, pictures
from tests.image.files import file_of
from tests.publish.protected import image_bytes, images, texts, tree


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
    compressed = [{"bytes": file_of(image, "JPEG", quality=95), "path": None} for image in protected["image"]]
    lossy = Dataset.from_dict({"image": compressed, "label": protected["label"][:]}, protected.features)
    with pytest.raises(ValueError, match="JPEG"):
        push_protected(lossy, "tester/notes", key=cloak)
    assert Pillow.open(io.BytesIO(image_bytes(lossy)[0])).format == "JPEG"


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
    assert "Made with the method `regtext`" in done.card
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
    stored = [left if i in (0, 7) else one for i, one in enumerate(image_bytes(clean))]
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
    with pytest.raises(ValueError, match="no column 'text', 'image' or 'audio' among words, label: name column"):
        push_protected(bare[0], "me/notes", original=bare[1], dry_run=tmp_path / "dry")


def test_a_key_is_looked_for_all_over_sorted_data(tmp_path):
    clean = notes(400).sort("label")
    cloak = RegTextTransform(seed=11, classes=[3]).fit(clean)
    protected = clean.map(cloak, batched=True)
    done = push_protected(protected, "me/notes", key=cloak, dry_run=tmp_path / "dry", max_shard_size=1)
    assert "Made with the method `regtext`" in done.card


def test_a_compressed_image_is_found_beside_its_original_too(hub):
    clean, protected, _cloak = images()
    files = image_bytes(protected)
    files[5] = file_of(protected[5]["image"], "JPEG", quality=100)
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

    with pytest.raises(LeakError, match=r"words:README\.md.*\n.*words:report/report\.html.*\n.*report\.json"):
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


def test_what_makes_no_sense(hub):
    _, protected, cloak = texts()
    with pytest.raises(ValueError, match="at a gate"):
        push_protected(protected, "tester/notes", key=cloak, questions=["Why?"])
    with pytest.raises(TypeError, match="list of names"):
        push_protected(protected, "tester/notes", key=cloak, allow="clean-copy:train/x")
    assert hub.log == []
