"""What is done after rows were protected: they are compared with the originals and reported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_unlearnable._words import spelled
from hf_unlearnable.data import load_rows
from hf_unlearnable.transform import Transform

if TYPE_CHECKING:
    from accelerate import Accelerator
    from datasets import Dataset

    from hf_unlearnable.modality import Modality


@dataclass(frozen=True)
class Protected:
    """What `protect` made; with several processes, the part of this one.

    Args:
        transform: The fitted transform; `transform.key` is the secret.
        rows: How many there are, by split.
        changed: How many of them are stored otherwise than before, by split.
        fidelity: How far the protected values are from the originals, by split and column.
        example: One changed row before and after, in lines for the owner, by split.
        memory: The protected rows by split, where they were not written.
        output: Where they were written, or None.
    """

    transform: Transform
    rows: Mapping[str, int]
    changed: Mapping[str, int]
    fidelity: Mapping[str, Mapping[str, Any]]
    example: Mapping[str, list[str]] = field(repr=False)
    memory: Mapping[str, Dataset] | None = None
    output: Path | None = None

    def told(self, split: str) -> str:
        """What it costs a reader or viewer of a split, in a line per column."""
        columns = self.fidelity[split]
        return "\n".join(f"{name}: {one}" if len(columns) > 1 else str(one) for name, one in columns.items())

    @property
    def data(self) -> dict[str, Dataset]:
        """The protected rows by split, read from the output where they were written."""
        return _read(self)


@dataclass(frozen=True)
class Restored:
    """What `restore` made.

    Args:
        columns: The protected ones.
        rows: How many there are, by split.
        changed: How many of them had been protected, by split.
        memory: The restored rows by split, where they were not written.
        output: Where they were written, or None.
    """

    columns: list[str]
    rows: Mapping[str, int]
    changed: Mapping[str, int]
    memory: Mapping[str, Dataset] | None = None
    output: Path | None = None

    @property
    def data(self) -> dict[str, Dataset]:
        """The restored rows by split, read from the output where they were written."""
        return _read(self)


def _read(done: Protected | Restored) -> dict[str, Dataset]:
    if done.memory is not None:
        return dict(done.memory)
    assert done.output is not None
    if done.output.is_file():
        return {name: load_rows(done.output) for name in done.rows}
    return {name: load_rows(done.output, split=name, need_labels=False) for name in done.rows}


# ---------------------------------------------------------------------- after
def checked(
    before: Mapping[str, Dataset], made: Mapping[str, Dataset], written: Mapping[str, Any], transform: Transform,
    modality: Modality,
) -> Protected:  # fmt: skip
    """Compares what was written with the originals: a broken promise fails the run.

    Args:
        before: The originals by split.
        made: The protected rows, as `map` gave them.
        written: The same rows, read from where they were written.
        transform: What protected them.
        modality: Theirs.

    Raises:
        ValueError: A row broke the bound or is not stored exactly, or none was protected.
    """
    columns = transform._columns()
    differing = {name: changed_rows(before[name], made[name], columns, modality.batch_size) for name in before}
    changed = {name: count for name, (count, _) in differing.items()}
    strong = getattr(transform, transform.strength_parameter) != 0 and transform.fraction
    if strong and transform.classes and not any(changed.values()):
        raise ValueError(f"No row has one of {spelled('classes')}: nothing would be protected.")
    fidelity = {
        name: {column: modality.fidelity(before[name], written[name], column, transform) for column in columns}
        for name in before
    }
    example = {
        name: [] if row is None else modality.example(before[name], made[name], columns[0], row)
        for name, (_, row) in differing.items()
    }
    return Protected(transform, {name: len(rows) for name, rows in before.items()}, changed, fidelity, example)


def changed_rows(before: Dataset, after: Dataset, columns: list[str], size: int) -> tuple[int, int | None]:
    """How many rows are stored otherwise than before, and the first one that differs in the first column.

    Args:
        before, after: The same rows.
        columns: Those that are compared.
        size: Rows that are read at once.
    """
    changed, first, row = 0, None, 0
    pairs = (data.select_columns(columns).with_format("arrow").iter(batch_size=size) for data in (before, after))
    for a, b in zip(*pairs, strict=True):
        if not a.equals(b):
            for number, (x, y) in enumerate(zip(a.to_pylist(), b.to_pylist(), strict=True), row):
                changed += x != y
                if first is None and x[columns[0]] != y[columns[0]]:
                    first = number
        row += len(a)
    return changed, first


def write_report(
    report: Path, before: Mapping[str, Dataset], made: Mapping[str, Dataset], found: Protected, modality: Modality,
    accelerator: Accelerator | None,
) -> None:  # fmt: skip
    """Writes the numbers and what a person should look at; of several splits in a folder each.

    Args:
        report: The folder.
        before, made, modality: As for `checked`.
        found: What `checked` returned.
        accelerator: Each of its processes writes the numbers of its part.
    """
    number = "" if accelerator is None else f"-{accelerator.process_index:05d}"
    for name in before:
        folder = report if len(before) == 1 else report / name
        folder.mkdir(parents=True, exist_ok=True)
        columns = {column: asdict(one) for column, one in found.fidelity[name].items()}
        numbers = json.dumps(columns if len(columns) > 1 else next(iter(columns.values())), indent=1)
        Path(folder, f"fidelity{number}.json").write_text(numbers + "\n", encoding="utf-8")
        if accelerator is None or accelerator.is_main_process:
            modality.write_fidelity(folder, before[name], made[name], next(iter(columns)))
