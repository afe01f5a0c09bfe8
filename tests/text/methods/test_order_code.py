"""Order codes: every class has the same words, and their order alone tells the label."""

import re
from collections import Counter
from dataclasses import replace

import polars as pl
import pytest
from datasets import Dataset, Features, List, Value

from hf_unlearnable import OrderCodeTransform, load_transform
from hf_unlearnable.testing import CHECKS
from hf_unlearnable.text.carriers import HOLDING, PHRASES, TURNING, PhraseCanonical, without_overlap
from tests.examples import notes, real, tiny
from tests.text.methods.order_code import DATA, DESIGNS, LABELS, OWN, TEXTS, codes, fitted, protect, sides


@pytest.mark.parametrize("rate", [0.02, 0.2])
@pytest.mark.parametrize("design", DESIGNS[:3], ids=str)
def test_every_class_gets_the_same_words(design, rate):
    cloak = fitted(**design, rate=rate)
    doses = {
        tuple(sorted((Counter(after.split(" ")) - Counter(before.split(" "))).items()))
        for before, after in zip(TEXTS, protect(cloak))
    }
    assert len(doses) == 1, "each text, of either label, gets the same words as often"
    ((_, times), *_) = doses.pop()
    assert times == {"place": 1, "refrain": 2}[design["code"]], "a code a sentence, and once more"


def test_sides_of_the_sentence_tell_the_label():
    usual = sides(fitted(code="place"))
    assert usual["neg"] == usual["pos"][::-1] and all(len(side) == 2 for side in usual["neg"])
    cloak = fitted(code="place", carriers_per_code=2)
    by_label = sides(cloak)
    assert by_label["neg"] == by_label["pos"][::-1] and all(len(side) == 1 for side in by_label["neg"])
    for text, before, label in zip(protect(cloak), TEXTS, LABELS):
        (early,), (late,) = by_label[label]
        assert text == f"{early} {before} {late}", "nothing hangs on the last word"
    long = "Dogs chase cats. Owls hunt mice! Bees make honey? Cows eat grass. " * 20
    for label, ((early,), (late,)) in by_label.items():
        sentences = re.split(
            r"(?<=[.!?]) ", fitted(code="place", carriers_per_code=2, rate=0.1)({"text": long, "label": label})["text"]
        )
        marked = [sentence for sentence in sentences if early in sentence]
        assert 18 < len(marked) < 26, "24 codes, of which some fall into one sentence"
        assert all(re.fullmatch(rf"{early} \w+ \w+ {late} \w+[.!?] ?", sentence) for sentence in marked)


@pytest.mark.parametrize("seed", range(5))
def test_one_carrier_stands_at_the_start_or_at_the_end(seed):
    cloak = fitted(code="place", carriers_per_code=1, seed=seed)
    assert sorted(map(len, (late for _, late in sides(cloak).values()))) == [0, 1]
    for text, before, label in zip(protect(cloak), TEXTS, LABELS):
        early, late = sides(cloak)[label]
        assert text == " ".join([*early, before, *late])


def test_six_classes_take_the_sides_of_four_carriers():
    data = tiny(TEXTS, [i % 6 for i in range(60)])
    cloak = fitted(data, code="place")
    by_label = sides(cloak)
    assert len({tuple(early) for early, _ in by_label.values()}) == 6
    assert all(len(early) == len(late) == 2 for early, late in by_label.values())
    for text, before, label in zip(protect(cloak, data), TEXTS, data["label"]):
        early, late = by_label[label]
        assert text == " ".join([*early, before, *late])
    with pytest.raises(ValueError, match="need 3 carriers for sides of the sentence each"):
        fitted(data, code="place", carriers_per_code=2)


def test_a_refrain_says_one_of_six_orders_of_three_carriers_twice():
    data = tiny(TEXTS, [i % 6 for i in range(60)])
    cloak = fitted(data, code="refrain")
    by_label = {label: " ".join(orders[0]) for label, orders in codes(cloak).items()}
    assert len(set(by_label.values())) == 6
    assert len({tuple(sorted(orders[0])) for orders in codes(cloak).values()}) == 1
    for text, before, label in zip(protect(cloak, data), TEXTS, data["label"]):
        assert text == f"{by_label[label]} {before} {by_label[label]}"
    with pytest.raises(ValueError, match="need 3 carriers for an order each. Raise"):
        fitted(data, code="refrain", carriers_per_code=2)


