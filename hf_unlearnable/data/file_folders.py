"""Folders of pictures or recordings: every file is read or named, and written back under the name that it had."""

from __future__ import annotations

import filecmp
import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from hf_unlearnable._words import counted
from hf_unlearnable.data.csv_files import table_form
from hf_unlearnable.data.folders import METADATA, walk
from hf_unlearnable.data.tables import read_tables
from hf_unlearnable.data.writing import write_table

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FileKind:
    """What the files of one kind of data are, in a folder of them.

    Args:
        one, many: What a sentence calls them, such as "picture" and "pictures".
        column: Name of the column that they get.
        endings: Of all that are such files to their owner, readable here or not.
        feature: Makes the column's `datasets` feature; it takes `decode=False`.
        refused: Why a file is not read, or None: `(path, deep)`, opened if `deep`, else told from its name.
        ending: Of a protected file, by its first bytes.
    """

    one: str
    many: str
    column: str
    endings: frozenset[str]
    feature: Callable[..., Any]
    refused: Callable[[Path, bool], str | None]
    ending: Callable[[bytes], str]


def holds_files(kind: FileKind, folder: str | os.PathLike) -> bool:
    """Whether a folder is one of such files, as against one of tables.

    JSON files beside them tell of these, one each as labelling tools and albums write them. Parquet and Arrow
    files are tables; of CSV and JSON lines there may be a few.
    """
    endings = Counter(path.suffix.lower() for path in walk(Path(folder)) if path.name not in METADATA)
    files = sum(count for ending, count in endings.items() if ending in kind.endings)
    if endings[".parquet"] or endings[".arrow"]:
        return False
    return files > endings[".csv"] + endings[".tsv"] + endings[".jsonl"]


def _in(kind: FileKind, folder: Path) -> list[Path]:
    """The files of a folder in the order of their names without endings, which a protection may change."""
    files = (path for path in walk(folder) if path.suffix.lower() in kind.endings)
    return sorted(files, key=lambda path: (path.with_suffix("").parts, path.suffix))


def without_labels(kind: FileKind, folder: Path) -> str:
    """Why the files of a folder have no labels, and what to do, in a sentence or two."""
    names = {path.relative_to(folder).parts[:-1] for path in _in(kind, folder)}
    if names == {()}:
        return (
            f"The {kind.many} stand side by side in {folder}, and a label is the name of a folder. Put those of each "
            f"class into a folder of its own, such as {folder / 'cat'}. If {folder.name} is one class of several, "
            "give the folder that holds them all."
        )
    if len(names) == 1:
        inner = folder.joinpath(*next(iter(names)))
        more = "Add a folder for each other class."
        return f"All {kind.many} stand in {inner}, one class, and it takes two or more. {more}"
    return f"The {kind.many} stand at several depths in {folder}. Put those of each class into a folder of its own."


def read_files(
    kind: FileKind,
    folder: Path,
    *,
    split: str = "train",
    parts: Sequence[Path] = (),
    need_labels: bool = True,
    skip_broken: bool = False,
    skipped: list[str] | None = None,
) -> Any:
    """The files of a folder, with the folders that they stand in as classes, or with the columns of its metadata.

    Args:
        kind: What they are.
        folder: Of such files.
        split: Name that the dataset gets.
        parts: Folders of all splits, whose classes are numbered together.
        need_labels: Whether a file that stands at another depth than the folders of classes is refused; False reads
            it, and there are no labels then.
        skip_broken: Whether files that do not open or stand outside the classes are left out.
        skipped: Gets a line for each of these.

    Returns:
        A `Dataset` with `kind.column` and perhaps "label", or the columns of the metadata.

    Raises:
        ValueError: A file cannot be read, or stands beside the folders of classes. The message names it.
    """
    folder, parts = folder.absolute(), [part.absolute() for part in parts]
    if "::" in str(folder):
        raise ValueError(f"{folder} has '::' in its name, which `datasets` takes for an archive. Rename it.")
    files = list(walk(folder))
    ours = _in(kind, folder)
    metadata = [path for path in files if path.name in METADATA]
    others = Counter(
        path.suffix.lower() or path.name
        for path in files
        if path not in metadata and path.suffix.lower() not in kind.endings
    )
    if others:
        told = ", ".join(f"{count} {ending}" for ending, count in others.most_common(5))
        count = sum(others.values())
        said = counted(count, f"file is no {kind.one} and is", f"files are no {kind.many} and are")
        logger.warning("%s: %s not read (%s).", folder, said, told)
    skips: list[str] = []
    bad = {path: why for path in ours if (why := kind.refused(path, skip_broken)) is not None}
    if bad and not skip_broken:
        raise ValueError(
            f"{_some([f'{path} {reason}' for path, reason in bad.items()])}. Put them right, or leave them out with "
            "skip_broken."
        )
    skips += [f"{path} {reason}" for path, reason in bad.items()]
    ours = [path for path in ours if path not in bad]
    if metadata:
        dataset = _described(kind, metadata, ours, set(bad), split, skip_broken, skips)
    else:
        ours, labels = _labelled(kind, folder, ours, need_labels, skip_broken, skips)
        others_labels = (
            _labelled(kind, part, _in(kind, part), need_labels, True, [])[1] for part in parts if part != folder
        )
        names = sorted({*labels, *chain.from_iterable(others_labels)})
        dataset = _dataset(kind, ours, labels if len(names) > 1 else [], names, split)
    if not len(dataset):
        raise ValueError(f"{folder} holds no {kind.many} that can be read{': ' + _some(skips) if skips else ''}.")
    if skips:
        said = counted(len(skips), f"{kind.one} is", f"{kind.many} are")
        logger.warning("%s: %s left out: %s.", folder, said, _some(skips))
    if skipped is not None:
        skipped.extend(skips)
    return dataset


