"""What the data was before settles what a search suspects: words of the owner's own, and texts that the key makes.

RegText's words stand in the clean texts too. A short text that held two of them and got a third looks like a list, and
with a word in front a text may read as another one did before. The row's own original, or the key alone where it can
take its words out again, tells that nothing leaked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from hf_unlearnable.publish.words import Words
    from hf_unlearnable.transform import Transform

_AT_ONCE = 100  # rows; after so many without one that is explained, the others count as suspected


class Before:
    """Looks at single rows again, as they are stored, beside what they were.

    Args:
        groups: The row groups of each split: file, number in it, and the split's rows before it.
        original: The data before, by split, if the owner gave it.
        transform: The fitted transform, if the owner gave the key.
        words: What it inserts.
    """

    def __init__(
        self,
        groups: Mapping[str, Sequence[tuple[Path, int, int]]],
        original: Mapping[str, Dataset],
        transform: Transform | None,
        words: Words,
    ):
        self._groups, self._original, self._transform, self._words = groups, original, transform, words

    def suspected(self, kind: str, split: str, column: str, rows: np.ndarray) -> np.ndarray:
        """Those rows in which a finding stands.

        Args:
            kind: "words" or "clean-copy", as in `Finding`; anything else is never explained.
            split: Name of the split.
            column: The column that the finding is in.
            rows: Rows of the split, in order.

        Returns:
            The rows that nothing explains.
        """
        own = self._transform is not None and column in self._transform._columns()
        explains: Callable[[str, str, np.ndarray], list[bool]]
        if kind == "words":
            explains = self._is_told_by_before
        elif kind == "clean-copy" and split in self._original and (own or self._transform is None):
            explains = self._is_made
        else:
            return rows
        left: list[np.ndarray] = []
        for start in range(0, len(rows), _AT_ONCE):
            some = rows[start : start + _AT_ONCE]
            explained = np.array(explains(split, column, some), bool)
            left.append(some[~explained])
            if not explained.any():
                return np.concatenate([*left, rows[start + _AT_ONCE :]])
        return np.concatenate(left) if left else rows

    def _is_told_by_before(self, split: str, column: str, rows: np.ndarray) -> list[bool]:
        """Whether the value stood there before, or the key made it of a text that lists no words."""
        now = self._stored(split, [column], rows).column(column).to_pylist()
        if split in self._original:
            if column not in self._original[split].column_names:
                return [False] * len(rows)
            before = self._before(split, rows).column(column).to_pylist()
            same = [one == two for one, two in zip(before, now, strict=True)]
            return [one or two for one, two in zip(same, self._is_made(split, column, rows), strict=True)]
        if self._transform is None or column not in self._transform._columns():
            return [False] * len(rows)
        table = self._stored(split, self._needed(), rows)
        restored = _one_by_one(self._transform.restore, table, column)
        return [
            one is not None
            and one != two
            and not any(self._words.listed(text, 1 / 2, least=3) for text in _texts(one))
            for one, two in zip(restored, now, strict=True)
        ]

    def _is_made(self, split: str, column: str, rows: np.ndarray) -> list[bool]:
        """Whether the key makes the value of its own original; without a key, whether it holds all of that's words."""
        now = self._stored(split, [column], rows).column(column).to_pylist()
        table = self._before(split, rows)
        before = table.column(column).to_pylist()
        if self._transform is None:
            return [one != two and _within(one, two) for one, two in zip(before, now, strict=True)]
        if column not in self._transform._columns():
            return [False] * len(rows)
        made = _one_by_one(self._transform, table, column)
        return [one != two and two == three for one, two, three in zip(before, now, made, strict=True)]

    # ------------------------------------------------------------------ rows
    def _needed(self) -> list[str]:
        transform = self._transform
        assert transform is not None
        named = [*transform._columns(), transform.label_column, transform.id_column, transform.mask_column]
        return list(dict.fromkeys(name for name in named if name))

    def _before(self, split: str, rows: np.ndarray) -> pa.Table:
        return self._original[split].select(rows).with_format("arrow")[:]

    def _stored(self, split: str, columns: Sequence[str], rows: np.ndarray) -> pa.Table:
        import pyarrow as pa
        import pyarrow.parquet as pq

        groups = self._groups[split]
        of_row = np.searchsorted([start for _, _, start in groups], rows, "right") - 1
        parts = []
        for number in np.unique(of_row).tolist():
            path, group, start = groups[number]
            with pq.ParquetFile(path) as file:
                here = [name for name in columns if name in file.schema_arrow.names]
                parts.append(file.read_row_group(group, columns=here).take(pa.array(rows[of_row == number] - start)))
        return pa.concat_tables(parts)


def _one_by_one(change: Callable[[pa.Table], pa.Table], table: pa.Table, column: str) -> list[Any]:
    """A column after a change of all rows; None for a row that the change refuses."""
    try:
        return change(table).column(column).to_pylist()
    except (ValueError, KeyError):
        if len(table) == 1:
            return [None]
        return [one for i in range(len(table)) for one in _one_by_one(change, table.slice(i, 1), column)]


def _texts(value: Any) -> Iterator[str]:
    """All texts within a value of any type."""
    if isinstance(value, str):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(one)


def _within(one: Any, two: Any) -> bool:
    """Whether the words of a text stand in another one in their order."""
    rest = iter(" ".join(_texts(two)).split())
    return all(word in rest for word in " ".join(_texts(one)).split())
