"""What must be true before data is published as protected, read from the very files that would be uploaded."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.data import contents, fingerprint, load_rows, stored_bytes
from hf_unlearnable.publish.findings import Finding
from hf_unlearnable.publish.hub import Repository
from hf_unlearnable.publish.staging import Staged
from hf_unlearnable.publish.values import Leaf, leaves_of
from hf_unlearnable.registry import modality_of

if TYPE_CHECKING:
    from datasets import Dataset

    from hf_unlearnable.transform import Transform

logger = logging.getLogger(__name__)

_LOOKED_AT = 1000  # rows of a split that the key's mark is looked for in
_OPENED = (50, 100)  # rows whose values are opened beside their originals: of large ones, and at most
_OPENED_BYTES = 16 << 20  # of values that more than the fewer of these hold
_MADE_AGAIN = 32  # and that are made again with the key where the original is there
_GROUPS = 24  # from so many row groups of its files at most
_HISTORY = "Publish to a fresh repository, or delete this one: what history holds can be fetched for ever."
_BY_CHANCE = -3.0  # log10 of p: an owner's own data carries the mark in every row, far less likely by chance than this


def checked(
    staged: Sequence[Staged],
    original: Mapping[str, Any],
    columns: Sequence[str],
    transform: Transform | None,
    report: Mapping[str, Any] | None,
) -> tuple[dict[str, int], dict[str, str]]:
    """Compares the files with all that is known of them.

    Args:
        staged: The splits on disk.
        original: The data before, by split; those that are there are compared row by row.
        columns: The protected columns.
        transform: The fitted transform, if the owner gave the key.
        report: What an audit found, if there is one.

    Values are opened in a sample of the rows, and the words say so; `scan` compares the stored bytes of all.

    Returns:
        Changed rows, where all were compared, and the fidelity in words, by split.

    Raises:
        ValueError: A value broke the bound or is not stored exactly, the data was never protected, the key is
            another one, or the report is of other data.
    """
    changed, fidelity = {}, {}
    for part in staged:
        try:
            if part.split in original:
                if len(original[part.split]) != part.rows:
                    raise ValueError(
                        f"The original has {len(original[part.split])} rows and the protected data {part.rows}: they "
                        "do not correspond. Give the rows that were protected, all of them."
                    )
                indices, before, after = _opened(part, original[part.split], columns, transform)
                with _named(indices):
                    measured = [
                        modality_of(part.features, name).fidelity(before, after, name, transform) for name in columns
                    ]
                sample = f"of {len(after)} sampled rows, "
                if len(after) == part.rows:
                    changed[part.split], sample = max(one.changed for one in measured), ""
                fidelity[part.split] = sample + "; ".join(map(str, measured))
                if transform is not None:
                    _require_key(transform, before, after)
            else:
                _require_exact(part, columns)
        except ValueError as error:
            raise ValueError(f"Split {part.split!r}: {error}") from None
    if len(changed) == len(fidelity):
        require_changed(changed)
    if report is not None:
        _require_same(report, staged, columns)
    if transform is not None and not fidelity:
        _require_mark(transform, staged)
    return changed, fidelity


def require_changed(changed: Mapping[str, int]) -> None:
    """Raises a ValueError where no row of any split differs from its original."""
    if changed and not any(changed.values()):
        raise ValueError("No row differs from the original: this dataset was never protected.")


def stored(part: Staged, columns: Sequence[str]) -> Any:
    """The rows of a split as they come out of its files, a stream of these columns and no others."""
    from datasets import load_dataset

    files = [str(file) for file in part.files]
    return load_dataset("parquet", data_files=files, split="train", streaming=True, columns=list(columns))


def _some(part: Staged, columns: Sequence[str], count: int) -> tuple[np.ndarray, Dataset]:
    """So many rows, drawn from all over the files of a split, and where they stand in it; all if there are no more."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Dataset, Features

    opened = [pq.ParquetFile(file) for file in part.files]
    groups = [(file, group) for file in opened for group in range(file.metadata.num_row_groups)]
    starts = np.cumsum([0, *(file.metadata.row_group(group).num_rows for file, group in groups)])
    most = len(groups) if count >= part.rows else min(_GROUPS, len(groups))
    chosen = np.unique(np.linspace(0, len(groups) - 1, most).astype(int))
    rng = np.random.default_rng(part.rows)  # the same rows for the same data
    indices, tables = [], []
    for number in chosen.tolist():
        file, group = groups[number]
        rows = int(starts[number + 1] - starts[number])
        share = rows if count >= part.rows else min(max(1, count // len(chosen)), rows)
        within = np.sort(rng.choice(rows, share, replace=False))
        tables.append(file.read_row_group(group, columns=list(columns)).take(pa.array(within)))
        indices.append(starts[number] + within)
    features = Features({name: part.features[name] for name in columns})
    return np.concatenate(indices), Dataset(pa.concat_tables(tables).cast(features.arrow_schema))


def _require_exact(part: Staged, columns: Sequence[str]) -> None:
    for column in columns:
        try:
            modality_of(part.features, column).require_exact(stored(part, [column]), column)
        except ValueError as error:
            raise ValueError(f"{error} Or give its original, to show that such rows were left alone.") from None


def _opened(
    part: Staged, original: Any, columns: Sequence[str], transform: Transform | None
) -> tuple[np.ndarray, Any, Any]:
    """The rows that are opened: where they stand, the originals, and what is in the files. All of a small split."""
    count = int(np.clip(_OPENED_BYTES * part.rows // max(1, part.num_bytes), *_OPENED))
    if not all(any(leaf.is_own([leaf.root]) and leaf.is_compared for leaf in _leaves(part, name)) for name in columns):
        count = part.rows  # `scan` does not compare such values
    wanted = [*columns, *(transform._columns() if transform else ())]
    indices, after = _some(part, [name for name in part.features if name in wanted], count)
    return indices, original.select(indices), after


def _leaves(part: Staged, column: str) -> list[Leaf]:
    from datasets import Features

    return leaves_of(Features({column: part.features[column]}).arrow_schema.empty_table())


@contextmanager
def _named(indices: np.ndarray) -> Iterator[None]:
    """Counts the rows that an error names as the split does, of which these were looked at."""
    try:
        yield
    except ValueError as error:
        raise ValueError(re.sub(r"^Row (\d+)", lambda row: f"Row {indices[int(row[1])]}", str(error))) from None


def _require_key(transform: Transform, before: Any, after: Any) -> None:
    """The key makes of the originals what is in the files, in rows that changed."""
    some = np.unique(np.linspace(0, len(after) - 1, min(_MADE_AGAIN, len(after))).astype(int))
    before, after = before.select(some), after.select(some)
    made = before.map(transform, batched=True, batch_size=16, load_from_cache_file=False, desc="Checking the key")
    for column in transform._columns():
        same = modality_of(after.features, column).same
        for one, two, three in zip(*(_values(data, column) for data in (before, after, made)), strict=True):
            if one != two and two != three and not same(one, two) and not same(two, three):
                raise ValueError(
                    f"This key makes other rows of the original in column {column!r}: the data was protected with "
                    "another key, or with other parameters. Give the key that it was protected with."
                )


def _values(dataset: Any, column: str) -> Iterator[Any]:
    """Each value of a column as it is stored, files as their bytes wherever they stand."""
    for table in dataset.with_format("arrow").iter(batch_size=16):
        yield from map(stored_bytes, table[column].to_pylist())


def _require_same(report: Mapping[str, Any], staged: Sequence[Staged], columns: Sequence[str]) -> None:
    """A report tells of the data that it was made of, and of no other."""
    known = report.get("fingerprints") or {}
    found = {(part.split, name): fingerprint(stored(part, [name]), name) for part in staged for name in columns}
    for (split, name), mark in found.items():
        if mark == known.get("clean"):
            raise ValueError(f"Split {split!r}, column {name!r} is the clean data of the report, not protected.")
    if known.get("protected") not in found.values():
        raise ValueError(
            f"The report is of other data: none of the splits {[part.split for part in staged]} holds in "
            f"{' or '.join(map(repr, columns))} what was attacked. Attack this data, or leave the report out."
        )


def _require_mark(transform: Transform, staged: Sequence[Staged]) -> None:
    """With no original beside it, the key must be found in one of the splits."""
    from hf_unlearnable.ownership import verify

    wanted = {*transform._columns(), transform.label_column, transform.id_column, transform.mask_column}
    found, reasons = [], []
    for part in staged:
        try:
            rows = _some(part, [name for name in part.features if name in wanted], _LOOKED_AT)[1]
            found.append(verify(transform, rows))
        except ValueError as error:
            reasons.append(str(error))
    if any(one.log10_p <= _BY_CHANCE for one in found):
        return
    if not found:
        raise ValueError(f"The key alone does not show that this data was protected. {reasons[0]} Give the original.")
    if min(one.log10_least for one in found) > _BY_CHANCE:
        logger.warning("This is so little data that the key's mark cannot be told from chance: give the original.")
        return
    raise ValueError(
        f"This dataset does not carry this key's mark, so it was never protected with it ({found[0]}). Give the "
        "key that it was protected with."
    )


# ---------------------------------------------------------------------- what the repository still holds
def earlier_versions(
    repository: Repository,
    additions: Sequence[Any],
    staged: Sequence[Staged],
    original: Mapping[str, Any],
    columns: Sequence[str],
) -> tuple[list[Finding], dict[str, bytes]]:
    """Looks through the repository's history: what was pushed once can be fetched for ever.

    A clean version there undoes the protection, and so does one that was protected in another way: an attacker who
    compares the two sees what was changed.

    Returns:
        What was found, and by name the files that hold no rows and are yet to be searched.
    """
    findings: list[Finding] = []
    notes: dict[str, bytes] = {}
    published = clean = np.zeros(0, np.uint64)
    same = {addition.upload_info.sha256.hex() for addition in additions}
    for place, file, has_rows in repository.earlier(same):
        if not has_rows:
            notes[place] = file.read_bytes()
            continue
        if not len(published):
            published = _hashes((stored(part, columns) for part in staged), columns)
            clean = _hashes(original.values(), columns)
            clean = clean[~np.isin(clean, published)]
        try:
            rows = load_rows(file)
            every = _hashes([rows], [name for name in rows.column_names if _may_hold(rows.features[name])])
            other = _hashes([rows], columns)
        except ValueError as error:
            what, count = f"a file that could not be compared ({str(error).replace(str(file), place)})", 0
        else:
            other = other[~np.isin(other, published)]
            count = int(np.isin(every, clean).sum())
            if not count and not len(other):
                continue
            what = "clean rows" if count else "rows that are not published now, clean ones or differently protected"
            count = count or len(other)
        split = place.rsplit("/", 1)[-1].split("-")[0]
        if split not in {part.split for part in staged}:
            what += f", of the split {split!r} that is not in this push: all splits are pushed together"
        findings.append(Finding("history", place, None, count, f"The repository's history holds {what}.", _HISTORY))
    return findings, notes


def as_history(findings: Sequence[Finding], notes: Collection[str], allow: Collection[str]) -> list[Finding]:
    """The findings of a scan, those in files of the history as such; what is allowed in a file is so in its past.

    Args:
        findings: What `scan` found.
        notes: Names of the files of the history, "branch@commit/path".
        allow: Names of allowed findings.
    """
    told = []
    for finding in findings:
        if finding.place not in notes:
            told.append(finding)
        elif f"{finding.kind}:{finding.place.partition('/')[2]}" not in allow:
            what = f"The repository's history holds this ({finding.kind}): {finding.what}"
            told.append(replace(finding, kind="history", what=what, remedy=_HISTORY))
    return told


def _may_hold(feature: Any) -> bool:
    """Whether a column may hold a copy of a protected value."""
    from datasets import ClassLabel, Value

    return not isinstance(feature, ClassLabel) and not (
        isinstance(feature, Value) and feature.dtype.startswith(("int", "uint", "float", "bool"))
    )


def _hashes(parts: Iterable[Any], columns: Sequence[str]) -> np.ndarray:
    """A hash of each value of these columns, uint64."""
    import xxhash

    def hashes() -> Iterator[int]:
        for part in parts:
            for table in part.select_columns(list(columns)).with_format("arrow").iter(batch_size=64):
                for column in columns:
                    yield from map(xxhash.xxh3_64_intdigest, contents(table, column))

    return np.fromiter(hashes(), np.uint64)