def _some(lines: Sequence[str]) -> str:
    return "; ".join(lines[:5]) + (f"; and {len(lines) - 5} more" if len(lines) > 5 else "")


def _labelled(
    kind: FileKind, folder: Path, ours: list[Path], need_labels: bool, skip_broken: bool, skips: list[str]
) -> tuple[list[Path], list[str]]:
    """The files with the names of the folders that they stand in, if they all stand equally deep in some."""
    depths = Counter(len(path.relative_to(folder).parts) for path in ours)
    usual = max(depths, key=lambda depth: (depths[depth], depth), default=1)
    classes = {path.parent for path in ours if len(path.relative_to(folder).parts) == usual}
    if len(depths) > 1 and need_labels and len(classes) > 1:
        stray = [path for path in ours if len(path.relative_to(folder).parts) != usual]
        if not skip_broken:
            raise ValueError(
                f"{_some([str(path) for path in stray])}: not in a folder of a class as the other {kind.many} are. "
                "Move it into one or away, or leave it out with skip_broken."
            )
        skips += [f"{path} stands outside the folders of classes" for path in stray]
        ours = [path for path in ours if len(path.relative_to(folder).parts) == usual]
        depths = Counter({usual: len(ours)})
    labels = [path.parent.name for path in ours]
    return ours, labels if len(depths) == 1 and usual > 1 else []


def _dataset(kind: FileKind, ours: Sequence[Path], labels: Sequence[str], names: Sequence[str], split: str) -> Any:
    import pyarrow as pa
    from datasets import ClassLabel, Dataset, Features, NamedSplit

    features = Features({kind.column: kind.feature()})
    columns: dict[str, list] = {kind.column: [{"bytes": None, "path": str(path)} for path in ours]}
    if labels:
        features["label"] = ClassLabel(names=list(names))
        columns["label"] = [features["label"].str2int(label) for label in labels]
    table = pa.table(columns, schema=features.arrow_schema)
    return Dataset(table, split=NamedSplit(split), fingerprint=_mark(ours, [*labels, *names]))


def _mark(ours: Sequence[Path], others: Any) -> str:
    """Identifies what a map function would see: another file under the same name is another dataset."""
    import xxhash

    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in ours]
    return xxhash.xxh3_64_hexdigest(repr((stats, others)).encode())


# ---------------------------------------------------------------------- metadata
def _described(
    kind: FileKind,
    metadata: Sequence[Path],
    ours: Sequence[Path],
    bad: set[Path],
    split: str,
    skip: bool,
    skips: list[str],
) -> Any:
    """The rows of the metadata files, whose columns `file_name` and `*_file_name` name files beside them."""
    import pyarrow as pa
    from datasets import Dataset, Features, NamedSplit, concatenate_datasets

    parts = []
    used: set[Path] = set()
    for file in metadata:
        rows = read_tables([file])
        table, features = rows.data.table.combine_chunks(), dict(rows.features)
        renamed = {name: name.removesuffix("file_name").removesuffix("_") or kind.column for name in features
                   if f"_{name}".endswith("_file_name")}  # fmt: skip
        if not renamed:
            raise ValueError(f"{file} has no column 'file_name'. Columns: {', '.join(map(repr, features))}.")
        keep = [True] * len(table)
        columns: dict[str, Any] = {}
        for name in features:
            if name not in renamed:
                columns[name] = table[name]
                continue
            paths = [_beside(file, value, row) for row, value in enumerate(table[name].to_pylist())]
            used.update(path for path in paths if path)
            keep = [known and path not in bad for known, path in zip(keep, paths, strict=True)]
            columns[renamed[name]] = [path and {"bytes": None, "path": str(path)} for path in paths]
        typed = Features(
            {renamed.get(name, name): kind.feature() if name in renamed else features[name] for name in features}
        )
        new = pa.table(columns, schema=typed.arrow_schema).filter(pa.array(keep))
        parts.append(Dataset(new, split=NamedSplit(split), fingerprint=_mark([*ours, file], keep)))
    forgotten = [path for path in ours if path not in used]
    if forgotten and not skip:
        raise ValueError(
            f"{_some([str(path) for path in forgotten])}: not named in {metadata[0].name}. Add it, move it away, or "
            "leave it out with skip_broken."
        )
    skips += [f"{path} is not named in {metadata[0].name}" for path in forgotten]
    return parts[0] if len(parts) == 1 else concatenate_datasets(parts, split=NamedSplit(split))


