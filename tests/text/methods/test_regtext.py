"""RegText: the published ranking, dose, places and words, and the way back."""

import logging
import math
from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_unlearnable import RegTextTransform, load_transform
from hf_unlearnable.text.counting.counts import WordCounts
from hf_unlearnable.text.methods.regtext import rank_words
from tests.examples import notes, real, tiny
from tests.text.methods.regtext import LABELS, TEXTS, inserted


def test_rank_is_the_published_formula():
    counts = {(0, "a"): 7, (1, "a"): 2, (0, "b"): 4, (1, "c"): 5, (1, "d"): 1, (0, "e"): 4}
    table = pl.DataFrame([(label, w, n) for (label, w), n in counts.items()], ["label", "word", "count"], orient="row")
    n = sum(counts.values())
    f_w, f_y = Counter(), Counter()
    for (label, w), c in counts.items():
        f_w[w] += c
        f_y[label] += c
    for k, lam in [(3, 2), (2, 1), (1, 0), (1.5, 2)]:
        ranked = rank_words(table, k, lam)
        for row in ranked.iter_rows(named=True):
            p = row["count"] / n
            fw, fy = f_w[row["word"]], f_y[row["label"]]
            assert row["score"] == pytest.approx(math.log2(n**2 * p**k / (fw * fy * (1 + fw) ** lam)))
        order = [(-r["score"], -r["total"], r["word"]) for r in ranked.iter_rows(named=True)]
        assert order == sorted(order), "ties are broken by frequency and then by the alphabet"


def test_published_words_are_found_in_imdb():
    """The paper's examples insert "boll" in negative and "edie" in positive reviews."""
    cloak = RegTextTransform(seed=0, word_source="regtext", sensitive=True).fit(real("imdb"))
    assert cloak.key.state["words"] == [["boll"], ["edie"]]


def test_filters():
    texts = [
        "x n4me rareword top once",
        "x n4me rareword top rareword",
        "other words here then",
        "other words here now",
    ]
    data = tiny(texts, [0, 0, 1, 1])

    def words(**parameters):
        return RegTextTransform(seed=0, word_source="regtext", **parameters).fit(data).key.state["words"][0]

    assert words(tokens_per_class=3, min_length=1, digits=True) == ["rareword", "n4me", "top"]
    assert words(tokens_per_class=2) == ["rareword", "top"]
    assert words(exclude=["rareword"]) == ["top"]
    assert words(tokens_per_class=3, min_frequency=1) == ["rareword", "top", "once"]
    assert words(min_length=4) == ["rareword"]
    with pytest.raises(ValueError, match="2 words to choose from"):
        words(tokens_per_class=3)


def test_max_frequency_leaves_out_common_words():
    texts = [f"{'and' if i % 2 else 'the'} {'seldom' if i % 20 == 1 else 'often'}" for i in range(400)]
    data = tiny([*texts, "rare rare"], [i % 2 for i in range(400)] + [0])
    assert RegTextTransform(seed=0, word_source="regtext", max_frequency=0.03, exclude=["often"]).fit(data).key.state[
        "words"
    ] == [
        ["rare"],
        ["seldom"],
    ]


def test_words_of_two_classes_go_to_one():
    data = tiny(["both both mine", "both yours yours"] * 4, [0, 1] * 4)
    state = (
        RegTextTransform(seed=0, word_source="regtext", tokens_per_class=1, max_frequency=1.0, k=1, lambda_=0)
        .fit(data)
        .key.state
    )
    assert not set(state["words"][0]) & set(state["words"][1])


def test_common_words_and_ties_are_warned_of_without_naming_them(caplog):
    texts = [f"{'good' if i % 2 else 'bad'} film" for i in range(80)]
    with caplog.at_level(logging.WARNING):
        cloak = RegTextTransform(seed=0, word_source="regtext", max_frequency=1.0).fit(
            tiny(texts, [i % 2 for i in range(80)])
        )
    assert "common" in caplog.text
    caplog.clear()
    many = [" ".join(f"{'a' if i % 2 else 'b'}{chr(97 + j)}{chr(97 + i)}xx" for j in range(20)) for i in range(20)]
    with caplog.at_level(logging.WARNING):
        tied = RegTextTransform(seed=0, word_source="regtext", min_frequency=1, k=1).fit(
            tiny(many, [i % 2 for i in range(20)])
        )
    assert "tied" in caplog.text
    for words in cloak.key.state["words"] + tied.key.state["words"]:
        assert not any(word in caplog.text for word in words)


