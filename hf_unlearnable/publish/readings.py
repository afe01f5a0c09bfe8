"""What a stored value reads as beside what it is: decoded, unpacked, without markup. Every search looks at all.

A value is decoded once. Base64 and hexadecimal become bytes; bytes become text where they are text in UTF-8 or UTF-16;
zip, gzip, zlib, bzip2 and xz are unpacked; an array of numbers that has the shape of an image becomes a PPM file. The
results are decoded again, to a depth and a size at which a bomb stops. Whole columns are asked first, in one pass,
which of their values can be decoded at all: most texts cannot.
"""

from __future__ import annotations

import base64
import bz2
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from hf_unlearnable.publish.spotting import RUN, Texts
from hf_unlearnable.publish.values import Leaf
from hf_unlearnable.text.plain import SPELLED, plain, plain_texts

MOST = 64 << 20  # bytes that one value is decoded to
_DEEPEST = 4  # codes within codes

_RUN = rf"[A-Za-z0-9+/_-]{{{RUN},}}"  # of base64: fewer letters hold no text that is looked for
_SPACED = r"(?:[0-9a-fA-F]{2} ){10}"  # a code that is no long run
_CODED = re.compile(
    r"(?<![A-Za-z0-9+/_-])(?:(?:[0-9a-fA-F]{2}(?:[ :-]|\\x|, ?0x)){9,}[0-9a-fA-F]{2}"
    rf"|{_RUN}(?:\r?\n[A-Za-z0-9+/_-]{{8,}})*)|(?:\\x[0-9a-fA-F]{{2}}){{10,}}"
)
_ESCAPED_BYTES = r"(?:\\x[0-9a-fA-F]{2}){10}|(?:[0-9a-fA-F]{2}(?::|-|, ?0x)){9}"
_NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f\ufffd]")
_BROKEN = (zlib.error, OSError, EOFError, ValueError, lzma.LZMAError, zipfile.BadZipFile, RuntimeError)


class UnreadError(Exception):
    """An archive that was not read whole: it is encrypted, or holds more than is looked at."""


def readings(value: str | bytes, most: int | None = None, with_plain: bool = True) -> tuple[list[str | bytes], bool]:
    """Everything that a value can be decoded to.

    Args:
        value: A text or the contents of a file.
        most: Bytes that the results hold together; None for `MOST`.
        with_plain: Whether the text without its own markup and escapes is one of the results.

    Returns:
        The results, without the value itself; and whether there are no more.
    """
    found: list[str | bytes] = []
    waiting: list[tuple[str | bytes, int]] = [(value, 0)]
    left, whole = MOST if most is None else most, True
    while waiting:
        one, depth = waiting.pop()
        if depth == _DEEPEST:
            continue
        try:
            for new in _of_text(one, depth > 0 or with_plain) if isinstance(one, str) else _of_bytes(one, left):
                if len(new) > left:
                    raise UnreadError
                left -= len(new)
                found.append(new)
                waiting.append((new, depth + 1))
        except UnreadError:
            whole = False
    return found, whole


