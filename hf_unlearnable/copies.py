"""How copies of files are recognised, by the kind of data that they are of: what the leak scan asks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import numpy as np


class Copies(ABC):
    """How copies of values that are files are recognised, and what such a file tells beside what it shows.

    The leak scan asks it of all files that it meets: those of the protected column, and those in any other column,
    whatever they are encoded or packed in. A file is given as its bytes.

    Attributes:
        marks: Regular expression (RE2) of what stands in `besides` of every file in which `told` or `notes` finds
            something.
    """

    marks: ClassVar[str]

    @abstractmethod
    def knows(self, data: bytes) -> bool:
        """Whether a file is of this kind, by its first bytes."""

    @abstractmethod
    def lossy(self, data: bytes) -> bool:
        """Whether a file is stored with loss, so that it is no protected one but a row that was left alone."""

    def loses(self, data: bytes) -> str:
        """The name of a format that keeps too little of a protection; "" for a file that a protected row may be."""
        return "a lossy format" if self.lossy(data) else ""

    def compressed(self, data: bytes) -> list[tuple[int, int]]:
        """Where the parts of a file begin and end that hold nothing but what is shown, compressed."""
        return []

    def besides(self, data: bytes) -> bytes:
        """The rest of a file: where its metadata stand, and all `marks`."""
        places = self.compressed(data)
        if not places:
            return data
        starts, stops = [0, *(stop for _, stop in places)], [*(start for start, _ in places), len(data)]
        return b"".join(data[start:stop] for start, stop in zip(starts, stops, strict=True))

    @abstractmethod
    def told(self, data: bytes) -> list[tuple[str, str]]:
        """What a file's metadata tells: kinds of findings, such as "gps" or "camera", each with a sentence."""

    def notes(self, data: bytes) -> list[str]:
        """The texts in a file's metadata: comments, descriptions."""
        return []

    @abstractmethod
    def smaller(self, data: bytes) -> bytes | None:
        """A smaller view of what the file shows that lies within it, such as a thumbnail; None if there is none."""

    @abstractmethod
    def likeness(self, one: bytes, two: bytes) -> float:
        """How alike a protected file and another one are, at most 1.

        0 for those that show the very same, and where one does not open.
        """

    @abstractmethod
    def stand_out(self, likeness: np.ndarray) -> np.ndarray:
        """Which files are like the protected one of their row: a column of copies, or some beside strangers.

        Strangers of one kind (two scans of the same digit) are alike too, so a few copies must stand out among them.

        Args:
            likeness: Of each row's file to the protected one, float [rows].

        Returns:
            bool [rows].
        """


def standing_out(likeness: np.ndarray, alike: float) -> np.ndarray:
    """Which correlations are those of copies: of a column of copies, or of some that stand out among strangers.

    By Fisher's transformation correlations are about normal, and a quarter of the rows lies two thirds of a standard
    deviation above the middle.

    Args:
        likeness: Float [rows].
        alike: The least that copies have.
    """
    import numpy as np

    high = likeness >= alike
    if high.mean() >= 0.25:
        return high
    scores = np.arctanh(np.minimum(likeness, 0.9999))
    middle, upper = np.quantile(scores, [0.5, 0.75])
    return high & (scores > middle + 6 * (upper - middle))
