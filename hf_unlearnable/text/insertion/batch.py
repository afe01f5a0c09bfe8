"""The texts of a batch as one flat list, and back: in one column, several, or in the messages of a chat."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hf_unlearnable.text.insertion.words import Canonical


class BatchTexts:
    """The texts of a batch, flat.

    Args:
        columns: Values of each protected column: texts, or lists of `{"role", "content"}`.
        role: Whose messages are taken; None for all.
    """

    def __init__(self, columns: dict[str, list], role: str | None):
        self._columns = columns
        self.texts: list[str | None] = []
        self.row: list[int] = []  # which row a text belongs to
        self.part: list[int] = []  # which text of its row it is
        self.column: list[str] = []
        self.num_rows = len(next(iter(columns.values())))
        self._slots: list[tuple] = []
        plain = len(columns) == 1 and all(isinstance(value, str) for value in next(iter(columns.values())))
        if plain:
            ((name, values),) = columns.items()
            self.texts, self.row, self.part = values, list(range(len(values))), [0] * len(values)
            self.column = [name] * len(values)
            return
        parts = [0] * self.num_rows
        for name, values in columns.items():
            for row, value in enumerate(values):
                messages = value if isinstance(value, list) else [value]
                for j, message in enumerate(messages):
                    if isinstance(message, dict) and role is not None and message.get("role") != role:
                        continue
                    self.texts.append(message.get("content") if isinstance(message, dict) else message)
                    self.row.append(row)
                    self.part.append(parts[row])
                    self.column.append(name)
                    self._slots.append((name, row, j))
                    parts[row] += 1

    def contents(self, canonical: Sequence[Canonical | None]) -> Iterable[bytes | None]:
        """What identifies each row: the canonical texts of it; None for a row with nothing to protect."""
        if not self._slots:
            return (None if text is None else text.text.encode("utf-8", "surrogatepass") for text in canonical)
        rows: list[bytes | None] = [None] * self.num_rows
        for row, text in zip(self.row, canonical, strict=True):
            if text is not None:
                before = b"" if rows[row] is None else rows[row] + b"\0"  # type: ignore[operator]
                rows[row] = before + text.text.encode("utf-8", "surrogatepass")
        return rows

    def by_row(self) -> list[list[str | None]]:
        """The texts of each row."""
        rows: list[list[str | None]] = [[] for _ in range(self.num_rows)]
        for row, text in zip(self.row, self.texts, strict=True):
            rows[row].append(text)
        return rows

    def columns(self, texts: list[str | None]) -> dict[str, list]:
        """The columns with these texts in place of their own."""
        if not self._slots:
            return dict.fromkeys(self._columns, texts)
        columns = {name: list(values) for name, values in self._columns.items()}
        for (name, row, j), text in zip(self._slots, texts, strict=True):
            value = columns[name][row]
            if isinstance(value, list):
                columns[name][row] = [*value[:j], {**value[j], "content": text}, *value[j + 1 :]]
            else:
                columns[name][row] = text
        return columns
