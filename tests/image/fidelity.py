"""Images of known values."""

import datasets
import numpy as np
from datasets import Dataset, Features

from hf_unlearnable.image.codec import Picture, encode


def images(*values, column="image"):
    """A dataset of arrays, pictures and files."""
    stored = [
        value
        if isinstance(value, bytes)
        else encode(value if isinstance(value, Picture) else Picture(as_levels(value)))
        for value in values
    ]
    return Dataset.from_dict(
        {column: [{"bytes": data, "path": None} for data in stored]}, features=Features({column: datasets.Image()})
    )


def as_levels(array):
    array = np.asarray(array, np.uint8)
    return array[:, :, None] if array.ndim == 2 else array


def constant(level, height=8, width=8, channels=3):
    return np.full((height, width, channels), level, np.uint8)
