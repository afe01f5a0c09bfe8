"""What the page does with what visitors bring, apart from how it looks: protect it, and say what was changed."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import repeat
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.registry import METHODS, MODALITIES, method_class
from hf_unlearnable.text.insertion.scripts import pieces_of

from .limits import RefusedError

if TYPE_CHECKING:
    from datasets import Dataset

    from hf_unlearnable.transform import Transform

STRENGTHS = {"Standard": 1.0, "Light": 0.5, "Strong": 2.0}  # the usual one first
_SHOWN = 1400  # pixels a side at most of a preview
OTHERS = "everything else"  # the class that stands against the only one of a visitor


def methods(modality: str) -> list[str]:
    """Names of the protections for a kind of data, those that train nothing first."""
    known = [(name, cls) for name, cls in METHODS.items() if cls.modality == modality and not cls.is_baseline]
    return [name for name, cls in sorted(known, key=lambda one: one[1].needs_training)]


def about(method: str) -> str:
    """What a method does, in one sentence."""
    return method_class(method).described()["summary"] or method


def transform(method: str, strength: str, **parameters: Any) -> Transform:
    """An unfitted transform of a method at a strength of this page."""
    if strength not in STRENGTHS:
        raise RefusedError(f"There is no strength {strength!r}. Choose one of {', '.join(STRENGTHS)}.")
    cls = method_class(method)
    return cls(**cls.strength(STRENGTHS[strength]), **parameters)


# ---------------------------------------------------------------------- texts
def highlighted(original: str, protected: str) -> list[tuple[str, bool]]:
    """The protected text in parts, each with whether the protection put it there.

    Where only words were put in, one pass finds them; where words were replaced, the longest common parts tell.
    """
    before, after = pieces_of(original), pieces_of(protected)
    new, i = [], 0
    for piece in after:
        same = i < len(before) and piece == before[i]
        i += same
        new.append(not same)
    if i < len(before):
        new = [True] * len(after)
        for _, start, size in SequenceMatcher(None, before, after).get_matching_blocks():
            new[start : start + size] = [False] * size
    parts: list[tuple[str, bool]] = []
    for piece, is_new in zip(after, new, strict=True):
        is_new = is_new and not piece.isspace()
        if parts and parts[-1][1] == is_new:
            parts[-1] = (parts[-1][0] + piece, is_new)
        else:
            parts.append((piece, is_new))
    return parts


# What a spreadsheet runs: "=" and anything, or a sign or "@" where a call or a link to a program or another file
# follows, as in "+SUM(A1)" and "-1+cmd|'/C calc'!A0". Where semicolons or tabs part cells, one begins behind each.
_BEGIN = r"(^|[;\t\r\n])(?=(?:[^\S\t\r\n]|\ufeff)*"
_EQUALS = re.compile(_BEGIN + "[=＝])")
_EQUALS_OR_SIGN = re.compile(_BEGIN + "[=＝+＋@＠－-])")
_CALL_OR_LINK = re.compile(r"[\w.]\(|(?:^|[;\t\r\n])[-+@ ]*[\w.]+ +\(|['\"\w\])]!\$?['\"\w]")


def inert_csv(dataset: Dataset) -> bytes:
    """A CSV file whose cells a spreadsheet shows and does not run: an apostrophe goes before what it would run.

    "@user, thanks", "- a bullet" and "-2" run nothing, and stay as they are.
    """
    data = io.BytesIO()  # a text in memory would take four times as much
    file = io.TextIOWrapper(data, "utf-8", "replace", newline="")
    writer = csv.writer(file)
    writer.writerow([_inert(name) for name in dataset.column_names])
    for row in dataset:
        writer.writerow([_inert(value) if isinstance(value, str) else value for value in row.values()])
    file.flush()
    return data.getvalue()


def _inert(cell: str) -> str:
    begin = _EQUALS_OR_SIGN if _CALL_OR_LINK.search(cell) else _EQUALS
    return begin.sub(r"\1'", cell)


def guessed_columns(dataset: Dataset) -> tuple[list[str], list[str]]:
    """Columns that may hold the text and the class, the likeliest first."""
    from datasets import Value

    kinds = {name: f.dtype for name, f in dataset.features.items() if isinstance(f, Value)}
    head = dataset.select(range(min(len(dataset), 1000)))
    texts = [name for name, kind in kinds.items() if kind in ("string", "large_string")]
    texts.sort(key=lambda name: -sum(len(value or "") for value in head[name]))
    classes = [name for name, kind in kinds.items() if kind == "bool" or "int" in kind or name in texts]
    classes.sort(key=lambda name: (name not in ("label", "class", "topic"), len(set(head[name]))))
    return texts, classes


# ---------------------------------------------------------------------- files
def file_dataset(rows: Sequence[dict[str, Any]], kind: str) -> Dataset:
    """Images or recordings as a dataset, undecoded, with the column that their kind of data usually has."""
    from datasets import Audio, Dataset, Image

    values = [{"bytes": row["bytes"], "path": None} for row in rows]
    dataset = Dataset.from_dict({kind: values, "label": [row["label"] for row in rows]})
    # Not by `features`: `from_dict` would have torchcodec open the recordings.
    return dataset.cast_column(kind, (Audio if kind == "audio" else Image)(decode=False))


def to_fit_on(dataset: Dataset, method: str) -> Dataset:
    """The dataset of `file_dataset` that a transform is fitted on.

    A model learns to tell classes apart, so one class alone gets another beside it. A method that learns from the
    files needs real ones of both.
    """
    from datasets import concatenate_datasets

    labels, cls = set(dataset["label"]), method_class(method)
    if len(labels) > 1 or not cls().needs_labels:
        return dataset
    if cls.needs_training:
        raise RefusedError(
            f"{method} learns what tells classes apart, and these {MODALITIES[cls.modality].plural} are of one class. "
            "Upload a zip with a folder for each class, or choose a method that needs no training, such as "
            f"{methods(cls.modality)[0]}."
        )
    if cls.modality == "audio":
        from hf_unlearnable.audio.codec import Format, encode

        nothing = encode(Format(8000, 1), [np.zeros((8000, 1), np.int16)])
    else:
        nothing = png(np.full((32, 32, 3), 128, np.uint8))
    other = {"bytes": nothing, "label": OTHERS if OTHERS not in labels else "mine"}
    return concatenate_datasets([dataset, file_dataset([other], cls.modality)])


def previews(original: bytes, protected: bytes) -> tuple[bytes, bytes, bytes]:
    """Before and after, made smaller where they are large, and the difference amplified, as PNG files.

    The difference is that of the channel where it varies most, in red on white: a pixel that got brighter by 8 levels
    or more is all red, so that the pattern shows.
    """
    (before, one), (after, two) = map(_preview, (original, protected))
    change = two - one
    channel = change.std(axis=(0, 1)).argmax()
    change = np.clip(change[:, :, channel, None] / 8, 0, 1)
    ink = (255 + (np.array([179, 38, 30]) - 255) * change).astype(np.uint8)
    scale = max(1, 256 // max(ink.shape[:2]))
    return before, after, png(ink.repeat(scale, 0).repeat(scale, 1))


def _preview(data: bytes) -> tuple[bytes, np.ndarray]:
    """An image made smaller where it is large, as a PNG file, and the levels of its middle."""
    from PIL import Image

    from hf_unlearnable.image.codec import decode

    levels = decode(data).levels
    picture = Image.fromarray(np.broadcast_to(levels, (*levels.shape[:2], 3)).copy())
    picture.thumbnail((_SHOWN, _SHOWN), Image.Resampling.BICUBIC)
    if max(picture.size) < 256:  # a browser would blur the few pixels that there are
        scale = 256 // max(picture.size)
        picture = picture.resize((scale * picture.width, scale * picture.height), Image.Resampling.NEAREST)
    top, left = (max(0, (length - 480) // 2) for length in levels.shape[:2])
    return png(np.asarray(picture)), levels[top : top + 480, left : left + 480].astype(np.int16)


def png(levels: np.ndarray) -> bytes:
    """An array as a PNG file, quickly: for what is looked at or measured."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(levels[:, :, 0] if levels.shape[2] == 1 else np.ascontiguousarray(levels)).save(
        file, format="PNG", compress_level=1
    )
    return file.getvalue()


def safe_names(rows: Sequence[dict[str, Any]], endings: Iterable[str] = repeat(".png")) -> Iterator[str]:
    """A file name for each row, with its ending, below its class's folder where it had one: letters, digits, -_. ."""
    taken: set[str] = set()
    for row, ending in zip(rows, endings, strict=False):
        path = PurePosixPath(row["name"])
        parts = [re.sub(r"[^\w .-]", "_", part).strip(" .") or "_" for part in (*path.parts[:-1], path.stem)]
        name = "/".join(parts)
        while name.lower() in taken:
            name += "_"
        taken.add(name.lower())
        yield f"{name}{ending}"
