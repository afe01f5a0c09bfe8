"""An attack from three datasets alone: what it builds, what it warns of, and what it refuses."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from datasets import ClassLabel

from hf_unlearnable import RegTextTransform, TextureTransform, registry
from hf_unlearnable.adversary import Attacker, Countermeasure, Rows, victim
from hf_unlearnable.audit.report import worst_case
from hf_unlearnable.audit.run import EFFORTS, Effort, attack
from hf_unlearnable.image.modality import IMAGE
from hf_unlearnable.modality import Grid
from hf_unlearnable.samples import load_notes
from hf_unlearnable.text.victims import tfidf_logistic_regression
from tests.examples import pictures, tiny

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


@pytest.fixture(scope="module")
def few(notes):
    """A share of them, where it does not matter how well a victim learns."""
    clean, protected, test = notes
    return (
        clean.select(range(160)).flatten_indices(),
        protected.select(range(160)).flatten_indices(),
        test.select(range(60)).flatten_indices(),
    )


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


def test_labels_may_be_names(few):
    clean, protected, test = ([{"text": row["text"], "label": str(row["label"])} for row in part] for part in few)
    parts = [tiny([row["text"] for row in part], [row["label"] for row in part]) for part in (clean, protected, test)]
    named = attack(*parts, effort=TEXT)
    numbered = attack(*few, effort=TEXT)
    for one, two in zip(named.cells, numbered.cells):
        assert np.array_equal(one.correct, two.correct)


def test_own_rows_are_numbered_as_the_others(few):
    clean, _, test = few
    names = clean.features["label"].names
    own = tiny(["one of mine", "two of mine"], [names[2], names[0]])
    found = attack(*few, effort=TEXT, own_clean=own, countermeasures=["clean-20%"])
    assert found.protocol["training rows"] == len(clean) and found.protocol["the attacker's own clean rows"] == 2
    assert found.cell("protected rows dropped", "tfidf_logistic_regression", "clean-20%").train_rows == 2
    warnings = attack(*few, effort=TEXT, own_clean=test.select(range(5)), countermeasures=[]).warnings
    assert warnings == ["5 of the attacker's 5 own rows are test rows too."]
    other = test.select(range(5)).cast_column("label", ClassLabel(names=names[::-1]))
    with pytest.raises(ValueError, match="The label 0 is .* in the training data and .* in the attacker's own data"):
        attack(*few, effort=TEXT, own_clean=other)


@pytest.mark.parametrize(("part", "places"), [("clean", (0, 1)), ("test", (2,))])
@pytest.mark.parametrize(("kind", "missing"), [("names", None), ("names", ""), ("names", " "), ("classes", -1)])
def test_a_row_without_a_label_is_named(few, part, places, kind, missing):
    def without(rows):
        labels = rows["label"][:] if kind == "classes" else list(map(str, rows["label"]))
        changed = tiny(rows["text"][:], [*labels[:3], missing, *labels[4:]])
        return changed.cast_column("label", rows.features["label"]) if kind == "classes" else changed

    parts = [without(rows) if place in places else rows for place, rows in enumerate(few)]
    with pytest.raises(ValueError, match=f"Row 3 of the {part} data has no label. Leave such rows out."):
        attack(*parts, effort=TEXT)


def test_fields_without_a_text(notes):
    def emptied(part):
        return part.map(lambda row, i: {"text": None if i % 9 == 0 else row["text"]}, with_indices=True)

    parts = [emptied(part) for part in notes]
    found = attack(*parts, effort=TEXT)
    assert found.cell("clean", "tfidf_logistic_regression").accuracy.mean > 0.6
    missing = tiny(notes[2]["text"][:], [None, *map(str, notes[2]["label"][1:])])
    with pytest.raises(ValueError, match="Row 0 of the test data has no label"):
        attack(notes[0], notes[1], missing)


def test_a_victim_without_its_model_is_left_out_or_asked_for(few):
    effort = replace(TEXT, grid=Grid({"tfidf_logistic_regression": {}, "causal_lm": {}}))
    found = attack(*few, effort=effort, countermeasures=[])
    assert {cell.victim for cell in found.cells} == {"tfidf_logistic_regression"}
    assert found.not_run[0].startswith("causal_lm: it starts from a pretrained model, and none is given")
    assert found.protocol["victims"]["tfidf_logistic_regression"] == {"C": 10.0, "ngram_range": (1, 2)}
    with pytest.raises(ValueError, match=r"none is given \(models=\{'causal_lm': \.\.\.\}\)"):
        attack(*few, victims=["causal_lm"])
    with pytest.raises(ValueError, match="no victim finetuned"):
        attack(*few, models={"finetuned": "x"})
    with pytest.raises(ValueError, match="naive_bayes takes no model"):
        attack(*few, models={"naive_bayes": "x"})


@pytest.fixture
def outside(monkeypatch):
    """Nothing is registered, and what is will be forgotten."""
    for names in (registry.VICTIMS, registry.COUNTERMEASURES):
        monkeypatch.setattr(names, "_registered", {})


def test_a_registered_victim_and_countermeasure_run_in_an_attack(few, outside):
    given = []

    @registry.register
    @victim("text", epochs=2, hooks=("on_epoch", "in_training"))
    def guess_the_first(train_texts, train_labels, test_texts, training, *, places=1):
        given.append((training.seed, training.epochs, places, training.in_training))
        if training.on_epoch is not None:  # a probe of how long it takes asks for nothing
            training.on_epoch(0.5, np.full(len(test_texts), train_labels[0]))
        return np.full(len(test_texts), train_labels[0])

    def hook(texts, targets, model, generator):
        return texts, targets

    registry.register(Countermeasure(in_training=hook, modality="text"), "my-hook")
    registry.register(Countermeasure(in_training=hook, modality="image"), "another-hook")
    effort = replace(TEXT, grid=Grid({"guess_the_first": {"places": 3}, "tfidf_logistic_regression": {}}))
    found = attack(*few, effort=effort, countermeasures=["my-hook"])
    cell = found.cell("clean", "guess_the_first", "my-hook")
    share = np.mean(np.array(few[2]["label"]) == few[0]["label"][0])
    assert cell.accuracy.mean == pytest.approx(share) and cell.curves == [[(0.5, pytest.approx(share, abs=1e-4))]]
    assert set(given) == {(0, 2, 3, None), (0, 2, 3, hook)}
    assert found.protocol["victims"]["guess_the_first"] == {"epochs": 2, "places": 3}
    assert found.not_run == [
        "my-hook on tfidf_logistic_regression: not in the grid, for this victim takes nothing in training"
    ]
    assert "guess_the_first" in registry.victims_of("text") and "guess_the_first" not in registry.victims_of("image")
    assert "another-hook" in registry.countermeasures_of(
        "image"
    ) and "another-hook" not in registry.countermeasures_of("text")


def test_victims_of_ones_own_run_in_an_attack(few):
    def majority(train_texts, train_labels, test_texts, *, seed, label=None):
        return np.full(len(test_texts), np.bincount(train_labels).argmax() if label is None else label)

    victims = {
        "majority": majority, "label 2": partial(majority, label=2),
        "tfidf_logistic_regression": partial(tfidf_logistic_regression, C=0.5),
    }  # fmt: skip
    effort = replace(TEXT, grid=Grid({"tfidf_logistic_regression": {"C": 3.0}}))
    found = attack(*few, effort=effort, victims=victims, countermeasures=[])
    assert {cell.victim for cell in found.cells} == set(victims) and found.not_run == []
    share = np.mean(np.array(few[2]["label"]) == 2)
    assert found.cell("protected", "label 2").accuracy.mean == pytest.approx(share)
    assert found.protocol["victims"] == {
        "majority": {"label": None}, "label 2": {"label": 2},
        "tfidf_logistic_regression": {"C": 0.5, "ngram_range": (1, 2)},  # what is given, not what an effort says
    }  # fmt: skip


def test_a_victim_that_needs_more_than_a_model_says_what(few):
    def needy(train_texts, train_labels, test_texts, *, seed, model, vocabulary):
        return np.zeros(len(test_texts), int)

    with pytest.raises(ValueError, match="needy: it has no default for vocabulary, and nothing is given"):
        attack(*few, victims={"needy": needy}, models={"needy": "m"}, effort=TEXT)
    found = attack(
        *few,
        victims={"needy": partial(needy, vocabulary=[])},
        models={"needy": "m"},
        effort=TEXT,
        countermeasures=[],
    )
    assert found.protocol["victims"] == {"needy": {"model": "m", "vocabulary": []}}


def test_own_rows_leave_all_rows_published(few):
    own = Rows(["a row of mine"] * 10, [0, 1] * 5)
    found = attack(*few, effort=TEXT, attacker=Attacker(clean=own))
    assert found.protocol["training rows"] == len(few[0]) and found.protocol["the attacker's own clean rows"] == 10


def test_warnings(few):
    clean, protected, test = few
    some = test.filter(lambda row: row["label"] != 2)
    found = attack(clean, protected, some, effort=TEXT, countermeasures=[]).warnings
    assert found == ["No test row has the label 2."]
    leaked = attack(clean, protected, clean.select(range(50)), effort=TEXT, countermeasures=[]).warnings
    assert leaked[0] == "50 of 50 test rows are training rows too."


def test_compositions_and_long_trainings_are_left_to_the_efforts_that_have_time_for_them():
    assert {name: effort.compose for name, effort in EFFORTS.items()} == {"quick": False, "laptop": True, "full": True}
    assert [name for name, grid in IMAGE.grids.items() if "small_cnn_long" in grid.victims] == ["full"]


def test_compositions_by_name_and_of_the_two_best(notes):
    clean, protected, test = notes
    half = [part.select(range(400)).flatten_indices() for part in (clean, protected)]
    victims = {"tfidf_logistic_regression": {}}
    single = ("label-word-filter", "word-shuffle", "truncate")
    effort = replace(TEXT, grid=Grid(victims, single), shares=())
    found = attack(*half, test, effort=replace(effort, compose=True))
    pairs = {cell.countermeasure for cell in found.cells if "+" in cell.countermeasure}
    assert len(pairs) == 1 and set(*(pair.split("+") for pair in pairs)) < set(single)
    named = attack(
        *half, test, effort=effort, countermeasures=["word-shuffle+label-word-filter", "none"], method="regtext"
    )
    tried = [cell.countermeasure for cell in named.cells if cell.version.role == "protected"]
    first = ["none", *RegTextTransform.adaptive_attacks]
    assert tried == [*first, "word-shuffle+label-word-filter"], "the author's first, no pair"


@pytest.mark.parametrize("name", ["word-shuffle+y", "y+word-shuffle", "y", "word-shuffle+none"])
def test_a_countermeasure_that_is_unknown_is_named(few, name):
    with pytest.raises(ValueError, match=f"no countermeasure {name.replace('word-shuffle', '').strip('+')}"):
        attack(*few, effort=TEXT, countermeasures=[name])


def test_bad_input(few):
    clean, protected, test = few
    with pytest.raises(ValueError, match="never protected"):
        attack(clean, clean, test)
    with pytest.raises(ValueError, match="no victim x"):
        attack(*few, victims=["x"])
    with pytest.raises(ValueError, match="no effort fast. There are: quick, laptop, full"):
        attack(*few, effort="fast")
    with pytest.raises(ValueError, match="no countermeasure y"):
        attack(*few, countermeasures=["y"])
    with pytest.raises(ValueError, match="same order"):
        attack(clean, protected.select(range(len(protected) - 1)), test)
    with pytest.raises(ValueError, match="name input_column"):
        attack(*(part.rename_column("text", "words") for part in few))
    with pytest.raises(ValueError, match="label"):
        attack(clean, protected, test.remove_columns("label"))