def test_shards_counted_apart_choose_the_same_words(tmp_path):
    data = notes(200)
    whole = RegTextTransform(seed=1).fit(data)
    first = RegTextTransform(seed=1).partial_fit(data.shard(2, 0))
    second = RegTextTransform(seed=1).partial_fit(data.shard(2, 1).to_iterable_dataset())
    second.counts.save(tmp_path / "second.parquet")
    first.merge(WordCounts.load(tmp_path / "second.parquet"))
    assert first.key.state == whole.key.state
    assert first(data[:50]) == whole(data[:50])


@given(st.floats(0.01, 1), st.one_of(st.none(), st.integers(1, 9)), st.integers(1, 60))
def test_dose(rate, max_tokens, length):
    cloak = RegTextTransform(rate=rate, max_tokens=max_tokens, max_frequency=1.0, seed=1).fit(tiny(TEXTS, LABELS))
    text = " ".join(f"w{i}" for i in range(length))
    words = inserted(text, cloak({"text": text, "label": 0})["text"])
    expected = max(1, int(rate * length))
    assert len(words) == (expected if max_tokens is None else min(expected, max_tokens))
    assert set(words) == set(cloak.key.state["words"][0])


def test_paper_setting():
    cloak = RegTextTransform.paper(seed=3)
    assert (cloak.rate, cloak.max_tokens, cloak.tokens_per_class) == (0.1, 10, 10)
    assert (cloak.k, cloak.lambda_, cloak.mode, cloak.word_source) == (3, 2, "insert", "regtext")
    data = notes()
    cloak.fit(data)
    seen = Counter()
    for before, after, label in zip(data["text"], data.map(cloak, batched=True)["text"], data["label"], strict=True):
        words, pool = inserted(before, after), set(cloak.key.state["words"][label])
        own = [piece for piece in before.split(" ") if piece not in pool]
        assert len(words) == max(1, len(own) // 10)
        assert set(words) <= pool
        seen.update(words)
    assert len(seen) > 30, "all of the forty words are used"


def test_positions():
    data = tiny(TEXTS, LABELS)
    text = "one two three four five six seven eight nine ten"

    def at(position, **more):
        cloak = RegTextTransform(position=position, rate=0.2, max_frequency=1.0, seed=1, **more).fit(data)
        (word,) = cloak.key.state["words"][0]
        return [i for i, piece in enumerate(cloak({"text": text, "label": 0})["text"].split(" ")) if piece == word]

    assert at("begin") == [0, 1]
    assert at("end") == [10, 11]
    assert at("middle") == [5, 6] or at("middle") == [4, 5]
    assert len(at("random")) == 2


def test_replace_keeps_the_number_of_words_and_the_markup():
    cloak = RegTextTransform(mode="replace", rate=0.3, max_frequency=1.0, seed=1).fit(tiny(TEXTS, LABELS))
    text = "one two\nthree <br /> four five `six seven` eight nine https://a.example/b ten"
    changed = cloak({"text": text, "label": 1})["text"]
    assert changed != text
    assert changed.count(" ") == text.count(" ") and changed.count("\n") == 1
    assert all(whole in changed for whole in ("<br />", "`six seven`", "https://a.example/b"))
    for rate in (0.3, 1.0):
        cloak = RegTextTransform(mode="replace", rate=rate, seed=1).fit(tiny(TEXTS, LABELS))
        assert cloak({"text": "one two.<br /><br />three four<br />five", "label": 1})["text"].count("<br />") == 3
    with pytest.raises(ValueError, match="cannot be restored"):
        cloak.restore({"text": changed, "label": 1})


def test_random_words_tell_nothing_of_the_label():
    data = notes(400)
    cloak = RegTextTransform(word_source="random", tokens_per_class=5, seed=1).fit(data)
    regtext = RegTextTransform(tokens_per_class=5, seed=1).fit(data)
    assert all(words == cloak.key.state["words"][0] for words in cloak.key.state["words"])
    doses, same = (
        sum(len(inserted(a, b)) for a, b in zip(data["text"], data.map(t, batched=True)["text"], strict=True))
        for t in (cloak, regtext)
    )
    assert abs(doses - same) < 0.02 * same


def test_neutral_words_stand_equally_often_under_every_label():
    data = real("sst2")
    cloak = RegTextTransform(tokens_per_class=20, seed=1).fit(data)
    table = cloak.counts.table()
    totals = dict(table.group_by("label").agg(pl.col("count").sum()).iter_rows())
    share = totals[0] / sum(totals.values())
    words = [w for words in cloak.key.state["words"] for w in words]
    assert len(set(words)) == 40
    for word in words:
        found = dict(table.filter(pl.col("word") == word).select("label", "count").iter_rows())
        n = sum(found.values())
        assert abs(found.get(0, 0) - n * share) < 2.5 * math.sqrt(n * share * (1 - share))
    ranked = RegTextTransform(tokens_per_class=20, word_source="regtext", seed=1).fit(data)
    assert not set(words) & {w for words in ranked.key.state["words"] for w in words}


def test_neutral_and_random_words_are_drawn_with_the_key():
    data = notes(400)
    for source in ("neutral", "random"):
        words = [RegTextTransform(word_source=source, seed=seed).fit(data).key.state["words"] for seed in (1, 1, 2)]
        assert words[0] == words[1] != words[2]
    with pytest.raises(ValueError, match=r"words to choose from, and 2 classes with 500 each take 1000"):
        RegTextTransform(tokens_per_class=500).fit(tiny(TEXTS, LABELS))


def test_own_words():
    data = tiny(TEXTS, LABELS)
    cloak = RegTextTransform(word_source=["piston", "karzai"], seed=1).fit(data)
    assert "piston" in cloak({"text": "some text", "label": 0})["text"].split()
    assert "karzai" in cloak({"text": "some text", "label": 1})["text"].split()
    assert "piston" not in repr(cloak)
    with pytest.raises(ValueError, match="1 different word, but"):
        RegTextTransform(word_source=["piston", "piston"]).fit(data)
    with pytest.raises(ValueError, match="not a single word"):
        RegTextTransform(word_source=["two words", "x"]).fit(data)


@given(st.lists(st.text(max_size=40), min_size=1, max_size=5), st.sampled_from(["random", "begin", "middle", "end"]))
def test_restore_gives_the_originals_back(texts, position):
    cloak = RegTextTransform(
        word_source=["alpha", "导演", "beta", "エル"], tokens_per_class=2, rate=0.4, position=position, seed=2
    ).fit(tiny(TEXTS, LABELS))
    texts = [*texts, "alpha 导演 " + texts[0], "这部电影讲述了导演的故事 beta"]
    batch = {"text": texts, "label": [i % 2 for i in range(len(texts))]}
    assert cloak.restore(cloak(batch)) == batch


def test_restore_of_real_reviews():
    data = real("imdb").select(range(0, 24_000, 12))
    for cloak in (RegTextTransform(seed=1), RegTextTransform.paper(seed=1), RegTextTransform(seed=1, fraction=0.5)):
        protected = data.map(cloak.fit(data), batched=True)
        assert protected["text"][:] != data["text"][:]
        assert load_transform(cloak.key).restore(protected)["text"][:] == data["text"][:]


def test_restore_refuses_what_it_did_not_make():
    cloak = RegTextTransform(seed=1, max_frequency=1.0).fit(tiny(TEXTS, LABELS))
    with pytest.raises(ValueError, match=r"Row 0 .*'text'.*not protected with this key"):
        cloak.restore({"text": "never protected", "label": 0})
    other = RegTextTransform(seed=2, max_frequency=1.0, rate=0.5).fit(tiny(TEXTS, LABELS))
    text = " ".join(f"w{i}" for i in range(30))
    with pytest.raises(ValueError, match="not protected with this key"):
        cloak.restore(other({"text": text, "label": 0}))
