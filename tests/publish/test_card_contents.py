"""What a card tells a reader: what the data is, an example, how to load it, the plots; and what it may leave out."""

import logging
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hf_unlearnable import push_protected, report
from hf_unlearnable.cli import main
from hf_unlearnable.data import fingerprint
from hf_unlearnable.publish import sections
from hf_unlearnable.publish.card import Wishes, lacking, render
from hf_unlearnable.publish.reports import _seed_of_example
from hf_unlearnable.registry import METHODS, countermeasures_of, method_class
from hf_unlearnable.text.example import _TEXT, marked
from tests.audit.test_golden_report import audit
from tests.docs.markdown import blocks
from tests.examples import sample_dataset
from tests.image.models import needed
from tests.publish.protected import images, texts
from tests.publish.test_card import REPORT as TOLD
from tests.publish.test_card import facts

PLACEHOLDER = "*The owner has not described this dataset yet.*"


def of_these(found, clean, protected, column="text"):
    """The audit of other data as if it were of these."""
    pairs = {name: fingerprint(part, column) for name, part in (("clean", clean), ("protected", protected))}
    return replace(found, fingerprints=pairs, protocol={**found.protocol, "column": column})


# ---------------------------------------------------------------------- what the dataset is
def test_a_description_stands_above_our_section(tmp_path):
    card = render(facts(tmp_path), Wishes(description="Reviews of films.\n\nIn English.", license="mit"))
    assert card.index("# my-reviews") < card.index("Reviews of films.\n\nIn English.") < card.index("## Protected")
    assert lacking(card) == {} and PLACEHOLDER not in card


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (None, None, PLACEHOLDER), (None, "New.", "New."), ("Old.", None, "Old."), ("Old.", "New.", "New."),
        ("Old.", "", ""),
    ],
)  # fmt: skip
def test_a_later_push_keeps_or_replaces_the_description(tmp_path, first, second, said):
    once = render(facts(tmp_path), Wishes(description=first))
    again = render(facts(tmp_path), Wishes(description=second), once)
    own = again.split("# my-reviews\n")[1].split("<!-- hf-unlearnable: this section")[0]
    assert re.sub("<!--.*?-->", "", own).strip() == said
    assert render(facts(tmp_path), Wishes(description=second), again) == again
    assert ("description" in lacking(again)) == (said == PLACEHOLDER)


@pytest.mark.parametrize(
    ("existing", "asked"),
    [
        ("# Mine\n\nReviews of films.\n", False),
        ("Reviews of films.\n", False),
        ("---\nlicense: mit\n---\n\n# Mine\n\n## More\n", True),
        ("# Mine\n", True),
    ],
)
def test_text_of_the_owner_is_a_description(tmp_path, existing, asked):
    card = render(facts(tmp_path), Wishes(), existing)
    assert (PLACEHOLDER in card) == asked == ("description" in lacking(card))
    edited = card.replace("<!-- hf-unlearnable: end -->", "<!-- hf-unlearnable: end -->\n\nReviews of films.")
    assert PLACEHOLDER not in render(facts(tmp_path), Wishes(), edited)


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, ["description", "license"]),
        ({"description": "Notes."}, ["license"]),
        ({"license": "mit"}, ["description"]),
        ({"description": "Notes.", "license": "mit"}, []),
    ],
)
def test_what_only_the_owner_can_tell_is_asked_for(hub, tmp_path, caplog, given, missing):
    clean, protected, cloak = texts()
    for where in ({"dry_run": tmp_path / "look"}, {}):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "hf_unlearnable.publish"):
            push_protected(protected, "tester/notes", key=cloak, original=clean, **given, **where)
        said = [record.getMessage() for record in caplog.records if "Give" in record.getMessage()]
        assert [line.split("Give ")[1].split(",")[0] for line in said] == missing