def _beside(file: Path, value: Any, row: int) -> Path | None:
    """The file that a row of a metadata file names."""
    if value is None or value == "":
        return None
    path = Path(os.path.normpath(file.parent / str(value)))
    if not path.is_relative_to(file.parent):
        raise ValueError(f"{file}, row {row} names {value!r}, which is not beside it.")
    if not path.is_file():
        raise ValueError(f"{file}, row {row} names {value!r}, and there is no such file.")
    return path


# ---------------------------------------------------------------------- writing
def write_files(
    kind: FileKind, protected: Any, original: Any, output: str | os.PathLike, column: str, source: str | os.PathLike
) -> None:
    """Writes every value as a file of its own, under the name it had below `source`, with the ending it has now.

    What a metadata file told of them is written too, with their new names.

    Args:
        kind: What they are.
        protected: The dataset to write.
        original: The dataset that it was made of, rows in the same order, read from the folder `source`.
        output: A new folder.
        column: The protected one.
        source: Where the original files stand.
    """
    stored = [data.cast_column(column, kind.feature(decode=False)) for data in (original, protected)]
    # `datasets` resolves a folder that is a link, and leaves links within it as they are.
    roots = (Path(source).absolute(), Path(source).resolve())
    names: list[Path | None] = []  # None in a row of a metadata file that names no file
    for value in stored[0][column]:
        if value is None:
            names.append(None)
            continue
        path = Path(value["path"] or "").absolute()
        root = next((root for root in roots if value["path"] and path.is_relative_to(root)), None)
        if root is None:
            raise ValueError(f"{source} is not a folder of {kind.many}: there are no names to write them under.")
        names.append(path.relative_to(root))
    # A file that keeps its ending keeps its name, whatever else would get it: b.jpg is b.jpg.png beside b.png.
    endings = [_ending(kind, *pair) for pair in zip(stored[0][column], stored[1][column], strict=True)]
    taken = {name for name, ending in zip(names, endings, strict=True) if name and ending in (None, name.suffix)}
    done: set[Path] = set()
    written: list[str | None] = []
    for name, ending, after in zip(names, endings, stored[1], strict=True):
        if name is None:
            written.append(None)
            continue
        if ending is not None and (name.suffix != ending or name in done):
            name = name.with_suffix(ending) if name.with_suffix(ending) not in taken else Path(f"{name}{ending}")
            while name in taken:
                name = Path(f"{name}{ending}")
        taken.add(name)
        done.add(name)
        written.append(name.as_posix())
        path = Path(output, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not _holds(path, after[column]):
            raise OSError(f"{path} does not hold what was written to it.")
    metadata = next((path for path in walk(Path(source)) if path.name in METADATA), None)
    if metadata is not None:
        rows = protected.remove_columns(column).add_column("file_name", written)
        form = table_form(metadata) if metadata.suffix in (".csv", ".tsv") else None
        write_table(rows.select_columns(["file_name", *rows.column_names[:-1]]), Path(output, metadata.name), form)


def _holds(path: Path, value: Any) -> bool:
    """Writes a stored file to a path, and says whether it is there: one that lies in a file is never in memory."""
    if value["bytes"] is None:
        shutil.copyfile(value["path"], path)
        return filecmp.cmp(value["path"], path, shallow=False)
    path.write_bytes(value["bytes"])
    return path.read_bytes() == value["bytes"]


def _ending(kind: FileKind, before: Any, after: Any) -> str | None:
    """The ending of a file that was encoded anew; None for a row that was left alone, still the file that it was."""
    if not after or (after["bytes"] is None and after == before):
        return None
    if after["bytes"] is not None:
        return kind.ending(after["bytes"])
    with Path(after["path"]).open("rb") as file:
        return kind.ending(file.read(16))
