"""The report names the worst case, with what it is compared with, and says when it proves nothing."""

import json
from dataclasses import replace

import numpy as np
import pytest

from hf_unlearnable import report
from hf_unlearnable.audit.records import Audit, Cell, Version
from hf_unlearnable.audit.statistics import recovered_share

ROLES = {"clean": "clean", "ours": "protected", "other": "protected", "dropped": "dropped", "random": "random",
         "half": "partly", "half dropped": "dropped"}  # fmt: skip


def answers(accuracy: float, seeds: int = 2, rows: int = 2000) -> np.ndarray:
    """Which rows are right: exactly that share of them, other ones for each seed."""
    right = np.zeros((seeds, rows), bool)
    for seed in range(seeds):
        right[seed, np.random.default_rng(seed).permutation(rows)[: round(accuracy * rows)]] = True
    return right


def cell(version: str, victim: str, accuracy: float, countermeasure: str = "none") -> Cell:
    share = 0.5 if "half" in version else 1.0
    curves = [[(0.5, accuracy / 2), (0.9, accuracy)]] * 2
    return Cell(
        Version(version, None, ROLES[version], share),
        victim,
        countermeasure,
        answers(accuracy),
        [0, 1],
        curves,
        100,
        2.0,
    )


def audit(*cells: Cell, not_run: tuple[str, ...] = ()) -> Audit:
    return Audit(list(cells), list(not_run), 2)


BASE = (cell("clean", "cnn", 0.9), cell("dropped", "cnn", 0.5), cell("random", "cnn", 0.88))


def test_worst_case_and_share():
    found = audit(
        *BASE, cell("ours", "cnn", 0.55), cell("ours", "cnn", 0.8, "filter"), cell("clean", "cnn", 0.85, "filter"),
        cell("clean", "llama", 0.52), cell("dropped", "llama", 0.5), cell("ours", "llama", 0.95),
    )  # fmt: skip
    assert report.learned(found, "cnn") and not report.learned(found, "llama")
    worst = report.worst_case(found, "ours")
    assert (worst.victim, worst.countermeasure) == ("cnn", "filter")
    share = report.recovered(found, worst)
    assert share.mean == pytest.approx((0.8 - 0.5) / (0.9 - 0.5)) and 0.5 < share.low < 0.75 < share.high < 1.0
    said = report.verdict(found, "ours")
    assert said.startswith("ours: the protection does not hold. At worst, cnn after filter reaches 80.0 [")
    assert ": 75.0 [" in said and "clean rows 90.0 [" in said and "protected rows dropped 50.0 [" in said
    assert said.endswith(" All 18 trainings ran.")


def test_own_clean_rows_do_not_count():
    found = audit(
        *BASE, cell("ours", "cnn", 0.52), cell("ours", "cnn", 0.8, "mix"), cell("dropped", "cnn", 0.79, "mix"),
    )  # fmt: skip
    assert report.worst_case(found, "ours").countermeasure == "none"
    mixed = found.cell("ours", "cnn", "mix")
    assert report.recovered(found, mixed).mean == pytest.approx(0.01 / 0.4)
    assert report.verdict(found, "ours").startswith(
        "ours: the protection holds against everything that was tried here. At worst, cnn reaches 52.0 ["
    )


def test_a_weaker_victim_may_have_recovered_more():
    weak = (cell("clean", "llama", 0.6), cell("dropped", "llama", 0.5), cell("ours", "llama", 0.555))
    found = audit(*BASE, cell("ours", "cnn", 0.56), *weak)
    assert report.worst_case(found, "ours").victim == "cnn"
    assert report.recovered(found, report.worst_case(found, "ours")).high < 0.25
    assert report.verdict(found, "ours").startswith("ours: the protection holds in part. At worst, cnn reaches")


def test_plain_training_is_not_called_an_attack():
    found = audit(*BASE, cell("ours", "cnn", 0.52))
    said = report.verdict(found, "ours")
    assert said.startswith(
        "ours: the protection holds against training alone, and no countermeasure was tried. At worst"
    )


def test_nothing_is_proved_by_a_victim_that_never_learns(tmp_path):
    found = audit(cell("clean", "cnn", 0.5), cell("dropped", "cnn", 0.5), cell("ours", "cnn", 0.5))
    assert report.verdict(found, "ours") == (
        "ours: this proves nothing, for no victim learned more from the clean rows than without the protected ones. "
        "All 6 trainings ran."
    )
    report.write_report(tmp_path, found)
    assert "so their cells prove nothing: cnn." in (tmp_path / "report.md").read_text()
    assert json.loads((tmp_path / "report.json").read_text())["cells"][2]["recovered"] is None


