"""What protecting did to texts, in words."""

import numpy as np
import pytest
from datasets import Dataset

from hf_unlearnable import RegTextTransform
from hf_unlearnable.text.fidelity import excerpts, text_fidelity


def test_words_are_counted():
    before = Dataset.from_dict({"text": ["a b c d", "e f", "unchanged"]})
    after = Dataset.from_dict({"text": ["a x b c d", "e y", "unchanged"]})
    found = text_fidelity(before, after.to_iterable_dataset())
    assert (found.texts, found.changed, found.words) == (3, 2, 6)
    assert found.words_added == pytest.approx(100 / 6)  # x
    assert found.edit_rate == pytest.approx(200 / 6)  # x, and y for f
    assert str(found) == "2 of 3 texts changed: +16.7 words per 100, edit rate 33.3 %"
    assert str(text_fidelity(before, before)) == "3 texts, none changed"
    with pytest.raises(ValueError, match="as many texts"):
        text_fidelity(before, after.select(range(2)))
    long = Dataset.from_dict({"text": ["a b"] * 1000})
    with pytest.raises(ValueError, match="as many texts"):
        text_fidelity(long, Dataset.from_dict({"text": ["a b"] * 2000}))


def test_words_of_chat_messages():
    chat = [[{"role": "user", "content": "a b"}, {"role": "assistant", "content": "c"}]]
    longer = [[{"role": "user", "content": "a x b"}, {"role": "assistant", "content": "c"}]]
    found = text_fidelity(Dataset.from_dict({"text": chat}), Dataset.from_dict({"text": longer}))
    assert found.words == 3 and found.words_added == found.edit_rate == pytest.approx(100 / 3)


@pytest.mark.parametrize(
    ("script", "sentences"),
    {
        "Chinese": (
            "这部电影非常好看我很喜欢演员表演出色值得推荐给大家",
            "剧情无聊表演糟糕浪费时间我不喜欢这部建议不要去看",
        ),
        "Japanese": (
            "とても面白い映画で俳優の演技も素晴らしかったです",
            "退屈な話で時間の無駄でしたおすすめできません",
        ),
        "Thai": ("หนังเรื่องนี้สนุกมากนักแสดงเก่งมากและดนตรีไพเราะ", "หนังเรื่องนี้น่าเบื่อมากเสียเวลาไม่ควรดูเลย"),
        "English": ("a lovely and moving film with a fine cast ", "a dull and tedious film with an awful plot "),
    }.items(),
)
def test_what_a_reader_has_more_to_read_is_counted_in_words_of_the_script(script, sentences):
    random = np.random.default_rng(0)
    rows = [sentences[i % 2] * 4 + f"{''.join(random.permutation(list(sentences[0].strip())))} " for i in range(200)]
    data = Dataset.from_dict({"text": rows, "label": [i % 2 for i in range(200)]})
    protected = data.map(RegTextTransform(seed=1, rate=0.1).fit(data), batched=True)
    found = text_fidelity(data, protected)
    assert found.changed == 200
    assert 6 <= found.words_added <= 13 and found.edit_rate == pytest.approx(found.words_added, rel=0.2)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("word " * 60, "word " * 60 + "zq1"),
        ("word " * 60 + "last.", "word " * 60 + "last. zq1"),
        ("word " * 60 + "zq1", "word " * 60),
        ("short", "short zq1"),
        ("zq1 " + "word " * 60, "word " * 60),
        ([{"role": "user", "content": "word " * 60}], [{"role": "user", "content": "word " * 60 + "zq1"}]),
    ],
)
def test_an_excerpt_shows_the_change_wherever_it_stands(before, after):
    one, two = excerpts(before, after)
    assert "zq1" in one + two and one != two and max(map(len, (one, two))) <= 150 + len("... " + " ...")


def test_an_excerpt_of_equal_texts_is_their_beginning():
    assert excerpts("a b " * 100, "a b " * 100)[0].startswith("a b a b")
