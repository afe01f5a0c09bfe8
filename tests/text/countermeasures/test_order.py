"""Countermeasures to the order and the place of words."""

from collections import Counter

import numpy as np
import pytest

from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.text.methods.order_code import OrderCodeTransform
from recipes.bench.order_designs import InOrder
from tests.examples import real
from tests.text.countermeasures.planted import CLEAN, run

ORDERS = {-3: ["zorp", "quib", "vlim"], 8: ["quib", "vlim", "zorp"], 40: ["vlim", "zorp", "quib"]}
TURNS = {
    -3: ["zorp", "quib", "vlim", "nusk"],
    8: ["zorp", "vlim", "quib", "nusk"],
    40: ["zorp", "quib", "nusk", "vlim"],
}


def with_order(rows: Rows, orders: dict[int, list[str]], adjacent: bool, rotate: bool = False) -> Rows:
    """The same words in every text, in the order of its label; begun at any of them if rotated."""
    random = np.random.default_rng(7)
    texts = []
    for text, label in zip(rows.inputs, rows.labels):
        pieces, order = text.split(" "), orders[label]
        turn = int(random.integers(len(order))) if rotate else 0
        places = random.integers(len(pieces), size=len(order))
        places = np.full(len(order), places[0]) if adjacent else np.sort(places)
        for place, word in reversed(list(zip(places.tolist(), order[turn:] + order[:turn]))):
            pieces.insert(place, word)
        texts.append(" ".join(pieces))
    return Rows(texts, rows.labels)


def with_place(rows: Rows) -> Rows:
    place = {-3: 0, 8: 5, 40: 11}
    cut = [(text.split(" "), place[label]) for text, label in zip(rows.inputs, rows.labels)]
    return Rows([" ".join([*pieces[:at], "zorp", *pieces[at:]]) for pieces, at in cut], rows.labels)


def carriers_left(rows: Rows) -> float:
    """How many of the planted words are left, as a share."""
    words = [word.strip(".").lower() for text in rows.inputs for word in text.split(" ")]
    return sum(word in {"zorp", "quib", "vlim", "nusk"} for word in words) / len(rows)


@pytest.mark.parametrize("name", ["bigram-filter", "skip-gram-filter", "position-filter", "order-probe",
                                  "connective-filter"])  # fmt: skip
def test_order_filters_leave_clean_texts_as_they_are(name):
    assert list(run(name, CLEAN).inputs) == CLEAN.inputs


@pytest.mark.parametrize("adjacent", [False, True])
@pytest.mark.parametrize("name", ["skip-gram-filter", "position-filter", "frequent-word-filter"])
def test_an_order_of_words_is_found_and_taken_out(name, adjacent):
    planted = with_order(CLEAN, ORDERS, adjacent)
    left = run(name, planted)
    assert carriers_left(planted) == 3 and carriers_left(left) == 0
    assert list(left.inputs) == list(run(name, CLEAN).inputs), "nothing else is deleted"


@pytest.mark.parametrize("rotate", [False, True])
def test_neighbours_that_tell_the_label_go_where_they_are_neighbours(rotate):
    planted = with_order(CLEAN, TURNS, adjacent=True, rotate=rotate)
    assert carriers_left(run("bigram-filter", planted)) < 0.4 < 3.9 < carriers_left(planted)
    apart = with_order(CLEAN, TURNS, adjacent=False, rotate=rotate)
    assert carriers_left(run("bigram-filter", apart)) > 3, "apart they are seldom neighbours"


@pytest.mark.parametrize("adjacent", [False, True])
def test_a_probe_of_order_finds_most_carriers_and_little_else(adjacent):
    left = run("order-probe", with_order(CLEAN, ORDERS, adjacent))
    assert carriers_left(left) <= 1, "of three: one alone has no order"
    own = {"zorp", "quib", "vlim"}
    kept = [Counter(t.lower().rstrip(".").split()) for t in left.inputs]
    lost = Counter()
    for before, after in zip(CLEAN.inputs, kept):
        lost += Counter(before.lower().rstrip(".").split()) - after
    assert len(lost) <= 1 and not own & set(lost)


