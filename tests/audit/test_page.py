"""The report for people: one HTML file, safe and readable, and plots whose colours and order can be relied on."""

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from hf_unlearnable import report
from hf_unlearnable.audit.page import Heading, Items, Paragraph, Table, as_markdown, as_page
from hf_unlearnable.audit.plots import PLOTS, _ink, colors
from tests.audit.test_golden_report import audit
from tests.audit.test_report import BASE, cell
from tests.audit.test_report import audit as audit_of

pytest.importorskip("matplotlib", reason="plots need the attack extra")


RADII = (0.0, 0.01, 1.0)


def certificate(version, accuracy, bounds, recovered):
    """What `certify` finds of a version, as far as it is shown."""
    points = zip(RADII, bounds, recovered)
    curve = [{"radius": r, "learnability": bound, "said": str(bound), "recovered": back} for r, bound, back in points]
    settings = {"sigma": 0.02, "quantile": 0.9, "confidence": 0.99, "draws": 100, "bayes_error": 0.5}
    return {"version": version, "accuracy": accuracy, "curve": curve, **settings}


CERTIFICATES = [
    certificate("clean", 0.8, [0.7, 0.75, None], [0.8, 0.8, 0.85]),
    certificate("protected", 0.2, [0.21, 0.3, None], [0.2, 0.2, 0.6]),
]


