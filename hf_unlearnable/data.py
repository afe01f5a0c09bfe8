"""Reading the data a user has, and writing what was made of it: whole, or not at all."""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hf_unlearnable.transform import require_columns

# Endings of files that `datasets` reads, and the name of the reader.
READERS = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".arrow": "arrow"}


def load_rows(source: str | os.PathLike, *, config: str | None = None, split: str = "train") -> Any:
    """One split of a data set.

    Args:
        source: A file (Parquet, CSV, TSV, JSON lines, Arrow), a folder that `save_to_disk` wrote or that holds such
            files, or the id of a data set on the Hub.
        config: Configuration of the data set, for the Hub.
        split: Which split; a single file has only "train".

    Returns:
        A `datasets.Dataset`.

    Raises:
        FileNotFoundError: There is no such file or folder, and it is no Hub id either.
        ValueError: The split is not there, the kind of file is not known, or a file is broken.
    """
    import pyarrow as pa
    from datasets.exceptions import DatasetGenerationError

    try:
        return _load_rows(source, config, split)
    except (DatasetGenerationError, pa.ArrowInvalid) as error:
        raise ValueError(f"{source} cannot be read: {error.__cause__ or error}") from None


def _load_rows(source: str | os.PathLike, config: str | None, split: str) -> Any:
    from datasets import DatasetDict, load_dataset, load_from_disk

    path = Path(source)
    if path.is_file():
        if path.suffix.lower() not in READERS:
            raise ValueError(f"{path} is of an unknown kind. Kinds of files: {', '.join(READERS)}.")
        options = {"sep": "\t"} if path.suffix.lower() == ".tsv" else {}
        return load_dataset(READERS[path.suffix.lower()], data_files=str(path), split="train", **options)
    if path.is_dir():
        if any((path / name).is_file() for name in ("state.json", "dataset_dict.json")):
            loaded = load_from_disk(str(path))
            if not isinstance(loaded, DatasetDict):
                return loaded
            if split not in loaded:
                raise ValueError(f"{path} has no split {split!r}. Splits: {', '.join(loaded)}.")
            return loaded[split]
        if holds_images(path) and not _is_split_up(path):
            if split != "train":
                raise ValueError(f"{path} is one folder of images: its only split is 'train'.")
            # Said outright: by itself `datasets` takes a photo in "train/" or named "test.jpg" for a split.
            files = {"train": str(path.absolute() / "**")}
            return load_dataset("imagefolder", data_files=files, split="train")
        return load_dataset(str(path.absolute()), config, split=split)  # else "json" would be a reader, not a folder
    if not is_hub_id(str(source)):
        raise FileNotFoundError(f"There is no file or folder {source}, and it is not the id of a data set on the Hub.")
    return load_dataset(str(source), config, split=split)


def load_splits(source: str | os.PathLike, streaming: bool = False) -> dict[str, Any]:
    """All splits of a file or folder.

    Args:
        source: A file, folder or id on the Hub, as for `load_rows`.
        streaming: Whether Parquet comes as a stream, which takes neither memory nor a copy on disk.

    Raises:
        FileNotFoundError: There is nothing at `source`.
        ValueError: The kind of file is not known, or a file is broken.
    """
    from datasets import get_dataset_split_names, load_dataset, load_from_disk

    path = Path(source)
    if not path.exists():
        if not is_hub_id(str(source)):
            raise FileNotFoundError(f"There is no file or folder {source}, and it is no id on the Hub.")
        return dict(load_dataset(str(source), streaming=streaming))
    if path.suffix == ".parquet":
        data = glob.escape(str(path))
        return {"train": load_dataset("parquet", data_files=data, split="train", streaming=streaming)}
    if (path / "dataset_dict.json").is_file():
        return dict(load_from_disk(str(path)))
    if path.is_file() or (path / "state.json").is_file() or (holds_images(path) and not _is_split_up(path)):
        return {"train": load_rows(path)}
    if not holds_images(path) and {file.suffix for file in path.rglob("*.*") if file.is_file()} == {".parquet"}:
        return dict(load_dataset(str(path.absolute()), streaming=streaming))
    return {split: load_rows(path, split=split) for split in get_dataset_split_names(str(path.absolute()))}


