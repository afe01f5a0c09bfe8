"""What the tests of the documentation read out of a page."""

import re
from dataclasses import dataclass
from pathlib import Path

from docs._make.pages import generated
from tests import ROOT

DOCS = sorted(path for path in (ROOT / "docs").rglob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "recipes/bench/README.md", *DOCS]
_BLOCK = re.compile(
    r"^(?:<!-- parsed only: (?P<reason>[^\n]+) -->\n)?```(?P<language>\w*)(?: title=\"(?P<title>[^\"\n]+)\")?\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """Fenced code: its language, the reason why it is only parsed, and the file that it is, if it is one."""

    language: str
    code: str
    reason: str | None
    title: str | None


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [
        Block(found["language"], found["code"], found["reason"], found["title"]) for found in _BLOCK.finditer(text)
    ]


def commands(code: str) -> list[str]:
    """The command lines of a shell block, continued lines joined."""
    return [line for line in code.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]


def prose(text: str) -> str:
    """A page without code, comments, tables and pictures; a link is its text."""
    text = re.sub(r"^```.*?^```$|<!--.*?-->|^---\n.*?^---$", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^\|.*$|^:::.*$|^ {4}options:.*$|!?\[!\[.*$|^!\[.*$", "", text, flags=re.MULTILINE)
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)


def sentences(text: str) -> list[str]:
    """The sentences of a page's prose; a heading or an item of a list ends one too."""
    paragraphs = re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )|(?<=\n)#+ .*\n", prose(text))
    found = []
    for paragraph in paragraphs:
        joined = " ".join(re.sub(r"^\s*(?:[-*]|\d+\.|#+) ", "", paragraph).split())
        found += re.split(r"(?<=[.!?])[*\"')]*\s+(?=[\"'(*`\[]*[A-Z0-9`])|(?<=[.!?:])\*\*\s+", joined)
    return [one for one in found if one]


def words(text: str) -> list[str]:
    """Its words, numbers among them."""
    return re.findall(r"[^\s\W](?:[\w'’.,/%+-]*\w)?%?", text)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and Python-Markdown make them."""
    found = set()
    for line in re.findall(
        r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    ):
        named = re.search(r"\{ #([\w-]+) \}$", line)
        plain = re.sub(r"[^\w\s-]", "", line.replace("`", "")).strip().lower()
        found.add(named[1] if named else re.sub(r"\s", "-", plain))
    return found


def links(text: str) -> list[str]:
    """The targets of a page's links and pictures."""
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", text)


def text_of(path: Path) -> str | None:
    """The text of a page on disk, or of one that is made from the code; None if there is none."""
    if path.is_file():
        return read(path) if path.suffix == ".md" else ""
    made = path.relative_to(ROOT / "docs").as_posix() if path.is_relative_to(ROOT / "docs") else ""
    return generated().get(made)
