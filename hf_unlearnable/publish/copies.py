"""Whether a text or an image is a copy of another, the same or nearly, and what an image's file tells beside it."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hf_unlearnable.publish.cells import Leaf, strings
from hf_unlearnable.publish.patterns import PICTURE

if TYPE_CHECKING:
    import pyarrow as pa

_SHORT = 20  # letters and digits below which a text is no copy of another: labels, names, "thank you very much"
_WINDOW = 12  # letters of a piece of text
_SHARE = 0.4  # of the original's pieces that a near copy holds
_AT_ONCE = 1 << 19  # bytes of texts that are taken apart in one go
_ALIKE = 0.88  # correlation of two images that show the same; a JPEG of low quality has no more


# ---------------------------------------------------------------------------------------------- texts
_LETTERS = np.arange(256, dtype=np.uint8)  # bytes above 127 are parts of letters
_LETTERS[:128] = [ord(chr(i).lower()) if chr(i).isalnum() else 0 for i in range(128)]
_FACTORS = np.array([0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F], np.uint32)


def cell_hashes(values: pa.Array, shortest: int = _SHORT) -> np.ndarray:
    """A hash of each cell's bytes; 0 for those that are null or have fewer than `shortest` bytes."""
    import polars as pl
    import pyarrow as pa

    cells = pl.Series(values.cast(pa.large_binary()))
    kept = (cells.bin.size() >= max(1, shortest)).fill_null(False).to_numpy()
    return np.where(kept, cells.hash().to_numpy(), np.uint64(0))


def letter_hashes(values: pa.Array) -> np.ndarray:
    """A hash of each text's letters and digits alone, lower-case; 0 for short ones."""
    import pyarrow as pa

    hashes = [np.zeros(0, np.uint64)]
    for part in _parts(values):
        letters, ends = _letters(values[part])
        offsets = np.concatenate([[0], ends])
        hashes.append(cell_hashes(pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(letters)]
        )))  # fmt: skip
    return np.concatenate(hashes)


def _parts(values: pa.Array) -> Iterator[slice]:
    """Cells side by side that hold half a megabyte together: what follows takes many times their memory."""
    import pyarrow.compute as pc

    ends = np.cumsum(pc.fill_null(pc.binary_length(values), 0).to_numpy(zero_copy_only=False))
    start = 0
    while start < len(values):
        stop = int(np.searchsorted(ends, (ends[start - 1] if start else 0) + _AT_ONCE, "right"))
        yield slice(start, max(start + 1, stop))
        start = max(start + 1, stop)


