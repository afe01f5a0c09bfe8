"""What made users stop in their first ten minutes."""

import pytest

from hf_unlearnable.cli import main
from tests.examples import notes


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notes(80).to_csv("reviews.csv", index=False)
    return tmp_path


def test_words_of_a_new_key_can_be_changed_and_those_of_an_old_one_not(here, capsys):
    assert main(["protect", "regtext", "reviews.csv", "--output", "a.csv", "--key", "k"]) == 0
    first = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Words for ")]
    assert main(["protect", "regtext", "reviews.csv", "--output", "b.csv", "--key", "k"]) == 0
    again = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Words for ")]
    assert len(again) > 1
    assert first == [f"{line} (keep them to yourself; --exclude WORD draws others)" for line in again]
    assert (here / "a.csv").read_bytes() == (here / "b.csv").read_bytes()


@pytest.mark.parametrize("source", ["my/photos", "no/such_folder"])
def test_a_source_that_is_nowhere_is_said_to_be_neither_here_nor_on_the_hub(here, source, monkeypatch, capsys):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    assert main(["protect", "regtext", source, "--output", "out", "--key", "k"]) == 1
    assert f"There is no file or folder {source} here. On the Hub: " in capsys.readouterr().err


@pytest.mark.parametrize("source", ["data/train-*.parquet", "photos/cat/[0-9].png", "a/b/?.csv", "a/b/*/c.parquet"])
def test_a_pattern_that_matches_nothing_is_said_to_match_nothing(here, source, capsys):
    assert main(["protect", "regtext", source, "--output", "out", "--key", "k"]) == 1
    said = capsys.readouterr().err
    assert f"There is no file or folder {source}" in said and "it matches none" in said


@pytest.mark.parametrize("source", ["a/b/c", "gone.csv"])
def test_what_is_no_pattern_is_not_called_one(here, source, capsys):
    assert main(["protect", "regtext", source, "--output", "out", "--key", "k"]) == 1
    assert "pattern" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("method", "option", "said"),
    [
        ("convolution", "--blur", "0 changes nothing. Leave it out for the paper's:"),
        ("convolution", "--kernel-size", "odd; leave it out for the paper's:"),
        ("error-min", "--image-size", "sees. Leave it out for what a model of the Hub names"),
        ("regtext", "--id-column", "a row; leaving it out identifies it by its text"),
    ],
)
def test_help_says_what_leaving_an_option_out_means(method, option, said, capsys):
    with pytest.raises(SystemExit):
        main(["protect", method, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert said in shown[shown.index(f" {option} ") :]


class Terminal:
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("more", "answer", "said"),
    [
        ([], "Reviews of our own.", "Reviews of our own."),
        ([], " ", "The owner has not described"),
        (["--description", "Given."], None, "Given."),
        (["--quiet"], None, "The owner has not described"),
        (["--json"], None, "The owner has not described"),
    ],
)
def test_publish_asks_for_a_description_at_a_terminal(here, monkeypatch, more, answer, said):
    def asked(prompt):
        assert answer is not None and prompt == "Description: "
        return answer

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("builtins.input", asked)
    assert main(["protect", "regtext", "reviews.csv", "--output", "out", "--key", "k", "--quiet"]) == 0
    assert main(["publish", "out", "me/reviews", "--key", "k", "--dry-run", "dry", *more]) == 0
    assert said in (here / "dry" / "README.md").read_text()
