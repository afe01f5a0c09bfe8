"""The report and the card of one grid: all of its 26 trainings ran, 6 of them, none.

`python -m tests.audit.test_golden_report` (`make golden`) writes the golden files anew, after a change that is meant.
"""

import re
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import ClassLabel, Features, Image

from hf_unlearnable import report
from hf_unlearnable.audit.records import Audit, Cell, Missing, Version, reasons
from hf_unlearnable.audit.run import _tried
from hf_unlearnable.publish.card import Facts, Wishes, render
from hf_unlearnable.publish.staging import Staged
from tests.audit.test_report import answers

GOLDEN = Path(__file__).with_name("golden")
VERSIONS = [
    Version("clean", None, "clean", 0.0), Version("protected", None, "protected"),
    Version("protected rows dropped", None, "dropped"), Version("random change, same dose", None, "random"),
]  # fmt: skip
REACHED = {"clean": 0.9, "protected": 0.55, "protected rows dropped": 0.5, "random change, same dose": 0.87}
GAINED = {"none": 0.0, "jpeg-10": 0.05, "grain-removal": 0.3, "grayscale": 0.02, "box-blur": 0.1, "cutmix": -0.02}


def audit(ran: int, reached=REACHED, gained=GAINED) -> Audit:
    """The grid in the order in which it is run, out of time after so many trainings."""
    cells, missing = [], []
    for countermeasure, gain in gained.items():
        for victim, harder in (("small_cnn", 0.0), ("linear_probe", 0.1)):
            if (victim, countermeasure) == ("linear_probe", "cutmix"):
                continue
            for version in VERSIONS if countermeasure == "none" else VERSIONS[:2]:
                accuracy = reached[version.name] - harder + (gain if version.role == "protected" else -abs(gain) / 5)
                if len(cells) < ran:
                    curves = [[(0.6, accuracy - 0.1), (0.9, accuracy)]]
                    cells.append(Cell(version, victim, countermeasure, answers(accuracy, 1), [0], curves, 800, 2.0))
                else:
                    missing.append(Missing(version, victim, countermeasure, [0], "out of time"))
    found = Audit(cells, reasons(missing), 2, missing=missing)
    said = {"column": "image", "method": "texture", "attacks of the method's author": _tried(found, ["grain-removal"])}
    return replace(found, protocol=said, warnings=["1 of 2000 test rows are training rows too."])


AUDITS = {"all": 26, "some": 6, "none": 0}


VERSIONS_SAID = {"hf-unlearnable": "VERSION"}


@pytest.fixture(autouse=True)
def versions(monkeypatch):
    monkeypatch.setattr("hf_unlearnable.audit.report.library_versions", lambda: VERSIONS_SAID)


def golden(folder: Path) -> dict[str, str]:
    """Every golden file by name; plots stand in a page as bytes that change with matplotlib's version."""
    files = {}
    for name, ran in AUDITS.items():
        found = audit(ran)
        report.write_report(folder / name, found)
        files[f"report-{name}.md"] = (folder / name / "report.md").read_text(encoding="utf-8")
        page = (folder / name / "report.html").read_text(encoding="utf-8")
        files[f"report-{name}.html"] = re.sub(r"(?<=base64,)[\w+/=]+", "...", page)
        files[f"card-{name}.md"] = card(folder / name, found)
    return files


def card(folder: Path, found: Audit) -> str:
    """What the card of a dataset says of an attack."""
    features = Features({"image": Image(), "label": ClassLabel(names=["bee", "elm"])})
    file = folder / "train.parquet"
    file.write_bytes(b"")
    staged = [Staged("train", [file], 1000, 2100, features)]
    facts = Facts("me/x", staged, ["image"], {}, {}, "texture", {}, report.as_dict(found))
    return render(facts, Wishes()).split("### What an attacker still learns\n\n")[1].split("\n### Limits")[0]


def test_report_page_and_card_are_the_golden_ones(tmp_path):
    pytest.importorskip("matplotlib", reason="plots need the attack extra")
    assert [(audit(ran).ran, audit(ran).planned) for ran in AUDITS.values()] == [(26, 26), (6, 26), (0, 26)]
    made = golden(tmp_path / "not" / "there")
    assert sorted(made) == sorted(path.name for path in GOLDEN.iterdir())
    for name, text in made.items():
        assert text == (GOLDEN / name).read_text(encoding="utf-8"), name


def test_plots_of_an_earlier_report_go(tmp_path):
    pytest.importorskip("matplotlib", reason="plots need the attack extra")
    for ran, plots in ((26, ["curves.png", "grid.png"]), (6, ["curves.png"]), (0, [])):
        report.write_report(tmp_path, audit(ran))
        assert sorted(path.name for path in tmp_path.glob("*.png")) == plots


HOLDS = {**REACHED, "protected": 0.52}
WEAK = dict.fromkeys(GAINED, 0.0)


@pytest.mark.parametrize("ran", range(27))
def test_only_a_whole_grid_can_hold(ran):
    said = report.verdict(audit(ran, HOLDS, WEAK), "protected")
    assert ("holds against everything" in said) == (ran == 26)
    assert f"{ran} of 26 trainings ran" in said if 0 < ran < 26 else ("All 26" if ran else "None of the 26") in said
    assert ("not measured" in said) == (ran < 2)  # the first training is on the clean rows
    assert ("no countermeasure ran, which does not show" in said) == (3 <= ran < 10)
    assert ("nothing that ran got through, which does not show" in said) == (10 <= ran < 26)


def test_a_card_of_a_report_without_trainings_is_not_a_measured_one():
    for ran in (0, 1, 2, 26):
        assert report.as_dict(audit(ran))["measured"] == (ran >= 2)


def test_attacks_of_the_author_are_told_with_what_ran_of_them():
    names = ["grain-removal", "cutmix"]
    for ran, said in (
        (26, "grain-removal, cutmix"), (13, "grain-removal (not run), cutmix (not run)"),
        (14, "grain-removal (1 of 2 trainings), cutmix (not run)"), (16, "grain-removal, cutmix (not run)"),
    ):  # fmt: skip
        assert _tried(audit(ran), names) == said
    assert _tried(audit(26), ["absent"]) == "absent (not run)" and _tried(audit(26), []) == "not known"


@pytest.mark.parametrize("ran", [0, 6, 26])
def test_an_audit_shows_in_a_line(ran):
    assert repr(audit(ran)) == f"Audit({ran} of 26 trainings ran, {ran} cells, 1 warnings)"
    assert all(len(repr(cell)) < 250 for cell in audit(ran).cells)


if __name__ == "__main__":
    report.library_versions = lambda: VERSIONS_SAID
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in golden(Path(scratch)).items():
            GOLDEN.joinpath(name).write_text(text, encoding="utf-8")
