"""What frames the tabs: the limits come from the methods' own pages, and links lead where they say."""

import re

import pytest

from hf_unlearnable.registry import METHODS
from hf_unlearnable.space import guide
from tests import ROOT

METHOD_NAMES = [name for name, cls in METHODS.items() if not cls.is_baseline]


def test_every_method_says_what_breaks_it_and_none_is_left_out():
    page = guide.limits()
    assert page.count("<details>") == page.count("<dt>What breaks it</dt>") == len(METHOD_NAMES)
    for name in METHOD_NAMES:
        assert guide._text(METHODS[name].described()["summary"]) in page
        assert guide._text(METHODS[name].described()["Breaks"]) in page


@pytest.mark.parametrize(
    ("docstring", "shown"),
    [
        ("a `b` c", "a <code>b</code> c"),
        ("1 < 2 & 3", "1 &lt; 2 &amp; 3"),
        ("`noise=<b>`", "<code>noise=&lt;b&gt;</code>"),
        ("arXiv:2205.12141.", '<a href="https://arxiv.org/abs/2205.12141" target="_blank" rel="noopener">'
         "arXiv:2205.12141</a>."),
    ],
)  # fmt: skip
def test_a_docstring_is_shown_as_html(docstring, shown):
    assert guide._text(docstring) == shown


def test_the_table_of_the_page_is_that_of_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    front = readme.partition("<!-- table: front -->")[2].partition("<!-- end -->")[0]
    rows = [line.strip("| ").split(" | ") for line in front.split("\n") if line.startswith("| ")]
    page = guide.limits()
    table = page[page.index("<table>") : page.index("</table>")]
    found = [re.findall(r"<t[hd]>(.*?)</t[hd]>", row) for row in table.split("<tr>")[1:]]
    plain = [[re.sub(r"</?(b|code)>", "", cell) for cell in row] for row in found]
    assert plain == [[re.sub(r"[*`]", "", cell) for cell in row] for row in rows] and len(rows) > 5
    assert table.count("<th>") == 5 and table.count("<b>") == len(rows) - 1


def test_links_of_the_header_have_targets_and_the_paper_is_the_packages():
    header, page = guide.header(), guide.limits()
    inside = re.findall(r'href="#([^"]+)"', header)
    assert inside == ["idea", "worth", "limits", "papers"] and all(f'id="{one}"' in page for one in inside)
    assert 'href="https://arxiv.org/abs/2411.08506"' in header


def test_a_package_that_is_not_installed_names_no_links(monkeypatch):
    def missing(name):
        raise guide.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(guide.metadata, "metadata", missing)
    assert guide._project_links() == [] and 'href="#limits"' in guide.header()


def test_addresses_of_the_package_are_linked_by_name(monkeypatch):
    class Metadata:
        def get_all(self, name):
            return {"Project-URL": ["Documentation, https://docs.example/a?b&c", "Source, https://code.example/"]}[
                name
            ]

    monkeypatch.setattr(guide.metadata, "metadata", lambda name: Metadata())
    header = guide.header()
    assert '<a href="https://docs.example/a?b&amp;c" target="_blank" rel="noopener">Documentation</a>' in header
    assert ">Source</a>" in header


def test_every_paper_of_a_method_is_listed_once_with_its_address():
    listed = guide.limits().split('<h3 id="papers">')[1]
    addresses = re.findall(r'href="https://arxiv.org/abs/([^"]+)"', listed)
    named = {
        found
        for _, cls in METHODS.items()
        if not cls.is_baseline
        for found in re.findall(r"arXiv:(\d{4}\.\d{4,5})", cls.described().get("Paper", "").split("\n\n")[0])
    }
    assert len(addresses) == len(set(addresses)) == listed.count("<li>") and set(addresses) == named
