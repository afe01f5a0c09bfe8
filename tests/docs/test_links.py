"""Links within the repository lead somewhere."""

import pytest

from tests import ROOT
from tests.docs.markdown import PAGES, anchors, links, name_of, read, text_of

OTHERS = [ROOT / "CHANGELOG.md", ROOT / "recipes/bench/NOTES.md", ROOT / "spaces/unlearnable/README.md"]


def broken(page, text):
    """The links of a page that lead nowhere, those to other sites left aside."""
    found = []
    for link in links(text):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        there = (page.parent / path).resolve()
        target = text if not path else "" if there.is_dir() else text_of(there)
        if target is None or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=name_of)
def test_links_lead_somewhere(page):
    assert broken(page, read(page)) == []


@pytest.mark.parametrize(
    ("link", "leads"),
    [
        ("docs/quickstart.md", True),
        ("docs/quickstart.md#protect-images", True),
        ("docs/methods.md#order-code", True),
        ("docs/command-line.md#protect-error-min", True),
        ("docs", True),
        ("#here-it-is", True),
        ("docs/quickstarts.md", False),
        ("docs/quickstart.md#protect-image", False),
        ("docs/methods.md#regtexts", False),
        ("#here-it-was", False),
        ("docs/assets/photo.jpg", False),
    ],
)
def test_a_link_that_leads_nowhere_is_found(link, leads):
    text = f"# Here it is\n\n[x]({link})\n"
    assert broken(ROOT / "README.md", text) == ([] if leads else [link])
