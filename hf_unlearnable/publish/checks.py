"""What must be true before data is published as protected, read from the very files that would be uploaded."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.data import contents, fingerprint, load_rows
from hf_unlearnable.publish.hub import Repository
from hf_unlearnable.publish.leaks import Finding
from hf_unlearnable.publish.staging import Staged

if TYPE_CHECKING:
    from hf_unlearnable.transform import Transform

logger = logging.getLogger(__name__)

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

    Returns:
        Changed rows and the fidelity in words, by split.

    Raises:
        ValueError: An image broke the bound or is not stored losslessly, the data was never protected, or the report
            is of other data.
    """
    changed, fidelity = {}, {}
    for part in staged:
        if part.split in original:
            measured = [_measured(original[part.split], part, name, transform) for name in columns]
            changed[part.split] = max(one.changed for one in measured)
            fidelity[part.split] = "; ".join(map(str, measured))
        elif _holds_images(part, columns):
            _require_lossless(part, columns)
    if changed and not any(changed.values()):
        raise ValueError("No row differs from the original: this dataset was never protected.")
    if report is not None:
        _require_same(report, staged, columns[0])
    elif transform is not None and not changed:
        _require_mark(transform, staged)
    return changed, fidelity


def stored(part: Staged, columns: Sequence[str]) -> Any:
    """The rows of a split as they come out of its files, a stream of these columns and no others."""
    from datasets import load_dataset

    files = [str(file) for file in part.files]
    return load_dataset("parquet", data_files=files, split="train", streaming=True, columns=list(columns))


def _holds_images(part: Staged, columns: Sequence[str]) -> bool:
    from datasets import Image

    return any(isinstance(part.features[name], Image) for name in columns)


def _measured(original: Any, part: Staged, column: str, transform: Transform | None) -> Any:
    from hf_unlearnable.fidelity import image_fidelity, text_fidelity

    try:
        if not _holds_images(part, [column]):
            return text_fidelity(original, stored(part, [column]), column)
        bound = transform.max_levels if transform is not None and transform.additive else None  # type: ignore[attr-defined]
        return image_fidelity(original, stored(part, [column]), column, bound)
    except ValueError as error:
        raise ValueError(f"Split {part.split!r}: {error}") from None


def _require_lossless(part: Staged, columns: Sequence[str]) -> None:
    from hf_unlearnable.fidelity import require_lossless

    for column in columns:
        require_lossless(stored(part, [column]), column)


def _require_same(report: Mapping[str, Any], staged: Sequence[Staged], column: str) -> None:
    """A report tells of the data that it was made of, and of no other."""
    known = report.get("fingerprints") or {}
    found = {fingerprint(stored(part, [column]), column) for part in staged}
    if known.get("protected") in found:
        return
    if known.get("clean") in found:
        raise ValueError("This is the clean data of the report, not the protected one.")
    raise ValueError(
        f"The report is of other data: none of the splits {[part.split for part in staged]} holds in column "
        f"{column!r} what was attacked. Attack this data, or leave the report out."
    )


def _require_mark(transform: Transform, staged: Sequence[Staged]) -> None:
    """With nothing but a key, the key must be found in the data."""
    from hf_unlearnable.ownership import verify

    wanted = {*transform._columns(), transform.label_column, transform.id_column, transform.mask_column}
    try:
        found = [
            verify(transform, stored(part, [name for name in part.features if name in wanted])) for part in staged
        ]
    except ValueError as error:
        raise ValueError(
            f"The key alone does not show that this data was protected. {error} Give the original."
        ) from None
    if min(one.log10_p for one in found) <= _BY_CHANCE:
        return
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
) -> list[Finding]:
    """Looks through the repository's history: what was pushed once can be fetched for ever.

    A clean version there undoes the protection, and so does one that was protected in another way: who compares the
    two sees what was changed.
    """
    findings = []
    published = clean = np.zeros(0, np.uint64)
    same = {addition.upload_info.sha256.hex() for addition in additions}
    for place, file in repository.earlier_data(same):
        if not len(published):
            published = _row_hashes((stored(part, columns) for part in staged), columns)
            clean = _row_hashes(original.values(), columns)
            clean = clean[~np.isin(clean, published)]
        try:
            rows = load_rows(file)
            found = _row_hashes([rows], columns)
        except ValueError as error:
            what, count = f"a data file that could not be compared ({error})", 0
        else:
            other = found[~np.isin(found, published)]
            if not len(other):
                continue
            shown = int(np.isin(other, clean).sum())
            count = shown or len(other)
            what = (
                "clean rows" if shown else "rows that are not those published now, clean ones or differently protected"
            )
        findings.append(
            Finding(
                "history", place, None, count, f"the repository's history holds {what}",
                "publish to a fresh repository, or delete this one: what its history holds can be fetched for ever",
            )
        )  # fmt: skip
    return findings


def _row_hashes(parts: Any, columns: Sequence[str]) -> np.ndarray:
    """A hash of the protected cells of every row, uint64 [rows]."""
    import xxhash

    def hashes() -> Iterator[int]:
        for part in parts:
            for table in part.select_columns(list(columns)).with_format("arrow").iter(batch_size=64):
                for cells in zip(*(contents(table, column) for column in columns), strict=True):
                    yield xxhash.xxh3_64_intdigest(b"\0".join(cells))

    return np.fromiter(hashes(), np.uint64)
