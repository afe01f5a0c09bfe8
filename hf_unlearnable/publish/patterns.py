"""What a secret looks like in a text: the seed, this machine's paths, tokens."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from hf_unlearnable.publish.seed import Seed
from hf_unlearnable.publish.spotting import Needles, Texts
from hf_unlearnable.publish.tokens import TOKENS

# Folders at the root of a machine. Names that only look like a path ("/m/01g317", "/people/person") do not count.
ABSOLUTE = re.compile(
    r"(?<![\w:/.])(?:/(?:home|Users|root|mnt|media|tmp|var|opt|srv|data|scratch|work|workspace|content|kaggle|private|"
    r"Volumes|usr|gpfs|lustre|nfs|storage)/[^\s\"'<>|]|[A-Za-z]:\\{1,2}[\w ]+\\|\\\\\\{0,2}\w+\\)|file://"
)
# Homes and folders that many machines have: in the middle of a text they tell of no machine in particular.
_COMMON = {"root", "tmp", "app", "content", "workspace", "work", "data", "code", "src", "mnt", "opt", "home", "Users",
           "user", "ubuntu", "jovyan", "runner", "kaggle", "working", "var"}  # fmt: skip
# The home folder of a person, on any system, and names of such folders that tell of nobody.
HOME = (
    r"(?:^|[^\w:/.]|file://)(?:/home/|/Users/|[A-Za-z]:[\\/]{1,2}(?:Users|Documents and Settings)[\\/]{1,2})([\w.-]+)"
)
NOBODY = sorted({*_COMMON, "Public", "Default", "runneradmin", "username", "you", "me", "name", "vsts", "travis"})
_SPACED = ("-----BEGIN ", "PuTTY-User-Key-File-", "FlyV1 ")  # of tokens: all others are a run without white space
_SEED = ("seed", "The seed of the key stands here.")


class Patterns:
    """What is searched as letters: the seed, this machine's paths, tokens.

    Attributes:
        seed: The spellings of the seed; None if it is not known, or too small to be told from a number.
        in_files: What is looked for in all bytes of a file.
        short: Regular expression (RE2) of what is too short for that: in compressed bytes it may stand by chance.
    """

    def __init__(self, seed: int | None, paths: Sequence[str | os.PathLike]):
        import datasets.config
        import huggingface_hub.constants

        self.seed = None if seed is None or seed < 1000 else Seed(seed)
        self._known: list[tuple[str, str, list[str], str]] = []
        for what, fixed, exact in TOKENS:
            self._add("token", f"This is {what}.", fixed, exact)
        self._tokens = list(self._known)
        # Behind these letters ten more follow in any token, but for the one that ends in them.
        letters = "|".join(re.escape(letters) for _, _, fixed, _ in self._known for letters in fixed)
        self._like_tokens = rf"(?:{letters})[!-~]{{10}}|-us[0-9]"
        here = [Path.home(), huggingface_hub.constants.HF_HOME, datasets.config.HF_DATASETS_CACHE, Path.cwd(), *paths]
        roots = {os.path.abspath(path) for path in here} | {os.path.realpath(path) for path in here}
        roots = {root for root in roots if len(Path(root).parts) > 1}
        telling = {root for root in roots if set(Path(root).parts[1:]) - _COMMON and len(Path(root).parts) > 2}
        for root in sorted(telling):
            spelled = [root, root.replace("\\", "\\\\"), root.replace("\\", "/")]
            places = "|".join(re.escape(one) for one in dict.fromkeys(spelled))
            self._add("path", "A folder of this machine is told.", spelled, rf"(?<![\w.-])(?:{places})(?![\w-])")
        for root in sorted({str(Path.home())} - telling):
            if len(root) > 1:  # as the whole value of a row it does tell
                exact = rf"\A\s*(?:file://)?{re.escape(root)}(?:[\\/]\S*)?\s*\Z"
                self._add("path", "A file of this machine is told.", [root], exact)
        rare = [letters for _, _, fixed, _ in self._known[len(self._tokens) :] for letters in fixed]
        rare += [*_SPACED, *(self.seed.codes if self.seed else ())]
        self._rare = "|".join(map(re.escape, dict.fromkeys(rare)))
        anywhere = [letters.encode() for letters in rare] + sorted(self.seed.raw if self.seed else ())
        self.in_files = Needles([needle for needle in anywhere if len(needle) >= Needles.SHORTEST])
        short = [letters for letters in rare if len(letters.encode()) < Needles.SHORTEST]
        self.short = "|".join(map(re.escape, dict.fromkeys(short)))

    def _add(self, kind: str, what: str, fixed: Sequence[str], exact: str) -> None:
        self._known.append((kind, what, list(fixed), exact))  # compiled when it is needed

    def found_in_texts(self, texts: Texts) -> Iterator[tuple[int, str, str]]:
        """Everything that a column of texts tells: number of the text, kind and description.

        Args:
            texts: n texts.
        """
        mask = texts.contains(self._rare)
        if self.seed:
            mask = mask | self.seed.candidates(texts)
        for i in np.flatnonzero(mask).tolist():
            yield from ((i, *one) for one in self.found(texts.series[i]))
        runs, numbers, _ = texts.runs
        for j in self._tokens_in(texts):
            yield from ((int(numbers[j]), *one) for one in _matching(self._tokens, runs[j]))

    def files_with_tokens(self, files: Texts) -> np.ndarray:
        """Which files may hold a token, by their number."""
        return np.unique(files.runs[1][self._tokens_in(files)])

    def _tokens_in(self, texts: Texts) -> list[int]:
        """Which runs may be a token."""
        runs = texts.runs[0]
        return runs.str.contains(self._like_tokens).arg_true().to_list() if len(runs) else []

    def found(self, text: str) -> list[tuple[str, str]]:
        """Kind and description of everything that a text tells."""
        found = _matching(self._known, text)
        if self.seed and self.seed.stands_in(text):
            found.append(_SEED)
        return found

    def found_in_bytes(self, data: bytes) -> list[tuple[str, str]]:
        """The same of bytes that are no text, such as the contents of a file."""
        found = self.found(data.decode("latin-1"))
        if self.seed and self.seed.raw and any(raw in data for raw in self.seed.raw):
            found.append(_SEED)
        return found

    def hidden(self, place: str) -> str:
        """The name of a file or of a column without a secret that it holds."""
        known = [exact for _, _, _, exact in self._known] + ([self.seed.exact.pattern] if self.seed else [])
        for exact in known:
            place = re.sub(exact, "<hidden>", place)
        return place


def _matching(known: Sequence[tuple[str, str, list[str], str]], text: str) -> list[tuple[str, str]]:
    """Kind and description of those patterns that a text matches."""
    return [
        (kind, what)
        for kind, what, fixed, exact in known
        if any(letters in text for letters in fixed) and re.search(exact, text)
    ]
