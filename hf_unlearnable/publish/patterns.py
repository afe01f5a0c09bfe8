"""What a secret looks like in a text: the seed, the words as a list, this machine's paths, tokens."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hf_unlearnable.publish.cells import strings

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from hf_unlearnable.key import Key

LARGE = 2**32  # a smaller number may stand in a column by chance

# (what it is, letters that each of them holds, what it is exactly). All texts are searched for fixed letters: that is
# fast, and few texts hold any.
_TOKENS = (
    ("a Hugging Face token", ("hf_", "api_org_"), r"(?<![A-Za-z0-9])(?:hf|api_org)_[A-Za-z0-9]{30,}"),
    ("an API key", ("sk-",),
     r"(?<![A-Za-z0-9_-])sk-(?:[A-Za-z0-9]+[-_]){0,3}(?:[A-Za-z0-9_-]*[A-Za-z0-9]{32}"
     r"|(?=[A-Za-z_-]*\d)(?=[\d_-]*[A-Za-z])[A-Za-z0-9]{20})"),
    ("a GitHub token", ("ghp_", "gho_", "ghs_", "ghu_", "ghr_", "github_pat_"),
     r"(?<![A-Za-z0-9])(?:gh[opsur]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22})"),
    ("an AWS access key", ("AKIA", "ASIA"), r"(?<![\w+/])A[KS]IA[0-9A-Z]{16}(?![\w+/])"),
    ("a Google API key", ("AIza",), r"(?<![A-Za-z0-9+/_-])AIza[0-9A-Za-z_-]{35}(?![A-Za-z0-9+/_-])"),
    ("a Slack token", tuple(f"xox{kind}-" for kind in "abposr"),
     r"(?<![A-Za-z0-9])xox[abposr]-(?=[A-Za-z-]*\d)[0-9A-Za-z-]{10,}"),
    ("a GitLab token", ("glpat-",), r"(?<![A-Za-z0-9])glpat-[A-Za-z0-9_-]{20}"),
    ("a private key", ("-----BEGIN ",), r"-----BEGIN (?:[A-Z]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----"),
)  # fmt: skip
# Folders at the root of a machine. Names that only look like a path ("/m/01g317", "/people/person") do not count.
ABSOLUTE = re.compile(
    r"(?<![\w:/.])(?:/(?:home|Users|root|mnt|media|tmp|var|opt|srv|data|scratch|work|workspace|content|kaggle|private|"
    r"Volumes|usr|gpfs|lustre|nfs|storage)/[^\s\"'<>|]|[A-Za-z]:\\{1,2}[\w ]+\\|\\\\\\{0,2}\w+\\)|file://"
)
# Homes and folders that many machines have: in the middle of a text they tell of no machine in particular.
_COMMON = {"root", "tmp", "app", "content", "workspace", "work", "data", "code", "src", "mnt", "opt", "home", "Users",
           "user", "ubuntu", "jovyan", "runner", "kaggle", "working", "var"}  # fmt: skip


class Patterns:
    """What is searched as letters: the seed, this machine's paths, tokens."""

    def __init__(self, seed: int | None, paths: Sequence[str | os.PathLike]):
        import datasets.config
        import huggingface_hub.constants

        self._known: list[tuple[str, str, list[str], re.Pattern]] = []
        for what, fixed, exact in _TOKENS:
            self._add("token", f"This is {what}.", fixed, exact)
        if seed is not None and seed >= LARGE:
            decimal, digits, power = str(seed), f"{seed:x}", repr(float(seed))
            exact = rf"(?<!\d){decimal}(?!\d)|(?<![0-9a-fA-F])0*(?:{digits}|{digits.upper()})(?![0-9a-fA-F])"
            exact += rf"|(?<!\d){re.escape(power)}(?!\d)"
            self._add("seed", "The seed of the key stands here.", [decimal, digits, digits.upper(), power], exact)
        elif seed is not None and seed >= 1000:
            exact = rf"(?i)seed\W{{0,5}}0*{seed}(?!\d)|seed\W{{0,5}}0x0*{seed:x}(?![0-9a-f])"
            self._add("seed", "The seed of the key stands here.", ["seed", "Seed", "SEED"], exact)
        here = [Path.home(), huggingface_hub.constants.HF_HOME, datasets.config.HF_DATASETS_CACHE, Path.cwd(), *paths]
        roots = {os.path.abspath(path) for path in here} | {os.path.realpath(path) for path in here}
        roots = {root for root in roots if len(Path(root).parts) > 1}
        telling = {root for root in roots if set(Path(root).parts[1:]) - _COMMON and len(Path(root).parts) > 2}
        for root in sorted(telling):
            spelled = [root, root.replace("\\", "\\\\"), root.replace("\\", "/")]
            places = "|".join(re.escape(one) for one in dict.fromkeys(spelled))
            self._add("path", "A folder of this machine is told.", spelled, rf"(?<![\w.-])(?:{places})(?![\w-])")
        for root in sorted({str(Path.home())} - telling):
            if len(root) > 1:  # as the whole value of a cell it does tell
                exact = rf"\A\s*(?:file://)?{re.escape(root)}(?:[\\/]\S*)?\s*\Z"
                self._add("path", "A file of this machine is told.", [root], exact)
        every = dict.fromkeys(letters for _, _, fixed, _ in self._known for letters in fixed)
        self.search = "|".join(map(re.escape, every))

    def _add(self, kind: str, what: str, fixed: Sequence[str], exact: str) -> None:
        self._known.append((kind, what, list(fixed), re.compile(exact)))

    def found(self, text: str) -> list[tuple[str, str]]:
        """Kind and description of everything that a text tells."""
        return [
            (kind, what)
            for kind, what, fixed, exact in self._known
            if any(letters in text for letters in fixed) and exact.search(text)
        ]

    def hidden(self, place: str) -> str:
        """The name of a file or of a column without a secret that it holds."""
        for _, _, _, exact in self._known:
            place = exact.sub("<hidden>", place)
        return place


