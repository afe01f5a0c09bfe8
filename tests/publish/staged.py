"""Folders as `publish` stages them, for the leak scan."""

import functools

import datasets
from datasets import Dataset

from hf_unlearnable.image.methods.texture import TextureTransform
from hf_unlearnable.text.methods.regtext import RegTextTransform
from tests.examples import notes, pictures

ROWS = 40
HOME = "/home/alice-kowalska"


@functools.cache
def texts():
    """Originals, the protected rows, the transform and clean held-out rows."""
    every = notes(300)
    cloak = RegTextTransform(seed=0xC0FFEE1234567 * 3000 + 7).fit(every)
    original = every.select(range(ROWS)).flatten_indices()
    held_out = every.select(range(200, 220)).flatten_indices()
    return original, Dataset.from_dict(original.map(cloak, batched=True)[:], original.features), cloak, held_out


@functools.cache
def photos():
    original = pictures(ROWS, height=20, width=24)
    cloak = TextureTransform(seed=2**63 + 12345).fit(original)
    protected = original.map(cloak, batched=True)
    files = [value["bytes"] for value in original.cast_column("image", datasets.Image(decode=False))["image"]]
    return original, protected, cloak, files


def stage(folder, card="# Notes\n\nA protected dataset.\n", files=(), **splits):
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text(card, encoding="utf-8")
    for name, text in dict(files).items():
        (folder / name).write_text(text, encoding="utf-8")
    for split, dataset in splits.items():
        half = len(dataset) // 2
        dataset.select(range(half)).to_parquet(folder / "data" / f"{split}-00000-of-00002.parquet")
        dataset.select(range(half, len(dataset))).to_parquet(folder / "data" / f"{split}-00001-of-00002.parquet")
    return folder


def known(mode, original, cloak):
    """What the owner gives: the originals, the key, both or nothing."""
    given = {"original": {"train": original}} if mode in ("original", "both") else {}
    return given | ({"key": cloak.key} if mode in ("key", "both") else {})


def shape(random, values):
    """A column of these values, flat or deep within lists and structs, and the end of its path."""
    return random.choice([
        lambda: (values, ""),
        lambda: ([[value] for value in values], ""),
        lambda: ([{"id": i, "value": value} for i, value in enumerate(values)], ".value"),
        lambda: ([[{"role": "user", "content": value}] for value in values], ".content"),
        lambda: ([{"deep": [{"values": [value, None]}]} for value in values], ".deep.values"),
    ])()  # fmt: skip


def sparse(random, values, filler=None):
    """The values, or only one of them among fillers; and the first row that is left."""
    if random.random() < 0.5:
        return values, 0
    row = random.randrange(len(values))
    return [value if i == row else filler for i, value in enumerate(values)], row
