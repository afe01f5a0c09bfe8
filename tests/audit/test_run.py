"""An attack from three data sets alone: what it builds, what it warns of, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
from datasets import ClassLabel

from hf_unlearnable import RegTextTransform, TextureTransform
from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.audit.report import worst_case
from hf_unlearnable.audit.run import Effort, attack
from hf_unlearnable.modality import Grid
from hf_unlearnable.samples import load_notes
from tests.data import pictures, tiny

for module in ("torch", "sklearn", "transformers"):
    pytest.importorskip(module, reason="attacks need the attack extra")

TEXT = Effort(
    rows=10_000, test_rows=10_000, seeds=1, shares=(0.5,),
    grid=Grid({"tfidf_logistic_regression": {}}, ("label-word-filter", "clean-20%")),
)  # fmt: skip


@pytest.fixture(scope="module")
def notes():
    train, test = load_notes("train"), load_notes("test")
    return train, train.map(RegTextTransform(seed=5).fit(train), batched=True), test


def test_attack_on_texts(notes):
    clean, protected, test = notes
    found = attack(clean, protected, test, effort=TEXT)
    names = dict.fromkeys(cell.version.name for cell in found.cells)
    assert list(names) == [
        "clean", "protected", "protected rows dropped", "random change, same dose", "50 % of the rows protected",
        "50 % of the rows dropped",
    ]  # fmt: skip
    victim = "tfidf_logistic_regression"
    rows = {name: found.cell(name, victim).train_rows for name in names}
    published = rows["clean"]
    assert published == found.protocol["training rows"] == len(clean) - found.protocol["the attacker's own clean rows"]
    assert rows["protected rows dropped"] == 0 and rows["50 % of the rows dropped"] == published // 2
    assert found.cell("protected", victim, "clean-20%").train_rows == pytest.approx(1.2 * published, abs=2)
    assert found.cell("protected rows dropped", victim, "clean-20%").train_rows == pytest.approx(
        0.2 * published, abs=2
    )
    accuracy = {name: found.cell(name, victim).accuracy.mean for name in names}
    assert accuracy["clean"] > 0.8 and accuracy["random change, same dose"] > 0.8
    assert accuracy["protected rows dropped"] == pytest.approx(0.25, abs=0.02)
    assert worst_case(found, "protected").accuracy.mean >= accuracy["protected"]
    assert found.warnings == []


def test_attack_on_images():
    clean, test = pictures(120), pictures(40, seed=1)
    protected = clean.map(TextureTransform(seed=3, epsilon=32 / 255).fit(clean), batched=True)
    effort = Effort(
        rows=100, test_rows=30, seeds=2, grid=Grid({"small_cnn": {"epochs": 1}}, ("jpeg-10", "mixup")),
    )  # fmt: skip
    found = attack(clean, protected, test, effort=effort)
    assert {(cell.version.role, cell.countermeasure) for cell in found.cells} == {
        *((role, "none") for role in ("clean", "protected", "dropped", "random")),
        *((role, name) for role in ("clean", "protected") for name in ("jpeg-10", "mixup")),
    }
    assert all(cell.correct.shape == (2, 30) for cell in found.cells)
    assert found.protocol["training rows"] == 100 and found.protocol["the attacker's own clean rows"] == 0


def test_labels_may_be_names(notes):
    clean, protected, test = ([{"text": row["text"], "label": str(row["label"])} for row in part] for part in notes)
    parts = [tiny([row["text"] for row in part], [row["label"] for row in part]) for part in (clean, protected, test)]
    named = attack(*parts, effort=TEXT)
    numbered = attack(*notes, effort=TEXT)
    for one, two in zip(named.cells, numbered.cells):
        assert np.array_equal(one.correct, two.correct)


def test_own_rows_are_numbered_as_the_others(notes):
    clean, _, test = notes
    names = clean.features["label"].names
    own = tiny(["one of mine", "two of mine"], [names[2], names[0]])
    found = attack(*notes, effort=TEXT, own_clean=own, countermeasures=["clean-20%"])
    assert found.protocol["training rows"] == len(clean) and found.protocol["the attacker's own clean rows"] == 2
    assert found.cell("protected rows dropped", "tfidf_logistic_regression", "clean-20%").train_rows == 2
    warnings = attack(*notes, effort=TEXT, own_clean=test.select(range(5)), countermeasures=[]).warnings
    assert warnings == ["5 of the attacker's 5 own rows are test rows too."]
    other = test.select(range(5)).cast_column("label", ClassLabel(names=names[::-1]))
    with pytest.raises(ValueError, match="The label 0 is .* in the training data and .* in the attacker's own data"):
        attack(*notes, effort=TEXT, own_clean=other)


def test_fields_without_a_text(notes):
    def emptied(part):
        return part.map(lambda row, i: {"text": None if i % 9 == 0 else row["text"]}, with_indices=True)

    parts = [emptied(part) for part in notes]
    found = attack(*parts, effort=TEXT)
    assert found.cell("clean", "tfidf_logistic_regression").accuracy.mean > 0.6
    missing = tiny(notes[2]["text"][:], [None, *map(str, notes[2]["label"][1:])])
    with pytest.raises(ValueError, match="Row 0 of the test data has no label"):
        attack(notes[0], notes[1], missing)


def test_a_victim_without_its_model_is_left_out_or_asked_for(notes):
    effort = replace(TEXT, grid=Grid({"tfidf_logistic_regression": {}, "causal_lm": {}}))
    found = attack(*notes, effort=effort, countermeasures=[])
    assert {cell.victim for cell in found.cells} == {"tfidf_logistic_regression"}
    assert found.not_run[0].startswith("causal_lm: it starts from a pretrained model, and none is given")
    assert found.protocol["victims"]["tfidf_logistic_regression"] == {"C": 10.0, "ngram_range": (1, 2)}
    with pytest.raises(ValueError, match="--model causal_lm=ID"):
        attack(*notes, victims=["causal_lm"])
    with pytest.raises(ValueError, match="no victim finetuned"):
        attack(*notes, models={"finetuned": "x"})
    with pytest.raises(ValueError, match="naive_bayes takes no model"):
        attack(*notes, models={"naive_bayes": "x"})


def test_own_rows_leave_all_rows_published(notes):
    own = Rows(["a row of mine"] * 10, [0, 1] * 5)
    found = attack(*notes, effort=TEXT, attacker=Attacker(clean=own))
    assert found.protocol["training rows"] == len(notes[0]) and found.protocol["the attacker's own clean rows"] == 10


def test_warnings(notes):
    clean, protected, test = notes
    some = test.filter(lambda row: row["label"] != 2)
    found = attack(clean, protected, some, effort=TEXT, countermeasures=[]).warnings
    assert found == ["No test row has the label 2."]
    leaked = attack(clean, protected, clean.select(range(50)), effort=TEXT, countermeasures=[]).warnings
    assert leaked[0] == "50 of 50 test rows are training rows too."


def test_bad_input(notes):
    clean, protected, test = notes
    with pytest.raises(ValueError, match="never protected"):
        attack(clean, clean, test)
    with pytest.raises(ValueError, match="no victim x"):
        attack(*notes, victims=["x"])
    with pytest.raises(ValueError, match="no effort fast. There are: quick, laptop, full"):
        attack(*notes, effort="fast")
    with pytest.raises(ValueError, match="no counter-measure y"):
        attack(*notes, countermeasures=["y"])
    with pytest.raises(ValueError, match="same order"):
        attack(clean, protected.select(range(len(protected) - 1)), test)
    with pytest.raises(ValueError, match="name input_column"):
        attack(*(part.rename_column("text", "words") for part in notes))
    with pytest.raises(ValueError, match="label"):
        attack(clean, protected, test.remove_columns("label"))
