"""Docstrings and help texts read like the pages: short sentences, agent nouns, "per" and not "a"."""

import argparse
import inspect
import re

import pytest

import hf_unlearnable
from hf_unlearnable.cli import _parser
from hf_unlearnable.registry import METHODS, MODALITIES, countermeasures_of, victims_of
from tests.docs.markdown import sentences, words

# A riddle where an agent noun belongs, and "a" where "per" does.
BANNED = re.compile(
    r"\bwho(?:m)?ever\b|\b(?:one|those|all|anyone|everyone|somebody|to|from|by|of|for) who\b|\bno lock\b"
    r"|\b(?:words?|rounds?|pixels|files?|images|times|steps?|codes?|numbers|values|lines|patterns?|rows|tokens|phrases)"
    r" an? (?:class|text|side|round|image|row|batch|epoch|file|second|step|key|label|sentence|pixel|split|cell|method)\b",
    re.IGNORECASE,
)
_ENTRY = re.compile(r"^ *[\w*]+(?:, [\w*]+)*(?: \(.*?\))?: (?=\S)", re.MULTILINE)


def own(docstring):
    """The paragraphs of a docstring without headers, formulas and examples, each name of an entry taken away."""
    text = re.sub(r"^Examples?:\n(?:(?: .*)?\n)*(?: .+)?", "", docstring, flags=re.MULTILINE)
    text = re.sub(r"^([A-Z][\w ]*):$", "\n", text, flags=re.MULTILINE)
    text = _ENTRY.sub("\n\n", text)
    paragraphs = [one for one in re.split(r"\n\s*\n", text) if not re.search(r"<-|\s(?:=|~)\s.*\n|-> ", one)]
    return "\n\n".join(" ".join(one.split()) for one in paragraphs)


def documented(name, thing):
    """Docstrings of a function, or of a class and its public members, by name."""
    found = {name: inspect.getdoc(thing) or ""}
    if inspect.isclass(thing):
        found |= {
            f"{name}.{member}": inspect.getdoc(value) or ""
            for member, value in inspect.getmembers(thing)
            if not member.startswith("_") and (inspect.isroutine(value) or isinstance(value, property))
        }
    return found


def docstrings():
    """Every public docstring: names of the package, methods, victims and countermeasures."""
    found = {}
    for name in hf_unlearnable.__all__:
        thing = getattr(hf_unlearnable, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            found |= documented(name, thing)
    for _, cls in METHODS.items():
        found |= documented(cls.__name__, cls)
    for modality in MODALITIES:
        found |= {name: inspect.getdoc(one.train) or "" for name, one in victims_of(modality).items()}
        measures = {name: one.on_rows or one.in_training for name, one in countermeasures_of(modality).items()}
        found |= {
            name: inspect.cleandoc(one.__doc__) for name, one in measures.items() if one.__doc__
        }  # some are made for a setting
    return found


def helps(parser, path="hf-unlearnable"):
    """Every help text of a parser and its subparsers, by command and option."""
    found = {path: parser.description or ""}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= {f"{path} {one.dest}": one.help or "" for one in action._choices_actions}
            for name, sub in action.choices.items():
                found |= helps(sub, f"{path} {name}")
        elif action.help not in (None, argparse.SUPPRESS):
            found[f"{path} {'/'.join(action.option_strings) or action.dest}"] = action.help % vars(action)
    return found


DOCSTRINGS = docstrings()
HELPS = {name: text for method in METHODS for name, text in helps(_parser(["protect", method])).items()}


@pytest.mark.parametrize("name", DOCSTRINGS)
def test_a_sentence_of_a_docstring_has_at_most_25_words(name):
    assert [one for one in sentences(own(DOCSTRINGS[name])) if len(words(one)) > 25] == []


@pytest.mark.parametrize("name", DOCSTRINGS)
def test_a_docstring_names_agents_and_says_per(name):
    assert BANNED.findall(own(DOCSTRINGS[name])) == []


def test_a_sentence_of_a_help_text_has_at_most_25_words():
    long = {name: one for name, text in HELPS.items() for one in sentences(text) if len(words(one)) > 25}
    assert long == {}


def test_a_help_text_names_agents_and_says_per():
    assert {name: text for name, text in HELPS.items() if BANNED.search(text)} == {}


def test_everything_public_has_a_docstring():
    assert [name for name, text in DOCSTRINGS.items() if not text] == []


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("One two.\n\nArgs:\n    a: Three four.\n    b, c: Five.", ["One two.", "Three four.", "Five."]),
        ("One.\n\nExample:\n    x = 1\n    y = 2\n\nBreaks:\n    Two three.", ["One.", "Two three."]),
        ("It is, for d:\n\n    d <- step(d)\n\nTwo (int, default 3): Three.", ["It is, for d:", "Three."]),
        ("One two\nthree.\n\nRaises:\n    ValueError: Four\n        five.", ["One two three.", "Four five."]),
    ],
)
def test_a_docstring_is_taken_apart(docstring, expected):
    assert sentences(own(docstring)) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [("words a class", True), ("whoever asks", True), ("for who holds it", True), ("no one who", True),
     ("words per class", False), ("an attacker who asks", False), ("the owner, who", False), ("a file a day", False)],
)  # fmt: skip
def test_a_riddle_is_told_from_a_sentence(text, said):
    assert bool(BANNED.search(text)) == said
