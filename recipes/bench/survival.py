# /// script
# dependencies = ["hf-unlearnable[image,wear]", "matplotlib"]
# ///
"""How much of a protection's change codecs and resizers leave, and how large the files are. Nothing is trained.

    python recipes/bench/survival.py

Each image is worn as it is and protected. `left` is the change after wear projected on the change before: 1 where all
of it is there, 0 where nothing points the same way. `contrast` is the size (root mean square) of the change after over
that before, which resizers have too. Every cell is a line of `survival.jsonl`; those that are there are not computed
again. A codec that is not installed is named and left out.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from datasets import disable_progress_bars, load_dataset
from PIL import features

from hf_unlearnable._files import write_file
from hf_unlearnable.image.wear import CODECS, IMAGE_WEAR, opened
from hf_unlearnable.registry import method_class

METHODS = (
    "texture", "convolution", "one-pixel", "linear-separable", "linearization", "random-noise", "error-min",
)  # fmt: skip
IMAGES = {"cifar10_jpeg": 40, "flowers": 4}
KEYS = (0, 1, 2)
OUTPUT = Path(__file__).with_suffix(".jsonl")
PLOT = Path(__file__).parents[2] / "docs/assets/survival.png"
PLOTTED = ("texture", "one-pixel", "error-min")


def main() -> None:
    """Computes the cells that are missing and draws the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("HF_UNLEARNABLE_DATA", "../shared/data"))
    parser.add_argument("--output", default=OUTPUT, type=Path, help="default: survival.jsonl beside this script")
    parser.add_argument("--plot", default=PLOT, type=Path, help="default: docs/assets/survival.png")
    arguments = parser.parse_args()
    disable_progress_bars()
    lacking = {}
    for data, count in IMAGES.items():
        rows = load_dataset("parquet", data_files=str(Path(arguments.data, data, "train.parquet")), split="train")
        rows = rows.select(np.sort(np.random.default_rng(0).permutation(len(rows))[:count]))
        for method in METHODS:
            lacking |= measure(arguments.output, data, rows, method)
    planned = len(IMAGES) * len(METHODS) * len(IMAGE_WEAR)
    print(f"{len(lines_of(arguments.output))} of {planned} cells are in {arguments.output}.")
    for name, reason in lacking.items():
        print(f"Not run: {name}: {reason}")
    draw(lines_of(arguments.output), arguments.plot)


def measure(output: Path, data: str, rows: Any, method: str) -> dict[str, str]:
    """Computes the missing cells of one method on one dataset.

    Args:
        output: Gets a line per cell.
        data: Name of the dataset.
        rows: Of "image" and "label".
        method: By name.

    Returns:
        The wear that is not installed, with what it lacks.
    """
    cls = method_class(method)
    there = {(one["data"], one["method"], one["wear"]) for one in lines_of(output)
             if one["method_version"] == cls.method_version}  # fmt: skip
    missing = [name for name in IMAGE_WEAR if (data, method, name) not in there]
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    if missing:
        clean = [np.asarray(image.convert("RGB")) for image in rows["image"]]
        for seed in KEYS:
            protected = rows.map(cls(image_column="image", label_column="label", seed=seed).fit(rows), batched=True)
            pairs += zip(clean, (np.asarray(image.convert("RGB")) for image in protected["image"]), strict=True)
    lacking = {}
    for name in missing:
        try:
            found = survival(name, pairs)
        except ImportError as error:
            lacking[name] = str(error)
            continue
        cell = {"data": data, "method": method, "method_version": cls.method_version, "wear": name, **found}
        cell |= {"images": len(rows), "keys": list(KEYS), "tools": tools(name)}
        others = [one for one in lines_of(output) if (one["data"], one["method"], one["wear"]) != (data, method, name)]
        write_file(output, "".join(json.dumps(one) + "\n" for one in [*others, cell]))
    return lacking


