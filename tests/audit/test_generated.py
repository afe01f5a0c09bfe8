"""Victims that generate, in an audit: how they are scored, what a report shows of them, and what is not published."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from hf_unlearnable import TextureTransform
from hf_unlearnable.adversary import Rows, victim
from hf_unlearnable.audit.generated import Judges
from hf_unlearnable.audit.report import write_report
from hf_unlearnable.audit.run import Effort, attack
from hf_unlearnable.modality import Grid
from hf_unlearnable.publish.reports import add_report
from hf_unlearnable.registry import VICTIMS, register
from hf_unlearnable.text.modality import TEXT
from tests.examples import pictures

pytest.importorskip("torch", reason="attacks need the attack extra")


@pytest.fixture(scope="module")
def copier():
    """A generator that gives back training images of the class."""

    @victim("image", generates=True)
    def copier(train_images, train_labels, labels, training):
        by_label = dict(zip(train_labels, train_images, strict=True))
        return [by_label[label] for label in labels]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VICTIMS, "_registered", dict(VICTIMS._registered))
        patch.setattr("hf_unlearnable.image.generated._UPDATES", 20)
        yield register(copier)


@pytest.fixture(scope="module")
def found(copier):
    clean, test = pictures(48), pictures(32, seed=1)
    protected = clean.map(TextureTransform(seed=1, epsilon=64 / 255).fit(clean), batched=True)
    return attack(clean, protected, test, effort=Effort(100, 100, 1, Grid({"copier": {}}, ())))


def test_its_number_is_the_share_that_the_judge_recognises(found):
    cell = found.cell("clean", "copier")
    assert cell.made[0]["recognised"] == pytest.approx(cell.accuracy.mean, abs=1e-4)
    assert cell.made[0]["nearest"] == 0  # copies
    assert not found.cell("protected rows dropped", "copier").made  # nothing to train on: a guess


def test_a_report_shows_samples_of_all_versions_side_by_side(found, tmp_path):
    write_report(tmp_path, found)
    text = (tmp_path / "report.md").read_text()
    assert "## What generators made" in text and "share of its samples that a classifier" in text
    assert "trained on, from left to right: clean, protected, random change, same dose](samples-copier.png)" in text
    shown = Image.open(tmp_path / "samples-copier.png")
    each = Image.open(io.BytesIO(base64.b64decode(found.cell("clean", "copier").made[0]["sheet"])))
    assert shown.size == (3 * each.width + 2 * 24, each.height)
    assert np.array_equal(np.asarray(shown)[:, : each.width], np.asarray(each))
    told = json.loads((tmp_path / "report.json").read_text())
    made = [cell["made"] for cell in told["cells"] if "made" in cell]
    assert len(made) == 3 and all("sheet" not in one and one["recall"] <= 1 for (one,) in made)


def test_samples_of_an_earlier_report_are_removed(found, tmp_path):
    (tmp_path / "samples-other.png").write_bytes(b"")
    write_report(tmp_path, found)
    assert {path.name for path in tmp_path.glob("samples-*")} == {"samples-copier.png"}


def test_what_shows_samples_is_not_published(found, tmp_path):
    report = tmp_path / "report of mine"
    write_report(report, found)
    for number, given in enumerate((report, found)):
        folder = tmp_path / str(number)
        folder.mkdir()
        add_report(given, folder, countermeasures=True)
        names = {path.name for path in (folder / "report").iterdir()}
        assert "report.json" in names and not names & {"report.md", "report.html", "samples-copier.png"}


def test_too_few_inputs_are_refused():
    @victim("image", generates=True)
    def lazy(train_images, train_labels, labels, training):
        return []

    with pytest.raises(ValueError, match="lazy was asked for 8 inputs and made 0: one for each label"):
        rows = Rows([np.zeros((8, 8, 3), np.uint8)] * 8, [0, 1] * 4)
        Judges().judged(lazy, rows, rows, 0)


def test_a_generator_of_no_kind_of_data_is_refused():
    @victim(None, generates=True)
    def anything(inputs, labels, wanted, training):
        return inputs

    with pytest.raises(ValueError, match="anything generates, and names no kind of data"):
        Judges().judged(anything, Rows(["a"], [0]), Rows(["b"], [0]), 0)


def test_generated_texts_cannot_be_judged():
    with pytest.raises(ValueError, match="Generated texts cannot be judged. Leave the victims that make them out"):
        TEXT.judge(Rows(["a"], [0]))
