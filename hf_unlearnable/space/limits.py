"""What a visitor may hand in: how much of it, and what of it is refused. Files come from strangers.

Nothing is unpacked to a disk, and nothing is decoded before its size is known: an archive is read member by member
and never further than it may be large, an image is asked for its width before its pixels, a table for its values'
lengths before it repeats them. What a file may lie about is bounded by the process that reads it, see `reading`.
"""

from __future__ import annotations

import io
import lzma
import stat
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hf_unlearnable.image.files import PICTURES

if TYPE_CHECKING:
    import pyarrow as pa

MEGABYTE = 2**20
MAX_UPLOAD = 50 * MEGABYTE  # a file
MAX_UNPACKED = 100 * MEGABYTE  # all of an archive or a table, as it lies in memory
MAX_LETTERS = 20_000  # of a pasted text
MAX_ROWS = 20_000
MAX_COLUMNS = 100
_MAX_LINES = 1_000_000  # of a table: a row may have several
MAX_IMAGES = 300
MAX_PIXELS = 24_000_000  # of all images: what protecting them takes is a gigabyte then
MAX_TRAINED_PIXELS = 6_000_000  # of all images of a method that trains a surrogate
MAX_SIDE = 20_000

TABLES = (".csv", ".parquet")
# The only formats that are opened, whatever a file is called: pixels that Pillow, and of HEIF pillow-heif, decodes.
FORMATS = ["PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM"] + ["HEIF"] * bool(find_spec("pillow_heif"))


class RefusedError(ValueError):
    """Something that was handed in and is not taken; the message tells the visitor why, and what to do."""


def check_text(text: str) -> str:
    """The text, if there is one and it is not too long."""
    if not text.strip():
        raise RefusedError("There is no text yet. Paste one, or load an example.")
    if len(text) > MAX_LETTERS:
        raise RefusedError(f"The text has {len(text):,} letters, and this page takes {MAX_LETTERS:,}. Upload a table.")
    return text


# ---------------------------------------------------------------------- tables
def read_table(path: str | Path) -> pa.Table:
    """A CSV or Parquet file in memory; no cache of `datasets` sees it.

    Raises:
        RefusedError: Of another kind, too large or broken; the message names the file.
    """
    import pyarrow as pa

    path = Path(path)
    if path.suffix.lower() not in TABLES:
        raise RefusedError(f"{shown(path.name)} is no table: give a file that ends in {' or '.join(TABLES)}.")
    check_upload(path)
    try:
        table = _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)
    except MemoryError:  # of Arrow too, whose own is an ArrowException as well
        raise
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise RefusedError(f"{shown(path.name)} does not read: {str(error)[:200]}") from None
    if table.num_rows == 0:
        raise RefusedError(f"{shown(path.name)} has no rows.")
    if len(set(table.column_names)) < table.num_columns:
        raise RefusedError(f"Two columns of {shown(path.name)} have the same name. Rename one.")
    return table.replace_schema_metadata(None)


def _read_csv(path: Path) -> pa.Table:
    from hf_unlearnable.data.csv_files import csv_rows
    from hf_unlearnable.data.text_files import broken_named

    with path.open("rb") as file:
        header = file.readline(1_000_000)
        lines = 1 + sum(part.count(b"\n") for part in iter(lambda: file.read(MEGABYTE), b""))
    if max(map(header.count, (b",", b";", b"\t", b"|"))) >= MAX_COLUMNS:
        raise RefusedError(f"{shown(path.name)} has more than {MAX_COLUMNS} columns. Leave the others out.")
    if lines > _MAX_LINES:
        raise RefusedError(f"{shown(path.name)} has {lines:,} lines. This page takes {MAX_ROWS:,} rows.")
    try:
        with broken_named(path):
            schema, batches = csv_rows([path], None, None, None)
            return _gathered(path, schema, batches)
    except RefusedError:
        raise
    except ValueError as error:
        reason, options, _ = str(error).replace(str(path), shown(path.name)).partition(" Give ")
        raise RefusedError(f"{reason} Save it as CSV in UTF-8." if options else reason) from None


