"""The push itself: from the data to the commit, or to the reasons why there is none."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_unlearnable._version import __version__
from hf_unlearnable._words import spelled
from hf_unlearnable.data import paired, whole_or_nothing
from hf_unlearnable.publish.card import Facts, Wishes, lacking, render
from hf_unlearnable.publish.checks import as_history, checked, earlier_versions, require_changed
from hf_unlearnable.publish.findings import Finding, LeakError
from hf_unlearnable.publish.hub import PUBLIC, Repository
from hf_unlearnable.publish.leaks import scan
from hf_unlearnable.publish.public import public_words
from hf_unlearnable.publish.reports import add_example, add_report, read_report
from hf_unlearnable.publish.staging import Staged, splits_of, stage
from hf_unlearnable.registry import METHODS, modality_of

if TYPE_CHECKING:
    from hf_unlearnable.audit.records import Audit
    from hf_unlearnable.key import Key
    from hf_unlearnable.transform import Transform

logger = logging.getLogger(__name__)

_MESSAGE = f"Protected data (hf-unlearnable {__version__})"


@dataclass(frozen=True, repr=False)
class Published:
    """What was pushed, or would be.

    Args:
        repo_id: "owner/name".
        card: The card's text.
        files: Path in the repository to the size in bytes.
        commit: The commit, with `.oid` to pin, `.commit_url` and `.pr_url`; None for a dry run.
    """

    repo_id: str
    card: str
    files: Mapping[str, int]
    commit: Any = None

    def __repr__(self) -> str:
        where = getattr(self.commit, "pr_url", None) or getattr(self.commit, "commit_url", None) or "nothing uploaded"
        return f"Published({self.repo_id}: {len(self.files)} files, {sum(self.files.values()):,} bytes, {where})"


def push_protected(
    dataset: Any,
    repo_id: str,
    *,
    key: Key | Transform | str | os.PathLike | None = None,
    original: Any = None,
    report: Audit | str | os.PathLike | None = None,
    column: str | None = None,
    private: bool = True,
    gated: str | None = None,
    questions: Sequence[str] | Mapping[str, Any] = (),
    prompt: str | None = None,
    license: str | None = None,
    opt_out: str = "no-training",
    citation: str | None = None,
    description: str | None = None,
    countermeasures: bool = True,
    split: str = "train",
    revision: str | None = None,
    create_pr: bool = False,
    max_shard_size: int = 500_000_000,
    allow: Sequence[str] = (),
    token: str | None = None,
    sources: Sequence[str | os.PathLike] = (),
    dry_run: str | os.PathLike | None = None,
) -> Published:
    """Publishes a protected dataset with an honest card, after nothing was found that should stay at home.

    All of the repository's `data/` is replaced in one commit, and an earlier report. The card that is there keeps its
    own text, and is searched with it. Run again after an interruption, it goes on; run again with nothing changed, it
    commits nothing.

    Args:
        dataset: `Dataset`, `DatasetDict`, `IterableDataset` or `IterableDatasetDict`, protected.
        repo_id: "owner/name", or "name" for one's own.
        key: The key, its folder or the transform: names the method on the card, and is what the scan looks for. It is
            not uploaded.
        original: The data before, a `Dataset` or `DatasetDict` with rows in the same order. It serves the check of the
            bound, the figures of fidelity and the search for clean copies. It is not uploaded.
        report: What `attack` found on this very data: the audit, or the folder of the report.
        column: The protected column; None for the one of the key or the report, or a usual name, such as "text".
        private: Whether only the owner may see it. A public repository that exists is refused then.
        gated: "auto" or "manual": readers ask for access, and get it at once or from the owner.
        questions: What they are asked.
        prompt: What they read first.
        license: Identifier that the Hub knows, such as "cc-by-nc-nd-4.0".
        opt_out: What the owner says of training: "no-training", "research-only", "none", or words of one's own. People
            and machines can read it, nothing enforces it.
        citation: How to cite the data.
        description: What the dataset is: contents, origin, language. None keeps what an existing card says. Where
            nothing says it, the card says that, and a warning asks for it.
        countermeasures: Whether the card tells which countermeasures were tried and what breaks the method, and the
            report goes up with it. Without them the card gives the same accuracies and says what was left out.
        split: Name of the split where `dataset` is a single one that has none.
        revision: Branch to push to instead of main.
        create_pr: Whether to open a pull request instead; a second one, where the Hub's answer to the first is lost.
        max_shard_size: Bytes of a file, about.
        allow: Names of findings that the owner has looked at and allows, one by one.
        token: Access token with write access; None for the one of `hf auth login`.
        sources: Files or folders that the data came from: their paths are looked for too.
        dry_run: A new folder that gets exactly what would be uploaded to a fresh repository; nothing is asked of the
            Hub.

    Returns:
        What was published, the commit among it.

    Raises:
        LeakError: The scan found something, or the repository's history holds clean rows.
        ValueError: Nothing shows that the data was protected, or it was not. A value broke the bound or is not stored
            exactly. The report is of other data, a split is empty, or the name is invalid. The Hub does not take the
            card's metadata (an unknown licence), or somebody changed the card during the push.
        FileExistsError: The repository is public and `private` was asked for, or `dry_run` is there already.
        PermissionError: No token, or one without write access.
        ConnectionError: The Hub cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd
    from huggingface_hub.utils import validate_repo_id

    validate_repo_id(repo_id)
    _require_sense(allow, gated, questions or prompt)
    parts = splits_of(dataset, split)
    before = _originals(original, split, parts)
    transform, told = _transform(key), read_report(report)
    if transform is None and told is None and original is None:
        raise ValueError("Nothing shows that this dataset was protected: give its key, its original or a report.")
    repository = None if dry_run else Repository(repo_id, token, revision)
    is_there = repository is not None and _is_there(repository, repo_id, private)
    with _staging(repo_id, dry_run) as folder:
        name = repository.id if repository else repo_id
        facts, before = _staged(folder, name, parts, before, column, transform, told, max_shard_size)
        plots, example = add_report(report, folder, countermeasures), add_example(transform, facts.modality, folder)
        facts = replace(facts, plots=plots, example=example)
        wishes = Wishes(license, opt_out, citation, questions, prompt, description, countermeasures)
        there = repository.card() if repository and is_there else None
        card = _write_card(folder, facts, wishes, there)
        if repository:
            repository.require_valid(card)
        files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        additions = [CommitOperationAdd(path, str(file)) for path, file in files.items() if path != "README.md"]
        paths = [*sources, *(path for path in (key, report) if isinstance(path, str | os.PathLike))]
        facts = _searched(folder, facts, before, transform, repository if is_there else None, additions, paths, allow)
        card = _write_card(folder, facts, wishes, there)
        _warn_of_what_lacks(card)
        commit = None
        if repository is not None:
            repository.prepare(private, gated)
            commit = repository.push(additions, card, there, _MESSAGE, create_pr)
        return Published(name, card, {path: file.stat().st_size for path, file in files.items()}, commit)


