"""Small data sets for tests, made of the samples that the package carries, and the real ones where they are there."""

import os
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset

from hf_unlearnable.samples import load_notes

DATA = Path(os.environ.get("HF_UNLEARNABLE_DATA", Path(__file__).parents[2] / "shared" / "data"))


def notes(rows: int = 120) -> Dataset:
    """Rows of the embedded notes, classes in turn."""
    dataset = load_notes("train")
    by_class = [[i for i, label in enumerate(dataset["label"]) if label == c] for c in range(4)]
    return dataset.select([i for group in zip(*by_class) for i in group][:rows]).flatten_indices()


def sample_dataset(modality: str) -> Dataset:
    assert modality == "text"
    return notes(60)


def real(name: str, split: str = "train") -> Dataset:
    """A real data set; the test is skipped where it is absent."""
    path = DATA / name / f"{split}.parquet"
    if not path.is_file():
        pytest.skip(f"{path} is not there: it is a development data set, see HF_UNLEARNABLE_DATA")
    from datasets import load_dataset

    return load_dataset("parquet", data_files=str(path), split="train")


def tiny(texts: list, labels: list, names: list[str] | None = None) -> Dataset:
    dataset = Dataset.from_dict({"text": texts, "label": labels})
    return dataset.cast_column("label", ClassLabel(names=names)) if names else dataset