def _is_split_up(folder: Path) -> bool:
    """Whether a folder holds nothing but splits."""
    names = {entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")}
    return bool(names) and names <= {"train", "test", "validation", "valid", "val", "dev"}


def is_hub_id(source: str) -> bool:
    """Whether `source` has the form of a data set's id on the Hub."""
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    if Path(source).suffix in READERS or source.count("/") > 1:
        return False
    try:
        validate_repo_id(source)
    except HFValidationError:
        return False
    return True


def contents(table: Any, column: str) -> Iterator[bytes]:
    """What each value of a column of an Arrow table holds, images as the bytes of their file wherever that stands."""
    for value in table[column].to_pylist():
        value = stored_bytes(value)
        yield value if isinstance(value, bytes) else repr(value).encode()


def stored_bytes(value: Any) -> Any:
    """The file behind a stored image, wherever it stands; anything else as it is."""
    if not isinstance(value, dict) or not value or not set(value) <= {"bytes", "path"}:
        return value
    if value.get("bytes") is not None or not value.get("path"):
        return value.get("bytes")
    import fsspec

    with fsspec.open(value["path"], "rb") as file:
        return file.read()


def fingerprint(dataset: Any, column: str) -> str:
    """Identifies what a column holds: the same for the same values in the same order, wherever they are stored.

    Args:
        dataset: A `Dataset` or an `IterableDataset`.
        column: One of its columns; a ValueError names those there are.
    """
    import xxhash

    require_columns(dataset.column_names, [column])
    hashed = xxhash.xxh3_128()
    for table in dataset.select_columns([column]).with_format("arrow").iter(batch_size=64):
        for value in contents(table, column):
            hashed.update(len(value).to_bytes(8, "little") + value)
    return hashed.hexdigest()


@contextmanager
def whole_or_nothing(output: str | os.PathLike) -> Iterator[Path]:
    """A scratch path beside `output` that takes its name when the block ends without an error.

    Raises:
        FileExistsError: `output` is there already.
    """
    output = Path(output)
    if output.exists():
        raise FileExistsError(f"{output} exists. Give another name, or move it away.")
    output.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}."))
    try:
        yield scratch / output.name
        (scratch / output.name).rename(output)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def holds_images(folder: str | os.PathLike) -> bool:
    """Whether a folder is one of image files, as against one of tables."""
    from datasets.packaged_modules.imagefolder.imagefolder import ImageFolder

    endings = {file.suffix.lower() for file in Path(folder).rglob("*") if file.is_file()}
    return not endings & set(READERS) and bool(endings & set(ImageFolder.EXTENSIONS))


def write_images(
    protected: Any, original: Any, output: str | os.PathLike, image_column: str, source: str | os.PathLike
) -> None:
    """Writes every image as a file of its own, under the name it had below `source`, with the ending it has now.

    Args:
        protected: The dataset to write.
        original: The dataset that it was made of, rows in the same order, read from the folder `source`.
        output: A new folder.
        image_column: Column of images.
        source: Where the original files stand.
    """
    from datasets import Image

    stored = [data.cast_column(image_column, Image(decode=False)) for data in (original, protected)]
    # `datasets` resolves a folder that is a link, and leaves links within it as they are.
    roots = (Path(source).absolute(), Path(source).resolve())
    names = []
    for value in stored[0][image_column]:
        path = Path(value["path"] or "").absolute()
        root = next((root for root in roots if value["path"] and path.is_relative_to(root)), None)
        if root is None:
            raise ValueError(f"{source} is not a folder of image files: there are no names to write them under.")
        names.append(path.relative_to(root))
    taken = {name for name, value in zip(names, stored[1][image_column], strict=True) if value["bytes"] is None}
    for name, after in zip(names, stored[1], strict=True):
        data = after[image_column]["bytes"]
        if data is None:  # a row that was left alone, still the file that it was
            data = Path(after[image_column]["path"]).read_bytes()
        else:
            ending = ".webp" if data[8:12] == b"WEBP" else ".png"
            name = name.with_suffix(ending) if name.with_suffix(ending) not in taken else Path(f"{name}{ending}")
        taken.add(name)
        path = Path(output, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if path.read_bytes() != data:
            raise OSError(f"{path} does not hold what was written to it.")


def write_rows(dataset: Any, output: str | os.PathLike, *, split: str = "train", format: str = "parquet") -> Path:
    """Writes a dataset, whole or not at all.

    Args:
        dataset: A `datasets.Dataset`.
        output: A file that ends in .parquet, or a new folder.
        split: Name of the Parquet file in the folder, so that `load_dataset` finds the split again.
        format: What the folder holds: "parquet", which every tool reads, or "arrow", as `save_to_disk` writes it.

    Raises:
        FileExistsError: `output` is there already.
        OSError: It could not be written; nothing is left under the final name.
    """
    from datasets.features.features import require_storage_embed
    from datasets.table import embed_table_storage

    output = Path(output)
    with whole_or_nothing(output) as scratch:
        if format != "arrow" and any(map(require_storage_embed, dataset.features.values())):
            # Files that are only pointed at, by the owner's path: `save_to_disk` takes them in, `to_parquet` does not.
            dataset = dataset.with_format("arrow").map(
                embed_table_storage, batched=True, batch_size=16, writer_batch_size=16,
                cache_file_name=str(scratch.with_name("embedded.arrow")),
            ).with_format(None)  # fmt: skip
        if format == "arrow":
            dataset.save_to_disk(str(scratch))
        elif output.suffix == ".parquet":
            dataset.to_parquet(str(scratch))
        else:
            scratch.mkdir()
            dataset.to_parquet(str(scratch / f"{split}.parquet"))
    return output