def _require_sense(allow: Any, gated: str | None, asked: Any) -> None:
    if isinstance(allow, str):
        raise TypeError("allow takes a list of names, not one string.")
    if asked and not gated:
        raise ValueError("questions and prompt are asked at a gate: say gated='auto' or gated='manual'.")


def _staged(
    folder: Path, name: str, parts: Mapping[str, Any], before: Mapping[str, Any], column: str | None,
    transform: Transform | None, told: Mapping[str, Any] | None, max_shard_size: int,
) -> tuple[Facts, dict[str, Any]]:  # fmt: skip
    """Writes the splits into `folder` and checks them.

    Returns:
        What the card says of them, and the originals in their order.
    """
    staged = [
        stage(part, folder, split, max_shard_size, getattr(before.get(split), "features", None))
        for split, part in parts.items()
    ]
    columns = _columns(column, transform, told, staged)
    ordered = _in_order(before, parts, columns, transform)
    changed, fidelity = checked(staged, ordered, columns, transform, told)
    method = transform.method if transform else told["protocol"].get("method") if told else None
    facts = Facts(
        name, staged, columns, changed, fidelity, method if method in METHODS else None,
        transform.public_params() if transform else {}, told,
    )  # fmt: skip
    return facts, ordered


def _write_card(folder: Path, facts: Facts, wishes: Wishes, there: bytes | None) -> str:
    """Writes the card, which keeps the text of the one that is there."""
    card = render(facts, wishes, None if there is None else there.decode("utf-8").replace("\r\n", "\n"))
    Path(folder, "README.md").write_text(card, encoding="utf-8")
    return card


def _warn_of_what_lacks(card: str) -> None:
    for option, what in lacking(card).items():
        logger.warning("The card %s. Give %s, or write it into the repository's README.md.", what, spelled(option))


