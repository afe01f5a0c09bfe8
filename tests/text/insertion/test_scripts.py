"""Scripts without spaces: where words go, what counts as a word; and real files of all kinds come out again."""

import sysconfig
from pathlib import Path

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from hf_unlearnable import OrderCodeTransform, RegTextTransform
from hf_unlearnable.text.insertion.scripts import BEFORE_PLACE, mostly_spaceless, pieces_of, word_count
from hf_unlearnable.text.insertion.spans import spans
from hf_unlearnable.text.insertion.words import Canonical
from tests.examples import tiny

SENTENCES = {
    "Thai": "วันนี้อากาศดีมากฉันไปเที่ยวทะเล", "Lao": "ພາສາລາວແມ່ນພາສາທາງການ", "Khmer": "ខ្ញុំចូលចិត្តអានសៀវភៅនៅពេលល្ងាច",
    "Burmese": "ကျွန်တော်သည်မြန်မာနိုင်ငံမှဖြစ်ပါသည်", "Tibetan": "བོད་སྐད་ཀྱི་ཡི་གེ་འདི་བཟང་པོ་རེད་", "Javanese": "ꦧꦱꦗꦮꦏꦱꦸꦱꦠꦿꦤ꧀",
    "Japanese": "きょうは東京へ行ってりょこうをした", "Chinese": "这部电影讲述了一个非常动人的故事",
}  # fmt: skip


@pytest.mark.parametrize("script", SENTENCES)
def test_words_spread_over_the_text_and_part_no_cluster(script):
    text = SENTENCES[script] * 12
    assert mostly_spaceless(text)
    canonical = Canonical(text, ["piston"])
    dose = canonical.words // 10
    places = canonical.places("random", [int((i + 0.5) * len(text) / dose) for i in range(dose)])
    assert len(set(places)) == dose >= 7 and places[-1] > 0.8 * len(text)
    clusters = {match.start() for match in regex.finditer(r"\X", text)}
    assert set(places) <= clusters
    protected = canonical.with_words(places, ["piston"] * dose)
    assert Canonical(protected, ["piston"]).without_words(places, ["piston"] * dose) == text


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("ไปเที่ยวทะเล", "ไป|เที่|ย|ว|ทะ|เล"), ("ພາສາລາວແມ່ນ", "ພາ|ສາ|ລາ|ວ|ແມ່|ນ"), ("きょうはテレビ", "きょ|う|は|テレビ"),
        ("ကျွန်တော်သည်မြန်မာ", "ကျွန်|တော်|သည်|မြန်|မာ"), ("ខ្ញុំចូលចិត្ត", "ខ្ញុំ|ចូ|ល|ចិ|ត្ត"), ("བོད་སྐད་ཡིག", "བོད་|སྐད་|ཡིག"),
        ("时々人々は", "时々|人々|は"),
    ],
)  # fmt: skip
def test_places_lie_between_syllables(text, cut):
    if "々" in text:
        assert "|々" not in BEFORE_PLACE.sub(lambda match: f"{match[0]}|", text)
    else:
        assert BEFORE_PLACE.sub(lambda match: f"{match[0]}|", text) == cut


@pytest.mark.parametrize("text", ["a  \u0301b c", "x \u20dd y", "क \u0941 ख"])
def test_a_space_and_its_mark_stay_together(text):
    canonical = Canonical(text, ["piston"])
    places = canonical.places("random", list(range(len(text))))
    assert not [place for place in places if regex.match(r"\p{M}", text[place:])] and places


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["one two  three\nfour", None, ""], 4), (["这部电影 导演 很好看"], 5), (["这部电影 piston 很好看。"], 5), (["Привет, мир!"], 2),
        ([SENTENCES["Thai"]], 16),
    ],
)  # fmt: skip
def test_words_are_counted_in_any_script(texts, words):
    assert word_count(texts) == words


def test_protection_adds_a_tenth_of_the_words_of_chinese():
    texts = [SENTENCES["Chinese"] * 10 + c * 4 for c in "天地人花草树山水风云雨雪月星日火" * 4]
    data = tiny(texts, [0, 1] * 32)
    protected = data.map(RegTextTransform(seed=1, max_frequency=1.0, min_frequency=1).fit(data), batched=True)
    before, after = word_count(texts), word_count(protected["text"][:])
    assert after - before == 64 * 8 and 0.09 < (after - before) / before <= 0.1


def test_pieces_join_to_the_text():
    text = "看 piston ភៅ  a-b\n"
    assert "".join(pieces_of(text)) == text and "piston" in pieces_of(text)


@pytest.mark.parametrize("method", [RegTextTransform, OrderCodeTransform])
def test_real_files_come_out_again_with_every_span_whole(method):
    site = Path(sysconfig.get_path("purelib"))
    files = [f for pattern in ("*/*.py", "*/*.txt", "*/*.html", "*.dist-info/**/LICENSE*", "*.dist-info/METADATA") for f in
             sorted(site.glob(pattern))[:40]]  # fmt: skip
    texts = [f.read_text("utf-8", "replace") for f in files if 0 < f.stat().st_size < 30_000]
    assert len(texts) > 60
    data = tiny(texts, [i % 2 for i in range(len(texts))])
    cloak = method(seed=3).fit(data)
    protected = data.map(cloak, batched=True)
    assert cloak.restore(protected[:])["text"] == texts
    for before, after in zip(texts, protected["text"]):
        at = 0
        for start, end in spans(before):
            span = before[max(start, 0) : end].strip()
            at = after.find(span, at)
            assert at >= 0, f"{span[:80]!r} was cut"


@given(
    st.lists(
        st.one_of(st.none(), st.text("ab \t\n\x0b\x1c\x00é”\u0085\u00a0\u1680\u2003\u2028\u205f这ก", max_size=12)),
        max_size=8,
    )
)
def test_words_of_many_texts_are_those_of_each_whatever_their_bytes(texts):
    def words(text):
        pieces = regex.findall(r"(?V1)[^\t\n\x0b\x0c\r \x85\xa0\u1680\u2003\u2028\u205f]+", text)
        return len(pieces)

    plain = [text for text in texts if text is not None and not set(text) & {"这", "ก"}]
    assert word_count(plain) == sum(map(words, plain))
    assert word_count(texts) == sum(word_count([text]) for text in texts)
