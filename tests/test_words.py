"""Messages name parameters as the user knows them: by name in Python, as options on the command line."""

import ast
import inspect
import logging
import re
from pathlib import Path

import pytest

import hf_unlearnable
from hf_unlearnable import cli
from hf_unlearnable._words import in_options, plain
from hf_unlearnable.registry import METHODS

PARAMETERS = {"label_column", "image_column", "mask_column", "rate", "lambda_", "mode", "num_codes", "classes"}


@pytest.mark.parametrize(("python", "command_line"), [
    ("Name it with label_column; without labels", "Name it with --label-column; without labels"),
    ("label_column and image_column are both 'label_column'.", "--label-column and --image-column are both 'label_column'."),
    ("rate is 2, but it is a share.", "--rate is 2, but it is a share."),
    ("To change nothing, set rate=0.", "To change nothing, set --rate 0."),
    ("Keep k - 1 >= lambda_, or raise it.", "Keep k - 1 >= --lambda, or raise it."),
    ("too few for num_codes=4 with 3 each", "too few for --num-codes 4 with 3 each"),
    ("mode='insert' can be shown.", "--mode insert can be shown."),
    ("Split 'train': classes names 'x'.", "Split 'train': --classes names 'x'."),
    ("the image is empty: leave such rows out with mask_column", "the image is empty: leave such rows out with --mask-column"),
    # What is the user's own, or a word of the language, stays.
    ("There is no column 'mask_column'.", "There is no column 'mask_column'."),
    ("/data/label_column/rate=3.csv is broken", "/data/label_column/rate=3.csv is broken"),
    ("These classes are too many.", "These classes are too many."),
    ("The learning rate is high.", "The learning rate is high."),
    ("dataset.label_column(x)", "dataset.label_column(x)"),
])  # fmt: skip
def test_a_message_in_the_words_of_the_command_line(python, command_line):
    assert in_options(python, PARAMETERS) == command_line


def messages():
    """The text of every error and warning outside the Space, with a placeholder for what stands in braces."""
    for path in sorted(Path(hf_unlearnable.__file__).parent.rglob("*.py")):
        if "space" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            logged = isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("warning", "info")
            if not logged and not isinstance(node, ast.Raise):
                continue
            joined = [part for part in ast.walk(node) if isinstance(part, ast.JoinedStr)]
            inner = {id(one) for part in joined for one in part.values}
            for part in ast.walk(node):
                if isinstance(part, ast.JoinedStr):
                    pieces = [one.value if isinstance(one, ast.Constant) else "0" for one in part.values]
                    yield f"{path.name}:{part.lineno}", "".join(pieces)
                elif isinstance(part, ast.Constant) and isinstance(part.value, str) and id(part) not in inner:
                    yield f"{path.name}:{part.lineno}", part.value


def test_no_message_names_an_option_of_protect_in_the_words_of_python():
    parameters = {name for _, cls in METHODS.items() for name in inspect.signature(cls).parameters}
    parameters |= {"num_proc", "skip_broken", "check_labels"}
    long = "|".join(sorted(name for name in parameters if "_" in name))
    left = re.compile(rf"(?<![\w.'\"-])({long})(?!\w|['\"(])|load_transform\(|skip broken")
    seen = list(messages())
    assert len(seen) > 300 and any("label_column" in text for _, text in seen)
    assert [(where, text) for where, text in seen if left.search(in_options(text, parameters))] == []


@pytest.mark.parametrize(("argv", "option"), [
    (["protect", "regtext", "a.csv", "--label-column", "text"], "--label-column and --text-column are both 'text'"),
    (["protect", "regtext", "a.csv", "--rate", "2"], "--rate is 2.0, but it is a share"),
    (["protect", "order-code", "a.csv", "--num-codes", "0"], "set --rate 0"),
    (["protect", "texture", "a.csv", "--label-column", "image"], "--label-column and --image-column are both 'image'"),
    (["protect", "texture", "a.csv", "--fraction", "3"], "--fraction is 3.0"),
    (["protect", "regtext", "a.csv", "--separator", ";;"], "--separator is ';;'"),
    (["attack", "--clean", "b.csv", "--protected", "b.csv", "--test", "b.csv", "--report", "r"], "name --text-column, --image-column or --audio-column"),
    (["publish", "b.csv", "me/x", "--original", "b.csv", "--dry-run", "d"], "name --text-column, --image-column or --audio-column"),
])  # fmt: skip
def test_an_error_of_a_command_names_its_option(tmp_path, monkeypatch, capsys, argv, option):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("text,label\n" + "one word,1\nanother word,0\n" * 5)
    Path("b.csv").write_text("words,label\n" + "one word,1\nanother word,0\n" * 5)
    places = ["--output", "out", "--key", "k"] if argv[0] == "protect" else []
    assert cli.main([*argv, *places]) == 1
    assert option in capsys.readouterr().err


def test_a_warning_of_a_command_names_its_option():
    record = logging.LogRecord("x", logging.WARNING, "", 0, "Lower %s or raise lambda_.", ("max_frequency",), None)
    told = cli._Formatter({"max_frequency", "lambda_"}).format(record)
    assert told == "WARNING: Lower --max-frequency or raise --lambda."


def test_values_without_the_punctuation_of_python():
    assert plain({"a": [1, 2], "b": {"c": 0.5, "d": ()}}) == "a 1, 2, b c 0.5, d"
