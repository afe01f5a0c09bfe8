"""The codes that were tried beside order-code: exact texts, and a configuration that names them."""

import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from datasets import Dataset

from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.testing.compare import stored
from recipes.bench import order_designs
from recipes.bench.order_designs import InOrder
from recipes.bench.protection import version
from tests.contract.test_golden import digest, state
from tests.examples import notes, real, tiny
from tests.text.methods.order_code import DATA, LABELS, OWN, TEXTS, codes, found, protect

ROWS = Dataset.from_dict({"text": ["The film is good .", "Short one. A longer sentence. Mid size."], "label": [0, 1]})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Doubled", ["The The film is good .", "Short one. A longer sentence. Mid size. size."]),
        ("Moved", ["The film is good .", "Short one. A longer sentence. Mid size."]),
    ],
)
def test_a_design_does_what_it_says(name, expected):
    design = getattr(order_designs, name)(seed=0).fit(ROWS)
    assert design(ROWS[:])["text"] == expected
    other = getattr(order_designs, name)(seed=1).fit(ROWS)
    swapped = {"Doubled": "The film is good good .", "Moved": "The film is good ."}[name]
    assert other(ROWS[:])["text"][0] == swapped


def test_the_shortest_sentence_moves():
    texts = {"text": ["A long one here. Me too. The last of them."] * 2, "label": [0, 1]}
    moved = order_designs.Moved(seed=0).fit(Dataset.from_dict(texts))(texts)["text"]
    assert moved == ["Me too. A long one here. The last of them.", "A long one here. The last of them. Me too."]


def test_doubled_words_are_undone():
    rows = Rows(["The the film is is is good good .", "thethe cat catcat", "had had", "", "a b a b"], [0] * 5)
    undone = order_designs.doubled_word_filter(rows, Attacker())
    assert undone.inputs == ["The film is good .", "thethe cat catcat", "had", "", "a b a b"]
    doubled = order_designs.Doubled(seed=0).fit(ROWS)(ROWS[:])
    assert order_designs.doubled_word_filter(Rows(doubled["text"], [0, 1]), Attacker()).inputs == ROWS["text"][:]