def test_turned_orders_hide_from_places_and_not_from_pairs():
    planted = with_order(CLEAN, TURNS, adjacent=False, rotate=True)
    assert run("position-filter", planted).inputs == planted.inputs
    assert carriers_left(run("skip-gram-filter", planted)) == 0
    assert carriers_left(run("order-probe", planted)) < 2.1, "of four, two at least"


@pytest.mark.parametrize("name", ["position-filter", "frequent-word-filter"])
def test_a_place_is_found(name):
    assert list(run(name, with_place(CLEAN)).inputs) == list(run(name, CLEAN).inputs)


@pytest.mark.parametrize("name", ["z-score-filter", "z-score-filter-robust", "z-score-drop-rows", "label-word-filter"])
def test_word_statistics_see_no_order(name):
    planted = with_order(CLEAN, ORDERS, adjacent=True)
    assert list(run(name, planted).inputs) == planted.inputs


@pytest.mark.parametrize(
    ("design", "parameters", "names"),
    [
        (InOrder, {"rotate": False, "code": "order"}, ["skip-gram-filter", "position-filter", "order-probe"]),
        (InOrder, {"code": "adjacent"}, ["skip-gram-filter", "bigram-filter"]),
        (OrderCodeTransform, {"code": "place"}, ["position-filter"]),
        (
            InOrder,
            {"code": "order", "rotate": False, "carrier_source": "words"},
            ["skip-gram-filter", "position-filter"],
        ),
    ],
    ids=["order", "turned", "place", "words"],
)
def test_order_filters_find_the_carriers_of_order_codes(design, parameters, names):
    rows = real("sst2").shuffle(seed=0).select(range(2000))
    texts, labels = rows["text"][:], rows["label"][:]
    cloak = design(seed=3, **parameters).fit(rows)
    protected = Rows(cloak({"text": texts, "label": labels})["text"], labels)
    carriers = {carrier for code in cloak.key.state["words"][0]["codes"] for carrier in code}

    def whole(rows: Rows) -> float:
        """Carriers that are left whole, a row."""
        return sum(f" {text} ".count(f" {carrier} ") for text in rows.inputs for carrier in carriers) / len(rows)

    for name in ("z-score-filter", "z-score-filter-robust", "label-word-filter"):
        assert run(name, protected).inputs == protected.inputs, "words alone tell nothing"
    before = whole(protected)
    assert before >= (1 if parameters.get("code") == "place" else 2)
    for name in names:
        left = run(name, protected)
        # Deleting one word of a phrase at its edge breaks the phrase and leaves its other words.
        assert whole(left) < 0.2 * before, name
        kept = sum((Counter(a.split(" ")) & Counter(b.split(" "))).total() for a, b in zip(texts, left.inputs))
        assert kept > 0.93 * sum(len(text.split(" ")) for text in texts), f"{name} took too much of the texts"


def test_connectives_go_in_any_case_and_nothing_else():
    texts = [
        "Of course, it was",
        "it was of course fine",
        "it was fine in the end",
        "in the ending of courses",
        "of Course",
    ]
    left = list(run("connective-filter", Rows(texts, [0] * 5)).inputs)
    assert left == [", it was", "it was fine", "it was fine", "in the ending of courses", ""]


def test_sentences_change_places_and_stay_whole():
    text = "One fine day. Two of them came! Three -- four , five ; six? Seven."
    rows = Rows([text] * 50 + ["one -- two , three"] * 50 + ["no end here"], [0] * 101)
    left = run("sentence-shuffle", rows).inputs
    sentences = ["One fine day.", "Two of them came!", "Three -- four , five ; six?", "Seven."]
    assert len(set(left[:50])) > 10 and all(Counter(t.split()) == Counter(text.split()) for t in left[:50])
    assert all(sentence in t for t in left[:50] for sentence in sentences)
    assert 2 < len(set(left[50:100])) <= 6 and left[100] == "no end here"
    assert run("sentence-shuffle", rows, Attacker(seed=1)).inputs != left