class Elements(HTMLParser):
    """The elements of a page, the text of each cell, and what was opened and not closed."""

    VOID = ("meta", "img")

    def __init__(self, page):
        super().__init__()
        self.tags, self.open, self.cells = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag in ("td", "th", "li"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th", "li"):
            self.cells[-1] += data

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def luminance(color):
    """Relative luminance as of WCAG 2, of red, green and blue from 0 to 1."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color[:3]]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(one, two):
    light, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("ran", [0, 6, 14, 26])
def test_the_page_is_one_file_that_needs_nothing_else(tmp_path, ran):
    report.write_report(tmp_path, audit(ran))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    found = Elements(page)
    assert found.open == [] and page.startswith("<!doctype html>")
    assert not {"script", "link", "iframe", "a", "object"} & {tag for tag, _ in found.tags}
    assert "url(" not in page and "http" not in page.replace('http-equiv="', "")
    plots = sorted(tmp_path.glob("*.png"))
    shown = [base64.b64decode(one["src"].removeprefix("data:image/png;base64,")) for one in found.named("img")]
    assert sorted(shown) == sorted(plot.read_bytes() for plot in plots)
    assert sorted(one["alt"] for one in found.named("img")) == sorted(PLOTS[plot.stem][0] for plot in plots)


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", 'a" onload="x', "a & b < c", "a | b", "</td></table>", "𝔘 ñ 漢"]
)
def test_names_are_shown_and_not_run(tmp_path, name):
    found = audit_of(
        *BASE, cell("ours", "cnn", 0.6), cell("ours", "cnn", 0.8, name), not_run=(f"{name}: out of time",)
    )
    told = replace(found, protocol={"data": name}, warnings=[name])
    report.write_report(tmp_path, told)
    read = Elements((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert read.open == [] and "script" not in {tag for tag, _ in read.tags}
    for line in (name, f"{name}: out of time", f"data: {name}"):
        assert line in read.cells
    row = next(
        one for one in (tmp_path / "report.md").read_text("utf-8").splitlines() if one.startswith("| " + name[:1])
    )
    assert len(re.findall(r"(?<!\\)\|", row)) == 3, "a Markdown row has as many cells as its header"


def test_parts_say_the_same_in_markdown_and_html():
    parts = [
        Heading("A & B", 1), Paragraph("one", lead="Mind:"), Paragraph("two", bold=True), Items(["three"]),
        Table(["x", "y|z"], [["four", "5"]]),
    ]  # fmt: skip
    assert as_markdown(parts) == (
        "# A & B\n\n**Mind:** one\n\n**two**\n\n- three\n\n| x    | y\\|z |\n|------|------|\n| four | 5    |\n"
    )
    page = as_page(parts)
    assert "<title>A &amp; B</title>" in page and "<h1>A &amp; B</h1>" in page
    assert "<p><strong>Mind:</strong> one</p>" in page and '<p class="verdict">two</p>' in page
    assert '<th scope="col">y|z</th>' in page and '<tr><th scope="row">four</th><td>5</td></tr>' in page


def test_text_stands_out_on_light_and_on_dark_paper(tmp_path):
    report.write_report(tmp_path, audit(6))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    schemes = re.findall(r":root \{(.*?)\}", page, re.DOTALL)
    assert len(schemes) == 2 and "prefers-color-scheme: dark" in page and "color-scheme: light dark" in page

    def rgb(text):
        digits = text * 2 if len(text) == 3 else text
        return [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]

    paper = []
    for scheme in schemes:
        color = {name: rgb(value) for name, value in re.findall(r"--(\w+): #([0-9a-f]+)", scheme)}
        paper.append(luminance(color["paper"]))
        assert contrast(color["ink"], color["paper"]) > 7 and contrast(color["ink"], color["mark"]) > 7
        assert contrast(color["quiet"], color["paper"]) > 4.5
    assert paper[0] > 0.9 and paper[1] < 0.02


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_colours_of_lines_differ_in_gray_and_from_paper(count):
    shades = colors(count)
    assert len(shades) == count and all(contrast(shade, (1, 1, 1)) > 3 for shade in shades)
    assert all(contrast(one, two) > 1.5 for one, two in pairwise(shades))


def test_numbers_in_the_heat_map_stand_out():
    from matplotlib import colormaps

    for value in range(101):
        ink = {"white": (1, 1, 1), "black": (0, 0, 0)}[_ink(value)]
        assert contrast(colormaps["cividis_r"](value / 100), ink) > 4.5, value


def drawn(name, found):
    from matplotlib.figure import Figure

    figure = Figure()
    assert PLOTS[name][1](figure, found)
    return figure


def test_table_and_heat_map_have_the_same_order_and_the_same_blanks():
    found = audit(14)
    axes = drawn("grid", found).axes[0]
    rows = [
        [part.strip() for part in line.split("|")[1:-1]] for line in report.grid_table(found, "protected").splitlines()
    ]
    header, _, *rows = rows
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [row[0] for row in rows]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == header[1:]
    texts = [text.get_text().replace("\n", " ") for text in axes.texts]
    said = [cell for row in rows for cell in row[1:]]
    assert len(texts) == len(said) and "not run" in said
    for text, cell_ in zip(texts, said):
        assert {"not run": "not run", "-": "not in the grid"}.get(
            cell_, f"{float(cell_.split()[0] if cell_[0].isdigit() else 0):.0f}"
        ) == text


def test_several_protected_versions_share_the_order_of_the_plot():
    found = audit_of(
        *BASE, cell("ours", "cnn", 0.9, "a"), cell("ours", "cnn", 0.6, "b"), cell("ours", "cnn", 0.55),
        cell("other", "cnn", 0.6, "a"), cell("other", "cnn", 0.7, "b"), cell("other", "cnn", 0.5),
    )  # fmt: skip
    for name in ("ours", "other"):
        names = [line.split("|")[1].strip() for line in report.grid_table(found, name).splitlines()[2:]]
        assert names == ["a", "b", "none"]
    assert [tick.get_text() for tick in drawn("grid", found).axes[0].get_yticklabels()] == ["a", "b", "none"]


@pytest.mark.parametrize("name", sorted(PLOTS.keys() - {"distance"}))  # its own: test_distance.py
def test_a_plot_says_what_its_axes_are(name):
    found = audit_of(
        *BASE, cell("ours", "cnn", 0.55), cell("ours", "cnn", 0.8, "filter"), cell("half", "cnn", 0.7),
        cell("half dropped", "cnn", 0.7),
    )  # fmt: skip
    axes = drawn(name, replace(found, certificates=CERTIFICATES)).axes
    labels = {axis.get_ylabel() for axis in axes} | {axis.get_xlabel() for axis in axes}
    assert any("(%)" in label for label in labels)
    kinds = {"epoch", "protected rows (% of all)", "victim", "radius (L2 distance of the weights)"}
    assert labels & kinds and all(axes[0].title.get_text() for _ in axes)


@pytest.mark.parametrize("recovered", [[0.2, 0.3, 0.6], [None] * 3])
@pytest.mark.parametrize("bounds", [[0.1, 0.25, None], [0.4, None, None], [None] * 3])
def test_the_curve_of_a_certificate_ends_where_it_abstains(bounds, recovered):
    one = certificate("protected", 0.15, bounds, recovered)
    (axes,) = drawn("certificate", replace(audit(6), certificates=[one])).axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    shown = {"protected, certified": bounds, "protected, recovered": recovered}
    for name, values in shown.items():
        points = [[radius, 100 * value] for radius, value in zip(RADII, values) if value is not None]
        assert lines.get(name, []) == points
    assert {y for _, y in lines["protected, the network itself"]} == {15.0}
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "0.01", "1"]


def test_every_version_has_its_certificate_and_without_any_there_is_no_plot(tmp_path):
    from matplotlib.figure import Figure

    (axes,) = drawn("certificate", replace(audit(6), certificates=CERTIFICATES)).axes
    assert len(axes.get_lines()) == 6 and len({str(line.get_color()) for line in axes.get_lines()}) == 2
    assert not PLOTS["certificate"][1](Figure(), audit(6))
    report.write_report(tmp_path, replace(audit(6), certificates=CERTIFICATES))
    assert "(certificate.png)" in (tmp_path / "report.md").read_text() and (tmp_path / "certificate.png").is_file()
    report.write_report(tmp_path, audit(6))
    assert not (tmp_path / "certificate.png").exists()


def test_the_worst_case_can_be_told_without_its_countermeasure():
    found = audit(26)
    told = report.as_dict(found)
    assert "grain-removal" in told["verdict"][0]
    assert told["verdict_unnamed"] == [told["verdict"][0].replace("after grain-removal", "after a countermeasure")]
    plain = report.as_dict(audit(6))
    assert plain["verdict_unnamed"] == plain["verdict"], "training alone has no countermeasure to name"
