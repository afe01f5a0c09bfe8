"""What `--help` says: every default as it is typed, every name in one piece, every choice."""

import inspect
import re

import pytest

from hf_unlearnable.cli import main
from hf_unlearnable.registry import METHODS

COMMANDS = ["protect", "restore", "attack", "publish", "verify", "space", "demo", "list"]


def help_of(capsys, *command):
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--help"])
    assert stopped.value.code == 0
    return capsys.readouterr().out


def option_help(text, option):
    """What stands behind an option, on one line."""
    found = re.search(rf"^  {option}(?![\w-]).*?(?=^  -|\Z)", text, re.M | re.S)
    return " ".join(found[0].split())


@pytest.mark.parametrize("method", list(METHODS))
def test_help_of_a_method_shows_every_text_default_as_it_is_typed(method, capsys):
    text = help_of(capsys, "protect", method)
    defaults = {
        "--" + one.name.replace("_", "-"): one.default
        for one in inspect.signature(METHODS[method]).parameters.values()
        if isinstance(one.default, str)
    }
    assert "--label-column" in defaults
    for option, default in defaults.items():
        assert option_help(text, option).endswith(f"(default: {default})"), option


@pytest.mark.parametrize(
    ("method", "option", "shown"),
    [
        ("regtext", "--word-source", "(default: neutral)"),
        ("order-code", "--carrier-source", "(default: phrases)"),
        ("error-min", "--surrogate", "(default: tiny_cnn)"),
        ("texture", "--epsilon", "(default: 8/255)"),
        ("stable-error-min", "--radius", "(default: 4/255)"),
        ("regtext", "--max-frequency", "(default: 0.001)"),
        ("regtext", "--sensitive, --no-sensitive", "(default: no)"),
        ("error-max", "--targeted, --no-targeted", "(default: yes)"),
    ],
)
def test_a_default_reads_as_the_value_that_an_option_takes(method, option, shown, capsys):
    assert option_help(help_of(capsys, "protect", method), option).endswith(shown)


def test_help_of_an_image_method_names_parameters_as_options(capsys):
    said = option_help(help_of(capsys, "protect", "texture"), "--label-column")
    assert "unless --classes or --mask-column leaves them out" in said


@pytest.mark.parametrize("columns", ["60", "80", "97"])
@pytest.mark.parametrize("command", [*([one] for one in COMMANDS), ["protect", "regtext"], ["protect", "error-min"]])
def test_no_line_of_help_ends_within_a_name(command, columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", columns)
    assert re.findall(r".*\w-\n.*", help_of(capsys, *command)) == []


def test_help_of_protect_names_every_method(capsys):
    text = " ".join(help_of(capsys, "protect").split())
    assert f"METHOD {', '.join(METHODS)}" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_opens_with_a_sentence(command, capsys):
    paragraphs = help_of(capsys, command).split("\n\n")
    assert re.fullmatch(r"[A-Z][^.]+\..*", " ".join(paragraphs[1].split()))
