"""What frames the tabs: what a visitor can do here, and below what the protections are worth and what breaks them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from importlib import metadata
from pathlib import Path

from hf_unlearnable.registry import METHODS
from hf_unlearnable.transform import Transform

_BOLD = re.compile(r"\*\*(.+)\*\*")
_PAPER = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
# The sections of a method's page that a visitor chooses by, and what they are called here.
_SECTIONS = {"Idea": "Idea", "Breaks": "What breaks it", "Prefer": "When to prefer it", "Paper": "Paper"}


def header() -> str:
    """The first thing on the page: what can be done, and where the limits stand."""
    links = [
        ("How it works", "#idea"), ("What it is worth", "#worth"), ("Limits of each method", "#limits"),
        ("Papers of the methods", "#papers"), *_project_links(),
    ]  # fmt: skip
    return f"""
<header class="masthead">
<h1>Unlearnable</h1>
<p>Protect your texts, images and recordings, so that models trained on them learn less. Then see what the protection
is worth.</p>
<ol>
<li><b>Protect</b> a text, a table, pictures or recordings. You get the changed data and a secret key.</li>
<li><b>Prove</b> it: watch one model train on clean data and one on protected data. Then play the attacker.</li>
<li><b>Publish</b> to your own account. With the <b>key</b> you later show what was yours, and restore your texts.</li>
</ol>
<p class="legend"><mark>Red</mark> is what protection adds. It raises the cost of training on your data. It does not
make training impossible. {" · ".join(_link(*one) for one in links)}</p>
</header>
"""


def limits() -> str:
    """How it works, what was measured, and which attacker undoes which protection, from the pages of the methods."""
    known = [(name, cls) for name, cls in METHODS.items() if not cls.is_baseline]
    return f"""
<section id="idea">
<h2>How it works</h2>
<p>A model that trains on data follows the easiest signal that tells the labels apart. A protection adds such a signal
to every row: a word per class, a fine grain per class, or computed noise. The model learns that signal and little
else. Clean rows do not hold it, so there the model fails. The signal is drawn with a secret key.</p>
</section>
<section id="worth">
<h2>What it is worth</h2>
<p>Accuracy on clean test rows in percent, with the 95 % interval. "Rows dropped" is a guess: the attacker trains
without the protected rows. The last column is the worst case: what the best countermeasure that was tried gives an
attacker. "v1" marks an earlier version of the method.</p>
{_table(Path(__file__).with_name("worth.md").read_text(encoding="utf-8"))}
</section>
<section id="limits">
<h2>Limits</h2>
<ul>
<li><b>No method here stops every attacker.</b> Most image methods are undone by JPEG of low quality, and by models
that know images already. Filters find the words that were put into texts. A network that hears raw waves
learns through the equaliser of recordings.</li>
<li><b>Clean copies teach as much as ever.</b> Protect all of your data, before the first copy is public.</li>
<li><b>Labels are what is hidden.</b> A language model that trains on your words, or an image generator, does not need
them: that was not measured.</li>
</ul>
<p>What is known of each method:</p>
{"".join(_method(name, cls) for name, cls in known)}
<h3 id="papers">Papers</h3>
<ul>{_papers(cls for _, cls in known)}</ul>
</section>
"""


def _table(page: str) -> str:
    """The table of a page in Markdown as HTML."""
    head, *rows = (line.strip("|").split("|") for line in page.splitlines() if line.startswith("| "))
    body = "".join(f"<tr>{_cells(row, 'td')}</tr>" for row in rows)
    return (
        f'<div class="wide" tabindex="0"><table><thead><tr>{_cells(head, "th")}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cells(row: list[str], tag: str) -> str:
    texts = (_BOLD.sub(r"<b>\1</b>", _text(cell.strip())) for cell in row)
    return "".join(f"<{tag}>{text}</{tag}>" for text in texts)


def _papers(methods: Iterable[type[Transform]]) -> str:
    """The papers that the methods are from, each once."""
    papers: dict[str, str] = {}
    for cls in methods:
        paper = cls.described().get("Paper", "").partition("\n\n")[0]
        if number := _PAPER.search(paper):
            papers.setdefault(number[1], f"<li>{_text(paper)}</li>")
    return "".join(papers.values())


def _method(name: str, cls: type[Transform]) -> str:
    page = cls.described()
    parts = [
        f"<dt>{title}</dt><dd>{_text(page[section].partition(chr(10) * 2)[0])}</dd>"
        for section, title in _SECTIONS.items()
        if section in page
    ]
    return f"<details><summary>{_text(page['summary'] or name)}</summary><dl>{''.join(parts)}</dl></details>"


def _text(docstring: str) -> str:
    """A paragraph of a docstring as HTML: code in backticks, and papers as links."""
    said = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(docstring, quote=False))
    return _PAPER.sub(lambda found: _link(found[0], f"https://arxiv.org/abs/{found[1]}"), said)


def _project_links() -> list[tuple[str, str]]:
    """The addresses that the installed package names: paper, documentation, source."""
    try:
        named = metadata.metadata("hf-unlearnable").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:  # run from its source
        return []
    return [(name, address) for name, _, address in (one.partition(", ") for one in named)]


def _link(name: str, address: str) -> str:
    elsewhere = "" if address.startswith("#") else ' target="_blank" rel="noopener"'
    return f'<a href="{escape(address)}"{elsewhere}>{escape(name)}</a>'
