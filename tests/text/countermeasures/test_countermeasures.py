"""Every countermeasure is pure, deletes whole words only, and says what it needs."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_unlearnable.adversary import Attacker, Rows, mixed_with_clean
from hf_unlearnable.text.countermeasures import TEXT_COUNTERMEASURES
from tests.text.countermeasures.planted import ATTACKER, CLEAN, LABELS, ONE_WORD, clean_rows, run, with_words

DELETING = [
    "z-score-filter", "z-score-filter-robust", "pmi-filter", "label-word-filter", "outside-frequency-filter",
    "unknown-word-filter", "bigram-filter", "skip-gram-filter", "position-filter", "order-probe", "connective-filter",
    "frequent-word-filter", "keyword-filter", "duplicate-phrase-filter", "attribution-filter",
    "attribution-transfer-filter", "lexicon-filter",
]  # fmt: skip
DROPPING = ["z-score-drop-rows", "near-duplicate-removal", "small-loss-selection", "disagreement-filter"]
WITHOUT_MODEL = [name for name in TEXT_COUNTERMEASURES if name != "onion"]


@pytest.mark.parametrize("name", WITHOUT_MODEL)
def test_is_a_pure_function_that_repeats_itself(name):
    count = 1000 if name == "keyword-filter" else len(CLEAN)  # it takes long, and finds the words in these too
    rows = with_words(Rows(CLEAN.inputs[:count], CLEAN.labels[:count]), ONE_WORD)
    texts, labels = list(rows.inputs), list(rows.labels)
    before = np.random.get_state()[1].tolist()
    first, again = run(name, rows), run(name, rows)
    assert (list(first.inputs), list(first.labels)) == (list(again.inputs), list(again.labels))
    assert (rows.inputs, rows.labels) == (texts, labels), "its input was changed"
    assert np.random.get_state()[1].tolist() == before, "it drew from the global generator"
    assert len(first.inputs) == len(first.labels) and set(first.labels) <= set(LABELS)
    if name not in (*DROPPING, "relabel") and not name.startswith("clean"):
        assert list(first.labels) == labels


@pytest.mark.parametrize("name", WITHOUT_MODEL)
@pytest.mark.parametrize(
    "rows",
    [Rows([], []), Rows([""], [4]), Rows(["", " ", "\n"], [0, 1, 0]), Rows(["…", "«»"], [0, 1])],
    ids=["no rows", "an empty text", "spaces", "no words"],
)
def test_takes_what_holds_no_words(name, rows):
    changed = run(name, rows)
    if name in DELETING:
        assert list(changed.inputs) == list(rows.inputs)
    assert len(changed) <= len(rows) or name.startswith("clean")


SCRIPTS = st.text(st.sampled_from("ab Zé'-.<>&@#\n\t 的电影好 кино ฟิล์ม फ़िल्म İß🙂\u200d"), max_size=40)


@given(st.lists(st.tuples(SCRIPTS, st.integers(-2, 2)), max_size=8))
def test_deletes_whole_words_only_and_keeps_all_other_bytes_in_any_script(pairs):
    rows = Rows([text for text, _ in pairs], [label for _, label in pairs])
    for name in DELETING:
        for before, after in zip(rows.inputs, run(name, rows).inputs, strict=True):
            letters = iter(before)
            assert all(letter in letters for letter in after), "more than a deletion"


@pytest.mark.parametrize(("name", "need"), [(n, c.needs[0]) for n, c in TEXT_COUNTERMEASURES.items() if c.needs])
def test_says_what_it_needs(name, need):
    assert TEXT_COUNTERMEASURES[name].missing(Attacker()) == (need,)
    with pytest.raises(ValueError, match=f"Attacker\\({need}="):
        run(name, CLEAN, Attacker())


def test_near_duplicates_go_and_different_texts_stay():
    texts = clean_rows(300, seed=4, words=30).inputs
    almost = [" ".join([*text.split(" ")[:7], "other", *text.split(" ")[8:]]) for text in texts[:100]]
    rows = Rows([*texts, *almost, *texts[:50]], [0] * 400 + [1] * 50)
    left = run("near-duplicate-removal", rows)
    assert list(left.inputs[:300]) == texts, "the first of its kind stays"
    assert left.labels.count(0) - 300 <= 10, "a MinHash of 32 misses few"
    assert left.labels.count(1) == 50, "labels are apart, so that no class can vanish"


def test_normalisation_shows_what_is_written_and_leaves_plain_text():
    plain = ["A plain text,\nwith «quotes» — dashes – and é ñ ü.", "обычный текст", "ελληνικά", "电影 很好"]
    hidden = ["A p\u200bla\u2060in te\u00adxt,\nwith «quotes» — dashes – and e\u0301 ñ ü.", "обычный\ufeff текст"]
    assert list(run("unicode-normalisation", Rows([*plain, *hidden], [0] * 6)).inputs) == [*plain, *plain[:2]]
    look_alikes = ["the fіlm wаs ցreat", "ｆｕｌｌ width", "a\u00a0no-break", "Тhe ΑCE", "\U000e0041tag\U000e0042"]
    left = run("unicode-normalisation", Rows(look_alikes, [0] * 5)).inputs
    assert list(left) == ["the film was ցreat", "full width", "a no-break", "The ACE", "tag"]


def test_paraphrase_gives_as_many_texts_as_it_got():
    rows = Rows(["one", "two"], [3, 4])
    assert list(run("paraphrase", rows).inputs) == ["ONE", "TWO"]
    with pytest.raises(ValueError, match="got 2 texts and returned 1"):
        run("paraphrase", rows, Attacker(paraphrase=lambda texts: texts[:1]))


def test_dropout_and_shuffle_and_truncation_do_what_they_say():
    texts = [*CLEAN.inputs, "电影很好看但是有点长"]
    rows = Rows(texts, [0] * len(texts))
    dropped = run("word-dropout", rows)
    share = sum(len(t.split()) for t in dropped.inputs) / sum(len(t.split()) for t in texts)
    assert share == pytest.approx(0.7, abs=0.01)  # 48,000 words: five standard errors
    assert all(t for t in run("word-dropout", Rows(["word"] * 50, [0] * 50)).inputs), "no text is emptied"
    shuffled = run("word-shuffle", rows)
    assert all(Counter(a.split(" ")) == Counter(b.split(" ")) for a, b in zip(texts[:-1], shuffled.inputs))
    assert np.mean([a == b for a, b in zip(texts, shuffled.inputs)]) < 0.01
    assert shuffled.inputs[-1] != texts[-1] and sorted(shuffled.inputs[-1]) == sorted(texts[-1])
    other = Attacker(seed=1)
    assert run("word-shuffle", rows, other).inputs != shuffled.inputs
    assert run("word-dropout", rows, other).inputs != dropped.inputs
    long = " ".join(map(str, range(40)))
    assert list(run("truncate", Rows([long, "short  text"], [0, 0])).inputs) == [
        " ".join(map(str, range(32))),
        "short  text",
    ]


@pytest.mark.parametrize(("name", "added"), [("clean-1%", 40), ("clean-5%", 200), ("clean-20%", 800)])
def test_adds_that_share_of_clean_rows(name, added):
    mixed = run(name, CLEAN)
    assert list(mixed.inputs[:4000]) == CLEAN.inputs and list(mixed.labels[:4000]) == CLEAN.labels
    pairs = list(zip(mixed.inputs[4000:], mixed.labels[4000:]))
    own = list(zip(ATTACKER.clean.inputs, ATTACKER.clean.labels))
    assert len(pairs) == added and not Counter(pairs) - Counter(own), "drawn without replacement, each with its label"
    assert run(name, CLEAN, Attacker(seed=1, clean=ATTACKER.clean)).inputs != mixed.inputs


def test_mixes_images_and_warns_when_there_are_too_few(caplog):
    images = np.arange(10 * 4 * 4 * 3, dtype=np.uint8).reshape(10, 4, 4, 3)
    mixed = mixed_with_clean(0.5).on_rows(Rows(images[:8], np.arange(8)), Attacker(clean=Rows(images[8:], [8, 9])))
    assert len(mixed) == 10 and sorted(mixed.labels) == list(range(10))
    assert all((image == images[label]).all() for image, label in zip(mixed.inputs, mixed.labels))
    assert "4 clean rows were to be mixed in, and the attacker has 2" in caplog.text
    assert len(mixed_with_clean(0.01).on_rows(Rows(["a"], [0]), ATTACKER)) == 2, "one row at least"
    with pytest.raises(ValueError, match="share is 0"):
        mixed_with_clean(0)
