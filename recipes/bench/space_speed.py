# /// script
# dependencies = ["hf-unlearnable[space]"]
# ///
"""What a visitor of the Space waits for, against bare work on the same data in the same run.

    python recipes/bench/space_speed.py

A text of 500 words is held against a `map` that changes nothing of it, a photo of 12 megapixels under texture, with
its previews, against opening and storing it as PNG as it is. Medians of five.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from datasets import Dataset, disable_caching, disable_progress_bars
from PIL import Image

from hf_unlearnable.samples import load_notes
from hf_unlearnable.space.image import protect_images
from hf_unlearnable.space.protection import png, previews
from hf_unlearnable.space.typed import protect_one


def photo() -> np.ndarray:
    """Smooth areas with the grain of a sensor, uint8 [3000, 4000, 3]."""
    random = np.random.default_rng(0)
    areas = Image.fromarray(random.integers(0, 256, (30, 40, 3), dtype=np.uint8)).resize((4000, 3000))
    return np.clip(np.asarray(areas) + random.integers(-6, 7, (3000, 4000, 3)), 0, 255).astype(np.uint8)


def seconds(do: Callable[[], Any], repeats: int = 5) -> float:
    """The median of several runs, after one that is not counted."""
    do()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        do()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    disable_progress_bars()
    disable_caching()
    text = " ".join(" ".join(load_notes("test")["text"][:30]).split()[:500])
    stored = png(photo())
    rows = [{"name": "a.png", "label": "mine", "bytes": stored}]

    def protect_photo() -> None:
        _, protected, _, _ = protect_images(rows, "texture", "Standard")
        previews(stored, protected[0]["image"]["bytes"])

    for what, protect, bare in (
        (
            "500 words",
            lambda: protect_one(text, "garden", "regtext", "Standard"),
            lambda: Dataset.from_dict({"text": [text]}).map(lambda row: row),
        ),
        ("12 megapixels", protect_photo, lambda: png(np.asarray(Image.open(io.BytesIO(stored))))),
    ):
        ours, theirs = seconds(protect), seconds(bare)
        print(f"{what}: {ours:.2f} s, {ours / theirs:.1f} times the bare work", flush=True)


if __name__ == "__main__":
    main()
