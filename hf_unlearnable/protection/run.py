"""What the processes agree on that protect the shards of one dataset, in a folder beside the output.

The folder of `NAME` is `.NAME.run`. It says which files there are, with which key and options, and what was counted in
each. Only its owner may read it, for counts tell of the clean texts; it is gone when the last shard is there.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_unlearnable._files import remove_all_left, scratch_folder
from hf_unlearnable._words import spelled
from hf_unlearnable.data import HubFile
from hf_unlearnable.key import Key, new_seed
from hf_unlearnable.registry import load_transform
from hf_unlearnable.rows import require_columns
from hf_unlearnable.transform import NotFittedError, Transform

logger = logging.getLogger(__name__)

Shard = Path | HubFile


@dataclass(frozen=True)
class Run:
    """A run, of one process or many.

    Args:
        files: The shards by their names in the output.
        stamps: What tells that a file was changed, by the same names.
        output: Where the shards go.
        folder: What the processes agree on.
        seed: Of the key, where the run makes it.
        is_new: Whether this process began it.
    """

    files: Mapping[str, Shard]
    stamps: Mapping[str, list]
    output: Path
    folder: Path
    seed: int
    is_new: bool

    @classmethod
    def begun(cls, files: Mapping[str, Shard], transform: Transform, output: Path, key: Path) -> Run:
        """The run that began with these files, or a new one.

        Args:
            files, output: As for the class.
            transform: Fitted or not.
            key: Where its key is, or will be.

        Raises:
            FileExistsError: The output is there, and no run that goes on.
            ValueError: A file was changed since, or the run began with other files or options.
        """
        folder = output.absolute().with_name(f".{output.name}.run")
        if output.exists() and not folder.exists():
            raise FileExistsError(f"{output} exists. Give another {spelled('output')}, or move it away.")
        for one in (key, *files.values()):
            if isinstance(one, Path) and one.absolute().is_relative_to(output.absolute()):
                raise ValueError(f"{one} is within {spelled('output')}. Give it a place of its own.")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stamps = {name: stamp(file) for name, file in files.items()}
        seed = new_seed() if transform.seed is None else transform.seed
        options = {**transform._key_params(), "seed": transform.seed}
        wanted = json.loads(json.dumps({"method": transform.method, "files": stamps, "options": options}))
        is_new = not (folder / "run.json").exists()
        there = _agreed(folder / "run.json", {**wanted, "seed": seed})
        anew = f"remove {output} and {folder}, and begin anew"
        for name, file in files.items():
            if there["files"].get(name, stamps[name]) != stamps[name]:
                raise ValueError(f"{file} was changed since {output} was begun. Put it back, or {anew}.")
        if _is_fitted(transform):  # its key is compared, see `agree_on_key`
            wanted["options"] = there["options"]
        if {**there, **wanted} != there:
            raise ValueError(
                f"{output} was begun with another method, other files or other options. Give those, or {anew}."
            )
        output.mkdir(exist_ok=True)
        return cls(files, stamps, output, folder, there["seed"], is_new)

    def counts(self, name: str) -> Path:
        """Where the counts of a shard are kept."""
        return self.folder / "counts" / f"{list(self.files).index(name)}.parquet"

    def missing(self) -> list[str]:
        """The shards that are not in the output."""
        return [name for name in self.files if not (self.output / name).exists()]

    def with_key(self, transform: Transform, key: Path) -> Transform:
        """The fitted transform of a key that is there: given, or made by another process of this run.

        Raises:
            FileExistsError: The key is another one.
            ValueError: Shards of the output are of another key.
        """
        known = Key.load(key)
        if _is_fitted(transform):
            if not transform.key.same_secret(known):
                raise FileExistsError(f"{key} is another key, and a key is never overwritten. Give another one.")
        elif self.is_new or known.seed != self.seed:
            raise FileExistsError(
                f"{key} exists, and a key is never overwritten. Give another {spelled('key')}, or the transform of "
                "that one."
            )
        else:
            transform = load_transform(key)
        mine = {"checksum": json.loads((key / "key.json").read_text(encoding="utf-8")).get("checksum")}
        if _agreed(self.folder / "key.json", mine) != mine:
            raise ValueError(
                f"{self.output} holds shards of another key than {key}. Give that one, or another {spelled('output')}."
            )
        return transform

    def end(self) -> None:
        """Removes what the run needed, and what killed processes left in the output."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for place in {(self.output / name).parent for name in self.files}:
            remove_all_left(place)


def _is_fitted(transform: Transform) -> bool:
    try:
        transform._state()
    except NotFittedError:
        return False
    return True


def _agreed(path: Path, mine: dict[str, Any]) -> dict[str, Any]:
    """What the first process wrote here, which may be this one."""
    if not path.exists():
        scratch = scratch_folder(path.parent, path.name)
        (scratch / "new").write_text(json.dumps(mine), encoding="utf-8")
        try:
            os.link(scratch / "new", path)  # unlike a new name, never in place of what another process wrote
        except FileExistsError:
            logger.debug("%s was written by another process.", path)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return json.loads(path.read_text(encoding="utf-8"))


def stamp(file: Shard) -> list:
    """What tells that a file was changed."""
    if isinstance(file, HubFile):
        return [file.size, file.oid]
    return [file.stat().st_size, file.stat().st_mtime_ns]


@contextmanager
def unchanged(file: Shard, before: list) -> Iterator[None]:
    """Names a file in errors over its rows, and raises a ValueError for one that is changed while it is read."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    if stamp(file) != before:
        raise ValueError(f"{file} was changed while it was read. Put it back, or begin anew.")


def check_files(files: Mapping[str, Shard], transform: Transform) -> None:
    """Raises a ValueError for files that are no Parquet, differ in columns or types, lack a column or have no rows."""
    from datasets import Features

    schemas, rows = {}, 0
    for file in files.values():
        with parquet(file) as opened:
            schemas[file] = Features.from_arrow_schema(opened.schema_arrow)
            rows += opened.metadata.num_rows
    first = next(iter(schemas))
    for file, found in schemas.items():
        if found != schemas[first]:
            raise ValueError(f"{first} and {file} have different columns or types. Give files of one table.")
    labels = [transform.label_column] if transform.needs_labels is True else []
    others = [name for name in (transform.id_column, transform.mask_column) if name]
    require_columns(list(schemas[first]), [*transform._columns(), *labels, *others])
    if not rows:
        raise ValueError(f"The {len(files)} files have no rows: there is nothing to protect.")


@contextmanager
def parquet(file: Shard) -> Iterator[Any]:
    """An opened Parquet file; a ValueError names one that is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with file.opened() if isinstance(file, HubFile) else nullcontext(file.absolute()) as source:
        try:
            opened = pq.ParquetFile(source, pre_buffer=isinstance(file, HubFile))
        except pa.ArrowInvalid as error:
            raise ValueError(f"{file} cannot be read as Parquet: {error}") from None
        with opened:
            yield opened