def test_the_command_line_takes_and_asks_for_a_description(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    clean, protected, cloak = texts()
    clean.to_parquet("clean.parquet")
    protected.to_parquet("protected.parquet")
    cloak.key.save("k.key")
    usual = ["publish", "protected.parquet", "me/notes", "--key", "k.key", "--original", "clean.parquet"]
    assert main([*usual, "--dry-run", "one"]) == 0
    assert "does not say what the dataset is. Give --description" in caplog.text
    caplog.clear()
    assert PLACEHOLDER in Path("one/README.md").read_text(encoding="utf-8")
    assert main([*usual, "--dry-run", "two", "--description", "Notes of mine.", "--license", "mit"]) == 0
    assert "Give --" not in caplog.text
    assert "\nNotes of mine.\n" in Path("two/README.md").read_text(encoding="utf-8")


# ---------------------------------------------------------------------- how to load it, licence, citation
@pytest.mark.parametrize("make", [texts, images])
def test_the_snippet_of_a_card_loads_what_was_pushed(hub, make):
    clean, protected, cloak = make()
    done = push_protected(protected, "tester/notes", key=cloak, original=clean)
    (snippet,) = [block.code for block in blocks(done.card) if block.language == "python"]
    namespace = {}
    exec(compile(snippet, "<card>", "exec"), namespace)
    loaded = namespace["dataset"]["train"]
    assert loaded.features == protected.features and loaded["label"][:] == protected["label"][:]


@pytest.mark.parametrize(
    ("wishes", "existing", "said"),
    [
        (Wishes(license="mit"), None, "Licence: mit."),
        (Wishes(), "---\nlicense: cc0-1.0\n---\nMine.\n", "Licence: cc0-1.0."),
        (Wishes(), "---\nlicense:\n- mit\n- cc0-1.0\n---\nMine.\n", "Licence: mit, cc0-1.0."),
        (Wishes(), None, "Licence: none is named. Ask the owner before any use."),
    ],
)
def test_the_licence_is_said_in_a_sentence(tmp_path, wishes, existing, said):
    assert f"### Licence and use\n\n{said}\n" in render(facts(tmp_path), wishes, existing)


def test_there_is_no_heading_without_anything_to_cite(tmp_path):
    assert "Citation" not in render(facts(tmp_path, method=None), Wishes())
    card = render(facts(tmp_path, method=None), Wishes(citation="Mine, 2026."))
    assert card.split("### Citation\n\n")[1].startswith("Mine, 2026.\n<!--")


# ---------------------------------------------------------------------- an example that leaks nothing
@pytest.mark.parametrize("method", [name for name in METHODS if method_class(name).modality == "text"])
@pytest.mark.parametrize("seed", [0, 7])
def test_the_example_of_a_text_is_our_own_with_another_key(tmp_path, method, seed):
    clean = sample_dataset("text")
    cloak = method_class(method)(seed=seed).fit(clean)
    done = push_protected(clean.map(cloak, batched=True), "me/x", key=cloak, original=clean, dry_run=tmp_path / "look")
    shown = done.card.split("\n> ")[1].splitlines()[0]
    inserted = re.findall(r"\*\*(.*?)\*\*", shown)
    others = re.sub(r" ?\*\*.*?\*\* ?", " ", shown).split()
    lost = Counter(_TEXT.split()) - Counter(others)
    assert inserted and lost.total() == (len(" ".join(inserted).split()) if method == "error-min-text" else 0)
    assert not Counter(others) - Counter(_TEXT.split())
    assert not any(text in done.card for text in clean["text"])
    own = cloak({"text": _TEXT, "label": 0})["text"]
    assert marked(_TEXT, own) != shown, "the owner's key would make another text of it"


@pytest.mark.parametrize("method", [name for name in METHODS if method_class(name).modality == "image"])
def test_the_example_of_an_image_is_our_own_with_another_key(tmp_path, method):
    cls = method_class(method)
    clean = sample_dataset("image")
    quick = needed(method) or ({"max_rounds": 1} if cls.needs_training else {})
    cloak = cls(seed=0, **quick).fit(clean)
    done = push_protected(clean.map(cloak, batched=True), "me/x", key=cloak, original=clean, dry_run=tmp_path / "look")
    path = tmp_path / "look" / "report" / "example.png"
    learns = cls.needs_training or method == "linearization"  # from a dataset, not from one photo
    assert path.is_file() == (not learns) == ("report/example.png" in done.files)
    assert ("![Before, after, and the difference](report/example.png)" in done.card) == path.is_file()
    if path.is_file():
        before, after, difference = np.split(np.asarray(Image.open(path)).astype(int), 3, axis=1)
        assert before.shape == (160, 160, 3) and (before != after).any()
        assert (difference == np.clip(128 + 8 * (after - before), 0, 255)).all()
        assert path.stat().st_size < 200_000


@pytest.mark.parametrize("seed", [0, 1, 7, 2**63])
def test_the_seed_of_the_example_follows_from_the_owners_and_is_none_that_others_would_try(seed):
    given = _seed_of_example(seed)
    assert given == _seed_of_example(seed) != _seed_of_example(seed + 1)
    assert 10**9 < given < 2**63 and given != seed


def test_the_example_is_as_strong_as_the_protection(tmp_path):
    clean = sample_dataset("image")
    change = {}
    for levels in (2, 16):
        cloak = method_class("texture")(seed=3, epsilon=levels / 255).fit(clean)
        protected = clean.map(cloak, batched=True)
        push_protected(protected, "me/x", key=cloak, original=clean, dry_run=tmp_path / str(levels))
        picture = np.asarray(Image.open(tmp_path / str(levels) / "report" / "example.png")).astype(int)
        before, after, _ = np.split(picture, 3, axis=1)
        change[levels] = np.abs(after - before).max()
    assert change == {2: 2, 16: 16}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("a b c", "a x b c", "a **x** b c"),
        ("a b c", "x y a b c z", "**x y** a b c **z**"),
        ("a b", "a b", "a b"),
        ("a b c", "a q c", "a **q** c"),
    ],
)
def test_what_was_inserted_is_bold(before, after, said):
    assert marked(before, after) == said


