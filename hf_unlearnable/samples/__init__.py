"""Sample data that the package carries: `hf-unlearnable demo` and the tests run on it without a network.

`notes.csv` holds 1,240 short notes to an editor, written for this project, 310 each on four topics.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

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