def _of_text(text: str, with_plain: bool) -> Iterator[str | bytes]:
    if with_plain and (bare := plain(text)) != text:
        yield bare
    if "\0" in text:
        yield text.encode("utf-8", "surrogatepass")
    for run in _CODED.findall(text):
        code = re.sub(r"\\x|0x|[^A-Za-z0-9+/]", "", run)
        if re.fullmatch(r"[0-9a-fA-F]+", code):
            yield bytes.fromhex(code[: len(code) // 2 * 2])
        code = re.sub(r"\s", "", run)
        if _is_base64(code):
            code = re.sub(r"[^A-Za-z0-9+/]", "", code.translate({ord("-"): "+", ord("_"): "/"}))
            yield base64.b64decode(code[: len(code) - (len(code) % 4 == 1)] + "=" * (-len(code) % 4))


def _is_base64(run: str) -> bool:
    """Whether letters look like base64, not like words with dashes between them."""
    return bool(re.search(r"[A-Z]", run) and re.search(r"[a-z]", run) and re.search(r"\d|^[^/_-]+$", run))


def _is_code(run: str) -> bool:
    """Whether letters may be base64 or hexadecimal."""
    return _is_base64(run) or bool(re.fullmatch(r"[_-]*[0-9a-fA-F][0-9a-fA-F_-]*", run))


def _of_bytes(data: bytes, most: int) -> Iterator[str | bytes]:
    text = _text(data)
    if text is not None:
        yield text
        return
    try:
        yield from _unpacked(data, most)
    except _BROKEN:  # it only began like an archive, or what can be read of it was read
        return


def _text(data: bytes) -> str | None:
    """The text that these bytes are, in UTF-8 or UTF-16; None if they are none."""
    head = data[:2000]
    codes = ["utf-8-sig"]
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        codes = ["utf-16"]
    elif len(head) >= 8 and (not head.isascii() or b"\0" in head):  # letters of one script share their high bytes
        pairs = np.frombuffer(head[: len(head) // 2 * 2], np.uint8).reshape(-1, 2)
        alike = [np.bincount(pairs[:, i], minlength=256)[:0x30].max() / len(pairs) for i in (0, 1)]
        if max(alike) > 0.6:
            codes = ["utf-16-le" if alike[1] > alike[0] else "utf-16-be"]
    for code in codes:
        try:
            text = data.decode(code)
        except UnicodeDecodeError:
            continue
        if text and len(_NO_TEXT.findall(text[:2000])) <= len(text[:2000]) // 50:
            return text
    return None


def _unpacked(data: bytes, most: int) -> Iterator[bytes]:
    """What an archive holds, at most so many bytes."""
    unpacker = None
    if data[:2] == b"\x1f\x8b":
        unpacker = zlib.decompressobj(31).decompress
    elif data[:1] == b"\x78" and data[1:2] in (b"\x01", b"\x5e", b"\x9c", b"\xda"):
        unpacker = zlib.decompressobj().decompress
    elif data[:3] == b"BZh":
        unpacker = bz2.BZ2Decompressor().decompress
    elif data[:6] == b"\xfd7zXZ\x00":
        unpacker = lzma.LZMADecompressor().decompress
    if unpacker is not None:
        yield unpacker(data, most + 1)
    elif data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                yield member.filename.encode()
                if member.flag_bits & 1:
                    raise UnreadError
                with archive.open(member) as file:
                    content = file.read(most + 1)
                most -= len(content)
                yield content


# ---------------------------------------------------------------------- whole columns
def read(leaves: Sequence[Leaf], knows: Callable[[bytes], bool]) -> tuple[list[Leaf], list[tuple[Leaf, int]]]:
    """The values of a table and, as further leaves of the same columns, all that they read as.

    Args:
        leaves: The values as they are stored.
        knows: Whether bytes are a file of some kind of data, which is not taken apart.

    Returns:
        The leaves, the given ones among them; and the leaf and row of each archive that was not read whole.
    """
    found: list[Leaf] = []
    unread: list[tuple[Leaf, int]] = []
    for leaf in leaves:
        found.append(leaf)
        if leaf.part == "path":
            continue
        own = [leaf]
        if leaf.is_text:
            own += _plain_leaf(leaf)
            found += own[1:]
        for one in own:
            texts: tuple[list, list] = ([], [])
            files: tuple[list, list] = ([], [])
            for row, value in _decodable(one, knows):
                results, whole = readings(value, with_plain=one is not leaf)  # it is a leaf already
                if not whole:
                    unread.append((leaf, row))
                for result in results:
                    rows, values = texts if isinstance(result, str) else files
                    rows.append(row)
                    values.append(result)
            found += [leaf.decoded(values, rows) for rows, values in (texts, files) if rows]
        if len(leaf.lists) > 1:
            rows, pictures = _pictures(leaf)
            found += [leaf.decoded(pictures, rows)] if rows else []
    return found, unread


def _plain_leaf(leaf: Leaf) -> list[Leaf]:
    """The texts that hold markup or escapes, without them."""
    index = np.flatnonzero(leaf.texts.contains(SPELLED))
    if not len(index):
        return []
    values = plain_texts(leaf.texts.series.gather(index)).to_arrow()
    return [leaf.decoded(values, leaf.rows[index], reading="plain")]


def _decodable(leaf: Leaf, knows: Callable[[bytes], bool]) -> Iterator[tuple[int, str | bytes]]:
    """Values that can be decoded, with their rows."""
    if leaf.is_text:
        for i in np.flatnonzero(_coded(leaf.texts)).tolist():
            yield int(leaf.rows[i]), leaf.texts.series[i]
    elif leaf.is_binary:
        for row, data in zip(leaf.rows.tolist(), leaf.files, strict=True):
            if data and not knows(data):
                yield row, data


def _coded(texts: Texts) -> np.ndarray:
    """Which texts hold a code, as `_of_text` finds them: bool [n]."""
    found = np.zeros(len(texts.ends), bool)
    if len(texts.bytes) and texts.bytes.min() == 0:
        found |= texts.contains("\0")
    spaced = np.flatnonzero(texts.close_digits(10, 60))
    if len(spaced):
        found[spaced] |= texts.series.gather(spaced).str.contains(f"{_SPACED}|{_ESCAPED_BYTES}").to_numpy()
    runs, numbers, at_line_end = texts.runs
    for i in runs.str.contains(_RUN).arg_true().to_list() if len(runs) else ():
        if at_line_end[i] or any(map(_is_code, re.findall(_RUN, runs[i]))):
            found[numbers[i]] = True
    return found


def _pictures(leaf: Leaf) -> tuple[list[int], list[bytes]]:
    """Arrays [height, width], [height, width, channels] or [channels, height, width] as PPM files, with their rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = leaf.values.type
    if len(leaf.lists) > 3 or not (pa.types.is_integer(kind) or pa.types.is_floating(kind)) or leaf.values.null_count:
        return [], []
    lengths = [
        pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False).astype(int) for array in leaf.lists
    ]
    rows, files = [], []
    places = [0] * len(lengths)  # where the next row begins at each level
    flat = leaf.values.to_numpy(zero_copy_only=False)
    start = 0
    for row in range(len(lengths[0])):
        shape, regular, count = [], True, 1
        for level, sizes in enumerate(lengths):
            own = sizes[places[level] : places[level] + count]
            places[level] += count
            count = int(own.sum())
            regular &= len(own) > 0 and own.min() == own.max()
            shape.append(int(own[0]) if len(own) else 0)
        values, start = flat[start : start + count], start + count
        file = _ppm(values.reshape(shape)) if regular and count else None
        if file is not None:
            rows.append(row)
            files.append(file)
    return rows, files


def _ppm(levels: np.ndarray) -> bytes | None:
    """An array as a PPM file; None if it has not the shape or the values of an image."""
    levels = levels[:, :, None] if levels.ndim == 2 else levels
    if levels.shape[0] in (1, 3, 4) and levels.shape[2] not in (1, 3, 4):
        levels = levels.transpose(1, 2, 0)
    if min(levels.shape[:2]) < 8 or levels.shape[2] not in (1, 3, 4) or not levels.min() >= 0 or levels.max() > 255:
        return None
    if levels.dtype.kind == "f" and levels.max() <= 1:
        levels = np.rint(levels * 255)
    channels = 1 if levels.shape[2] == 1 else 3
    header = b"P%d %d %d 255\n" % (5 if channels == 1 else 6, levels.shape[1], levels.shape[0])
    return header + levels[:, :, :channels].astype(np.uint8).tobytes()
