"""The calls to the Hub, in an order in which nothing is public that should not be, and each of them safe to repeat.

Large files go first and belong to no commit; one commit then adds them all, with the card, and removes what was there
before. Until that commit `main` is what it was, and a push that was stopped goes on where it was: the Hub knows which
files it has. The clients repeat what carries data; what they do not (creating, settings, commits) is repeated here.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hf_unlearnable._version import __version__

logger = logging.getLogger(__name__)

_PASSING = {408, 409, 412, 429, 500, 502, 503, 504}  # answers after which the same call may succeed
_PAUSES = (1, 2, 4, 8)  # seconds between attempts
PLAIN_REPORT = ("curves.png", "share.png", "certificate.png")  # the files of a report that name no countermeasure
REPORT = ("report.md", "report.html", "report.json", "grid.png", *PLAIN_REPORT)  # all of them
EXAMPLE = "example.png"  # of our own, beside them
_OURS = re.compile(  # what a push replaces
    rf"data/[^/]+-\d{{5}}-of-\d{{5}}\.parquet|report/(?:{'|'.join(map(re.escape, (*REPORT, EXAMPLE)))})"
)
# What is searched as a text; anything else is compared row by row.
_NOTES = re.compile(
    r"(?:.*/)?(?:LICEN[CS]E|NOTICE|README|CITATION|CHANGELOG|AUTHORS|\.gitattributes|\.gitignore)"
    r"|.*\.(?:md|txt|rst|cff|bib|py|ya?ml|toml|html?|css)"
    rf"|report/(?:{'|'.join(map(re.escape, (*REPORT, EXAMPLE)))})"
)
_LARGE = 50_000_000  # bytes from which on a text is taken for rows
_REFUSED = (
    "The Hub refuses this token ({}): publishing takes one with write access to {}. Make one in the settings of your "
    "account."
)
PUBLIC = (
    "{} exists and is public: what is pushed there is seen at once. Make it private in its settings, name a fresh "
    "one, or say private=False (--public)."
)
_CHANGED = (
    "The card of {} was changed while this push was under way, and the new one was not searched for leaks. Run it "
    "again."
)


class Repository:
    """A dataset repository that is pushed to.

    Args:
        repo_id: "owner/name", or "name" for one's own.
        token: Access token with write access; None for the one of `hf auth login`.
        revision: Branch to push to, made if it is not there; None for main.

    Raises:
        PermissionError: There is no token, or the Hub does not take it.
        ValueError: `repo_id` is no valid name.
    """

    def __init__(self, repo_id: str, token: str | None = None, revision: str | None = None):
        from huggingface_hub import HfApi, get_token
        from huggingface_hub.utils import validate_repo_id

        validate_repo_id(repo_id)
        if not (token or get_token()):
            raise PermissionError(
                "No token of the Hub: run `hf auth login`, or set HF_TOKEN to one with write access."
            )
        self._api = HfApi(token=token, library_name="hf_unlearnable", library_version=__version__)
        self.id = repo_id
        user = self._ask(self._api.whoami)
        if user.get("auth", {}).get("accessToken", {}).get("role") == "read":
            raise PermissionError(_REFUSED.format("it may only read", repo_id))
        if "/" not in repo_id:
            self.id = f"{user['name']}/{repo_id}"
        self.revision = revision or "main"

    def _ask(self, call: Callable, *arguments: Any, **options: Any) -> Any:
        """A call, repeated while it fails in a way that may pass."""
        from huggingface_hub.errors import HfHubHTTPError, HTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

        for pause in (*_PAUSES, None):
            try:
                return call(*arguments, **options)
            except RepositoryNotFoundError:
                raise
            except (HTTPError, RuntimeError, LocalEntryNotFoundError) as error:
                cause: BaseException | None = error  # the clients wrap what went wrong in errors of their own
                while cause is not None and not isinstance(cause, HTTPError):
                    cause = cause.__cause__
                if cause is None:
                    raise
                answer = cause.response if isinstance(cause, HfHubHTTPError) else None
                if answer is not None and answer.status_code in (401, 403):
                    raise PermissionError(_REFUSED.format(answer.status_code, self.id)) from error
                if answer is not None and (pause is None or answer.status_code not in _PASSING):
                    raise
                if pause is None:
                    raise ConnectionError(
                        f"The Hub cannot be reached ({cause}). Nothing half-done is public: run it again to go on."
                    ) from error
                logger.info("The Hub did not take a call (%s); again in %s seconds.", cause, pause)
                asked = answer.headers.get("Retry-After", "") if answer is not None else ""
                time.sleep(min(int(asked) if asked.isdigit() else pause, 60))
        raise AssertionError("the last attempt returns or raises")

    # ------------------------------------------------------------------ what is there
    def visibility(self) -> str | None:
        """Returns "public" or "private", or None when there is no such repository."""
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            return "private" if self._ask(self._api.dataset_info, self.id).private else "public"
        except RepositoryNotFoundError:
            return None

    def card(self) -> bytes | None:
        """The present card, of main where the branch is not there yet; None where there is none."""
        from huggingface_hub.errors import EntryNotFoundError, RevisionNotFoundError

        for revision in (self.revision, "main"):
            try:
                with tempfile.TemporaryDirectory() as folder:
                    return self._fetched(revision, "README.md", folder).read_bytes()
            except EntryNotFoundError:
                return None
            except RevisionNotFoundError:
                continue
        return None

    def require_valid(self, card: str) -> None:
        """Asks the Hub whether it takes a card's metadata, before anything is made there.

        Raises:
            ValueError: It does not, and says why.
        """
        from huggingface_hub import DatasetCard

        try:
            self._ask(DatasetCard(card).validate)
        except ValueError as error:
            raise ValueError(
                f"The Hub does not take the metadata of the card (README.md): {_reasons(str(error))}. Give what it "
                "asks for (license: --license), or put the card in the repository right."
            ) from None

    def earlier(self, published: set[str]) -> Iterator[tuple[str, Path, bool]]:
        """Every file in the history of any branch, conversion or pull request, but those of the same contents.

        Args:
            published: SHA-256 of the files that are about to be published.

        Returns:
            "branch@commit/path"; the file, which is gone after the next one was taken; and whether it may hold rows.
        """
        seen = set(published)
        refs = self._ask(self._api.list_repo_refs, self.id, repo_type="dataset", include_pull_requests=True)
        for ref in [*refs.branches, *refs.converts, *refs.tags, *(refs.pull_requests or [])]:
            commits = self._ask(self._api.list_repo_commits, self.id, repo_type="dataset", revision=ref.target_commit)
            for commit in reversed(commits):  # a file is named by the commit that brought it
                for path, contents in self._files(commit.commit_id).items():
                    converted = ref in refs.converts and not path.endswith(".parquet")
                    if contents in seen or converted:
                        continue
                    seen.add(contents)
                    with tempfile.TemporaryDirectory() as folder:
                        place = f"{ref.name}@{commit.commit_id[:8]}/{path}"
                        file = self._fetched(commit.commit_id, path, folder)
                        yield place, file, not _NOTES.fullmatch(path) or file.stat().st_size > _LARGE

    def _files(self, commit: str) -> dict[str, str]:
        """Path to what identifies the contents: SHA-256 of a large file, git's hash of a small one."""
        from huggingface_hub.hf_api import RepoFile

        tree = self._ask(
            lambda: list(self._api.list_repo_tree(self.id, repo_type="dataset", revision=commit, recursive=True))
        )
        return {
            entry.path: entry.lfs.sha256 if entry.lfs else entry.blob_id
            for entry in tree
            if isinstance(entry, RepoFile)
        }

    def _fetched(self, commit: str, path: str, folder: str) -> Path:
        return Path(
            self._ask(self._api.hf_hub_download, self.id, path, repo_type="dataset", revision=commit, local_dir=folder)
        )

    # ------------------------------------------------------------------ what is changed
    def prepare(self, private: bool, gated: str | None) -> None:
        """Makes the repository and the branch where they are not there, and closes the gate before there is data."""
        from huggingface_hub.errors import HfHubHTTPError

        def create() -> None:
            try:
                self._api.create_repo(self.id, repo_type="dataset", private=private)
            except HfHubHTTPError as error:  # 409: somebody else made it at this moment
                if error.response.status_code != 409 or self.visibility() is None:
                    raise

        if self.visibility() is None:
            self._ask(create)
        if private and self.visibility() == "public":  # looked at again: much time may have passed
            raise FileExistsError(PUBLIC.format(self.id))
        if gated:
            self._ask(self._api.update_repo_settings, self.id, repo_type="dataset", gated=gated)
        if self.revision != "main":
            self._ask(self._api.create_branch, self.id, branch=self.revision, repo_type="dataset", exist_ok=True)

    def push(
        self,
        additions: Sequence[Any],
        card: str,
        replaces: bytes | None,
        message: str,
        create_pr: bool = False,
    ) -> Any:
        """Uploads files, then adds them and the card in one commit, which removes the files of an earlier push.

        Args:
            additions: What to add, as `huggingface_hub.CommitOperationAdd`.
            card: The card's new text.
            replaces: The present card, which the new one was made from; None if there was none.
            message: First line of the commit.
            create_pr: Opens a pull request instead of changing the branch.

        Returns:
            A `huggingface_hub.CommitInfo`.

        Raises:
            ValueError: Somebody changed the card meanwhile.
        """
        from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete

        where: dict[str, Any] = {"repo_id": self.id, "repo_type": "dataset", "revision": self.revision}
        for addition in additions:
            self._ask(
                self._api.preupload_lfs_files, additions=[addition], create_pr=create_pr, free_memory=False, **where
            )
        paths = {addition.path_in_repo for addition in additions}
        readme = CommitOperationAdd("README.md", card.encode())
        new, old = _git_hash(card.encode()), None if replaces is None else _git_hash(replaces)

        def commit() -> Any:
            head = str(self._api.dataset_info(self.id, revision=self.revision).sha)
            there = self._files(head)
            gone = [path for path in there if _OURS.fullmatch(path) and path not in paths]
            same = all(there.get(file.path_in_repo) == _contents(file) for file in additions)
            if (
                same and there.get("README.md") == new and not gone
            ):  # pushed before, or a moment ago by a commit whose answer was lost
                url = f"{self._api.endpoint}/datasets/{self.id}/commit/{head}"
                return CommitInfo(commit_url=url, commit_message=message, commit_description="", oid=head)
            if there.get("README.md") not in (old, new):
                raise ValueError(_CHANGED.format(self.id))
            return self._api.create_commit(
                operations=[*additions, readme, *map(CommitOperationDelete, gone)], commit_message=message,
                create_pr=create_pr, parent_commit=head, **where,
            )  # fmt: skip

        return self._ask(commit)


def _contents(addition: Any) -> str:
    """What identifies an added file's contents, as `Repository._files` gives it."""
    if addition._upload_mode == "lfs":
        return addition.upload_info.sha256.hex()
    return addition._local_oid


def _git_hash(content: bytes) -> str:
    """What git, and so `Repository._files`, calls a small file of these contents."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _reasons(answer: str) -> str:
    """What the Hub's answer to a card says, without the JSON around it."""
    try:
        errors = json.loads(answer)["errors"]
        return "; ".join(error["message"] for error in errors)
    except (ValueError, KeyError, TypeError):
        return answer.strip().rstrip(".")
