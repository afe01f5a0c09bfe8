"""The parts of a report, each as Markdown and as HTML, and the HTML page that holds all of them in one file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Protocol

from hf_unlearnable.markdown import table


class Part(Protocol):
    """Something that stands in a report."""

    def markdown(self) -> str:
        """The part as Markdown."""

    def html(self) -> str:
        """The part as HTML, all of its text escaped."""


@dataclass(frozen=True)
class Heading:
    """A heading; of level 1 it is the title of the report."""

    text: str
    level: int = 2

    def markdown(self) -> str:
        """The heading behind its number signs."""
        return f"{'#' * self.level} {self.text}"

    def html(self) -> str:
        """The heading as an element."""
        return f"<h{self.level}>{escape(self.text)}</h{self.level}>"


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; `lead` stands before it in bold, `bold` is for a paragraph that is bold as a whole."""

    text: str
    lead: str = ""
    bold: bool = False

    def markdown(self) -> str:
        """The paragraph on one line."""
        if self.bold:
            return f"**{self.text}**"
        return f"**{self.lead}** {self.text}" if self.lead else self.text

    def html(self) -> str:
        """The paragraph as an element."""
        lead = f"<strong>{escape(self.lead)}</strong> " if self.lead else ""
        kind = ' class="verdict"' if self.bold else ""
        return f"<p{kind}>{lead}{escape(self.text)}</p>"


@dataclass(frozen=True)
class Items:
    """A list."""

    lines: Sequence[str]

    def markdown(self) -> str:
        """An item per line."""
        return "\n".join(f"- {line}" for line in self.lines)

    def html(self) -> str:
        """The list as an element."""
        return "<ul>\n" + "\n".join(f"<li>{escape(line)}</li>" for line in self.lines) + "\n</ul>"


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """The table with columns of even width."""
        return table([self.header, *self.rows], even=True)

    def html(self) -> str:
        """The table as an element; it scrolls by itself where it is wider than the window."""
        head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in self.header)
        body = "\n".join(
            f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
            for name, *cells in self.rows
        )
        return (
            f'<div class="wide" tabindex="0"><table>\n<thead><tr>{head}</tr></thead>\n'
            f"<tbody>\n{body}\n</tbody>\n</table></div>"
        )


@dataclass(frozen=True)
class Picture:
    """A PNG file with what it shows; the page holds the file itself."""

    path: Path
    title: str

    def markdown(self) -> str:
        """The picture by its file's name."""
        return f"![{self.title}]({self.path.name})"

    def html(self) -> str:
        """The picture as an element with the file as a data URI."""
        data = base64.b64encode(self.path.read_bytes()).decode()
        title = escape(self.title)
        return (
            f'<figure><img src="data:image/png;base64,{data}" alt="{title}"><figcaption>{title}</figcaption></figure>'
        )


_STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --line: #c8c8c8; --quiet: #595959; --mark: #f2f2f2 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --paper: #16181c; --line: #4a4e57; --quiet: #a8adb8; --mark: #23262d }
}
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, sans-serif }
.verdict { padding: .75rem 1rem; border-left: .3rem solid var(--ink); background: var(--mark); font-weight: 600 }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .75rem; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap }
tbody th { font-weight: 400 }
figure { margin: 1rem 0 }
figcaption { color: var(--quiet) }
img { max-width: 100%; background: #fff }
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def as_markdown(parts: Sequence[Part]) -> str:
    """A report as Markdown.

    Args:
        parts: From top to bottom.

    Returns:
        The text, with a line break at its end.
    """
    return "\n\n".join(part.markdown() for part in parts) + "\n"


def as_page(parts: Sequence[Part]) -> str:
    """A report as one HTML file that needs no other: it opens by a double click, offline, and runs no script.

    Args:
        parts: From top to bottom; the first heading is the title.

    Returns:
        The page. Plots stand in it as data, and it follows the reader's choice of a light or a dark screen.
    """
    title = next((part.text for part in parts if isinstance(part, Heading)), "Report")
    return _PAGE.format(title=escape(title), style=_STYLE, body="\n".join(part.html() for part in parts))
