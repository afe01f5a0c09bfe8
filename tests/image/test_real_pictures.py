"""Pictures that people have: files of installed packages and of real datasets, through protection and back."""

import io
from importlib.util import find_spec
from pathlib import Path

import datasets
import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features
from PIL import Image, ImageOps

from hf_unlearnable import TextureTransform
from hf_unlearnable.image.codec import decode
from tests.examples import pictures, real

ENDINGS = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".tif", ".tiff", ".bmp", ".ico", ".svg"}
PACKAGES = {"matplotlib": 18, "sklearn": 6, "skimage": 12, "gradio": 12, "datasets": 2}
REASONS = ("is an SVG", "has 16 bits a channel", "is an animated", "has the mode", "does not open", "is CMYK")


def of_package(name, count):
    if find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    folder = Path(find_spec(name).origin).parent
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
    return [path.read_bytes() for path in found if path.stat().st_size < 2_000_000][:: max(1, len(found) // count)]


def of_data(name, count):
    rows = real(name).select(range(count))
    return [v["bytes"] for v in rows.cast_column("image", datasets.Image(decode=False))["image"]]


def check(files):
    """How many came out exactly within the bound and how many were refused with a reason; anything else fails."""
    cloak = TextureTransform(seed=3).fit(pictures(8))
    features = Features({"image": datasets.Image(), "label": ClassLabel(names=["bee", "elm", "fox", "owl"])})
    exact = refused = 0
    for number, data in enumerate(files):
        row = Dataset.from_dict({"image": [{"bytes": data, "path": None}], "label": [number % 4]}, features=features)
        try:
            value = row.map(cloak, batched=True).cast_column("image", datasets.Image(decode=False))[0]["image"]
        except ValueError as error:
            refused += sum(reason in str(error) for reason in REASONS)  # for no other reason than these
            continue
        before, after = decode(data), decode(value)
        seen = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGBA"))
        opaque = seen[:, :, 3] > 0  # of what is not seen, Pillow's conversions differ
        assert (seen[:, :, :3][opaque] == np.broadcast_to(before.levels, seen[:, :, :3].shape)[opaque]).all()
        assert value["bytes"].startswith(b"\x89PNG") and before.levels.shape == after.levels.shape
        change = after.levels.astype(int) - before.levels
        assert np.abs(change).max() == 8
        inside = ((before.levels >= 8) & (before.levels <= 247)).all(axis=(0, 1))
        assert np.abs(change.mean(axis=(0, 1))[inside]).max(initial=0) <= 0.5
        assert (before.alpha is None) == (after.alpha is None)
        assert before.alpha is None or np.array_equal(before.alpha, after.alpha)
        assert (before.icc_profile, before.colour_chunks) == (after.icc_profile, after.colour_chunks)
        assert after.metadata == ()
        exact += 1
    return exact, refused


@pytest.mark.parametrize("name", PACKAGES)
def test_files_of_packages_come_out_exactly_or_are_refused_with_a_reason(name):
    files = of_package(name, PACKAGES[name])
    exact, refused = check(files)
    assert exact + refused == len(files)


@pytest.mark.parametrize(
    ("name", "count"), [("flowers", 6), ("cifar10_jpeg", 12), ("orl_faces", 8), ("pneumonia_mnist", 12)]
)
def test_pictures_of_real_data_come_out_exactly(name, count):
    assert check(of_data(name, count)) == (count, 0)
