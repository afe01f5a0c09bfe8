# /// script
# dependencies = ["hf-unlearnable[image,wear]", "invisible-watermark==0.2.0", "PyWavelets==1.9.0"]
# ///
"""Whether an invisible watermark and a protection get along, by which comes first. Nothing is trained.

    python recipes/bench/watermark.py

Photos of `flowers`, enlarged to 320 pixels, for the watermark takes no fewer than 256. `read` is the share of the 32
bits that are read back from the final picture; half is chance. `left` is the share of the protection in it, where the
watermark came last: the change between the final pictures with and without protection, projected on the protection's
own. Every cell is a line of `watermark.jsonl`. Install invisible-watermark with `--no-deps`, for it asks for torch and
an OpenCV of its own.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, Features, Image, disable_progress_bars, load_dataset

from hf_unlearnable._files import write_file
from hf_unlearnable.registry import method_class

METHODS = ("texture", "convolution", "one-pixel", "linear-separable", "random-noise")
ROWS, SIDE, BITS = 24, 320, 32
MARK = b"mine"
OUTPUT = Path(__file__).with_suffix(".jsonl")


def main() -> None:
    """Computes all cells."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("HF_UNLEARNABLE_DATA", "../shared/data"))
    parser.add_argument("--output", default=OUTPUT, type=Path, help="default: watermark.jsonl beside this script")
    arguments = parser.parse_args()
    disable_progress_bars()
    every = load_dataset("parquet", data_files=str(Path(arguments.data, "flowers", "train.parquet")), split="train")
    rows = every.select(np.sort(np.random.default_rng(0).permutation(len(every))[:ROWS]))
    clean = [np.asarray(image.convert("RGB").resize((SIDE, SIDE))) for image in rows["image"]]
    labels, marked = rows["label"][:], [watermarked(image) for image in clean]
    cells = [{"method": "none", "order": "watermark alone", "read": read(marked), "left": None}]
    for method in METHODS:
        cloak = method_class(method)(seed=0).fit(dataset(clean, labels, rows))
        protected, last = (levels_of(dataset(images, labels, rows).map(cloak)) for images in (clean, marked))
        first = [watermarked(image) for image in protected]
        found = {"read": read(first), "left": left(clean, protected, marked, first)}
        cells.append({"method": method, "order": "protection first", **found})
        cells.append({"method": method, "order": "watermark first", "read": read(last), "left": None})
        print(*cells[-2:], flush=True)
    tools = {"rows": ROWS, "pixels": SIDE, "tools": "invisible-watermark 0.2.0, dwtDctSvd"}
    write_file(arguments.output, "".join(json.dumps({**cell, **tools}) + "\n" for cell in cells))


def dataset(images: Sequence[np.ndarray], labels: Sequence[int], like: Dataset) -> Dataset:
    """Rows of these images, stored as PNG."""
    features = Features({"image": Image(), "label": like.features["label"]})
    return Dataset.from_dict({"image": list(images), "label": labels}, features)


def levels_of(rows: Dataset) -> list[np.ndarray]:
    """The pixel values of every image, uint8 [height, width, 3]."""
    return [np.asarray(image.convert("RGB")) for image in rows["image"]]


def watermarked(levels: np.ndarray) -> np.ndarray:
    """An image with the mark in it."""
    from imwatermark import WatermarkEncoder

    encoder: Any = WatermarkEncoder()
    encoder.set_watermark("bytes", MARK)
    return encoder.encode(levels[:, :, ::-1], "dwtDctSvd")[:, :, ::-1]


def read(images: Sequence[np.ndarray]) -> float:
    """The share of the mark's bits that are read back."""
    from imwatermark import WatermarkDecoder

    bits = np.unpackbits(np.frombuffer(MARK, np.uint8))
    found = [np.array(WatermarkDecoder("bits", BITS).decode(image[:, :, ::-1], "dwtDctSvd")) for image in images]
    return round(float(np.mean([(one.astype(int) == bits).mean() for one in found])), 4)


def left(*versions: Sequence[np.ndarray]) -> float:
    """What is left of a protection: clean, protected, the final pictures without the protection and with it."""
    along = size = 0.0
    for images in zip(*versions, strict=True):
        clean, protected, without, final = (image.astype(np.float64) for image in images)
        along += float(((final - without) * (protected - clean)).mean())
        size += float(((protected - clean) ** 2).mean())
    return round(along / size, 4)


if __name__ == "__main__":
    main()
