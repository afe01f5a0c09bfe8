"""What identifies a column, and reading all splits of what a user has."""

import shutil

import pytest
from datasets import Dataset, DatasetDict, Image, load_dataset

from hf_unlearnable.data import fingerprint, load_splits
from tests.examples import notes, pictures


def test_a_fingerprint_is_of_the_contents(tmp_path):
    data = notes(20)
    mark = fingerprint(data, "text")
    assert mark == fingerprint(data.to_iterable_dataset(), "text")
    data.to_parquet(tmp_path / "notes.parquet")
    assert mark == fingerprint(
        load_dataset("parquet", data_files=str(tmp_path / "notes.parquet"), split="train"), "text"
    )
    assert mark == fingerprint(data.remove_columns("label").to_iterable_dataset(), "text")
    assert mark != fingerprint(data.select(range(19)), "text")
    assert mark != fingerprint(data.select([1, 0, *range(2, 20)]), "text")
    assert fingerprint(Dataset.from_dict({"text": ["ab", "c"]}), "text") != fingerprint(
        Dataset.from_dict({"text": ["a", "bc"]}), "text"
    )
    with pytest.raises(ValueError, match="no column 'txt'"):
        fingerprint(data, "txt")


def test_a_fingerprint_reads_the_files_that_are_pointed_at(tmp_path):
    data = pictures(3)
    stored = data.cast_column("image", Image(decode=False))["image"]
    paths = []
    for i, value in enumerate(stored):
        paths.append(str(tmp_path / f"{i}.png"))
        (tmp_path / f"{i}.png").write_bytes(value["bytes"])
    pointed = Dataset.from_dict({"image": paths}, data.select_columns(["image"]).features)
    assert fingerprint(pointed, "image") == fingerprint(data, "image")


def test_all_splits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parts = DatasetDict(train=notes(20), test=notes(40).select(range(20, 40)))
    parts.save_to_disk("disk")
    for split, part in parts.items():
        (tmp_path / "tables").mkdir(exist_ok=True)
        part.to_parquet(f"tables/{split}.parquet")
        (tmp_path / "lines").mkdir(exist_ok=True)
        part.to_json(f"lines/{split}.jsonl")
    for source in ("disk", "tables", "lines"):
        loaded = load_splits(source)
        assert {split: [row["text"] for row in part] for split, part in loaded.items()} == {
            split: part["text"][:] for split, part in parts.items()
        }
    assert list(load_splits("tables/test.parquet")) == ["train"]
    with pytest.raises(FileNotFoundError, match="no file or folder absent.csv"):
        load_splits("absent.csv")


@pytest.mark.parametrize("source", ["protected", "photos.v2", "my_reviews"])
def test_a_bare_name_is_no_id_so_that_nothing_that_a_cache_holds_under_it_is_taken(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    (tmp_path / source).mkdir()
    notes(4).to_parquet(tmp_path / source / "train.parquet")
    assert load_dataset(source, split="train").num_rows == 4  # in the cache now, under this name
    assert len(load_splits(source)["train"]) == 4
    shutil.rmtree(tmp_path / source)
    with pytest.raises(FileNotFoundError, match=f"no file or folder {source}, and it is not the id .* OWNER/NAME"):
        load_splits(source)
