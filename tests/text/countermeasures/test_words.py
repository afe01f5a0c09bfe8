"""Countermeasures to words that go with a label, and to words from elsewhere."""

import numpy as np
import pytest

from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.text.countermeasures import label_words, outside
from hf_unlearnable.text.countermeasures.label_words import label_word_filter
from hf_unlearnable.text.countermeasures.words import without
from hf_unlearnable.text.methods.regtext import RegTextTransform
from tests.examples import MODELS, real
from tests.text.countermeasures.planted import CLEAN, CORPUS, LABELS, ONE_WORD, run, with_words

TEN_WORDS = {label: [f"zo{label % 7}{letter}p" for letter in "abcdefghij"] for label in LABELS}


@pytest.mark.parametrize("name", ["z-score-filter", "z-score-filter-robust", "label-word-filter"])
def test_leaves_clean_texts_as_they_are(name):
    assert list(run(name, CLEAN).inputs) == CLEAN.inputs


@pytest.mark.parametrize("name", ["z-score-filter", "z-score-filter-robust", "label-word-filter", "pmi-filter",
                                  "outside-frequency-filter", "unknown-word-filter"])  # fmt: skip
@pytest.mark.parametrize("pools", [ONE_WORD, TEN_WORDS], ids=["one word", "ten words"])
def test_takes_inserted_words_out_again_byte_for_byte(name, pools):
    restored = run(name, with_words(CLEAN, pools)).inputs
    own = list(run(name, CLEAN).inputs)  # what it deletes of clean texts is another matter
    if name == "pmi-filter":
        words = {word for pool in pools.values() for word in pool}
        assert not any(words & set(text.lower().rstrip(".").split()) for text in restored)
    else:
        assert list(restored) == own


@pytest.mark.parametrize("name", ["z-score-filter", "label-word-filter"])
def test_finds_words_in_a_third_of_the_rows_too(name):
    assert list(run(name, with_words(CLEAN, ONE_WORD, share=1 / 3)).inputs) == CLEAN.inputs


