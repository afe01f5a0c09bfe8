"""Folders of pictures: every picture is read or named, and written back under the name that it had."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from hf_unlearnable._words import counted
from hf_unlearnable.data.csv_files import table_form
from hf_unlearnable.data.folders import METADATA, walk
from hf_unlearnable.data.tables import read_tables
from hf_unlearnable.data.writing import write_table

logger = logging.getLogger(__name__)

HEIC = frozenset({".heic", ".heics", ".heif", ".heifs", ".hif"})
# Files that are pictures to their owner, readable here or not; what is not readable is named.
_READABLE = """
    .apng .avif .avifs .bmp .bw .cur .dcx .dds .dib .eps .gif .icb .icns .ico .im .j2c .j2k .jfif .jp2 .jpc .jpe .jpeg
    .jpf .jpg .jpx .pbm .pcd .pcx .pgm .png .pnm .ppm .ps .psd .qoi .ras .rgb .rgba .sgi .tga .tif .tiff .vda .vst
    .webp .xbm .xpm
"""
_RAW = ".3fr .arw .cr2 .cr3 .dng .jxl .nef .orf .raf .rw2 .srw"
PICTURES = HEIC.union(_READABLE.split(), _RAW.split())


def holds_images(folder: str | os.PathLike) -> bool:
    """Whether a folder is one of pictures, as against one of tables.

    JSON files beside pictures tell of these, one each as labelling tools and albums write them. Parquet and Arrow
    files are tables; of CSV and JSON lines there may be a few.
    """
    endings = Counter(path.suffix.lower() for path in walk(Path(folder)) if path.name not in METADATA)
    pictures = sum(count for ending, count in endings.items() if ending in PICTURES)
    if endings[".parquet"] or endings[".arrow"]:
        return False
    return pictures > endings[".csv"] + endings[".tsv"] + endings[".jsonl"]


def _in(folder: Path) -> list[Path]:
    """The pictures of a folder in the order of their names without endings, which a protection may change."""
    pictures = (path for path in walk(folder) if path.suffix.lower() in PICTURES)
    return sorted(pictures, key=lambda path: (path.with_suffix("").parts, path.suffix))


def without_labels(folder: Path) -> str:
    """Why the pictures of a folder have no labels, and what to do, in a sentence or two."""
    names = {path.relative_to(folder).parts[:-1] for path in _in(folder)}
    if names == {()}:
        return (
            f"The pictures stand side by side in {folder}, and a label is the name of a folder. Put those of each "
            f"class into a folder of its own, such as {folder / 'cat'}. If {folder.name} is one class of several, "
            "give the folder that holds them all."
        )
    if len(names) == 1:
        inner = folder.joinpath(*next(iter(names)))
        return (
            f"All pictures stand in {inner}, one class, and it takes two or more. Add a folder for each other class."
        )
    return f"The pictures stand at several depths in {folder}. Put those of each class into a folder of its own."


def read_pictures(
    folder: Path,
    *,
    split: str = "train",
    parts: Sequence[Path] = (),
    need_labels: bool = True,
    skip_broken: bool = False,
    skipped: list[str] | None = None,
) -> Any:
    """The pictures of a folder, with the folders that they stand in as classes, or with the columns of its metadata.

    Args:
        folder: Of pictures.
        split: Name that the dataset gets.
        parts: Folders of all splits, whose classes are numbered together.
        need_labels: Whether a picture that stands at another depth than the folders of classes is refused; False reads
            it, and there are no labels then.
        skip_broken: Whether pictures that do not open or stand outside the classes are left out.
        skipped: Gets a line for each of these.

    Returns:
        A `Dataset` with the columns "image" and perhaps "label", or "image" and those of the metadata.

    Raises:
        ValueError: A picture cannot be read, or stands beside the folders of classes. The message names it.
    """
    folder, parts = folder.absolute(), [part.absolute() for part in parts]
    if "::" in str(folder):
        raise ValueError(f"{folder} has '::' in its name, which `datasets` takes for an archive. Rename it.")
    files = list(walk(folder))
    pictures = _in(folder)
    metadata = [path for path in files if path.name in METADATA]
    others = Counter(
        path.suffix.lower() or path.name
        for path in files
        if path not in metadata and path.suffix.lower() not in PICTURES
    )
    if others:
        told = ", ".join(f"{count} {ending}" for ending, count in others.most_common(5))
        count = sum(others.values())
        said = counted(count, "file is no picture and is", "files are no pictures and are")
        logger.warning("%s: %s not read (%s).", folder, said, told)
    skips: list[str] = []
    bad = _unreadable(pictures, deep=skip_broken)
    if bad and not skip_broken:
        raise ValueError(
            f"{_some([f'{path} {reason}' for path, reason in bad.items()])}. Put them right, or leave them out with "
            "skip_broken."
        )
    skips += [f"{path} {reason}" for path, reason in bad.items()]
    pictures = [path for path in pictures if path not in bad]
    if metadata:
        dataset = _described(metadata, pictures, set(bad), split, skip_broken, skips)
    else:
        pictures, labels = _labelled(folder, pictures, need_labels, skip_broken, skips)
        others_labels = (_labelled(part, _in(part), need_labels, True, [])[1] for part in parts if part != folder)
        names = sorted({*labels, *chain.from_iterable(others_labels)})
        dataset = _dataset(pictures, labels if len(names) > 1 else [], names, split)
    if not len(dataset):
        raise ValueError(f"{folder} holds no pictures that can be read{': ' + _some(skips) if skips else ''}.")
    if skips:
        said = counted(len(skips), "picture is", "pictures are")
        logger.warning("%s: %s left out: %s.", folder, said, _some(skips))
    if skipped is not None:
        skipped.extend(skips)
    return dataset


def _some(lines: Sequence[str]) -> str:
    return "; ".join(lines[:5]) + (f"; and {len(lines) - 5} more" if len(lines) > 5 else "")


def _unreadable(pictures: Sequence[Path], deep: bool) -> dict[Path, str]:
    """The pictures that cannot be read, and why; looked into only if `deep`, else told from their names."""
    found = {}
    for path in pictures:
        if "::" in str(path):
            found[path] = "has '::' in its name, which `datasets` takes for an archive: rename it"
        elif path.suffix.lower() in HEIC and not _reads_heic():
            found[path] = "is HEIC: install pillow-heif, or convert it to PNG or JPEG"
        elif deep:
            from hf_unlearnable.image.codec import ImageError, decode

            try:
                decode({"bytes": path.read_bytes(), "path": str(path)})
            except ImageError as error:
                found[path] = str(error)
            except OSError as error:
                found[path] = f"cannot be read ({error.strerror})"
    return found


def _reads_heic() -> bool:
    return importlib.util.find_spec("pillow_heif") is not None


def _labelled(
    folder: Path, pictures: list[Path], need_labels: bool, skip_broken: bool, skips: list[str]
) -> tuple[list[Path], list[str]]:
    """The pictures with the names of the folders that they stand in, if they all stand equally deep in some."""
    depths = Counter(len(path.relative_to(folder).parts) for path in pictures)
    usual = max(depths, key=lambda depth: (depths[depth], depth), default=1)
    classes = {path.parent for path in pictures if len(path.relative_to(folder).parts) == usual}
    if len(depths) > 1 and need_labels and len(classes) > 1:
        stray = [path for path in pictures if len(path.relative_to(folder).parts) != usual]
        if not skip_broken:
            raise ValueError(
                f"{_some([str(path) for path in stray])}: not in a folder of a class as the other pictures are. Move "
                "it into one or away, or leave it out with skip_broken."
            )
        skips += [f"{path} stands outside the folders of classes" for path in stray]
        pictures = [path for path in pictures if len(path.relative_to(folder).parts) == usual]
        depths = Counter({usual: len(pictures)})
    labels = [path.parent.name for path in pictures]
    return pictures, labels if len(depths) == 1 and usual > 1 else []


def _dataset(pictures: Sequence[Path], labels: Sequence[str], names: Sequence[str], split: str) -> Any:
    import pyarrow as pa
    from datasets import ClassLabel, Dataset, Features, Image, NamedSplit

    features = Features({"image": Image()})
    columns: dict[str, list] = {"image": [{"bytes": None, "path": str(path)} for path in pictures]}
    if labels:
        features["label"] = ClassLabel(names=list(names))
        columns["label"] = [features["label"].str2int(label) for label in labels]
    table = pa.table(columns, schema=features.arrow_schema)
    return Dataset(table, split=NamedSplit(split), fingerprint=_mark(pictures, [*labels, *names]))


def _mark(pictures: Sequence[Path], others: Any) -> str:
    """Identifies what a map function would see: another file under the same name is another dataset."""
    import xxhash

    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in pictures]
    return xxhash.xxh3_64_hexdigest(repr((stats, others)).encode())


# ---------------------------------------------------------------------- metadata
def _described(
    metadata: Sequence[Path], pictures: Sequence[Path], bad: set[Path], split: str, skip: bool, skips: list[str]
) -> Any:
    """The rows of the metadata files, whose columns `file_name` and `*_file_name` name pictures beside them."""
    import pyarrow as pa
    from datasets import Dataset, Features, Image, NamedSplit, concatenate_datasets

    parts = []
    used: set[Path] = set()
    for file in metadata:
        rows = read_tables([file])
        table, features = rows.data.table.combine_chunks(), dict(rows.features)
        renamed = {name: name.removesuffix("file_name").removesuffix("_") or "image" for name in features
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
            {renamed.get(name, name): Image() if name in renamed else features[name] for name in features}
        )
        new = pa.table(columns, schema=typed.arrow_schema).filter(pa.array(keep))
        parts.append(Dataset(new, split=NamedSplit(split), fingerprint=_mark([*pictures, file], keep)))
    forgotten = [path for path in pictures if path not in used]
    if forgotten and not skip:
        raise ValueError(
            f"{_some([str(path) for path in forgotten])}: not named in {metadata[0].name}. Add it, move it away, or "
            "leave it out with skip_broken."
        )
    skips += [f"{path} is not named in {metadata[0].name}" for path in forgotten]
    return parts[0] if len(parts) == 1 else concatenate_datasets(parts, split=NamedSplit(split))


def _beside(file: Path, value: Any, row: int) -> Path | None:
    """The picture that a row of a metadata file names."""
    if value is None or value == "":
        return None
    path = Path(os.path.normpath(file.parent / str(value)))
    if not path.is_relative_to(file.parent):
        raise ValueError(f"{file}, row {row} names {value!r}, which is not beside it.")
    if not path.is_file():
        raise ValueError(f"{file}, row {row} names {value!r}, and there is no such file.")
    return path


# ---------------------------------------------------------------------- writing
def write_images(
    protected: Any, original: Any, output: str | os.PathLike, image_column: str, source: str | os.PathLike
) -> None:
    """Writes every image as a file of its own, under the name it had below `source`, with the ending it has now.

    What a metadata file told of the images is written too, with their new names.

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
    names: list[Path | None] = []  # None in a row of a metadata file that names no picture
    for value in stored[0][image_column]:
        if value is None:
            names.append(None)
            continue
        path = Path(value["path"] or "").absolute()
        root = next((root for root in roots if value["path"] and path.is_relative_to(root)), None)
        if root is None:
            raise ValueError(f"{source} is not a folder of image files: there are no names to write them under.")
        names.append(path.relative_to(root))
    # A file that keeps its ending keeps its name, whatever else would get it: b.jpg is b.jpg.png beside b.png.
    endings = [_ending(value) for value in stored[1][image_column]]
    taken = {name for name, ending in zip(names, endings, strict=True) if name and ending in (None, name.suffix)}
    done: set[Path] = set()
    written: list[str | None] = []
    for name, ending, after in zip(names, endings, stored[1], strict=True):
        if name is None:
            written.append(None)
            continue
        data = after[image_column]["bytes"]
        if ending is None:
            data = Path(after[image_column]["path"]).read_bytes()
        elif name.suffix != ending or name in done:
            name = name.with_suffix(ending) if name.with_suffix(ending) not in taken else Path(f"{name}{ending}")
            while name in taken:
                name = Path(f"{name}{ending}")
        taken.add(name)
        done.add(name)
        written.append(name.as_posix())
        path = Path(output, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if path.read_bytes() != data:
            raise OSError(f"{path} does not hold what was written to it.")
    metadata = next((path for path in walk(Path(source)) if path.name in METADATA), None)
    if metadata is not None:
        rows = protected.remove_columns(image_column).add_column("file_name", written)
        form = table_form(metadata) if metadata.suffix in (".csv", ".tsv") else None
        write_table(rows.select_columns(["file_name", *rows.column_names[:-1]]), Path(output, metadata.name), form)


def _ending(value: Any) -> str | None:
    """The ending of an image that was encoded anew; None for a row that was left alone, still the file that it was."""
    if not value or value["bytes"] is None:
        return None
    return ".webp" if value["bytes"][8:12] == b"WEBP" else ".png"
