"""What the leak scan found, gathered from several threads, and the error that stops a push."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from hf_unlearnable.publish.before import Before

_METADATA = "Store the file without its metadata: open it and write anew what it shows, and nothing else."
_REMEDIES = {
    "seed": "Remove it. Anybody who has seen it can undo the protection: protect the data again with a fresh key.",
    "words": "Remove the list of words. If others have seen it, protect the data again with a fresh key.",
    "clean-copy": "Remove the column or the rows, or protect them too.",
    "path": "Remove it, or write a path that tells nothing about this machine.",
    "unread": "Unpack it, or leave it out: what cannot be looked at may hold anything.",
    "token": "Remove it and revoke the token where it was issued.",
}


@dataclass(frozen=True)
class Finding:
    """One thing that must not be published.

    Args:
        kind: "seed", "words", "clean-copy", "path", "token", "unread" (an archive), "history", or what `Copies.told`
            tells, such as "gps".
        place: Where: "train/text" (split and column), "train (names)", or a file's name.
        row: The first row, counted from 0 within the split; None in a file.
        count: How many rows.
        what: What was found, in a sentence that does not give it away.
        remedy: What to do.
    """

    kind: str
    place: str
    row: int | None
    count: int
    what: str
    remedy: str

    @property
    def name(self) -> str:
        """What `--allow` takes."""
        return f"{self.kind}:{self.place}"

    def __str__(self) -> str:
        where = "" if self.row is None else f", row {self.row}"
        where += f" and {self.count - 1} more" if self.count > 1 else ""
        return f"{self.name}{where}: {self.what} {self.remedy}"


class LeakError(ValueError):
    """Something would have left that should not. `findings` names what, where and what to do."""

    def __init__(self, findings: Sequence[Finding]):
        self.findings = list(findings)
        lines = "\n".join(f"  {finding}" for finding in findings)
        super().__init__(
            f"Nothing was uploaded. The scan found:\n{lines}\nPut it right, or allow a finding by its name."
        )


class Hits:
    """Gathers what is found, from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[tuple[str, str], tuple[str, list[tuple[np.ndarray, tuple[str, str] | None]]]] = {}

    def add(self, kind: str, place: str, rows: Any, what: str, column: tuple[str, str] | None = None) -> None:
        """Notes rows of a place, none for a place without rows. Of several descriptions the first is kept.

        Args:
            kind, place, what: As in `Finding`.
            rows: Rows within the split, int [n].
            column: Split and column that the rows are of, where the data before may explain them.
        """
        with self._lock:
            self._found.setdefault((kind, place), (what, []))[1].append((np.atleast_1d(rows).astype(int), column))

    def findings(self, before: Before, hidden: Callable[[str], str]) -> list[Finding]:
        """Everything found, by name.

        Args:
            before: Tells what is explained by the data before.
            hidden: Takes secrets out of a place's name.
        """
        findings = []
        for (kind, place), (what, parts) in sorted(self._found.items()):
            rows = np.unique(np.concatenate([some for some, column in parts if column is None] or [np.zeros(0, int)]))
            left = len(rows) > 0 or any(not len(some) for some, _ in parts)
            for column in {column for _, column in parts if column is not None}:
                some = np.unique(np.concatenate([some for some, its in parts if its == column]))
                rows = np.union1d(rows, before.suspected(kind, *column, some))
            if not len(rows) and not left:
                continue
            first = int(rows[0]) if len(rows) else None
            findings.append(
                Finding(kind, hidden(place), first, max(1, len(rows)), what, _REMEDIES.get(kind, _METADATA))
            )
        return findings