def _letters(values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The letters and digits of all texts, lower-case, as UTF-8 in one array, and where each text ends in it."""
    import polars as pl
    import pyarrow as pa
    import pyarrow.compute as pc

    values = pc.fill_null(values, "")
    text, ends = _buffers(values)
    if (text == ord("\\")).any() and pc.any(pc.match_substring_regex(values, r"\\u[0-9a-fA-F]{4}")).as_py():
        values = pa.array([_unescaped(one) for one in values.to_pylist()], pa.large_string())
        text, ends = _buffers(values)
    if len(text) and text.max() > 127:
        values = strings(pl.Series(values).str.to_lowercase().to_arrow())
        text, ends = _buffers(values)
    letters = np.frombuffer(bytearray(text.tobytes().translate(_LETTERS.tobytes())), np.uint8)
    escapes = np.flatnonzero(text[:-1] == ord("\\"))  # "\n" in JSON is no letter
    letters[escapes[np.isin(text[escapes + 1], np.frombuffer(b"nrt", np.uint8))] + 1] = 0
    high = np.flatnonzero(text >= 0xC2)
    for lead, second, length in ((0xC2, None, 2), (0xE2, (0x80, 0x81), 3), (0xE3, (0x80,), 3)):  # foreign punctuation
        at = high[text[high] == lead]
        at = at if second is None else at[np.isin(text[at + 1], second)]
        for i in range(length):
            letters[at + i] = 0
    kept = np.zeros(len(letters) // 64 * 64 + 64, bool)
    kept[: len(letters)] = letters != 0
    before = np.cumsum(kept.reshape(-1, 64).view(np.uint8).sum(1, dtype=np.uint8), dtype=np.int64)
    within = kept.reshape(-1, 64)[ends // 64] & (np.arange(64) < (ends % 64)[:, None])
    return letters[kept[: len(letters)]], np.append(0, before)[ends // 64] + within.sum(1)


def _buffers(values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, np.int64, len(values) + 1, values.offset * 8)
    text = np.frombuffer(data, np.uint8, int(bounds[-1])) if data is not None else np.zeros(0, np.uint8)
    return text[bounds[0] :], bounds[1:] - bounds[0]


def _unescaped(text: str) -> str:
    """A text with the letters that JSON writes as numbers."""
    whole = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
    return whole.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _pieces(values: pa.Array, every: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A hash of the runs of twelve letters, mixed with the number of its cell, and that number.

    Args:
        values: Texts.
        every: Of so many runs one is taken, chosen by its letters: the same ones in every text.
    """
    letters, ends = _letters(values)
    n = len(letters) - _WINDOW + 1
    if n <= 0:
        return np.zeros(0, np.uint32), np.zeros(0, np.int64)
    a, b, c, d = _FACTORS
    letters = letters.astype(np.uint32)
    two = letters[:-1] * a + letters[1:]
    four = two[:-2] * b + two[2:]
    eight = four[:-4] * c + four[4:]
    twelve = eight[:-4] * d + four[8:]
    index = np.flatnonzero((twelve >> np.uint32(15)) % np.uint32(every) == 0)
    cells = np.searchsorted(ends, index, "right")
    whole = index + _WINDOW <= ends[cells]
    cells = cells[whole]
    mixed = (twelve[index[whole]] ^ (cells.astype(np.uint32) * a)) * c
    return mixed ^ (mixed >> np.uint32(15)), cells


def near_copies(original: pa.Array, after: pa.Array, texts: pa.Array, changed: np.ndarray, known: bool) -> np.ndarray:
    """Which of `texts` are near copies of the text that the protection began with.

    Args:
        original: The texts before, or the protected ones where those are not known.
        after: The protected texts.
        texts: What stands in another column of the same rows.
        changed: Whether the row is protected, bool [n].
        known: Whether `original` is known.

    Returns:
        bool [n].
    """
    parts = [_near(original[part], after[part], texts[part], changed[part], known) for part in _parts(texts)]
    return np.concatenate([np.zeros(0, bool), *parts])


def _near(original: pa.Array, after: pa.Array, texts: pa.Array, changed: np.ndarray, known: bool) -> np.ndarray:
    """`near_copies` of a few texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    near = np.zeros(len(texts), bool)
    sizes, others = (
        pc.fill_null(pc.binary_length(values), 0).to_numpy(zero_copy_only=False) for values in (original, texts)
    )
    possible = np.flatnonzero(changed & (sizes >= 1.6 * _SHORT) & (others >= _SHARE * sizes * 0.8))
    if not len(possible):
        return near
    few, few_cells = _pieces(original.take(pa.array(possible)), 16)
    within = _within(few, _pieces(texts.take(pa.array(possible)), 16)[0])
    looked, same = (np.bincount(few_cells, weights, len(possible)) for weights in (None, within))
    possible = possible[(looked < 8) | (same >= _SHARE / 2 * looked)]
    if not len(possible):
        return near
    index = pa.array(possible)
    (one, one_cell), (two, two_cell), (three, three_cell) = map(
        _pieces, (original.take(index), after.take(index), texts.take(index))
    )
    n = len(possible)

    def share(pieces: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        total = np.bincount(cells, minlength=n)
        return np.bincount(cells, pieces, minlength=n) / np.maximum(total, 1), total

    in_texts = _within(one, three)
    held, total = share(in_texts, one_cell)
    found = (held >= _SHARE) & (total > 0)
    if known:  # it holds what only the original has, more than what only the protected text has
        lost, new = ~_within(one, two), ~_within(two, one)
        of_original, count = share(in_texts[lost], one_cell[lost])
        of_protected, _ = share(_within(two, three)[new], two_cell[new])
        found &= (count > 0) & (of_original > of_protected)
    else:  # neither holds the other
        found &= (1 - held) * total >= _WINDOW / 2
        back, size = share(_within(three, two), three_cell)
        found &= (1 - back) * size >= _WINDOW / 2
    near[possible] = found
    return near


def _within(pieces: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which of these hashes are among the others, but for one error in sixteen."""
    bits = max(10, int(len(others) * 16).bit_length())
    shift = np.uint32(max(0, 32 - bits))
    table = np.zeros(1 << min(bits, 32), bool)
    table[others >> shift] = True
    return table[pieces >> shift]


# ---------------------------------------------------------------------------------------------- images
def file_of(data: bytes | None, path: str | None) -> bytes | None:
    return Path(path).read_bytes() if data is None and path else data


def images_of(leaf: Leaf) -> Iterator[tuple[int, bytes]]:
    """Images in a column of bytes, or in base64 in a column of texts, with their rows."""
    import pyarrow.compute as pc

    if leaf.is_binary:
        for row, data in zip(leaf.rows.tolist(), leaf.values.to_pylist(), strict=True):
            if is_image(data):
                yield row, data
        return
    mask = pc.fill_null(pc.match_substring_regex(leaf.values, PICTURE), False).to_numpy(zero_copy_only=False)
    for i in np.flatnonzero(mask):
        for found in re.finditer(PICTURE + r"[A-Za-z0-9+/\s]*", leaf.values[int(i)].as_py()):
            code = re.sub(r"\s", "", found[0])
            yield (
                int(leaf.rows[i]),
                base64.b64decode(code[: len(code) - (len(code) % 4 == 1)] + "=" * (-len(code) % 4)),
            )


# Maker, model, artist, owner, serial numbers, what only the camera's maker can read.
_CAMERA = {271, 272, 315, 0xA430, 0xA431, 0xA433, 0xA434, 0xA435, 0x927C}


def told_by_image(data: bytes) -> list[tuple[str, str]]:
    """What the metadata of an image tells."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            exif = image.getexif()
            fields = set(exif) | set(exif.get_ifd(0x8769))
            place = bool(exif.get_ifd(0x8825))
            xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or 700 in fields
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, KeyError, TypeError):
        return []
    found = [("gps", "An image tells where it was taken.")] if place else []
    if fields & _CAMERA:
        found.append(("camera", "An image tells its camera or its owner."))
    elif xmp:
        found.append(("camera", "An image holds XMP metadata."))
    return found


def thumbnail(data: bytes) -> bytes | None:
    """The small image in the EXIF of another."""
    from PIL import ExifTags, Image, UnidentifiedImageError

    if b"Exif" not in data[:65536] and b"eXIf" not in data and b"EXIF" not in data:
        return None
    try:
        with Image.open(io.BytesIO(data)) as image:
            small = image.getexif().get_ifd(ExifTags.IFD.IFD1)
            raw = image.info.get("exif", b"").removeprefix(b"Exif\0\0")
            found = raw[small.get(0x0201, 0) :][: small.get(0x0202, 0)]
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, KeyError, TypeError):
        return None
    return found if is_image(found) else None


def likeness_of(one: bytes, two: bytes) -> float:
    """How alike two images are, at any size, whole or with up to a sixth cut off.

    Returns:
        The largest correlation of their levels at 24 x 24 pixels; 0 for the very same levels, and where one does not
        open.
    """
    from hf_unlearnable.image.codec import ImageError, decode

    try:
        first, second = decode(one), decode(two)
    except ImageError:
        return 0.0
    if first.content == second.content:
        return 0.0
    whole = _shrunk(first.levels, 24)
    best = 0.0
    for side in range(24, 19, -1):
        part = _shrunk(second.levels, side)
        part = part - part.mean()
        windows = np.lib.stride_tricks.sliding_window_view(whole, (side, side), (0, 1)).reshape(-1, 3 * side * side)
        spread = np.maximum(windows.std(1) * np.sqrt(windows.shape[1]), 1e-6)
        products = windows @ part.transpose(2, 0, 1).ravel() / spread / max(float(np.linalg.norm(part)), 1e-6)
        if part.std() >= 2:  # a blank image is like any other
            best = max(best, float(products.max()))
        if best > 0.97:
            break
    return best


def stand_out(likeness: np.ndarray) -> np.ndarray:
    """Which images are like the protected one of their row: a column of copies, or some beside strangers.

    Strangers of one kind (two scans of the same digit) are alike too, so a few copies must stand out among them. By
    Fisher's transformation correlations are about normal, and a quarter of the rows lies two thirds of a standard
    deviation above the middle.
    """
    alike = likeness >= _ALIKE
    if alike.mean() >= 0.25:
        return alike
    scores = np.arctanh(np.minimum(likeness, 0.9999))
    middle, upper = np.quantile(scores, [0.5, 0.75])
    return alike & (scores > middle + 6 * (upper - middle))


def _shrunk(levels: np.ndarray, side: int) -> np.ndarray:
    from PIL import Image

    colours = np.ascontiguousarray(np.broadcast_to(levels, (*levels.shape[:2], 3)))
    small = Image.fromarray(colours).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(small, np.float32)


def is_image(data: bytes | None) -> bool:
    return data is not None and (
        data[:4] in (b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*") or data[:3] == b"\xff\xd8\xff" or data[:2] == b"BM"
        or data[8:12] == b"WEBP"
    )  # fmt: skip