def test_a_victim_that_was_not_trained_on_clean_rows_is_not_said_to_have_learned_nothing(tmp_path):
    report.write_report(tmp_path, audit(cell("dropped", "cnn", 0.5), cell("ours", "cnn", 0.5)))
    text = (tmp_path / "report.md").read_text()
    assert "ours: this proves nothing, for no training on the clean rows ran." in text
    assert "their cells prove nothing" not in text


@pytest.mark.parametrize("cells", [(), BASE, (*BASE, cell("other", "cnn", 0.5))])
def test_nothing_is_proved_by_what_did_not_run(cells):
    ran = f"All {2 * len(cells)} trainings ran." if cells else "No training was planned."
    assert report.verdict(audit(*cells), "ours") == f"ours: not measured, for no training on it ran. {ran}"


def test_files(tmp_path):
    found = audit(
        *BASE, cell("ours", "cnn", 0.55), cell("other", "cnn", 0.6), cell("ours", "cnn", 0.8, "filter"),
        cell("clean", "cnn", 0.85, "filter"), cell("half", "cnn", 0.7), cell("half dropped", "cnn", 0.7),
        not_run=("onion: the attacker was given no language_model",),
    )  # fmt: skip
    told = replace(found, protocol={"data": "made up"}, warnings=["3 test rows are training rows too."])
    report.write_report(tmp_path, told)
    stored = json.loads((tmp_path / "report.json").read_text())
    assert len(stored["verdict"]) == 2 and stored["protocol"]["data"] == "made up"
    assert stored["protocol"]["versions"]["datasets"]
    ours = next(c for c in stored["cells"] if c["version"] == "ours" and c["countermeasure"] == "filter")
    assert ours["accuracy"][0] == 0.8 and ours["recovered"][0] == 0.75
    assert ours["above_dropped"][0] == pytest.approx(0.3) and ours["above_random"][0] == pytest.approx(-0.08)
    assert ours["by_seed"] == [0.8, 0.8] and ours["test_rows"] == 2000
    text = (tmp_path / "report.md").read_text()
    assert text.index("ours: the protection") < text.index("**Mind:** 3 test rows") < text.index("| trained on")
    grid = [line for line in text.splitlines() if line.startswith(("| filter", "| none"))]
    assert grid[0].startswith("| filter") and "80.0 [" in grid[0] and "(85.0)" in grid[0]  # the worst first
    assert "- onion: the attacker was given no language_model" in text
    pytest.importorskip("matplotlib", reason="plots need the attack extra")
    from PIL import Image

    for name in ("grid", "curves", "share"):
        assert f"![{report.PLOTS[name][0]}]({name}.png)" in text
        with Image.open(tmp_path / f"{name}.png") as plot:
            assert min(plot.size) > 200
            dark = np.asarray(plot.convert("L")) < 100
            assert 0.001 < dark.mean() < 0.6  # something is drawn, and more than half is paper


def test_plots_need_something_to_show(tmp_path):
    pytest.importorskip("matplotlib", reason="plots need the attack extra")
    alone = Cell(Version("clean", None, "clean"), "tfidf", "none", answers(0.9), [0, 1], [[], []])
    (tmp_path / "share.png").write_bytes(b"of an earlier report")
    assert report.write_plots(tmp_path, audit(alone)) == [] and list(tmp_path.iterdir()) == []


def test_recovered_share():
    nothing, clean = answers(0.5, 3), answers(0.9, 3)
    assert recovered_share(nothing, nothing, clean, nothing).mean == 0.0
    assert recovered_share(clean, nothing, clean, nothing).mean == pytest.approx(1.0)
    assert recovered_share(answers(0.3, 3), nothing, clean, nothing).mean == pytest.approx(-0.5)
    with pytest.raises(ValueError, match="nothing to recover"):
        recovered_share(clean, nothing, nothing, clean)


@pytest.mark.parametrize(
    ("taught", "order"),
    [
        (
            (0.9, 0.52),
            ["filter", "none", "shuffle"],
        ),  # llama proves nothing: what it reached after "shuffle" is no more
        ((0.52, 0.9), ["shuffle", "none", "filter"]),
        ((0.9, 0.9), ["shuffle", "filter", "none"]),
        ((0.52, 0.52), ["shuffle", "filter", "none"]),
    ],
)
def test_the_order_of_countermeasures_counts_victims_that_prove_something(taught, order):
    found = audit(
        cell("clean", "cnn", taught[0]), cell("dropped", "cnn", 0.5), cell("clean", "llama", taught[1]),
        cell("dropped", "llama", 0.5), cell("ours", "cnn", 0.6), cell("ours", "llama", 0.56),
        cell("ours", "cnn", 0.8, "filter"), cell("ours", "llama", 0.54, "filter"),
        cell("ours", "cnn", 0.55, "shuffle"), cell("ours", "llama", 0.95, "shuffle"),
    )  # fmt: skip
    assert found.worst_first(["ours"]) == order
    rows = report.grid_table(found, "ours").splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == order
