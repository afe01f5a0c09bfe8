"""Sounds of three classes, made here."""

import numpy as np
from datasets import Audio, ClassLabel, Dataset, Features, Value

from .wav import Sound, stored

CLASSES = ["bell", "drum", "horn"]
PLAIN = {"bytes": Value("binary"), "path": Value("string")}


def sounds(rows: int = 42, seed: int = 0) -> list[dict]:
    """Values of a column, classes in turn: a tone of the class's own pitch in noise, 0.1 to 0.2 seconds long."""
    random = np.random.default_rng(seed)
    values = []
    for row in range(rows):
        frames = np.arange(random.integers(800, 1600))
        pitch = (0.02, 0.035, 0.06)[row % 3] * random.uniform(0.95, 1.05)
        wave = 4000 * np.sin(2 * np.pi * (pitch * frames + random.uniform())) + random.normal(0, 300, len(frames))
        values.append(stored(Sound(wave.astype(np.int16)[:, None], 8000)))
    return values


def dataset(rows: int = 42, seed: int = 0, feature=None, values: list[dict] | None = None) -> Dataset:
    """Labelled sounds in a column "audio".

    Args:
        rows: How many.
        seed: Other sounds of the same classes.
        feature: Of the column; None for `Audio()`.
        values: The sounds, instead of those drawn.
    """
    import pyarrow as pa

    features = Features({"audio": Audio() if feature is None else feature, "label": ClassLabel(names=CLASSES)})
    values = sounds(rows, seed) if values is None else values
    # `Dataset.from_dict` needs torchcodec for `Audio`, even to store bytes as they are.
    table = pa.Table.from_pydict(
        {"audio": values, "label": [row % 3 for row in range(len(values))]}, schema=features.arrow_schema
    )
    return Dataset(table)
