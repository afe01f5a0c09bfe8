"""Small datasets for tests, made of the samples that the package carries, and the real ones where they are there."""

import os
from functools import cache
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


@cache
def sample_dataset(modality: str) -> Dataset:
    """Of each kind one, made once per process."""
    return {"text": lambda: notes(60), "image": lambda: pictures(40), "audio": lambda: recordings(24)}[modality]()


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


def waves(rows: int, seed: int = 0, rate: int = 8000, channels: int = 1) -> list[np.ndarray]:
    """Words of a voice, about: hums with formants that move, in pauses and noise; int16 [frames, channels]."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(rows):
        frames = int(rate * random.uniform(0.25, 0.5))
        time = np.arange(frames) / rate
        pitch = random.uniform(90, 220) * (1 + 0.1 * np.sin(2 * np.pi * random.uniform(1, 4) * time))
        phase = 2 * np.pi * np.cumsum(pitch) / rate
        first, second = (random.uniform(*span) for span in ((300, 900), (1200, 2800)))
        wave = sum(
            np.sin(h * phase) * sum(np.exp(-(((h * pitch - peak) / 250) ** 2)) for peak in (first, second))
            for h in range(1, int(rate / 2 / 250))
        ) + random.normal(0, 0.02, frames)
        shape = np.sin(np.pi * np.arange(frames) / frames) ** 0.5
        loud = 6000 * random.uniform(0.5, 1) * wave * shape / np.abs(wave).max()
        found.append(np.stack([np.rint(loud / (1 + c)) for c in range(channels)], axis=1).astype(np.int16))
    return found


def sound_file(samples: np.ndarray, rate: int = 8000, format: str = "WAV", subtype: str | None = None) -> bytes:
    """A recording as a file."""
    import io

    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=format, subtype=subtype)
    return file.getvalue()


def recordings(rows: int = 40, classes: int = 4, files: list[bytes] | None = None, **shape: int) -> Dataset:
    """Labelled WAV files, classes in turn, undecoded."""
    import pyarrow as pa

    if files is None:
        files = [sound_file(one, shape.get("rate", 8000)) for one in waves(rows, **shape)]
    names = ["bee", "elm", "fox", "owl", "yak", "zebu"][:classes]
    features = Features({"audio": datasets.Audio(decode=False), "label": ClassLabel(names=names)})
    columns = {
        "audio": [{"bytes": file, "path": None} for file in files], "label": [i % classes for i in range(len(files))],
    }  # fmt: skip
    # `Dataset.from_dict` asks for torchcodec, even where the files are there already.
    return Dataset(pa.table(columns, schema=features.arrow_schema))


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