def _read_parquet(path: Path) -> pa.Table:
    """Values of variable length are read as dictionaries: one that thousands of rows repeat is held once."""
    import pyarrow as pa
    from pyarrow import parquet

    about = parquet.read_metadata(path)
    size = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    if about.num_rows > MAX_ROWS or about.num_columns > MAX_COLUMNS or size > MAX_UNPACKED:
        raise RefusedError(
            f"{shown(path.name)} has {about.num_rows:,} rows, {about.num_columns} columns, {size // MEGABYTE} MB "
            f"unpacked: this page takes {MAX_ROWS:,}, {MAX_COLUMNS} and {MAX_UNPACKED // MEGABYTE} MB. The command "
            "line takes any number: hf-unlearnable protect --help."
        )
    long = [
        about.schema.column(i).path for i in range(about.num_columns)
        if about.schema.column(i).physical_type == "BYTE_ARRAY"
    ]  # fmt: skip
    file = parquet.ParquetFile(path, read_dictionary=long)
    table = _gathered(path, file.schema_arrow, file.iter_batches(batch_size=500, use_threads=False))
    return table.cast(pa.schema([field.with_type(_plain(field.type)) for field in about.schema.to_arrow_schema()]))


def _plain(type: pa.DataType) -> pa.DataType:
    """The type of a column without dictionary or views, neither of which `datasets` protects."""
    import pyarrow as pa

    views = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
    return type.value_type if pa.types.is_dictionary(type) else views.get(type, type)


