"""Every countermeasure finds what it is for, costs clean texts no more than it says, and repeats itself."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_unlearnable.adversary import Attacker, Rows, mixed_with_clean
from hf_unlearnable.text.countermeasures import TEXT_COUNTERMEASURES, label_words, outside
from hf_unlearnable.text.countermeasures.label_words import label_word_filter
from hf_unlearnable.text.countermeasures.words import without
from hf_unlearnable.text.methods.order_code import OrderCodeTransform
from hf_unlearnable.text.methods.regtext import RegTextTransform
from tests.examples import MODELS, real

DELETING = [
    "z-score-filter", "z-score-filter-robust", "pmi-filter", "label-word-filter", "outside-frequency-filter",
    "unknown-word-filter", "bigram-filter", "skip-gram-filter", "position-filter", "order-probe", "connective-filter",
    "frequent-word-filter",
]  # fmt: skip
DROPPING = ["z-score-drop-rows", "near-duplicate-removal"]
WITHOUT_MODEL = [name for name in TEXT_COUNTERMEASURES if name != "onion"]

WORDS = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in ("l", "m", "n", "r", "st", "x")]
LABELS = (-3, 8, 40)


def clean_rows(n: int = 4000, seed: int = 0, words: int = 12) -> Rows:
    """Texts whose words tell a little of three labels, and one rare word each, as languages have them."""
    random = np.random.default_rng(seed)
    labels = random.choice(LABELS, n)
    weights = 1 / np.arange(2, len(WORDS) + 2)
    texts = []
    for i, label in enumerate(labels):
        own = weights * np.where(np.arange(len(WORDS)) % 6 == LABELS.index(label), 1.5, 1)
        drawn = [*random.choice(WORDS, words - 1, p=own / own.sum()), f"rare{i % (n // 6)}"]
        texts.append(" ".join(random.permutation(drawn)).capitalize() + ".")
    return Rows(texts, labels.tolist())


def with_words(rows: Rows, pools: dict[int, list[str]], share: float = 1.0, seed: int = 5) -> Rows:
    """One word of the label's pool at a random place of a share of the texts."""
    random = np.random.default_rng(seed)
    texts = []
    for text, label in zip(rows.inputs, rows.labels):
        pieces = text.split(" ")
        if random.random() < share:
            pieces.insert(int(random.integers(len(pieces))), str(random.choice(pools[label])))
        texts.append(" ".join(pieces))
    return Rows(texts, rows.labels)


CLEAN = clean_rows()
CORPUS = clean_rows(seed=1).inputs
ONE_WORD = {-3: ["zorp"], 8: ["quib"], 40: ["vlim"]}
TEN_WORDS = {label: [f"zo{label % 7}{letter}p" for letter in "abcdefghij"] for label in LABELS}
ATTACKER = Attacker(clean=clean_rows(900, seed=2), corpus=CORPUS, paraphrase=lambda texts: [t.upper() for t in texts])


def run(name: str, rows: Rows, attacker: Attacker = ATTACKER) -> Rows:
    return TEXT_COUNTERMEASURES[name].on_rows(rows, attacker)


# ------------------------------------------------------------------ all of them
@pytest.mark.parametrize("name", WITHOUT_MODEL)
def test_is_a_pure_function_that_repeats_itself(name):
    rows = with_words(CLEAN, ONE_WORD)
    texts, labels = list(rows.inputs), list(rows.labels)
    before = np.random.get_state()[1].tolist()
    first, again = run(name, rows), run(name, rows)
    assert (list(first.inputs), list(first.labels)) == (list(again.inputs), list(again.labels))
    assert (rows.inputs, rows.labels) == (texts, labels), "its input was changed"
    assert np.random.get_state()[1].tolist() == before, "it drew from the global generator"
    assert len(first.inputs) == len(first.labels) and set(first.labels) <= set(LABELS)
    if name not in DROPPING and not name.startswith("clean"):
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


@settings(max_examples=40, deadline=None)
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


# ------------------------------------------------------------------ words that go with a label
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


# ------------------------------------------------------------------ order and place
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


def test_doubled_words_are_undone():
    rows = Rows(["The the film is is is good good .", "thethe cat catcat", "had had", "", "a b a b"], [0] * 5)
    assert run("doubled-word-filter", rows).inputs == ["The film is good .", "thethe cat catcat", "had", "", "a b a b"]


@pytest.mark.parametrize("name", ["position-filter", "frequent-word-filter"])
def test_a_place_is_found(name):
    assert list(run(name, with_place(CLEAN)).inputs) == list(run(name, CLEAN).inputs)


@pytest.mark.parametrize("name", ["z-score-filter", "z-score-filter-robust", "z-score-drop-rows", "label-word-filter"])
def test_word_statistics_see_no_order(name):
    planted = with_order(CLEAN, ORDERS, adjacent=True)
    assert list(run(name, planted).inputs) == planted.inputs


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({"rotate": False, "code": "order"}, ["skip-gram-filter", "position-filter", "order-probe"]),
        ({"code": "adjacent"}, ["skip-gram-filter", "bigram-filter"]),
        ({"code": "place"}, ["position-filter"]),
        ({"code": "order", "rotate": False, "carrier_source": "words"}, ["skip-gram-filter", "position-filter"]),
    ],
    ids=["order", "turned", "place", "words"],
)
def test_order_filters_find_the_carriers_of_order_codes(parameters, names):
    rows = real("sst2").shuffle(seed=0).select(range(2000))
    texts, labels = rows["text"][:], rows["label"][:]
    cloak = OrderCodeTransform(seed=3, **parameters).fit(rows)
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


# ------------------------------------------------------------------ words from elsewhere
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


# ------------------------------------------------------------------ rows, letters, rewriting
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


# ------------------------------------------------------------------ clean rows
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
