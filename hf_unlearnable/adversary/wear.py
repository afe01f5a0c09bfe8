"""What happens to data on its way to a training, which nobody chooses because of a protection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from hf_unlearnable.adversary.countermeasures import Attacker, Rows


@dataclass(frozen=True)
class Wear:
    """One thing that platforms, loaders and cleaning pipelines do: a codec at a quality, a resizer, a filter of texts.

    It is tried as a countermeasure is, and reported apart: an adversary chooses a countermeasure, wear just happens.

    Args:
        change: `inputs -> inputs`, as many of them in the same order, None in the place of an input that is dropped.
            A pure function. Where it takes a `model`, `attack(models=...)` can name another one.
        packages: Distributions that do it, whose versions a report names.
        modality: The kind of data that it is for; None for any.
    """

    change: Callable[[Sequence[Any]], list[Any]]
    packages: tuple[str, ...] = ()
    modality: str | None = None

    def on_rows(self, rows: Rows, attacker: Attacker) -> Rows:
        """The rows that are left, changed; none where every input was dropped."""
        changed = zip(self.change(rows.inputs), rows.labels, strict=True)
        kept = [(value, label) for value, label in changed if value is not None]
        return Rows([value for value, _ in kept], [label for _, label in kept])

    @property
    def tools(self) -> str:
        """The packages with their versions, as a report names them."""
        return ", ".join(f"{name} {_version(name)}" for name in self.packages)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"
