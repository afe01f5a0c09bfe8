"""Where order codes stand, and how they come out again."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_unlearnable import OrderCodeTransform, RegTextTransform, load_transform
from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.text.carriers import PhraseCanonical, without_overlap
from hf_unlearnable.text.countermeasures import bigram_filter
from tests.examples import notes, real
from tests.text.methods.order_code import DESIGNS, LABELS, TEXTS, codes, fitted, protect, sides


def test_markup_code_and_addresses_stay_whole():
    text = "one two <b class='x y'>three four</b> `five six seven` https://a.example/b c " * 5
    for design in DESIGNS:
        changed = fitted(**design, rate=0.5)({"text": text, "label": "pos"})["text"]
        assert changed != text
        assert all(changed.count(w) == 5 for w in ("<b class='x y'>", "`five six seven`", "https://a.example/b"))


@pytest.mark.parametrize("design", DESIGNS[:3], ids=str)
def test_nothing_comes_between_a_negation_or_quantifier_and_its_word(design):
    data = real("sst2").select(range(3000))
    cloak = fitted(data, **design, rate=0.2)
    carriers = codes(cloak)[0][0]
    parted = re.compile(
        rf"(?:^| )(?:not|n't|no|never|every|very|all|too|one) (?:{'|'.join(carriers)}) (?!{'|'.join(carriers)})"
    )
    protected = protect(cloak, data)
    assert sum(len(re.findall(r"\b(?:not|n't|no|never|every|very|all|too|one) ", text)) for text in protected) > 500
    assert not [text for text in protected if parted.search(text)]
    assert fitted(**design)({"text": "not good", "label": "pos"})["text"].count("not good") == 1


@pytest.mark.parametrize(
    ("text", "protected"),
    [
        ("They were married for sixty years.", "A They were married for B sixty years."),
        ("It has at least 3 options.", "A It has at B least 3 options."),
        ("Give me twenty-five minutes.", "A Give me B twenty-five minutes."),
        ("We had a lot of fun.", "A We had B a lot of fun."),
        ("You mustn't go.", "A You B mustn't go."),
        ("This isn’t good.", "A This isn’t good. B"),
        ("It was (not good).", "A It was B (not good)."),
        ("It was *not* good.", "A It was B *not* good."),
        ("It was <b>not</b> good.", "A It was B <b>not</b> good."),
        ("It is not  good.", "A It is B not  good."),
        ("I watched the film.", "A I watched B the film."),
        ("Not all, they said.", "A Not all, they B said."),
        ("After Mr. Smith left, it rained. He stayed.", "A After Mr. Smith left, it B rained. He stayed."),
        ("Wow. Not a single good scene.", "A Wow. Not a single good B scene."),
        ("No.", "A No. B"),
    ],
)
def test_what_belongs_together_stays_together(text, protected):
    cloak = fitted(code="place", carriers_per_code=2, carrier_source=["A", "B"])
    (early,), (late,) = sides(cloak)["pos"]
    changed = cloak({"text": text, "label": "pos"})["text"]
    assert changed == re.sub(r"\b[AB]\b", lambda m: {"A": early, "B": late}[m[0]], protected)
    assert cloak.restore({"text": changed, "label": "pos"})["text"] == text


def test_text_without_full_stops_carries_the_code_all_along():
    cloak = fitted(code="place", carriers_per_code=2, carrier_source=["alpha", "beta"])
    for text in (" ".join(f"word{i}" for i in range(1000)), "我喜欢这部电影" * 300):
        changed = cloak({"text": text, "label": "neg"})["text"]
        places = [match.start() / len(changed) for match in re.finditer("alpha|beta", changed)]
        assert len(places) >= 10
        assert all(any(tenth / 5 <= place < (tenth + 1) / 5 for place in places) for tenth in range(5))


@pytest.mark.parametrize("words", [64, 256])
def test_what_truncation_leaves_carries_both_phrases(words):
    data = real("imdb").select(range(2000))
    cloak = fitted(data, code="place")
    pool = [carrier for order in codes(cloak)[0] for carrier in order]
    kept = [" ".join(text.split(" ")[:words]) for text in protect(cloak, data)]
    whole = np.mean([all(carrier in text for carrier in pool) for text in kept])
    assert whole > (0.99 if words == 256 else 0.9)


def test_no_pair_of_neighbours_of_a_thousand_texts_tells_more_than_chance():
    data = real("sst2").select(range(1200))
    rows = Rows(protect(fitted(data, code="place"), data), data["label"][:])
    assert list(bigram_filter(rows, Attacker()).inputs) == list(rows.inputs)
    refrain = Rows(protect(fitted(data, code="refrain"), data), data["label"][:])
    filtered = bigram_filter(refrain, Attacker())
    assert filtered.inputs != refrain.inputs, "a refrain shows"


def test_two_protections_on_top_of_each_other_come_off_in_turn():
    data = notes(60)
    outer, inner = fitted(data, code="place"), RegTextTransform(seed=3).fit(data)
    once = inner(data[:])
    twice = outer(dict(once))
    assert all(a != b != c for a, b, c in zip(data["text"], once["text"], twice["text"]))
    assert inner.restore(outer.restore(dict(twice)))["text"] == data["text"][:]


CARRIERS = st.lists(st.sampled_from(["a", "b", "a b", "b c", "c a", "a b c", "c", "d", "e f", "导演", "d e"]), unique=True,
                    min_size=1)  # fmt: skip


@given(
    CARRIERS,
    st.lists(st.text(st.sampled_from("abcdef  \n.,<`电影导演\ue000"), max_size=30), min_size=1, max_size=4),
    st.data(),
)
def test_what_goes_in_comes_out_again_whatever_the_text_holds(carriers, texts, data):
    pool = without_overlap(carriers)
    for text in texts:
        original = PhraseCanonical(text, pool)
        places = original.in_order(sorted(data.draw(st.lists(st.integers(0, len(original.text)), max_size=4))))
        words = [data.draw(st.sampled_from(pool)) for _ in places]
        changed = PhraseCanonical(original.with_words(places, words), pool)
        assert changed.text == original.text
        assert changed.without_words(places, words) == text


@given(
    st.lists(st.text(max_size=60), min_size=1, max_size=4),
    st.sampled_from(DESIGNS[:3]),
    st.sampled_from([0.02, 0.5]),
)
def test_restore_gives_the_originals_back(texts, design, rate):
    cloak = fitted(**design, rate=rate)
    texts = [*texts, "alpha one alpha " + texts[0], "这部电影讲述了导演的故事 beta two", "epsilon", "One. Two, three."]
    batch = {"text": texts, "label": [LABELS[i % 2] for i in range(len(texts))]}
    changed = cloak(batch)
    assert all(a != b for a, b in zip(changed["text"][-4:], texts[-4:]))
    assert cloak.restore(changed) == batch


@pytest.mark.parametrize("design", [{}, {"code": "place"}, {"carrier_source": "words", "num_codes": 4}], ids=str)
def test_restore_of_real_reviews(design, tmp_path):
    data = real("imdb").select(range(0, 24_000, 60))
    cloak = OrderCodeTransform(seed=1, **design).fit(data)
    cloak.key.save(tmp_path / "key")
    protected = {"text": protect(cloak, data), "label": data["label"][:]}
    assert all(a != b for a, b in zip(protected["text"], data["text"][:]))
    assert load_transform(tmp_path / "key").restore(protected)["text"] == data["text"][:]


def test_restore_refuses_what_it_did_not_make():
    cloak = fitted()
    with pytest.raises(ValueError, match=r"Row 0 .*'text'.*not protected with this key"):
        cloak.restore({"text": "never protected", "label": "pos"})
    with pytest.raises(ValueError, match="not protected with this key"):
        cloak.restore(fitted(seed=2, code="place")({"text": TEXTS[0], "label": "pos"}))