def survival(name: str, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, float | None]:
    """What a wear leaves of the change between two versions of each image.

    Args:
        name: Of the wear.
        pairs: Each image clean and protected, uint8 [height, width, 3].

    Returns:
        "left", None where the wear changes the size; "contrast"; and of a codec "bytes" and "clean_bytes", means per
        image.

    Raises:
        ValueError: No image was changed by the protection.
    """
    along, before, after, sizes = [], [], [], []
    for clean, protected in pairs:
        change = protected.astype(np.float64) - clean
        (one, size), (two, larger) = worn_clean(name, clean.tobytes(), clean.shape), worn(name, protected)
        left = two.astype(np.float64) - one
        sizes.append((size, larger))
        before.append((change**2).mean())
        after.append((left**2).mean())
        along.append((left * change).mean() if left.shape == change.shape else np.nan)
    if not np.sum(before):
        raise ValueError("The protection changed no image: nothing can survive.")
    found = {
        "left": None if np.isnan(along).any() else round(float(np.sum(along) / np.sum(before)), 4),
        "contrast": round(float(np.sqrt(np.sum(after) / np.sum(before))), 4),
    }
    if name in CODECS:
        found["clean_bytes"], found["bytes"] = np.mean(sizes, axis=0).round(1).tolist()
    return found


def worn(name: str, levels: np.ndarray) -> tuple[np.ndarray, int]:
    """An image after wear, and the bytes that it takes in a file; 0 where it is no codec."""
    if name not in CODECS:
        return IMAGE_WEAR[name].change([levels])[0], 0
    data = CODECS[name].coded(levels)
    return opened(data), len(data)


@cache
def worn_clean(name: str, content: bytes, shape: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """As `worn`, of an image that every method starts from."""
    return worn(name, np.frombuffer(content, np.uint8).reshape(shape))


def tools(name: str) -> str:
    """What did it, with versions; of the codecs that Pillow brings, their libraries too."""
    library = {"JPEG": "libjpeg_turbo", "WEBP": "webp", "AVIF": "avif"}.get(
        CODECS[name].format if name in CODECS else ""
    )
    inside = f" ({library} {features.version(library)})" if library else ""
    return IMAGE_WEAR[name].tools + inside


def lines_of(output: Path) -> list[dict]:
    """The cells of an output file."""
    return [json.loads(line) for line in output.read_text("utf-8").splitlines()] if output.exists() else []


def draw(cells: Sequence[dict], path: Path) -> None:
    """Writes the plot: survival against bytes, a panel per dataset and method, a line per codec."""
    from matplotlib.figure import Figure

    from hf_unlearnable.audit.plots import colors

    families = list(dict.fromkeys(family(name) for name in CODECS))
    style = dict(zip(families, zip(colors(len(families)), "os^vDP", strict=True), strict=True))
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    panels = figure.subplots(len(IMAGES), len(PLOTTED), sharey=True, sharex="row", squeeze=False)
    for axes_of, data in zip(panels, IMAGES, strict=True):
        for axes, method in zip(axes_of, PLOTTED, strict=True):
            for codec, (color, marker) in style.items():
                points = sorted((one["bytes"], one["left"]) for one in cells if (one["data"], one["method"]) ==
                                (data, method) and one["wear"] in CODECS and family(one["wear"]) == codec)  # fmt: skip
                axes.plot(*zip(*points, strict=True), color=color, marker=marker, label=codec) if points else None
            axes.set_title(f"{data}, {method}", fontsize=9)
            axes.set(xlim=(0, None), ylim=(0, 1.05))
        axes_of[0].set_ylabel("share of the change that is left")
    for axes in panels[-1]:
        axes.set_xlabel("bytes per protected image")
    figure.legend(
        *panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=len(families), fontsize=8
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def family(name: str) -> str:
    """A codec's name without its quality: "jpeg-420" of "jpeg-75-420"."""
    parts = name.split("-")
    return "-".join([parts[0], *parts[2:]])


if __name__ == "__main__":
    main()
