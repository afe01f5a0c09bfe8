"""From what a user names (a file, a folder, an id on the Hub) to rows. All reading goes through here."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_unlearnable.data.folders import SPLITS, walk
from hf_unlearnable.data.on_the_hub import is_remote
from hf_unlearnable.data.tables import READERS, read_tables, reader_of

if TYPE_CHECKING:
    from hf_unlearnable.modality import Modality

_SHARD = re.compile(r"(?P<split>\w+(\.\w+)*)-\d{5}-of-\d{5}\b.*")


def load_rows(
    source: str | os.PathLike | Sequence[str],
    *,
    config: str | None = None,
    split: str = "train",
    separator: str | None = None,
    quoting: str | None = None,
    encoding: str | None = None,
    need_labels: bool = True,
    skip_broken: bool = False,
    skipped: list[str] | None = None,
) -> Any:
    """One split of a dataset.

    CSV is read letter by letter: a column is of numbers only where every value is written back as it was, and an empty
    value is an empty text.

    Args:
        source: A file (Parquet, CSV, TSV, JSON lines, Arrow), a folder that `save_to_disk` wrote, one that holds such
            files or pictures, or the id of a dataset on the Hub. A path is never a pattern. Or several such files,
            which are read as one dataset, in this order.
        config: Configuration of the dataset, for the Hub.
        split: Which split; a single file has only "train", which its own name may call otherwise ("test.csv").
        separator: Letter between the values of CSV files; None finds it.
        quoting: "minimal" where quotes enclose values of CSV files, "none" where they are letters; None finds it.
        encoding: Of CSV and JSON files; None takes UTF-8, or what a byte order mark says.
        need_labels: Whether a file outside the folders of classes, such as a picture, is refused; False reads it,
            without labels.
        skip_broken: Whether such files that do not open or stand outside the classes are left out.
        skipped: Gets a line for each of these.

    Returns:
        A `datasets.Dataset`.

    Raises:
        FileNotFoundError: There is no such file or folder, and it is no Hub id either.
        ValueError: The split is not there, the kind of file is not known, a file is broken or reads in two ways, or a
            picture cannot be read. The message names it.
    """
    text: dict[str, Any] = {"separator": separator, "quoting": quoting, "encoding": encoding}
    of_files: dict[str, Any] = {"need_labels": need_labels, "skip_broken": skip_broken, "skipped": skipped}
    if files := _given_files(source):
        for file in files:
            if split not in ("train", _split_in(file.name)):
                raise ValueError(f"{file} is one file, which has no split {split!r}. Splits: train.")
        return read_tables(files, **text)
    path = Path(source)  # type: ignore[arg-type]
    if not path.is_dir():
        _require_hub_id(str(source))
        return _from_datasets(str(source), config, split)
    splits = _splits_of(path, config, text, of_files)
    if split not in splits and not (path / "state.json").is_file():
        raise ValueError(f"{path} has no split {split!r}. Splits: {', '.join(splits)}.")
    return splits[split if split in splits else "train"]()


def load_splits(
    source: str | os.PathLike | Sequence[str],
    streaming: bool = False,
    *,
    separator: str | None = None,
    quoting: str | None = None,
    encoding: str | None = None,
    need_labels: bool = True,
    skip_broken: bool = False,
    skipped: list[str] | None = None,
) -> dict[str, Any]:
    """All splits of a file or folder.

    Args:
        source: A file, folder or id on the Hub, or several files, as for `load_rows`. Or paths of Parquet files there,
            "hf://datasets/...".
        streaming: Whether Parquet comes as a stream, which takes neither memory nor a copy on disk.
        separator: As for `load_rows`, like all that follow.
        quoting: For CSV files.
        encoding: For CSV and JSON files.
        need_labels: For folders of files, such as pictures.
        skip_broken: For these.
        skipped: For these.

    Raises:
        FileNotFoundError: There is nothing at `source`.
        ValueError: As for `load_rows`.
    """
    text: dict[str, Any] = {"separator": separator, "quoting": quoting, "encoding": encoding}
    of_files: dict[str, Any] = {"need_labels": need_labels, "skip_broken": skip_broken, "skipped": skipped}
    if is_remote(source):
        paths = [source] if isinstance(source, str) else list(map(str, source))  # type: ignore[arg-type]
        return dict(_called(source, _load_dataset, "parquet", data_files={"train": paths}, streaming=streaming))
    if given := _given_files(source):
        return _stream({"train": given}) if streaming and _streams({"train": given}) else {
            "train": read_tables(given, **text)
        }  # fmt: skip
    path = Path(source)  # type: ignore[arg-type]
    if not path.is_dir():
        _require_hub_id(str(source))
        return dict(_called(source, _load_dataset, str(source), streaming=streaming))
    if streaming and not _is_saved(path) and not held(path) and not _is_configured(path):
        files = _files_of(path)
        if files and _streams(files):
            return _stream(files)
    return {split: read() for split, read in _splits_of(path, None, text, of_files).items()}


def _streams(files: dict[str, list[Path]]) -> bool:
    """Whether `datasets` streams these: Parquet under names that it takes for names."""
    every = [file for part in files.values() for file in part]
    return all(reader_of(file) == "parquet" and not set(str(file.absolute())) & set("{}:") for file in every)


def _stream(files: dict[str, list[Path]]) -> dict[str, Any]:
    patterns = {split: [glob.escape(str(file.absolute())) for file in part] for split, part in files.items()}
    first = next(iter(files.values()))[0]
    return dict(_called(first, _load_dataset, "parquet", data_files=patterns, streaming=True))


def _splits_of(path: Path, config: str | None, text: dict, of_files: dict) -> dict[str, Callable[[], Any]]:
    """What reads each split of a folder."""
    if _is_saved(path):
        return _saved(path)
    if _is_configured(path) or config:
        names = _called(path, _split_names, _plain(path), config)
        return {name: partial(_from_datasets, _plain(path), config, name) for name in names}
    if modality := held(path):
        return modality.read_files(path, **of_files)
    if files := _files_of(path):
        return {name: partial(read_tables, files[name], split=name, **text) for name in files}
    if not any(walk(path)):
        raise ValueError(f"{path} is a folder without files: there is nothing to read.")
    names = _called(path, _split_names, _plain(path), None)
    return {name: partial(_from_datasets, _plain(path), None, name) for name in names}


def _given_files(source: str | os.PathLike | Sequence[str]) -> list[Path]:
    """The file or files that were named; none for a folder or an id on the Hub."""
    single = isinstance(source, str | os.PathLike)
    files = [Path(source)] if single else list(map(Path, source))  # type: ignore[arg-type]
    if single and not files[0].is_file():
        return []
    for number, file in enumerate(files):
        if not file.is_file():
            what = "is a folder" if file.is_dir() else "is no file here"
            raise FileNotFoundError(f"{file} {what}. Give several files that make one dataset, or one folder or id.")
        if any(file.samefile(other) for other in files[:number]):
            raise ValueError(f"{file} is given twice. Name each file once.")
        if reader_of(file) is None and (modality := held(file.parent)):
            raise ValueError(f"{file} is no table. Give the folder that holds the {modality.plural}: {file.parent}")
    return files


def held(folder: str | os.PathLike | Sequence[str]) -> Modality | None:
    """The kind of data that a folder holds files of; None for any other folder, or none."""
    from hf_unlearnable.registry import MODALITIES

    if not isinstance(folder, str | os.PathLike) or not Path(folder).is_dir():
        return None
    return next((modality for _, modality in MODALITIES.items() if modality.holds(folder)), None)


def tables_of(source: str | os.PathLike | Sequence[str], split: str | None = None) -> list[Path]:
    """The files that a source's rows are read from; none for what only `datasets` reads, and for folders of files.

    Args:
        source: As for `load_rows`.
        split: Whose files, in a folder; None for those of all splits.
    """
    if files := _given_files(source):
        return files
    path = Path(source)  # type: ignore[arg-type]
    if not path.is_dir() or _is_saved(path) or _is_configured(path) or held(path):
        return []
    return [file for name, files in _files_of(path).items() for file in files if split in (None, name)]


def _is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` wrote a folder."""
    return any((folder / name).is_file() for name in ("state.json", "dataset_dict.json"))


