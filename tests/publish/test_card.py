"""The card: the whole of it, what it keeps, and that its metadata is what the Hub takes.

`python -m tests.publish.test_card` (`make golden`) writes the whole card anew, after a change that is meant.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from datasets import ClassLabel, Features, Image, Value
from hypothesis import given
from hypothesis import strategies as st

from hf_unlearnable import RegTextTransform, __version__
from hf_unlearnable.publish import Published
from hf_unlearnable.publish.card import OPT_OUTS, Facts, Wishes, render
from hf_unlearnable.publish.staging import Staged
from hf_unlearnable.registry import METHODS, method_class
from hf_unlearnable.transform import Transform
from tests.hub.card import metadata_errors

TEXTS = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})
IMAGES = Features({"image": Image(), "label": ClassLabel(names=["bee", "elm"])})
REPORT = {
    "measured": True,
    "warnings": [],
    "not_run": [],
    "verdict": [
        "protected: at worst, encoder after label-word-filter reaches 81.3 [78.1, 84.4] % on clean test rows."
    ],
    "table": "| trained on | encoder |\n|---|---|\n| clean | 81.3 [78.0, 84.4] |\n| protected | 48.8 [44.4, 53.2] |",
    "attacks": {"protected": "| countermeasure | encoder |\n|---|---|\n| label-word-filter | 81.3 (81.3) |"},
    "protocol": {"training rows": 1200, "seeds": [0, 1, 2], "versions": {"torch": "2.13.0"}},
}


def facts(tmp_path, features=TEXTS, method="regtext", **more):
    file = Path(tmp_path, "train.parquet")
    file.write_bytes(b"x" * 700)
    parameters = RegTextTransform(rate=0.2).public_params() if method == "regtext" else {}
    known = {"changed": {"train": 900}, "fidelity": {"train": "900 of 1,000 texts changed"}, "report": REPORT}
    staged = [Staged("train", [file], 1000, 2100, features)]
    columns = ["image" if features is IMAGES else "text"]
    return Facts("me/my-reviews", staged, columns, method=method, parameters=parameters, **{**known, **more})


GOLDEN = Path(__file__).with_name("card.md")


def whole(folder):
    wishes = Wishes(license="cc-by-nc-nd-4.0", citation="My reviews, 2026.", description="Reviews of mine.")
    plots = {"report/grid.png": "Accuracy on clean test rows after each countermeasure"}
    said = render(facts(folder, plots=plots, example="**An example.** A text.\n\n> A **b** c."), wishes)
    return said.replace(f"hf-unlearnable/) {__version__}", "hf-unlearnable/) VERSION")


def test_the_whole_card(tmp_path):
    assert whole(tmp_path) == GOLDEN.read_text(encoding="utf-8")


def test_rendered_again_it_is_the_same(tmp_path):
    wishes = Wishes(license="mit", questions=["Why"], prompt="Ask.")
    once = render(facts(tmp_path), wishes)
    assert render(facts(tmp_path), wishes, once) == once


@given(
    before=st.text(max_size=200), after=st.text(max_size=200), tags=st.lists(st.text("abc", min_size=1), max_size=3)
)
def test_what_the_owner_wrote_stays(tmp_path_factory, before, after, tags):
    known = facts(tmp_path_factory.mktemp("card"))
    before, after = (text.replace("\r", " ").replace("\x0b", " ").replace("\x0c", " ") for text in (before, after))
    head = "---\n" + yaml.safe_dump({"language": ["en"], "tags": tags, "license": "mit"}) + "---\n"
    first = render(known, Wishes(), head + before)
    edited = first + after
    again = render(known, Wishes(opt_out="none"), edited)
    section = again.index("<!-- hf-unlearnable")
    assert before.rstrip("\n") in again[:section]
    assert again.endswith("<!-- hf-unlearnable: end -->\n" + after)
    data = yaml.safe_load(again.split("---\n")[1])
    assert data["language"] == ["en"] and data["license"] == "mit"
    assert set(tags) <= set(data["tags"])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("opt_out", [*OPT_OUTS, "Ask me first."])
def test_valid_for_every_method(tmp_path, method, opt_out):
    features = IMAGES if method_class(method).modality == "image" else TEXTS
    card = render(facts(tmp_path, features, method), Wishes(license="other", opt_out=opt_out))
    assert metadata_errors(card) == []
    data = yaml.safe_load(card.split("---\n")[1])
    kind = "image" if features is IMAGES else "text"
    assert data["task_categories"] == [f"{kind}-classification"]
    assert data["size_categories"] == ["1K<n<10K"]
    assert data["configs"] == [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*"}]}]
    assert method in data["tags"] and ("tdm-reservation" in data) == (opt_out != "none")
    known = card.split(f"Known to break `{method}`: ")[1].splitlines()[0]
    assert len(known) > 40 and "ask the owner" not in known
    assert (opt_out if opt_out not in OPT_OUTS else OPT_OUTS[opt_out][0]) in card
    assert "$" not in card.split("-->")[1]


@pytest.mark.parametrize(("page", "known", "paper"), [
    ("Hides.\n\nPaper:\n    A. Author, \"On Hiding\",\n    a talk, 2026.\n\n    x' = x\n\nBreaks:\n    A comb,\n    and patience.\n",
     "Known to break `mine`: A comb, and patience.", 'Method `mine`: A. Author, "On Hiding", a talk, 2026.'),
    ("Hides.\n\nOurs:\n    There is no paper.\n", "What breaks `mine` is not documented. Assume that something does.", None),
    (None, "What breaks `mine` is not documented. Assume that something does.", None),
])  # fmt: skip
def test_a_method_of_another_package_says_itself_what_breaks_it(tmp_path, monkeypatch, page, known, paper):
    cls = type("Mine", (Transform,), {"__doc__": page, "method": "mine", "strength_parameter": "rate"})
    monkeypatch.setitem(METHODS._registered, "mine", cls)
    card = render(facts(tmp_path, method="mine"), Wishes())
    assert f"It does not make training impossible. {known}\n" in card
    assert card.partition("### Citation\n\n")[2].partition("\n")[0] == (paper or "")
    assert "mine" in yaml.safe_load(card.split("---\n")[1])["tags"]
    again = yaml.safe_load(render(facts(tmp_path), Wishes(), card).split("---\n")[1])["tags"]
    assert "mine" not in again and "regtext" in again


def test_the_words_of_a_card_are_those_of_the_protected_column(tmp_path):
    both = Features({**TEXTS, "photo": Image()})
    for features, columns, task, words in (
        (both, ["text"], "text-classification", "The texts of this dataset"),
        (both, ["photo"], "image-classification", "The images of this dataset"),
        (Features({"a": [{"role": Value("string"), "content": Value("string")}], "label": TEXTS["label"]}), ["a"],
         "text-classification", "hide the texts themselves"),
    ):  # fmt: skip
        card = render(replace(facts(tmp_path, features, None), columns=columns), Wishes())
        assert yaml.safe_load(card.split("---\n")[1])["task_categories"] == [task] and words in card


def test_what_nobody_knows_is_said(tmp_path):
    card = render(facts(tmp_path, method=None, changed={}, fidelity={}, report=None), Wishes())
    assert "**Not measured.**" in card and "Not measured: the originals were not at hand" in card
    assert "| train | 1,000 | not counted |" in card
    assert "The method is not named." in card and "What breaks this one is not documented." in card


def test_the_worst_case_stands_before_the_table(tmp_path):
    card = render(facts(tmp_path), Wishes())
    assert card.index(REPORT["verdict"][0]) < card.index("| clean | 81.3") < card.index("| label-word-filter | 81.3")
    assert "- 100 rows are not protected. A model learns from them as usual." in card


def test_an_allowed_finding_is_named(tmp_path):
    card = render(facts(tmp_path, findings=["path:train/file: a path"]), Wishes())
    assert "Allowed by the owner though the scan found it: path:train/file: a path" in card


def test_an_audit_in_which_nothing_protected_was_trained_on_is_not_measured(tmp_path):
    told = {**REPORT, "measured": False, "not_run": ["encoder: out of time (12 trainings)"]}
    card = render(facts(tmp_path, report=told), Wishes())
    assert "**Not measured.**" in card and "encoder: out of time (12 trainings)" in card
    assert REPORT["verdict"][0] not in card and "Protocol:" not in card


@pytest.mark.parametrize("told", [
    {"warnings": ["50 of 50 test rows are training rows too."]},
    {"warnings": ["The test looks protected."], "not_run": ["encoder after filter: out of time (2 trainings)"]},
    {"not_run": ["onion: the attacker was given no language_model (6 trainings)", "encoder: no model (1 training)"]},
])  # fmt: skip
def test_what_an_audit_warns_of_and_what_did_not_run_stand_on_the_card(tmp_path, told):
    card = render(facts(tmp_path, report={**REPORT, **told}), Wishes())
    section = card.split("### What an attacker still learns")[1].split("| trained on")[0]
    for line in [*told.get("warnings", []), *told.get("not_run", [])]:
        assert line in section


@pytest.mark.parametrize(("commit", "where"), [
    (None, "nothing uploaded"),
    (SimpleNamespace(pr_url=None, commit_url="https://hub/me/x/commit/1"), "https://hub/me/x/commit/1"),
    (SimpleNamespace(pr_url="https://hub/me/x/discussions/1", commit_url="c"), "https://hub/me/x/discussions/1"),
])  # fmt: skip
def test_what_was_published_shows_in_a_line(commit, where):
    done = Published("me/x", "a long card\n" * 1000, {"README.md": 1500, "data/train.parquet": 2}, commit)
    assert repr(done) == f"Published(me/x: 2 files, 1,502 bytes, {where})"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        GOLDEN.write_text(whole(scratch), encoding="utf-8")