# ---------------------------------------------------------------------- the attack, and leaving countermeasures out
def named_countermeasures(text, modality):
    """Countermeasures that a text names, as words of their own."""
    return [name for name in countermeasures_of(modality) if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)]


def shows_its_plots(hub, done):
    shown = re.findall(r"!\[(.+?)\]\((report/.+?)\)", done.card.split("### What an attacker")[1])
    assert [path for _, path in shown] == ["report/grid.png", "report/curves.png"]
    assert {path for _, path in shown} <= set(hub.files("tester/x"))
    assert "All 26 trainings ran." in done.card and "(report/report.md)" in done.card


@pytest.mark.parametrize(("ran", "as_folder"), [(26, False), (14, True), (1, True)])
def test_plots_are_shown_and_countermeasures_can_be_left_out(hub, tmp_path, ran, as_folder):
    clean, protected, cloak = images()
    found = of_these(audit(ran), clean, protected, "image")
    if as_folder:
        report.write_report(tmp_path / "report", found)
    given = {"key": cloak, "original": clean, "report": tmp_path / "report" if as_folder else found}
    done = push_protected(protected, "tester/x", **given)
    if ran == 26:
        shows_its_plots(hub, done)
    assert {f"report/{name}" for name in ("report.md", "report.html", "report.json")} <= set(hub.files("tester/x"))
    done = push_protected(protected, "tester/x", **given, countermeasures=False)
    left = {path for path in hub.files("tester/x") if path.startswith("report/")}
    assert left <= {"report/curves.png", "report/share.png", "report/example.png"}
    assert named_countermeasures(done.card, "image") == []
    breaks = method_class("texture").described()["Breaks"].split(".")[0]
    assert " ".join(breaks.split()) not in done.card and "grain-removal" not in done.card
    assert "The owner left out of this card which countermeasures were tried" in done.card
    if ran > 1:
        assert "reaches" in done.card and f"{ran} " in done.card.split("trainings ran")[0][-12:]
        assert "(report/grid.png)" not in done.card and "(report/curves.png)" in done.card


def test_without_countermeasures_the_numbers_stay(tmp_path):
    told = {**TOLD, "verdict_unnamed": ["protected: at worst, encoder after a countermeasure reaches 81.3 %."]}
    whole, part = (
        render(facts(tmp_path, report=told), Wishes(countermeasures=countermeasures))
        for countermeasures in (True, False)
    )
    assert "label-word-filter" in whole and "label-word-filter" not in part
    assert told["verdict_unnamed"][0] in part and "| protected | 48.8 [44.4, 53.2] |" in part


def test_a_report_of_an_earlier_version_is_refused(tmp_path):
    clean, protected, cloak = texts()
    report.write_report(tmp_path, of_these(audit(1), clean, protected))
    path = tmp_path / "report.json"
    path.write_text(path.read_text(encoding="utf-8").replace("verdict_unnamed", "verdict_unknown"), encoding="utf-8")
    with pytest.raises(ValueError, match="no report of this version: write it again"):
        push_protected(protected, "me/x", key=cloak, original=clean, report=tmp_path, dry_run=tmp_path / "look")


def test_the_card_shows_the_wear_of_its_report_unless_what_undoes_it_is_left_out():
    worn = {"protected": "| wear | encoder |\n|---|---|\n| jpeg-75-420 | 66.0 (81.0) |"}
    report = {
        "measured": True, "verdict": ["Named."], "verdict_unnamed": ["Unnamed."], "warnings": [], "not_run": [],
        "table": "| trained on | encoder |", "attacks": {}, "wear": worn, "protocol": {},
    }  # fmt: skip
    told = sections.attack(report, {}, countermeasures=True)
    assert "protected after wear, what codecs, resizers and cleaning do without an attacker" in told
    assert worn["protected"] in told
    assert "wear" not in sections.attack(report, {}, countermeasures=False)
    earlier = {name: value for name, value in report.items() if name != "wear"}
    assert "wear" not in sections.attack(earlier, {}, countermeasures=True)