def _saved(path: Path) -> dict[str, Callable[[], Any]]:
    from datasets import DatasetDict, load_from_disk

    loaded = _called(path, load_from_disk, _plain(path, ""))
    splits = dict(loaded) if isinstance(loaded, DatasetDict) else {"train": loaded}
    return {str(name): partial(splits.__getitem__, name) for name in splits}


def _is_configured(folder: Path) -> bool:
    """Whether a folder says itself what its files are, in the header of its README."""
    readme = folder / "README.md"
    if not readme.is_file():
        return False
    header = re.match(r"---\r?\n(.*?)\n---", readme.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
    return bool(header and re.search(r"^configs:", header[1], re.MULTILINE))


# ---------------------------------------------------------------------- splits of a folder
def _split_in(name: str) -> str | None:
    """The split that a word in a name tells of."""
    for split, words in SPLITS.items():
        if re.search(rf"(?:^|[-._ 0-9])(?:{'|'.join(words)})(?:[-._ 0-9]|$)", name):
            return split
    return None


def _files_of(folder: Path) -> dict[str, list[Path]]:
    """The tables of a folder by split, as `datasets` tells them: by shard, by folder, by file, or all are "train"."""
    files = [
        path for path in walk(folder) if reader_of(path) and path.name not in ("dataset_info.json", "config.json")
    ]
    return by_split(files, folder)


def by_split(files: Sequence[Path], folder: Path) -> dict[str, list[Path]]:
    """The tables of a folder by split.

    Args:
        files: All of them, in order.
        folder: Where they are, or will be.

    Raises:
        ValueError: Only some of their names tell of a split.
    """
    for found in (
        lambda path: (shard := _SHARD.fullmatch(path.name)) and shard["split"],
        lambda path: next(filter(None, map(_split_in, path.relative_to(folder).parts[:-1])), None),
        lambda path: _split_in(path.name),
    ):
        splits = {path: found(path) for path in files}
        if not any(splits.values()):
            continue
        for path, split in splits.items():
            if not split:
                raise ValueError(f"{path} belongs to no split, as the other tables do. Name it after one, or move it.")
        order = [*SPLITS, *splits.values()]
        names = sorted({str(split) for split in splits.values()}, key=order.index)
        return {name: [path for path in files if splits[path] == name] for name in names}
    return {"train": list(files)} if files else {}


# ---------------------------------------------------------------------- what `datasets` reads
def _plain(path: Path, special: str = "*?[]{}") -> str:
    """The path for `datasets`, unless it would take it for something else."""
    whole = str(path.absolute())
    found = [part for part in ("::", *special) if part in whole]
    if found:
        raise ValueError(f"{path} has {found[0]!r} in its path, which `datasets` takes for a pattern. Rename it.")
    return whole


def _from_datasets(source: str, config: str | None, split: str) -> Any:
    """A split on the Hub, or of a folder that only `datasets` knows how to read."""
    from datasets import ClassLabel, DownloadManager, load_dataset_builder
    from datasets.packaged_modules.csv.csv import Csv

    builder = _called(source, load_dataset_builder, source, config)
    files = builder.config.data_files or {}
    if not isinstance(builder, Csv) or builder.config.features is not None or split not in files:
        return _called(source, _load_dataset, source, config, split=split)
    # Letter by letter, which `datasets` does not; of the types that a card declares those are kept that name classes.
    local = [Path(file) for file in DownloadManager().download_and_extract(list(files[split]))]
    separator = None if builder.config.sep == "," else builder.config.sep
    rows = read_tables(local, kind="csv", split=split, separator=separator)
    for name, feature in (builder.info.features or {}).items():
        if isinstance(feature, ClassLabel) and name in rows.column_names:
            rows = rows.cast_column(name, feature)
    return rows


def _load_dataset(*args: Any, **kwargs: Any) -> Any:
    from datasets import load_dataset

    return load_dataset(*args, **kwargs)


def _split_names(path: str, config: str | None) -> list[str]:
    from datasets import get_dataset_split_names

    return get_dataset_split_names(path, config)


def _called(source: Any, function: Callable, *args: Any, **kwargs: Any) -> Any:
    """What a function of `datasets` returns; whatever it raises over broken data is a ValueError that names it."""
    try:
        return function(*args, **kwargs)
    except (FileNotFoundError, ConnectionError) as error:
        if Path(source).exists():
            raise
        kind = ConnectionError if isinstance(error, ConnectionError) else FileNotFoundError
        raise kind(f"There is no file or folder {source} here. On the Hub: {error}") from None
    except (OSError, ImportError, MemoryError):
        raise
    except Exception as error:  # over broken data `datasets` raises almost anything
        reason = " ".join(str(error.__cause__ or error).split()) or type(error).__name__
        raise ValueError(f"{source} cannot be read: {reason}") from None


def _require_hub_id(source: str | os.PathLike) -> None:
    if not is_hub_id(str(source)):
        pattern = " Patterns are read on the command line only." if set("*?[{") & set(str(source)) else ""
        raise FileNotFoundError(
            f"There is no file or folder {source}, and it is not the id of a dataset on the Hub, OWNER/NAME.{pattern}"
        )


def is_hub_id(source: str) -> bool:
    """Whether `source` has the form of a dataset's id on the Hub, OWNER/NAME.

    A bare name is none: without a network `datasets` would take what was once loaded from any folder of that name.
    """
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    if Path(source).suffix in READERS or source.count("/") != 1:
        return False
    try:
        validate_repo_id(source)
    except HFValidationError:
        return False
    return True