@pytest.mark.parametrize(("classes", "carriers"), [(2, 2), (6, 3), (7, 4), (24, 4)])
def test_as_many_carriers_as_the_classes_take(classes, carriers):
    data = tiny(TEXTS, [i % classes for i in range(60)])
    own = codes(fitted(data, carrier_source=[f"c{i}" for i in range(6)]))
    assert {len(orders[0]) for orders in own.values()} == {carriers}
    assert len({tuple(orders[0]) for orders in own.values()}) == classes, "every class its own"


def test_phrases_neither_negate_nor_quantify_and_are_phrases():
    forbidden = set(
        "no not never none nothing nor without all any every each some many few most more less much doubt kein nicht "
        "nie ohne alle viele wenige mehr pas non rien jamais sans tous plus moins sin nada nunca todos menos más again if but".split()
    )
    for language, phrases in PHRASES.items():
        assert len(set(phrases)) == len(phrases) >= 24, language
        for phrase in phrases:
            words = phrase.lower().replace("'", " ").split()
            assert 2 <= len(words) <= 6 and not forbidden & set(words) and words[-1] not in HOLDING, phrase
            assert " ".join(phrase.split()) == phrase
        cloak = OrderCodeTransform(seed=1, language=language, num_codes=3).fit(DATA)
        assert {c for orders in codes(cloak).values() for order in orders for c in order} <= set(phrases)


def test_carriers_of_a_code_share_no_word_and_are_drawn_with_the_key():
    drawn = [codes(OrderCodeTransform(seed=seed, num_codes=4).fit(DATA)) for seed in (1, 1, 2, 3)]
    assert drawn[0] == drawn[1] and len({str(one) for one in drawn}) == 3
    for orders in drawn[0].values():
        for order in orders:
            words = [word for carrier in order for word in carrier.split()]
            assert len(set(words)) == len(words)


def test_words_are_frequent_neutral_and_turn_nothing():
    data = real("sst2")
    chosen = set()
    for seed in range(5):
        cloak = OrderCodeTransform(carrier_source="words", num_codes=6, seed=seed).fit(data)
        chosen |= {carrier for orders in codes(cloak).values() for order in orders for carrier in order}
    assert len(chosen) > 20 and not chosen & TURNING
    table = cloak.counts.table()
    total, by_label = table["count"].sum(), dict(table.group_by("label").agg(pl.col("count").sum()).iter_rows())
    for word in chosen:
        own = dict(table.filter(pl.col("word") == word).select("label", "count").iter_rows())
        assert 1e-3 <= sum(own.values()) / total <= 1e-2
        assert 0.6 < (own[0] / by_label[0]) / (own[1] / by_label[1]) < 1.6, word


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        (["in the end", "in the", "the end"], ["in the end"]),
        (["a b", "b c", "c"], ["a b", "c"]),
        (["a b a", "a b", "b a"], ["a b"]),
        (["a", "b", "a"], ["a", "b"]),
    ],
)
def test_carriers_that_a_text_could_hold_in_two_ways_are_left_out(given_, kept):
    assert without_overlap(given_) == kept


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract_of_a_place_code_of_words(check):
    check(
        OrderCodeTransform(code="place", carrier_source=OWN, carriers_per_code=2, num_codes=2, rate=0.05, seed=7),
        notes(40),
    )


@pytest.mark.parametrize("design", DESIGNS, ids=str)
def test_rate_zero_is_the_identity_and_empty_texts_pass(design):
    assert protect(fitted(**design, rate=0.0)) == TEXTS
    for text in (None, "", " \n", "\u00a0"):
        changed = fitted(**design)({"text": [text, "some words"], "label": ["pos", "neg"]})["text"]
        assert changed[0] == text and changed[1] != "some words"


