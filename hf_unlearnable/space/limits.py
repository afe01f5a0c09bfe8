"""What a visitor may hand in: how much of it, and what of it is refused. Files come from strangers.

Nothing is unpacked to a disk, and nothing is decoded before its size is known: an archive is read member by member
and never further than it may be large, an image is asked for its width before its pixels.
"""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hf_unlearnable.image.files import PICTURES

if TYPE_CHECKING:
    from datasets import Dataset

MEGABYTE = 2**20
MAX_UPLOAD = 50 * MEGABYTE  # a file
MAX_UNPACKED = 100 * MEGABYTE  # all of an archive or a table, as it lies in memory
MAX_LETTERS = 20_000  # of a pasted text
MAX_ROWS = 20_000
MAX_COLUMNS = 100
_MAX_LINES = 1_000_000  # of a table: a row may have several
MAX_IMAGES = 300
MAX_PIXELS = 24_000_000  # of one image
MAX_ALL_PIXELS = 48_000_000
MAX_TRAINED_PIXELS = 6_000_000  # of all images of a method that trains a surrogate
MAX_SIDE = 20_000

TABLES = (".csv", ".parquet")


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
def read_table(path: str | Path) -> Dataset:
    """A CSV or Parquet file as a dataset in memory; no cache of `datasets` sees it.

    Raises:
        RefusedError: Of another kind, too large, broken, or with columns that are neither texts nor classes only.
    """
    import pyarrow as pa
    from datasets import Dataset

    path = Path(path)
    if path.suffix.lower() not in TABLES:
        raise RefusedError(f"{path.name} is no table: give a file that ends in {' or '.join(TABLES)}.")
    _check_size(path)
    try:
        table = _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise RefusedError(f"{path.name} does not read: {str(error)[:200]}") from None
    if table.num_rows == 0:
        raise RefusedError(f"{path.name} has no rows.")
    if table.num_rows > MAX_ROWS or table.num_columns > MAX_COLUMNS:
        raise RefusedError(
            f"{path.name} has {table.num_rows:,} rows of {table.num_columns} columns. This page takes {MAX_ROWS:,} of "
            f"{MAX_COLUMNS}; the command line takes any number: hf-unlearnable protect --help."
        )
    if len(set(table.column_names)) < table.num_columns:
        raise RefusedError(f"Two columns of {path.name} have the same name. Rename one.")
    return Dataset(table.replace_schema_metadata(None))


def _read_csv(path: Path) -> Any:
    from hf_unlearnable.data.csv_files import csv_table

    with path.open("rb") as file:
        header = file.readline(1_000_000)
        lines = 1 + sum(part.count(b"\n") for part in iter(lambda: file.read(MEGABYTE), b""))
    if max(map(header.count, (b",", b";", b"\t", b"|"))) >= MAX_COLUMNS:
        raise RefusedError(f"{path.name} has more than {MAX_COLUMNS} columns. Leave the others out.")
    if lines > _MAX_LINES:
        raise RefusedError(f"{path.name} has {lines:,} lines. This page takes {MAX_ROWS:,} rows.")
    try:
        return csv_table(path)
    except ValueError as error:
        reason, options, _ = str(error).replace(str(path), path.name).partition(" Give ")
        raise RefusedError(f"{reason} Save it as CSV in UTF-8." if options else reason) from None


def _read_parquet(path: Path) -> Any:
    from pyarrow import parquet

    file = parquet.ParquetFile(path)
    about = file.metadata
    size = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    if about.num_rows > MAX_ROWS or about.num_columns > MAX_COLUMNS or size > MAX_UNPACKED:
        raise RefusedError(
            f"{path.name} has {about.num_rows:,} rows, {about.num_columns} columns, {size // MEGABYTE} MB unpacked: "
            f"this page takes {MAX_ROWS:,}, {MAX_COLUMNS} and {MAX_UNPACKED // MEGABYTE} MB."
        )
    parts, held = [], 0
    for batch in file.iter_batches(batch_size=500):  # the sizes above are the file's own word
        held += batch.nbytes
        if held > MAX_UNPACKED:
            raise RefusedError(f"{path.name} unpacks to more than {MAX_UNPACKED // MEGABYTE} MB.")
        parts.append(batch)
    import pyarrow as pa

    return pa.Table.from_batches(parts, file.schema_arrow)


