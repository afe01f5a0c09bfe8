"""Options mean the same wherever they stand, and every documented choice of every option works."""

import argparse

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hf_unlearnable import Key
from hf_unlearnable.cli import _parser, main
from hf_unlearnable.registry import METHODS
from tests.examples import notes, pictures

# Each group is an option with its values; those of a command can be given in any order.
COMMANDS = {
    "restore": ["--key k", "--data a.csv", "--output b.csv", "--text-column body", "--json", "--num-proc 2"],
    "attack": [
        "--clean a.csv", "--protected b.csv", "--test c.csv", "--report r", "--quick", "--text-column body",
        "--label-column y", "--victims small_llama naive_bayes", "--countermeasures none a+b", "--model v=i w=j",
        "--quiet", "--budget 2.5",
    ],
    "publish": [
        "a.csv", "me/x", "--key k", "--image-column photo", "--public", "--question q1", "--question q2", "--allow f",
        "--json", "--quiet",
    ],
    "verify": ["--key k", "--data a.csv", "--text-column body", "--json", "--quiet", "--separator ;"],
    "space": ["--host localhost", "--port 80", "--quiet"],
    "demo": ["--output o", "--json"],
    "list": ["--json", "--quiet", "--compare"],
    "protect regtext": [
        "a.csv", "--output o", "--key k", "--text-column title body", "--label-column y", "--word-source one two",
        "--classes -1 1", "--exclude x", "--rate 0.2", "--no-disjoint", "--json",
    ],
    "protect order-code": ["a.csv", "--output=o", "--key k", "--carrier-source one two", "--text-column body", "--quiet"],
    "protect texture": ["a.csv", "--output o", "--key k", "--classes 0 1 2", "--epsilon 8/255", "--encoding png-fast"],
}  # fmt: skip


def parsed(command, groups):
    argv = [*command.split(), *(token for group in groups for token in group.split())]
    return vars(_parser(argv).parse_args(argv))


@pytest.mark.parametrize("command", COMMANDS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_options_mean_the_same_in_any_order(command, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").touch()
    groups = COMMANDS[command]
    order = data.draw(st.permutations(groups))
    repeated = [[one for one in part if one[0] != "-" or "question" in one] for part in (groups, order)]
    expected = parsed(command, groups)
    if repeated[0] == repeated[1]:  # positionals and repeated options have an order of their own
        assert parsed(command, order) == expected


@pytest.mark.parametrize(
    ("typed", "source", "option", "value"),
    [
        ("--text-column text a.csv", "a.csv", "text_column", ["text"]),
        ("--text-column title body a.csv", "a.csv", "text_column", ["title", "body"]),
        ("--text-column title body a.csv --rate 0.5", "a.csv", "rate", 0.5),
        ("--classes 0 1 --text-column text a.csv --exclude x y", "a.csv", "exclude", ["x", "y"]),
        ("--exclude x y --text-column text me/data", "me/data", "text_column", ["text"]),
        ("--classes -1 2 a.csv", "a.csv", "classes", ["-1", "2"]),
        ("--text-column text -- a.csv", "a.csv", "text_column", ["text"]),
        ("--text-column title a.csv a.csv --rate=0.5 ./a.csv", "./a.csv", "text_column", ["title", "a.csv", "a.csv"]),
        ("--classes a.csv me/data folder", "folder", "classes", ["a.csv", "me/data"]),
        ("--text-col text a.csv", "a.csv", "text_column", ["text"]),
    ],
)
def test_the_input_is_found_behind_an_option_with_several_values(
    tmp_path, monkeypatch, typed, source, option, value
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").touch()
    (tmp_path / "folder").mkdir()
    found = parsed("protect regtext", ["--output o", "--key k", *typed.split()])
    assert (found["source"], found[f"option_{option}"]) == ([source], value)


@pytest.mark.parametrize("typed", ["", "--text-column a.csv", "--classes x y", "--exclude x a.csv --classes y a.csv"])
def test_an_input_that_is_not_named_is_asked_for(tmp_path, monkeypatch, capsys, typed):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").touch()
    with pytest.raises(SystemExit) as stopped:
        parsed("protect regtext", ["--output o", "--key k", *typed.split()])
    assert stopped.value.code == 2 and "required: input" in capsys.readouterr().err


def leaves(parser):
    """All parsers without commands below them."""
    below = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    return [leaf for one in below for child in one.choices.values() for leaf in leaves(child)] if below else [parser]


def test_columns_are_named_by_the_same_options_in_every_command():
    for parser in leaves(_parser(list(METHODS))):
        names = {name for action in parser._actions for name in action.option_strings}
        hidden = {name for a in parser._actions if a.help == argparse.SUPPRESS for name in a.option_strings}
        shown = {name for name in names - hidden if name.endswith("column")}
        columns = ("text", "image", "audio", "label", "id", "mask")
        assert shown <= {f"--{name}-column" for name in columns}
        assert {"--json", "--quiet"} <= names, parser.prog


@pytest.mark.parametrize(
    ("command", "old", "new"),
    [("attack", "--input-column", "--text-column"), ("publish", "--column", "--image-column"), ("verify", "--column", "--text-column")],
)  # fmt: skip
def test_an_earlier_name_of_the_column_is_still_read(command, old, new):
    groups = [one for one in COMMANDS[command] if "-column" not in one or "label" in one]
    assert parsed(command, [*groups, f"{old} x"]) == parsed(command, [*groups, f"{new} x"])


# ---------------------------------------------------------------------- choices
CHOICES = [
    (method, name, value)
    for method, cls in METHODS.items()
    if not cls.needs_training
    for name, values in cls.choices.items()
    for value in values
]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("choices")
    notes(80).to_parquet(folder / "text.parquet")
    pictures(8, classes=2).to_parquet(folder / "image.parquet")
    return folder


@pytest.mark.parametrize(("method", "name", "value"), CHOICES)
def test_every_choice_that_help_names_works(inputs, tmp_path, method, name, value, capsys):
    cls = METHODS[method]
    argv = [
        "protect",
        method,
        f"--{name.replace('_', '-')}",
        value,
        str(inputs / f"{cls.modality}.parquet"),
        "--quiet",
    ]
    if name in ("word_source", "carrier_source"):  # the input would be one of its words
        argv[2:5] = [argv[4], *argv[2:4]]
    assert main([*argv, "--output", str(tmp_path / "o"), "--key", str(tmp_path / "k")]) == 0, capsys.readouterr().err
    assert Key.load(tmp_path / "k").parameters[name] == value


@pytest.mark.parametrize("method", METHODS)
def test_help_speaks_of_options_not_of_parameters(method, capsys):
    with pytest.raises(SystemExit):
        main(["protect", method, "--help"])
    said = capsys.readouterr().out
    for name in METHODS[method].arguments():
        assert "_" not in name or name not in said
    assert "None" not in said and "0.0313" not in said
    assert all(value in said for values in METHODS[method].choices.values() for value in values)


@pytest.mark.parametrize(("given", "kept"), [("none", None), ("None", None), ("assistant", "assistant")])
def test_none_is_a_value_where_help_says_so(inputs, tmp_path, given, kept):
    argv = ["protect", "regtext", str(inputs / "text.parquet"), "--role", given, "--quiet"]
    assert main([*argv, "--output", str(tmp_path / "o"), "--key", str(tmp_path / "k")]) == 0
    assert Key.load(tmp_path / "k").parameters["role"] == kept