def _gathered(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> pa.Table:
    """A table of some batches, read only as far as this page takes it."""
    import pyarrow as pa

    parts: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        rows += batch.num_rows
        size += sum(map(_unpacked, batch.columns))
        if rows > MAX_ROWS:
            raise RefusedError(
                f"{shown(path.name)} has more than {MAX_ROWS:,} rows. The command line takes any number: "
                "hf-unlearnable protect --help."
            )
        if size > MAX_UNPACKED:
            raise RefusedError(f"{shown(path.name)} unpacks to more than {MAX_UNPACKED // MEGABYTE} MB.")
        parts.append(batch)
    return pa.Table.from_batches(parts, parts[0].schema if parts else schema)


def _unpacked(array: pa.Array) -> int:
    """Bytes that an array takes once each row has its value to itself."""
    import pyarrow as pa
    from pyarrow import compute

    if pa.types.is_struct(array.type):
        return sum(map(_unpacked, array.flatten()))
    if pa.types.is_map(array.type):
        return 8 * len(array) + _unpacked(array.keys) + _unpacked(array.items)
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        return 8 * len(array) + _unpacked(array.flatten())
    if not pa.types.is_dictionary(array.type):
        return array.nbytes
    kind = array.type.value_type
    if pa.types.is_primitive(kind):
        return len(array) * kind.bit_width // 8
    return 8 * len(array) + (compute.sum(compute.binary_length(array.dictionary).take(array.indices)).as_py() or 0)


# ---------------------------------------------------------------------- images
def read_images(paths: list[str] | list[Path], label: str) -> list[dict[str, Any]]:
    """The images of some files and archives, as they are stored.

    Args:
        paths: Image files and zip archives of them. In an archive, the folder of an image is its class.
        label: Class of the images that lie in no folder.

    Returns:
        Rows of `name`, `label` and `bytes`, at least one.

    Raises:
        RefusedError: Too many or too large, no image of `FORMATS`, or an archive that is out to do harm; the message
            names the file.
    """
    from hf_unlearnable.image.codec import ImageError, decode

    rows: list[dict[str, Any]] = []
    pixels = size = 0
    for name, data in files_in([Path(path) for path in paths], PICTURES):
        size += len(data)
        if size > MAX_UNPACKED:
            raise RefusedError(f"All images together have more than {MAX_UNPACKED // MEGABYTE} MB: give fewer.")
        if len(rows) == MAX_IMAGES:
            raise RefusedError(f"These are more than {MAX_IMAGES} images: give fewer, or use the command line.")
        width, height = _size(name, data)
        if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
            raise RefusedError(
                f"{shown(name)} has more than {MAX_PIXELS // 10**6} megapixels, or more than {MAX_SIDE:,} on a side: "
                "make it smaller first."
            )
        pixels += width * height
        if pixels > MAX_PIXELS:
            raise RefusedError(f"All images together have more than {MAX_PIXELS // 10**6} megapixels: give fewer.")
        folder = PurePosixPath(name).parent.name
        rows.append({"name": name, "label": folder or label.strip() or "mine", "bytes": data})
    if not rows:
        raise RefusedError("There are no images yet. Upload some, or load an example.")
    for row in rows:  # now that all sizes are known
        try:
            decode(row["bytes"])
        except ImageError as error:
            if isinstance(error.__context__, MemoryError):
                raise error.__context__ from None
            raise RefusedError(f"{shown(row['name'])}: the image {error}.") from None
    return rows


def _size(name: str, data: bytes) -> tuple[int, int]:
    """Width and height by the file's header."""
    from PIL import Image

    if "HEIF" in FORMATS:
        import pillow_heif

        pillow_heif.register_heif_opener()
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            tags = image.tag_v2 if image.format == "TIFF" else {}  # type: ignore[attr-defined]
            # A tile of a TIFF is decoded whole, however little of it the image shows.
            return max(image.width, tags.get(322, 0)), max(image.height, tags.get(323, 0))
    except Image.DecompressionBombError:
        return MAX_SIDE + 1, MAX_SIDE + 1
    except MemoryError:
        raise
    except Exception:  # Pillow raises almost anything over broken files
        listed = ", ".join(FORMATS[:-1])
        raise RefusedError(f"{shown(name)} is no image that opens. {listed} and {FORMATS[-1]} do.") from None


def files_in(paths: list[Path], endings: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file, and of those in archives whose names end in one of `endings`."""
    for path in paths:
        check_upload(path)
        if path.suffix.lower() == ".zip":
            yield from _members(path, endings)
        else:
            yield path.name, path.read_bytes()


def _members(path: Path, endings: Collection[str]) -> Iterator[tuple[str, bytes]]:
    with opened_zip(path) as archive:
        unpacked = 0
        for member in archive.infolist():
            parts = PurePosixPath(member.filename).parts
            hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
            if member.is_dir() or hidden or PurePosixPath(member.filename).suffix.lower() not in endings:
                continue
            data = read_member(path, archive, member, MAX_UNPACKED - unpacked)
            unpacked += len(data)
            yield member.filename, data


# ---------------------------------------------------------------------- archives
@contextmanager
def opened_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip archive, once nothing in it points out of it, is encrypted or is too much.

    Raises:
        RefusedError: It is; or reading from it failed. The message names the archive, and the member if it is one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > 4 * MAX_IMAGES:
                raise RefusedError(f"{shown(path.name)} holds {len(members):,} files. This page takes {MAX_IMAGES}.")
            for member in members:
                if _leads_out(member.filename) or stat.S_ISLNK(member.external_attr >> 16):
                    raise RefusedError(
                        f"{shown(path.name)} holds {shown(member.filename)!r}, which points out of the archive. It "
                        "was not opened."
                    )
                if member.flag_bits & 1:
                    raise RefusedError(f"{shown(path.name)} is encrypted. Give one without a password.")
            yield archive
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise RefusedError(f"{shown(path.name)} is no zip archive that opens ({str(error)[:100]}).") from None


def read_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    """The content of a file in an archive, which may lie about its size; refused beyond `most` bytes."""
    with archive.open(member) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise RefusedError(f"{shown(path.name)} unpacks to more than {MAX_UNPACKED // MEGABYTE} MB.")
    return data


def _leads_out(name: str) -> bool:
    drive = name[1:2] == ":" and name[:1].isascii() and name[:1].isalpha() and name[2:3] in ("/", "")
    return name.startswith("/") or "\\" in name or drive or "\0" in name or ".." in PurePosixPath(name).parts


def check_upload(path: Path) -> None:
    """Refuses an upload that is gone or too large."""
    if not path.is_file():
        raise RefusedError("The upload is no longer here: it was deleted after a while. Upload it again.")
    if path.stat().st_size > MAX_UPLOAD:
        raise RefusedError(f"{shown(path.name)} has more than {MAX_UPLOAD // MEGABYTE} MB.")


def shown(name: str) -> str:
    """A file's name as a message has room for it."""
    return name if len(name) <= 120 else f"{name[:40]}…{name[-60:]}"
