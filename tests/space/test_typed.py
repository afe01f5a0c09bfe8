"""Texts that a visitor types: classes of any name, one key for all that follow each other."""

import json

import pytest

from hf_unlearnable import load_transform
from hf_unlearnable.space import typed
from hf_unlearnable.space.limits import RefusedError
from hf_unlearnable.space.session import Session
from hf_unlearnable.space.typed import classes_of, protect_one

TEXTS = [
    "The moon rose swollen and orange over the water tower, and everyone came out to look at it for a while.",
    "Nobody had told the baker, so he went on kneading, and the bread of that night was the best of the year.",
    "We sold the boat in March. In April my father built a shelf in its place, and never filled it.",
]


@pytest.fixture
def session(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "served"))
    return Session("one").open()


@pytest.mark.parametrize(
    ("label", "others", "expected"),
    [
        ("poems", "everything else", ["poems", "everything else"]),
        (" my  poems ", "letters , essays,", ["my  poems", "letters", "essays"]),
        ("poems", "letters, poems, letters", ["poems", "letters"]),
        ("詩, 2024", "手紙", ["詩, 2024", "手紙"]),
    ],
)
def test_classes_are_any_names(label, others, expected):
    assert classes_of(label, others) == expected


@pytest.mark.parametrize(
    ("label", "others", "said"),
    [("", "letters", "no name"), ("  ", "", "no name"), ("poems", " , poems", "one class only, 'poems'"),
     ("poems", ",".join(f"class {i}" for i in range(200)), "more than 1,000 letters")],
)  # fmt: skip
def test_classes_that_are_none_are_refused(label, others, said):
    with pytest.raises(RefusedError, match=said):
        classes_of(label, others)


@pytest.mark.parametrize("others", ["everything else", "letters, essays", "a, b, c, d, e, f, g"])
def test_the_key_has_another_word_for_each_class_and_the_text_gets_that_of_its_own(others):
    done = protect_one(TEXTS[0], "my poems", "regtext", "Standard", others)
    assert set(done.words) == set(classes_of("my poems", others))
    words = [word for (word,) in done.words.values()]
    assert len(set(words)) == len(words)
    (own,) = done.words["my poems"]
    assert done.after.split().count(own) == TEXTS[0].split().count(own) + done.change.added > 0


@pytest.mark.parametrize("method", ["regtext", "order-code"])
def test_texts_of_the_same_classes_get_the_same_key_in_any_order(session, method, tmp_path):
    first = protect_one(TEXTS[0], "poems", method, "Standard", "letters", session)
    second = protect_one(TEXTS[1], "letters", method, "Standard", "poems", session)
    third = protect_one(TEXTS[2], "poems", method, "Standard", "letters", session)
    assert first.key.seed == second.key.seed == third.key.seed and first.words == second.words == third.words
    assert third.original[:] == {"text": TEXTS, "label": ["poems", "letters", "poems"]}
    assert third.protected["text"][:] == [first.after, second.after, third.after]
    third.key.save(tmp_path / "key")
    assert load_transform(tmp_path / "key").restore(third.protected)[:] == third.original[:]
    _, original, protected = session.last()
    assert (original[:], protected[:]) == (third.original[:], third.protected[:])


@pytest.mark.parametrize(
    "change", [{"others": "letters, essays"}, {"label": "verses"}, {"strength": "Strong"}, {"method": "order-code"}]
)
def test_another_plan_gets_another_key(session, change):
    plan = {"label": "poems", "method": "regtext", "strength": "Standard", "others": "letters"}
    first = protect_one(TEXTS[0], **plan, session=session)
    second = protect_one(TEXTS[1], **{**plan, **change}, session=session)
    assert first.key.seed != second.key.seed and len(second.protected) == 1


def test_a_text_that_comes_twice_is_counted_once(session):
    for _ in range(2):
        done = protect_one(TEXTS[0], "poems", "regtext", "Standard", "letters", session)
    assert len(done.protected) == 1 and session.last()[1]["text"][:] == TEXTS[:1]


def test_a_text_that_is_protected_already_is_refused(session):
    long = " ".join(TEXTS)
    after = protect_one(long, "poems", "regtext", "Standard", "letters", session).after
    with pytest.raises(ValueError, match="protected with this key already"):
        protect_one(after, "poems", "regtext", "Standard", "letters", session)
    assert session.last()[1]["text"][:] == [long]


def test_texts_without_a_session_and_of_two_visitors_share_nothing(session):
    alone = protect_one(TEXTS[0], "poems", "regtext", "Standard", "letters")
    assert session.about() == {}
    other = Session("two").open()
    keys = [protect_one(TEXTS[0], "poems", "regtext", "Standard", "letters", one).key for one in (session, other)]
    assert len({alone.key.seed, *(key.seed for key in keys)}) == 3


def test_a_table_in_between_starts_anew(session):
    first = protect_one(TEXTS[0], "poems", "regtext", "Standard", "letters", session)
    session.keep("text", first.original, first.protected, {"column": "text", "label_column": "label"}, first.key)
    second = protect_one(TEXTS[1], "poems", "regtext", "Standard", "letters", session)
    assert second.key.seed != first.key.seed and len(second.protected) == 1


def test_more_texts_than_a_page_keeps_are_refused(session, monkeypatch):
    monkeypatch.setattr(typed, "MAX_TYPED", 2)
    for text in TEXTS[:2]:
        protect_one(text, "poems", "regtext", "Standard", "letters", session)
    with pytest.raises(RefusedError, match="2 texts under this key"):
        protect_one(TEXTS[2], "poems", "regtext", "Standard", "letters", session)
    assert len(session.last()[1]) == 2


def test_what_is_kept_of_a_plan_tells_no_secret(session):
    done = protect_one(TEXTS[0], "poems", "regtext", "Standard", "letters", session)
    kept = json.dumps(session.about())
    assert str(done.key.seed) not in kept and not any(word in kept for (word,) in done.words.values())