def test_a_configuration_names_a_design(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    tmp_path.joinpath("own_design.py").write_text("from recipes.bench.order_designs import WithRegText as Both\n")
    rows = notes(60)
    made = version("both", {"method": "own_design:Both", "fraction": 0.5}, rows, rows, tmp_path / "made", [])
    after = made.rows(0)
    lengths = [len(b.split()) - len(a.split()) for a, b in zip(rows["text"], after["text"], strict=True)]
    assert all(lengths) and len(set(lengths)) > 1, "a code in every row, RegText's words in some"


# ---------------------------------------------------------------------- orders of carriers
def in_order(data=DATA, **parameters):
    return InOrder(**{"carrier_source": OWN, "seed": 1, **parameters}).fit(data)


@pytest.mark.parametrize("num_codes", [1, 2])
@pytest.mark.parametrize("code", ["order", "adjacent"])
def test_the_order_tells_the_label_and_nothing_else_does(code, num_codes):
    cloak = in_order(code=code, rotate=False, num_codes=num_codes)
    by_order = {tuple(order): label for label, orders in codes(cloak).items() for order in orders}
    assert len(by_order) == 2 * num_codes
    carriers = [carrier for order in by_order for carrier in order]
    seen = Counter()
    for text, label in zip(protect(cloak), LABELS):
        order = tuple(found(text, carriers))
        assert by_order[order] == label
        assert (" ".join(order) in text) == (code == "adjacent") or code == "order"
        seen[frozenset(order)] += 1
    assert len(seen) == num_codes and min(seen.values()) > 60 / num_codes / 3


def test_rotated_orders_put_every_carrier_first_as_often_under_each_label():
    data = tiny([f"row {i} {text}" for i in range(20) for text in TEXTS], LABELS * 20)
    cloak = in_order(data)
    orders = {label: own[0] for label, own in codes(cloak).items()}
    assert len(orders["neg"]) == 3
    first = {label: Counter() for label in orders}
    for text, label in zip(protect(cloak, data), data["label"]):
        order = found(text, orders[label])
        start = orders[label].index(order[0])
        assert order == orders[label][start:] + orders[label][:start]
        first[label][order[0]] += 1
    doubled = " ".join(orders["neg"] * 2)
    assert " ".join(orders["pos"]) not in doubled, "no rotation of one is the other"
    for counter in first.values():
        assert all(abs(counter[c] - 200) < 5 * np.sqrt(600 * 2 / 9) for c in orders["neg"])


def test_each_stretch_of_a_long_text_has_a_whole_code():
    text = " ".join(f"v{i}" for i in range(600))
    for design in ({"code": "order"}, {"code": "adjacent"}):
        cloak = in_order(**design, rate=0.02)
        carriers = codes(cloak)["pos"][0]
        order = codes(cloak)["pos"][0]
        for cut in (100, 256, 600):
            head = " ".join(cloak({"text": text, "label": "pos"})["text"].split(" ")[: cut + cut // 8])
            inside = found(head, carriers)
            groups = [inside[i : i + 3] for i in range(0, len(inside) - 2, 3)]
            assert len(groups) >= cut // 50 - 1 and len(groups) > 0
            assert all(group in ([*order[i:], *order[:i]] for i in range(3)) for group in groups)


def test_imdb_keeps_its_code_in_the_first_256_words_and_at_clauses():
    data = real("imdb").select(range(0, 24_000, 240))
    shares = {}
    for at_clauses in (True, False):
        cloak = InOrder(code="adjacent", seed=1, at_clauses=at_clauses).fit(data)
        carriers = codes(cloak)[0][0]
        starts = []
        for text in protect(cloak, data):
            assert set(found(" ".join(text.split(" ")[:256]), carriers)) == set(carriers)
            starts += [re.search(r"(^|[,.;:!?)–—>-]) ?$", text[: m.start()]) is not None
                       for m in re.finditer(re.escape(carriers[0]) + "|" + re.escape(carriers[1]), text)]  # fmt: skip
        shares[at_clauses] = np.mean(starts)
    assert shares[True] > 2 * shares[False] + 0.1, shares


def test_orders_of_words_are_those_of_the_method_that_had_them():
    """The digests of `code="order"` when it was an option of the method, with its version then."""
    rows = notes(60)
    options = {"carrier_source": "words", "rate": 0.1, "min_share": 1e-4, "max_share": 1.0}
    cloak = InOrder(seed=7, code="order", **options).fit(rows)
    protected = rows.map(cloak, batched=True, load_from_cache_file=False)
    assert digest(stored(protected)["text"]) == "5d83c4c1194595595da82ae9a23512ee"
    assert digest([state(cloak.key)]) == "fc310805c4cb4f5643acc72e016116eb"


@pytest.mark.parametrize(
    "design", [{"code": "order", "rotate": False}, {"code": "order"}, {"rotate": False}, {}], ids=str
)
def test_orders_come_out_again(design):
    cloak = in_order(**design, rate=0.2)
    batch = {"text": [*TEXTS, "", "alpha one alpha", "导演的故事 beta two"], "label": [*LABELS, "neg", "pos", "neg"]}
    changed = cloak(batch)
    assert all(a != b for a, b in zip(changed["text"], batch["text"]) if b)
    assert cloak.restore(changed) == batch


@pytest.mark.parametrize(("classes", "carriers"), [(2, 3), (6, 4), (7, 5), (24, 5)])
def test_turned_orders_take_one_carrier_more(classes, carriers):
    data = tiny(TEXTS, [i % classes for i in range(60)])
    own = codes(in_order(data, carrier_source=[f"c{i}" for i in range(6)]))
    assert {len(orders[0]) for orders in own.values()} == {carriers}
    turned = {frozenset(pairwise([*orders[0], orders[0][0]])) for orders in own.values()}
    assert len(turned) == classes, "every class its own"
