"""What is published beside the data: an audit's report, and an example of the method."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_unlearnable.publish.hub import EXAMPLE, PLAIN_REPORT, REPORT

if TYPE_CHECKING:
    from hf_unlearnable.modality import Modality
    from hf_unlearnable.transform import Transform

logger = logging.getLogger(__name__)

_TOLD = (
    "measured", "verdict", "verdict_unnamed", "warnings", "table", "attacks", "protocol", "fingerprints", "not_run",
)  # fmt: skip


def read_report(report: Any) -> dict[str, Any] | None:
    """A report as JSON values.

    Args:
        report: An audit, the folder that one was written to, or None.

    Raises:
        FileNotFoundError: The folder holds no report.
        ValueError: It does not read, or is of an earlier version.
    """
    from hf_unlearnable.audit.report import as_dict

    if report is None:
        return None
    if not isinstance(report, str | os.PathLike):
        return as_dict(report)
    path = Path(report, "report.json")
    if not path.is_file():
        raise FileNotFoundError(f"{report} holds no report.json: give the folder that `attack --report` wrote.")
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} does not read: {error}") from None
    if not isinstance(told, dict) or not set(_TOLD) <= set(told):
        raise ValueError(f"{path} is no report of this version: write it again with `attack --report {report}`.")
    return told


def add_report(report: Any, folder: Path, countermeasures: bool) -> dict[str, str]:
    """Adds a report to what is uploaded, below `report/`.

    Args:
        report: As for `read_report`.
        folder: What is uploaded.
        countermeasures: Whether the files that name countermeasures are among it.

    Returns:
        The plots: path in the repository to title.
    """
    from hf_unlearnable.audit.plots import PLOTS
    from hf_unlearnable.audit.report import write_report

    if report is None:
        return {}
    target = folder / "report"
    target.mkdir()
    chosen: Sequence[str] = REPORT if countermeasures else PLAIN_REPORT
    if any("made" in cell for cell in (read_report(report) or {}).get("cells", ())):
        # Its pages show what a model made of the clean rows.
        chosen = tuple(name for name in chosen if not name.endswith((".html", ".md")))
    if isinstance(report, str | os.PathLike):
        for name in chosen:
            if Path(report, name).is_file():
                shutil.copy(Path(report, name), target / name)
    else:
        write_report(target, report)
        for path in target.iterdir():
            if path.name not in chosen:
                path.unlink()
    return {f"report/{name}.png": title for name, (title, _) in PLOTS.items() if Path(target, f"{name}.png").is_file()}


def _seed_of_example(seed: int) -> int:
    """A seed that tells nothing of the owner's: it follows from it, so that the same push gives the same card."""
    return int.from_bytes(hashlib.sha256(f"the example of a card: {seed}".encode()).digest()[:8], "big") >> 1


def add_example(transform: Transform | None, modality: Modality, folder: Path) -> str:
    """Adds what the method does to a value of our own, at the same strength and with another key.

    A row of the dataset before protection would be a clean copy, and its difference to the row after would tell what
    the key makes.

    Args:
        transform: What protected the dataset, if that is known; only its method and strength are used.
        modality: The kind of data.
        folder: What is uploaded: a picture goes to `report/`.

    Returns:
        Markdown for the card; empty where the method has no example.
    """
    if transform is None:
        return ""
    strength = transform.strength_parameter
    given: dict[str, Any] = {"seed": _seed_of_example(transform.key.seed), strength: getattr(transform, strength)}
    try:
        said, picture = modality.card_example(type(transform)(**given))
    except (ArithmeticError, TypeError, ValueError) as error:  # a method may need more than our values have
        logger.info("The card shows no example of %s: %s", transform.method, error)
        return ""
    if picture is None:
        return said
    path = folder / "report" / EXAMPLE
    path.parent.mkdir(exist_ok=True)
    picture.save(path, optimize=True)
    return f"{said}\n\n![Before, after, and the difference](report/{EXAMPLE})"
