"""What a kind of data is to the rest of the product.

One object for each: `hf_unlearnable.text.modality.TEXT`, `hf_unlearnable.image.modality.IMAGE`, and those of other
packages. Nothing outside a modality's folder asks which kind it has before it: it asks the object.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hf_unlearnable._words import spelled
from hf_unlearnable.adversary.grid import Grid as Grid  # part of what a modality is made of
from hf_unlearnable.copies import Copies as Copies
from hf_unlearnable.rows import file_of

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset

    from hf_unlearnable.adversary import Countermeasure, Rows, Victim, Wear
    from hf_unlearnable.adversary.judge import Judge
    from hf_unlearnable.transform import Transform


class Modality(ABC):
    """Base class. The attributes are what the product says of a kind of data, the methods what it does with values.

    Attributes:
        name, plural: In the registry; what a sentence calls one value, such as "text", and several.
        column: Usual name of the column.
        cast: How a column is made one of this kind, as code that a user can copy.
        batch_size: Rows in memory at once while a dataset is protected.
        files: Names of the formats in which a dataset is a folder of such files, such as `("images",)`.
        single: Endings of files that `protect` takes one of, by the `protect_file` of a method.
        task: The Hub's name of the task, for a card.
        errors: What reading a broken value raises; the message goes on after "the image".
        copies: How copies of it are recognised; None where values are no files.
        victims, countermeasures, wear: Those of this package, by name.
        grids: What "quick", "laptop" and "full" attacks try.
        watched: What the Space trains before a visitor's eyes: one victim with its settings, and the countermeasures
            that it offers first; None where it trains nothing.
        prices: What a person meets, by field of `fidelity`: its label, and whether more is better. The first counts.
    """

    name: ClassVar[str]
    plural: ClassVar[str]
    column: ClassVar[str]
    cast: ClassVar[str]
    batch_size: ClassVar[int]
    task: ClassVar[str]
    files: ClassVar[tuple[str, ...]] = ()
    single: ClassVar[frozenset[str]] = frozenset()
    errors: ClassVar[tuple[type[Exception], ...]] = ()
    copies: ClassVar[Copies | None] = None
    grids: ClassVar[Mapping[str, Grid]]
    watched: ClassVar[Grid | None] = None
    prices: ClassVar[Mapping[str, tuple[str, bool]]] = {}

    @property
    @abstractmethod
    def victims(self) -> Mapping[str, Victim]: ...

    @property
    @abstractmethod
    def countermeasures(self) -> Mapping[str, Countermeasure]: ...

    @property
    def wear(self) -> Mapping[str, Wear]:
        return {}

    # ------------------------------------------------------------------ values
    @abstractmethod
    def accepts(self, feature: Any) -> bool:
        """Whether a column of this `datasets` feature holds values of this kind."""

    def trains_on(self, feature: Any) -> bool:
        """Whether the victims can train on such a column."""
        return self.accepts(feature)

    def undecoded(self, dataset: Any, column: str) -> Any:
        """The dataset with the values of a column as they are stored: bytes of a file, not an opened image."""
        return dataset

    @abstractmethod
    def content(self, value: Any) -> bytes:
        """What a stored value shows, whatever it is encoded in: equal for equal texts, for images of equal pixels.

        A file comes as `{"bytes": ..., "path": ...}`, with at least one of the two.
        """

    def same(self, before: Any, after: Any) -> bool:
        """Whether two stored values show the same."""
        return before == after or self.content(before) == self.content(after)

    def read(self, dataset: Dataset, column: str) -> list[Any]:
        """The values of a column as victims take them."""
        return dataset[column][:]

    def read_small(self, dataset: Dataset, column: str) -> list[Any]:
        """The values of a column as victims take them, reduced where that lets a visitor watch a training."""
        return self.read(dataset, column)

    @abstractmethod
    def random_dose(self, clean: Dataset, protected: Dataset, column: str, seed: int) -> Dataset:
        """The clean rows with as much change as the protected ones have, but of a kind that tells nothing of labels.

        Args:
            clean, protected: The rows before and after, in the same order, undecoded.
            column: The protected one.
            seed: Whole number in [0, 2**64).

        Raises:
            ValueError: The two versions of a row cannot be compared.
        """

    def _beside(
        self, clean: Dataset, column: str, change: Callable[..., dict[str, list]], given: Sequence[Dataset]
    ) -> Dataset:
        """The dataset with `change(values, *given values)` of each batch in a column, and its features as before."""
        from datasets import concatenate_datasets

        names = [f"{column}, given {i}" for i in range(len(given))]
        pairs = zip(given, names, strict=True)
        others = [data.select_columns([column]).rename_column(column, name) for data, name in pairs]
        stored = self.undecoded(clean.with_format(None), column)
        return concatenate_datasets([stored, *others], axis=1).map(
            change, input_columns=[column, *names], batched=True, batch_size=100, remove_columns=names,
            features=clean.features, desc="Random change of the same dose",
        )  # fmt: skip

    def suspicious_labels(self, dataset: Dataset, column: str, label_column: str) -> list[int]:
        """Rows whose label does not go with their value, to look at before a protection hides them."""
        raise ValueError(f"Labels of {self.plural} cannot be checked. Leave {spelled('check_labels')} out.")

    def told_apart(self, clean: Sequence[Any], protected: Sequence[Any], asked: Sequence[Any]) -> np.ndarray:
        """Which inputs look protected, by the first victim of the quick grid, which learns to tell.

        Args:
            clean, protected: Inputs to learn from, as `read` gives them.
            asked: m inputs.

        Returns:
            Boolean [m].
        """
        name, settings = next(iter(self.grids["quick"].victims.items()))
        labels = [0] * len(clean) + [1] * len(protected)
        return self.victims[name]([*clean, *protected], labels, asked, seed=0, **settings) == 1

    def network(
        self, rows: Rows, others: Sequence[Rows], seed: int, on_epoch: Callable[[Any], Any] | None = None
    ) -> tuple[Any, list[tuple[Any, Any]]]:
        """A network trained on rows, with others as it sees them; `on_epoch` is called with it after each epoch.

        Returns:
            A `torch.nn.Module` in evaluation mode, and of each of `others` inputs and class indices as tensors.

        Raises:
            ValueError: There is none for this kind of data.
        """
        raise ValueError(f"There is no network of {self.plural} for {spelled('certify')} and {spelled('distance')}.")

    def judge(self, test: Rows) -> Judge:
        """What says how much generated values show, for victims that are a `Generator`.

        Args:
            test: Clean rows that no generator was trained on.

        Raises:
            ValueError: There is none for this kind of data.
        """
        raise ValueError(f"Generated {self.plural} cannot be judged. Leave the victims that make them out.")

    # ------------------------------------------------------------------ what it costs a reader
    @abstractmethod
    def fidelity(self, original: Any, protected: Any, column: str, transform: Transform | None = None) -> Any:
        """How far protected values are from the originals, read as they are stored.

        Args:
            original: The `Dataset` before.
            protected: The `Dataset` or `IterableDataset` after, rows in the same order.
            column: The protected one.
            transform: What protected them: its bound is checked on every row.

        Returns:
            A dataclass with `changed`, the number of rows that differ, that reads as a sentence.

        Raises:
            ValueError: Rows do not correspond, or one broke the bound or is not stored exactly. The message names it.
        """

    @abstractmethod
    def require_exact(self, dataset: Any, column: str) -> None:
        """Raises a ValueError that names the first value that is stored with loss: little of a protection is left."""

    @abstractmethod
    def write_fidelity(self, folder: Path, original: Any, protected: Any, column: str) -> None:
        """Writes what a person should look at beside the numbers, such as a contact sheet."""

    def example(self, original: Dataset, protected: Dataset, column: str, row: int) -> list[str]:
        """A changed row before and after, in lines for the owner's eyes; none where a line cannot show it.

        Args:
            original, protected: The rows before and after, in the same order.
            column: The protected one.
            row: Its number.
        """
        return []

    def card_example(self, transform: Transform) -> tuple[str, Any]:
        """What a method does to a value of our own, for a card.

        Args:
            transform: One that is not fitted; nothing of a user's data or key is in it.

        Returns:
            A sentence as Markdown, and a PIL image that belongs to it or None; an empty sentence for no example.
        """
        return "", None

    # ------------------------------------------------------------------ files
    def holds(self, folder: str | os.PathLike) -> bool:
        """Whether a folder is one of such files, as against one of tables."""
        return False

    def read_files(
        self,
        folder: str | os.PathLike,
        *,
        need_labels: bool,
        skip_broken: bool,
        skipped: list[str] | None,
    ) -> dict[str, Callable[[], Dataset]]:
        """What reads each split of a folder of such files.

        Args:
            folder: One that this kind of data holds.
            need_labels: Whether a file outside the folders of classes is refused.
            skip_broken: Whether files that do not open or stand outside the classes are left out.
            skipped: Gets a line for each of these.
        """
        raise ValueError(f"A folder of {self.plural} is not read: give a table.")

    def without_labels(self, folder: str | os.PathLike) -> str:
        """Why a folder of such files gives no labels and what to do, in a sentence."""
        return f"Put the {self.plural} of each class into a folder of its own."

    def to_files(self, transform: Transform, folder: Path) -> Callable[[Any], Any]:
        """What `map` calls where values are written as files: for large ones it may keep them in files throughout.

        Args:
            transform: The protection.
            folder: A new folder for them, which is there until `write_files` is done.
        """
        return transform

    def write_files(
        self, protected: Any, original: Any, output: Path, column: str, source: str | os.PathLike | None
    ) -> None:
        """Writes every value as a file of its own, under the name that it had below `source`.

        Args:
            protected, original: Rows after and before, in the same order.
            output: A new folder.
            column: The protected one.
            source: The folder that the original files stand in.
        """
        raise ValueError(f"There is no folder of {self.plural}: write a table.")

    @contextmanager
    def naming(self, row: int, column: str, value: Any = None) -> Iterator[None]:
        """Adds the row, the file of a stored value and the column to what is said of a value that does not open."""
        try:
            yield
        except self.errors as error:
            raise ValueError(f"Row {row}{file_of(value)}, column {column!r}: the {self.name} {error}.") from None
