"""Small datasets for tests, made of the samples that the package carries, and the real ones where they are there."""

import os
from pathlib import Path

import datasets
import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features
from PIL import Image

from hf_unlearnable.samples import load_notes
from tests import ROOT

DATA, MODELS = (
    Path(os.environ.get(f"HF_UNLEARNABLE_{kind.upper()}", ROOT.parent / "shared" / kind))
    for kind in ("data", "models")
)


def notes(rows: int = 120) -> Dataset:
    """Rows of the embedded notes, classes in turn."""
    dataset = load_notes("train")
    by_class = [[i for i, label in enumerate(dataset["label"]) if label == c] for c in range(4)]
    return dataset.select([i for group in zip(*by_class) for i in group][:rows]).flatten_indices()


def sample_dataset(modality: str) -> Dataset:
    return {"text": lambda: notes(60), "image": lambda: pictures(40)}[modality]()


def levels(rows: int, seed: int = 0, height: int = 12, width: int = 12, channels: int = 3) -> np.ndarray:
    """Smooth random images with some edges, uint8 [rows, height, width, channels]."""
    random = np.random.default_rng(seed)
    coarse = random.uniform(0, 255, (rows, -(-height // 4), -(-width // 4), channels))
    smooth = coarse.repeat(4, axis=1).repeat(4, axis=2)[:, :height, :width]
    return np.clip(smooth + random.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)


def pictures(rows: int = 40, classes: int = 4, **shape: int) -> Dataset:
    """Labelled PNG images, classes in turn."""
    array = levels(rows, **shape)
    images = [Image.fromarray(one[:, :, 0] if one.shape[2] == 1 else one) for one in array]
    names = ["bee", "elm", "fox", "owl", "yak", "zebu"][:classes]
    return Dataset.from_dict(
        {"image": images, "label": [i % classes for i in range(rows)]},
        features=Features({"image": datasets.Image(), "label": ClassLabel(names=names)}),
    )


def stored(dataset: Dataset) -> list[dict]:
    """The images as they are stored: bytes and path of each."""
    return [row["image"] for row in dataset.cast_column("image", datasets.Image(decode=False))]


def real(name: str, split: str = "train") -> Dataset:
    """A real dataset; the test is skipped where it is absent."""
    path = DATA / name / f"{split}.parquet"
    if not path.is_file():
        pytest.skip(f"{path} is not there: it is a development dataset, see HF_UNLEARNABLE_DATA")
    from datasets import load_dataset

    return load_dataset("parquet", data_files=str(path), split="train")


def tiny(texts: list, labels: list, names: list[str] | None = None) -> Dataset:
    dataset = Dataset.from_dict({"text": texts, "label": labels})
    return dataset.cast_column("label", ClassLabel(names=names)) if names else dataset