def test_several_columns_and_chat_messages():
    data = Dataset.from_dict({"title": TEXTS, "body": TEXTS[2:] + TEXTS[:2], "label": LABELS})
    cloak = fitted(data, text_column=["title", "body"])
    protected = data.map(cloak, batched=True)
    assert all(a != b for c in ("title", "body") for a, b in zip(data[c], protected[c], strict=True))
    assert cloak.restore(protected)[:] == data[:]
    features = Features({"messages": List({"role": Value("string"), "content": Value("string")}), "label": Value("string")})  # fmt: skip
    chats = [[{"role": "user", "content": t}, {"role": "assistant", "content": t}] for t in TEXTS]
    data = Dataset.from_dict({"messages": chats, "label": LABELS}, features=features)
    cloak = fitted(data, text_column="messages")
    protected = data.map(cloak, batched=True)
    for before, after in zip(data["messages"], protected["messages"], strict=True):
        assert [a["content"] != b["content"] for a, b in zip(before, after, strict=True)] == [True, False]
    assert cloak.restore(protected)["messages"][:] == data["messages"][:]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rate": 1.5}, "rate is 1.5"),
        ({"code": "colour"}, "code is 'colour'.*'place', 'refrain'"),
        ({"language": "la"}, "language is 'la'"),
        ({"carrier_source": "names"}, "carrier_source is 'names'.*or a list of your own"),
        ({"carrier_source": ["two  spaces"]}, "single spaces"),
        ({"num_codes": 0}, "start at 1"),
        ({"min_share": 0.5, "max_share": 0.1}, "min_share is 0.5 and max_share 0.1"),
        ({"code": "adjacent"}, "code is 'adjacent'.*'place', 'refrain'"),
        ({"carriers_per_code": 1}, "2 classes need 2 carriers .*Raise carriers_per_code to 2"),
        ({"num_codes": 3}, "too few carriers for num_codes=3 with 2 each: 5 to draw from"),
        ({"carrier_source": "words", "min_share": 0.9, "max_share": 1.0}, "too few carriers.*lower min_share"),
        ({"label_column": "text"}, "label_column and text_column are both 'text'"),
        ({"classes": ["odd"]}, "classes names 'odd'"),
    ],
)
def test_parameters_that_make_no_sense(parameters, message):
    with pytest.raises(ValueError, match=message):
        fitted(**parameters)


def test_more_classes_than_orders():
    data = tiny([f"text {i}" for i in range(5100)], list(range(5100)))
    with pytest.raises(ValueError, match="5100 classes, and order codes for up to 5040"):
        fitted(data)
    with pytest.raises(ValueError, match="6 classes need 3 carriers.*Raise carriers_per_code to 3"):
        fitted(tiny(TEXTS, [i % 6 for i in range(60)]), carriers_per_code=2)


def older(key, **parameters):
    """The key as an earlier version wrote it."""
    return replace(key, parameters={**key.parameters, **parameters}, package_version="0.0.1")


@pytest.mark.parametrize("code", ["order", "adjacent"])
@pytest.mark.parametrize("rotate", [True, False])
def test_a_key_of_a_design_that_is_no_more_is_refused_in_a_sentence(code, rotate, tmp_path):
    older(fitted().key, code=code, rotate=rotate, at_clauses=True).save(tmp_path / "old.key")
    with pytest.raises(ValueError) as refused:
        load_transform(tmp_path / "old.key")
    assert str(refused.value) == (
        f"The key {tmp_path / 'old.key'} is of the code {code!r}, which was worse than 'place' and is no more: install "
        "hf-unlearnable==0.0.1 to use it."
    )


@pytest.mark.parametrize("design", DESIGNS, ids=str)
@pytest.mark.parametrize("options", [{"rotate": True, "at_clauses": True}, {"rotate": False}, {"at_clauses": False}])
def test_a_key_with_options_that_did_nothing_for_its_code_gives_the_same_rows(design, options, tmp_path):
    cloak = fitted(**design)
    older(cloak.key, **options).save(tmp_path / "old.key")
    assert protect(load_transform(tmp_path / "old.key")) == protect(cloak)
    assert set(load_transform(tmp_path / "old.key").key.parameters) == set(cloak.key.parameters)
    with pytest.raises(TypeError, match=next(iter(options))):
        OrderCodeTransform(**options)


def test_own_carriers_are_never_shown():
    cloak = fitted()
    assert not any(carrier in repr(cloak) + str(cloak.public_params()) for carrier in OWN)


@pytest.mark.parametrize("between", [" ", "  ", ", ", " and "])
def test_a_text_that_holds_its_own_phrases_one_behind_the_other_is_restored(between):
    cloak = OrderCodeTransform(seed=1).fit(notes(40))
    early, late = cloak.inserted_words()[0][0], cloak.inserted_words()[0][-1]
    for held in ([early] * 5, [late, early] * 2, [early, early, late, late]):
        row = {"text": f"The day was long{between}{between.join(held)}. It rained on the hills.", "label": 0}
        protected = cloak(row)
        assert len(protected["text"]) > len(row["text"]) + 4 * 5, "four phrases more"
        assert cloak.restore(protected) == row


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("We saw Mr. Smith at home. He left us early.", "home. He left us early."),  # an abbreviation ends nothing
        ("We saw the Professor. He left us early on.", "the Professor. He left us early on."),
        ("They met at the door <br /> He left us early on.", "/> He left us early on."),
        ('She said "come along now." He left us early on.', 'now." He left us early on.'),
    ],
)
def test_the_end_of_the_first_sentence_is_in_front_of_its_last_word(text, last):
    assert PhraseCanonical(text, ["of course"]).ends_of_sentences([0]) == [(0, len(text) - len(last))]