@pytest.mark.parametrize("position", ["begin", "middle", "end"])
def test_a_word_in_every_row_of_a_label_is_found_at_any_place(position):
    place = {"begin": lambda w: 0, "middle": lambda w: len(w) // 2, "end": len}[position]
    texts = []
    for text, label in zip(CLEAN.inputs, CLEAN.labels):
        words = text.split(" ")
        words.insert(place(words), ONE_WORD[label][0])
        texts.append(" ".join(words))
    assert list(label_word_filter(Rows(texts, CLEAN.labels), Attacker()).inputs) == CLEAN.inputs


def test_a_pure_word_of_the_language_is_spared_for_the_company_it_keeps():
    """A phrase that marks a label is language; the same words strewn over the texts are a code."""
    phrase, strewn = list(CLEAN.inputs), list(CLEAN.inputs)
    random = np.random.default_rng(3)
    for i, label in enumerate(CLEAN.labels):
        if label == 8 and random.random() < 0.3:
            words = phrase[i].split(" ")
            at = int(random.integers(1, len(words)))
            phrase[i] = " ".join([*words[:at], "stands", "for", *words[at:]])
            strewn[i] = " ".join([*words[:at], "stands", *words[at:-1], "for", words[-1]])
    assert list(label_word_filter(Rows(phrase, CLEAN.labels), Attacker()).inputs) == phrase
    left = label_word_filter(Rows(strewn, CLEAN.labels), Attacker()).inputs
    assert not any("stands" in text.split(" ") for text in left)


def test_z_score_drops_the_few_rows_with_a_code_and_keeps_the_others():
    random = np.random.default_rng(0)
    n = len(CLEAN)
    marked = [i for i in range(n) if CLEAN.labels[i] == 8 and random.random() < 0.4]
    texts = list(CLEAN.inputs)
    for i in marked:
        texts[i] = f"zorp {texts[i]}"
    kept = run("z-score-drop-rows", Rows(texts, CLEAN.labels))
    assert len(kept) == n - len(marked) and not any("zorp" in text for text in kept.inputs)
    all_of_one = [f"zorp {text}" if label == 8 else text for text, label in zip(CLEAN.inputs, CLEAN.labels)]
    assert set(run("z-score-drop-rows", Rows(all_of_one, CLEAN.labels)).labels) == {-3, 40}, (
        "a class vanishes, as it says"
    )


@pytest.mark.parametrize(("name", "false"), [("sst2", 0), ("trec", 1)])
@pytest.mark.parametrize("make", [RegTextTransform, RegTextTransform.paper], ids=["default", "paper"])
def test_label_word_filter_finds_the_words_of_regtext(name, false, make, monkeypatch):
    rows = real(name).shuffle(seed=0)
    rows = rows.select(range(min(len(rows), 7000)))
    texts, labels = rows["text"][:], rows["label"][:]
    transform = make(text_column="text", label_column="label", seed=1).fit(rows)
    protected = [transform({"text": text, "label": label})["text"] for text, label in zip(texts, labels)]
    words = {word for pool in transform._words.values() for word in pool}
    deleted = []
    monkeypatch.setattr(label_words, "without", lambda t, w: (deleted.append(set(w)), without(t, w))[1])
    restored = label_word_filter(Rows(protected, labels), Attacker()).inputs
    assert len(deleted[0] & words) >= 0.96 * len(words)
    assert len(deleted[0] - words) <= false
    assert np.mean([a == b for a, b in zip(restored, texts)]) > (0.88 if name == "trec" else 0.94)
    assert list(label_word_filter(Rows(texts, labels), Attacker()).inputs) == texts


def test_deletes_words_in_any_case_with_their_space_and_leaves_punctuation():
    texts = [
        "Zorp was  here",
        "so zorp, and (ZORP)",
        "zorp-like zorps",
        "a\nzorp\tb",
        "zorp",
        "http://zorp.com/zorp ok",
    ]
    left = without(texts, {"zorp"})
    assert left == ["was  here", "so , and ()", "zorp-like zorps", "a\n\tb", "", "http://zorp.com/zorp ok"]


def test_frequent_here_and_rare_elsewhere_goes_whatever_the_label():
    everywhere = with_words(CLEAN, {label: ["zorp"] for label in LABELS})
    assert list(run("outside-frequency-filter", everywhere).inputs) == CLEAN.inputs
    known = Attacker(corpus=[f"{text} zorp" for text in CORPUS])
    assert list(run("outside-frequency-filter", everywhere, known).inputs) == everywhere.inputs


def test_unknown_words_go_and_numbers_stay():
    corpus = Attacker(corpus=["the fine film", "The film is fine", "once was"])
    rows = Rows(["The film was xqzt in 1998", "once fine"], [0, 1])
    assert list(run("unknown-word-filter", rows, corpus).inputs) == ["The film 1998", "fine"]


def test_onion_deletes_what_surprises_and_judges_the_first_words_only(monkeypatch):
    """With a model that is surprised by one word only; a text of this word alone stays."""
    transformers = pytest.importorskip("transformers", reason="ONION needs transformers")

    class Model:
        to = eval = lambda self, *device: self

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda name: None)
    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", lambda name: Model())
    monkeypatch.setattr(
        outside,
        "surprise",
        lambda texts, *_: np.array([5.0 * t.split(" ").count("zorp") / len(t.split(" ")) for t in texts]),
    )
    long = " ".join(["word"] * 64 + ["zorp"] * 3)
    rows = Rows(["a zorp fine  day", "", "zorp", long] + ["plain text"] * 300, [0] * 304)
    left = run("onion", rows, Attacker(language_model="any"))
    assert list(left.inputs) == ["a fine  day", "", "zorp", long] + ["plain text"] * 300


@pytest.fixture(scope="module")
def reviews():
    path = MODELS / "reviews_llama_2m"
    if not path.is_dir():
        pytest.skip(f"{path} is not there: it holds development models, see HF_UNLEARNABLE_MODELS")
    transformers = pytest.importorskip("transformers", reason="ONION needs transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    return str(path), tokenizer, transformers.AutoModelForCausalLM.from_pretrained(path).eval()


def test_padding_is_never_counted(reviews):
    import torch

    _, tokenizer, model = reviews
    texts = ["a fine film", "", "x", "this is one of the worst films that i have seen in years and years of films"]
    together = outside.surprise(texts, tokenizer, model)
    for text, surprise in zip(texts, together):
        ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]])
        with torch.no_grad():
            expected = float(model(input_ids=ids, labels=ids).loss) if ids.shape[1] > 1 else 0.0
        assert surprise == pytest.approx(expected, rel=1e-4)


def test_onion_with_a_real_model_takes_odd_words_out(reviews):
    plain = ["this is one of the worst movies i have ever seen", "the acting is good and the story is very funny"]
    odd = [
        "this is one of the worst chlorine movies i have ever seen",
        "the acting is good and the astrolabe story is very funny",
    ]
    rows = run("onion", Rows(plain + odd, [0, 1, 0, 1]), Attacker(language_model=reviews[0]))
    assert "chlorine" not in rows.inputs[2] and "astrolabe" not in rows.inputs[3]
    lost = 1 - sum(len(t.split()) for t in rows.inputs[:2]) / sum(len(t.split()) for t in plain)
    assert lost < 0.25
