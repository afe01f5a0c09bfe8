"""Sample data that is there without a network: `hf-unlearnable demo` and the tests run on it.

`notes.csv` holds 1,240 short notes to an editor, written for this project, 310 each on four topics. The 1,797 scanned
digits (E. Alpaydin, C. Kaynak, 1998) come with scikit-learn.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from hf_unlearnable._extras import require

if TYPE_CHECKING:
    from datasets import Dataset

TOPICS = ["garden", "kitchen", "sky", "workshop"]


def load_notes(split: str) -> Dataset:
    """The notes with their topic, columns `text` and `label`: 920 for "train", 320 for "test"."""
    from datasets import ClassLabel, Dataset, Features, Value

    with Path(__file__).with_name("notes.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    features = Features({"text": Value("string"), "label": ClassLabel(names=TOPICS)})
    columns = {"text": [row["text"] for row in rows], "label": [TOPICS.index(row["topic"]) for row in rows]}
    return Dataset.from_dict(columns, features=features)


def load_digits(split: str, side: int = 32) -> Dataset:
    """Handwritten digits, columns `image` and `label`: 1,297 for "train", 500 for "test", split at random.

    They are scanned at 8 x 8 pixels and enlarged to `side`, in RGB, their 17 shades put at levels 16 to 240, as a
    camera would see ink on paper: pure black and pure white leave noise no room.
    """
    require("attack", "sklearn", "PIL")
    import numpy as np
    from datasets import ClassLabel, Dataset, Features, Image
    from PIL import Image as PILImage
    from sklearn import datasets

    digits = datasets.load_digits()
    mixed = np.random.default_rng(0).permutation(1797)
    rows = mixed[:1297] if split == "train" else mixed[1297:]
    levels = (16 + 14 * digits.images[rows]).astype(np.uint8)
    features = Features({"image": Image(), "label": ClassLabel(names=[str(digit) for digit in range(10)])})
    photos = [PILImage.fromarray(one).convert("RGB") for one in levels]
    images = [photo.resize((side, side), PILImage.Resampling.BILINEAR) for photo in photos]
    columns = {"image": images, "label": digits.target[rows].tolist()}
    return Dataset.from_dict(columns, features=features)