# ---------------------------------------------------------------------- images
def read_images(paths: list[str] | list[Path], label: str) -> list[dict[str, Any]]:
    """The images of some files and archives, as they are stored.

    Args:
        paths: Image files and zip archives of them. In an archive, the folder of an image is its class.
        label: Class of the images that lie in no folder.

    Returns:
        Rows of `name`, `label` and `bytes`, at least one.

    Raises:
        RefusedError: Too many or too large, no image, or an archive that is out to do harm.
    """
    from PIL import Image

    from hf_unlearnable.image.codec import ImageError, decode

    rows: list[dict[str, Any]] = []
    pixels = 0
    for name, data in _files([Path(path) for path in paths]):
        if len(rows) == MAX_IMAGES:
            raise RefusedError(f"These are more than {MAX_IMAGES} images: give fewer, or use the command line.")
        try:
            with Image.open(io.BytesIO(data)) as image:
                width, height = image.size
        except Image.DecompressionBombError:
            width = height = MAX_SIDE + 1
        except Exception:  # Pillow raises almost anything over broken files
            raise RefusedError(f"{name} is no image that opens. PNG, JPEG, WebP, AVIF, BMP and TIFF do.") from None
        if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
            raise RefusedError(f"{name} has more than {MAX_PIXELS // 10**6} megapixels: make it smaller first.")
        pixels += width * height
        if pixels > MAX_ALL_PIXELS:
            raise RefusedError(f"All images together have more than {MAX_ALL_PIXELS // 10**6} megapixels: give fewer.")
        folder = PurePosixPath(name).parent.name
        rows.append({"name": name, "label": folder or label.strip() or "mine", "bytes": data})
    if not rows:
        raise RefusedError("There are no images yet. Upload some, or load an example.")
    for row in rows:  # now that all sizes are known
        try:
            decode(row["bytes"])
        except ImageError as error:
            raise RefusedError(f"{row['name']}: the image {error}.") from None
    return rows


def _files(paths: list[Path]) -> Iterator[tuple[str, bytes]]:
    for path in paths:
        _check_size(path)
        if path.suffix.lower() == ".zip":
            yield from _members(path)
        else:
            yield path.name, path.read_bytes()


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each image in an archive."""
    unpacked = 0
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > 4 * MAX_IMAGES:
                raise RefusedError(f"{path.name} holds {len(members):,} files. This page takes {MAX_IMAGES} images.")
            for member in members:
                name = member.filename
                if _leads_out(name) or stat.S_ISLNK(member.external_attr >> 16):
                    raise RefusedError(f"{path.name} holds a file that points out of it. It was not opened.")
                if member.flag_bits & 1:
                    raise RefusedError(f"{path.name} is encrypted. Give one without a password.")
                hidden = any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)
                if member.is_dir() or hidden or PurePosixPath(name).suffix.lower() not in PICTURES:
                    continue
                with archive.open(member) as file:
                    data = file.read(MAX_UNPACKED - unpacked + 1)  # what the archive says of its sizes may be a lie
                unpacked += len(data)
                if unpacked > MAX_UNPACKED:
                    raise RefusedError(f"{path.name} unpacks to more than {MAX_UNPACKED // MEGABYTE} MB.")
                yield name, data
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError) as error:
        raise RefusedError(f"{path.name} is no zip archive that opens ({str(error)[:100]}).") from None


def _leads_out(name: str) -> bool:
    drive = name[1:2] == ":" and name[:1].isascii() and name[:1].isalpha() and name[2:3] in ("/", "")
    return name.startswith("/") or "\\" in name or drive or "\0" in name or ".." in PurePosixPath(name).parts


def _check_size(path: Path) -> None:
    if not path.is_file():
        raise RefusedError("The upload is no longer here: it was deleted after a while. Upload it again.")
    if path.stat().st_size > MAX_UPLOAD:
        raise RefusedError(f"{path.name} has more than {MAX_UPLOAD // MEGABYTE} MB.")