def _searched(
    folder: Path, facts: Facts, before: Mapping[str, Any], transform: Transform | None, repository: Repository | None,
    additions: Sequence[Any], sources: Sequence[str | os.PathLike], allow: Sequence[str],
) -> Facts:  # fmt: skip
    """The facts, with what the scan and the history of the repository tell, and how many rows of each split changed.

    Raises:
        LeakError: Not all of it is allowed.
        ValueError: No row changed, or one is stored in a way that loses its protection.
    """
    earlier: list[Finding] = []
    notes: dict[str, bytes] = {}
    rows: dict[tuple[str, str], int] = {}
    if repository:
        earlier, notes = earlier_versions(repository, additions, facts.staged, before, facts.columns)
    told = scan(
        folder, protected_columns=facts.columns, key=transform.key if transform else None, original=before or None,
        sources=sources, public=public_words(facts), notes=notes, changed=rows,
    )  # fmt: skip
    found = as_history(told, notes, allow) + earlier
    if stopping := [finding for finding in found if finding.name not in allow]:
        raise LeakError(stopping)
    changed = {split: max(rows[split, name] for name in facts.columns if (split, name) in rows) for split, _ in rows}
    require_changed(changed)
    told_of = [f"{finding.name}: {finding.what}" for finding in found]
    return replace(facts, findings=told_of, changed={**changed, **facts.changed})


def _originals(original: Any, split: str, parts: Mapping[str, Any]) -> dict[str, Any]:
    """The data before, by the splits of the protected data."""
    before = splits_of(original, split) if original is not None else {}
    if len(parts) == len(before) == 1:  # a single split may have had another name
        before = dict(zip(parts, before.values(), strict=True))
    if not all(hasattr(part, "__len__") for part in before.values()):
        raise ValueError("The original is a stream: give a Dataset, which can be looked into where it is needed.")
    return before


def _in_order(
    before: Mapping[str, Any], parts: Mapping[str, Any], columns: Sequence[str], transform: Transform | None
) -> dict[str, Any]:
    """The originals with their rows in the order of the protected ones.

    A stream has no places, and other numbers of rows are told later: such splits are left as they are.
    """
    id_column = transform.id_column if transform else None
    return {
        name: paired(rows, parts[name], columns=columns, id_column=id_column, turned=True)
        if hasattr(parts.get(name), "__len__") and len(parts[name]) == len(rows)
        else rows
        for name, rows in before.items()
    }


def _is_there(repository: Repository, repo_id: str, private: bool) -> bool:
    """Whether the repository exists; one that is public must not be taken for a private one."""
    visibility = repository.visibility()
    if visibility == "public" and private:
        raise FileExistsError(PUBLIC.format(repo_id))
    if visibility == "private" and not private:
        logger.warning("%s exists and is private: it stays so. Its settings make it public.", repo_id)
    return bool(visibility)


@contextmanager
def _staging(repo_id: str, dry_run: str | os.PathLike | None) -> Iterator[Path]:
    """A folder for the files: the one of the dry run, or one beside the caches that goes when all is done."""
    from datasets import config
    from filelock import FileLock

    if dry_run is not None:
        with whole_or_nothing(dry_run) as scratch:
            scratch.mkdir()
            yield scratch
        return
    folder = Path(config.HF_DATASETS_CACHE, "hf-unlearnable", repo_id.replace("/", "--"))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        shutil.rmtree(folder, ignore_errors=True)  # of a push that was killed
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


# ---------------------------------------------------------------------- what is known
def _transform(key: Any) -> Transform | None:
    from hf_unlearnable.registry import load_transform
    from hf_unlearnable.transform import Transform

    return key if key is None or isinstance(key, Transform) else load_transform(key)


def _columns(
    column: str | None, transform: Transform | None, told: Mapping[str, Any] | None, staged: Sequence[Staged]
) -> list[str]:
    """The protected columns, which every split has, as it has all others."""
    from hf_unlearnable.registry import usual_column

    first = staged[0]
    for part in staged[1:]:
        if part.features != first.features:
            raise ValueError(
                f"Splits {first.split!r} and {part.split!r} have different columns, {list(first.features)} and "
                f"{list(part.features)}, or of different types: `load_dataset` does not read such a dataset."
            )
    if column:
        columns = [column]
    elif transform:
        columns = transform._columns()
    else:
        said = told["protocol"].get("column") if told else None
        columns = [said or usual_column(list(first.features), "column")]
    for name in columns:
        modality_of(first.features, name)
    return columns