class Words:
    """Lists of the chosen words. One of them in a sentence is no list: protected texts are full of them."""

    def __init__(self, words: Sequence[Sequence[str]], key: Key | None):
        self.label_column = key.parameters.get("label_column") if key else None
        self.of_class = [set(group) for group in words]
        self.forget(())

    def forget(self, names: Sequence[str]) -> None:
        """Leaves out words that are public anyway: names of classes and columns."""
        known = {name.lower() for name in names}
        self.of_class = [{word for word in group if word.lower() not in known} for group in self.of_class]
        self.all = sorted(set().union(*self.of_class))
        self.lower = [word.lower() for word in self.all]
        # Two words of two are a list; more of them must stand together where they may also do so by chance.
        self.need = min(4, max(2, len(self.all) // 3))
        one = "|".join(re.escape(word) for word in sorted(self.all, key=len, reverse=True))
        self.search = rf"(?:{one})(?:\W+\w+){{0,2}}?\W+(?:{one})"
        self._one = re.compile(rf"(?<!\w)(?:{one})(?!\w)")
        self._alone = re.compile(
            rf"(?:^|[`\"'*\[({{|:=-])[ \t]*(?:{one})[ \t]*(?:$|[`\"'*\])}}|,;.])", re.MULTILINE
        )  # fmt: skip
        self._inserted, self._at_end = rf"(^| )(?:(?:{one}) )+", rf"(?: (?:{one}))+$"

    def candidates(self, texts: pl.Series, protected: bool) -> list[int]:
        """Which texts may list words. A protected one holds those of one class anyway: two are needed there."""
        import polars as pl

        groups = [group for group in self.of_class if group] if protected else [self.all]
        held = pl.sum_horizontal(
            [texts.str.contains("|".join(map(re.escape, group))).fill_null(False).cast(pl.Int32) for group in groups]
        )
        index = pl.select(held).to_series().ge(min(2, len(groups))).arg_true()
        return index.filter(texts.gather(index).str.contains(self.search)).to_list()

    def listed(self, text: str, share: float = 0, gap: int = 2, least: int = 2) -> bool:
        """Whether a text lists words: several in a row, with few others between them.

        Args:
            text: A cell, or the text of a file.
            share: Of the words of the text that those of the list are at least, unless they stand in quotes. In a
                sentence two of them may come together by chance.
            gap: Most words between one and the next.
            least: Different words outside of quotes that are a list. A short text may hold one of its own, and gets
                another: three are needed where words are inserted.
        """
        need = max(self.need, least)
        run: list[str] = []
        end = 0
        for match in self._one.finditer(text):
            between = text[end : match.start()]
            if len(between) > 60 or len(re.findall(r"\w+", between)) > gap:
                run = []
            around = text[match.start() - 1 : match.start()] + text[match.end() : match.end() + 1]
            run.append(match[0] if around.strip("\"'`") else f"'{match[0]}'")
            end = match.end()
            quoted = {one for one in run if one[0] == "'"}
            if len(quoted) >= self.need:
                return True
            if len({one.strip("'") for one in run}) >= need and len(run) >= share * len(re.findall(r"\w+", text)):
                return True
        return False

    def alone(self, text: str) -> bool:
        """Whether one word stands as a value of its own, in quotes, in a table or behind a colon."""
        return bool(self._alone.search(text))

    def without(self, texts: pa.Array) -> pa.Array:
        """Texts as they were before words were inserted, but for the words that they held themselves."""
        import polars as pl

        shorter = pl.Series(texts).str.replace(self._at_end, "").str.replace_all(self._inserted, "${1}")
        return strings(shorter.to_arrow())
