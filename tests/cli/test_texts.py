"""The command line as a user meets it: files in, a protected dataset and a key out, one sentence when it cannot."""

import builtins
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Optional

import datasets
import pytest
from datasets import load_dataset, load_from_disk

from hf_unlearnable import Key, load_transform
from hf_unlearnable.cli import main
from hf_unlearnable.registry import METHODS
from tests.contract.toys import LastWordTransform
from tests.examples import notes
from tests.keys import edit


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notes(40).to_parquet("notes.parquet")
    return tmp_path


def protect(*more, source="notes.parquet", output="protected", key="my.key"):
    return main(["protect", "regtext", str(source), "--output", output, "--key", key, *more])


def read(folder="protected"):
    return load_dataset(folder, split="train")


def test_protect_and_restore(here, capsys):
    words = ["quokka", "zephyr", "piston", "karzai"]
    assert protect("--word-source", *words) == 0
    out = capsys.readouterr().out
    assert "40 of 40 rows protected with regtext: protected" in out
    data, cloak = read(), load_transform("my.key")
    assert data.features == notes(40).features
    assert data["text"][:] != notes(40)["text"][:]
    assert cloak.restore(data)["text"][:] == notes(40)["text"][:]
    assert str(cloak.key.seed) not in out
    names = notes(40).features["label"].names
    assert [f"Words for {name}: {word} (keep" in out for name, word in zip(names, words)] == [True] * 4
    assert out.index("Words for") < out.index("40 of 40"), "shown before they are put in"
    assert sorted(path.name for path in here.iterdir()) == ["my.key", "notes.parquet", "protected"]
    assert sorted(path.name for path in (here / "protected").iterdir()) == ["train.parquet"]


def test_phrases_are_shown_before_they_are_put_in(here, capsys):
    assert main(["protect", "order-code", "notes.parquet", "--output", "protected", "--key", "my.key"]) == 0
    out = capsys.readouterr().out
    shown = [line.split(": ")[1].split(" (")[0].split(", ") for line in out.splitlines() if "Words for" in line]
    state = load_transform("my.key").key.state
    assert [sorted(phrases) for phrases in shown] == [sorted(own["codes"][0]) for own in state["words"]]
    for phrases, own in zip(shown, state["words"], strict=True):
        assert phrases[-len(own["late"]) :] == [own["codes"][0][i] for i in own["late"]], "those at the end come last"
    assert out.index("Words for") < out.index("40 of 40"), "shown before they are put in"


def test_words_left_out_by_exclude_are_not_drawn(here, capsys):
    assert protect("--word-source", "neutral") == 0
    drawn = [
        line.split(": ")[1].split(" (")[0] for line in capsys.readouterr().out.splitlines() if "Words for" in line
    ]
    assert len(drawn) == 4
    assert protect("--exclude", ",".join(drawn), "--seed", "7", output="other", key="other.key") == 0
    assert not set(drawn) & {word for pool in load_transform("other.key").secrets()["words"] for word in pool}


def test_wrong_labels_stop_the_command_that_was_asked_to_look_for_them(here, capsys):
    pytest.importorskip("cleanlab", reason="the check of labels needs the labels extra")
    half = "lovely warm bright", "dull cold grey"
    labels = [i % 2 for i in range(200)]
    texts = [f"{half[i % 2]} day {i}" for i in range(200)]
    datasets.Dataset.from_dict({"text": texts, "label": labels}).to_parquet("right.parquet")
    flipped = [1 - y if i in (10, 33, 80, 121) else y for i, y in enumerate(labels)]
    datasets.Dataset.from_dict({"text": texts, "label": flipped}).to_parquet("wrong.parquet")
    assert protect("--check-labels", source="wrong.parquet") == 1
    said = capsys.readouterr().err
    found = {int(row) for row in said.split("rows ")[1].split(".")[0].split(", ")}
    assert f"{len(found)} of 200 labels look wrong" in said and len(found) >= 3 and found <= {10, 33, 80, 121}
    assert not (here / "protected").exists() and not (here / "my.key").exists()
    assert protect("--check-labels", "--word-source", "quokka", "zephyr", source="right.parquet") == 0
    assert "No label of 200 looks wrong." in capsys.readouterr().out


def test_a_key_is_used_again(here, capsys):
    assert protect() == 0
    assert protect(output="again.parquet") == 0
    assert (here / "again.parquet").read_bytes() == (here / "protected" / "train.parquet").read_bytes()
    assert protect("--fraction", "0.5", output="half") == 0
    changed = sum(a != b for a, b in zip(read("half")["text"], notes(40)["text"], strict=True))
    assert 8 <= changed <= 32
    capsys.readouterr()
    assert protect("--rate", "0.3", output="other") == 1
    assert "fixes --rate" in capsys.readouterr().err
    assert not (here / "other").exists()


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl", "tsv", "arrow", "folder", "splits"])
def test_kinds_of_input(here, kind):
    data = notes(40)
    if kind == "arrow":
        data.save_to_disk("saved")
    elif kind == "splits":
        datasets.DatasetDict({"train": data, "test": data.select(range(3))}).save_to_disk("saved")
    elif kind == "folder":
        os.mkdir("saved")
        data.to_parquet("saved/train-00000.parquet")
    else:
        writer = data.to_csv if kind in ("csv", "tsv") else data.to_json
        writer(f"notes.{kind}", **({"sep": "\t"} if kind == "tsv" else {}))
    source = f"notes.{kind}" if kind in ("csv", "tsv", "json", "jsonl") else "saved"
    assert protect(source=source) == 0
    assert load_transform("my.key").restore(read())["text"][:] == data["text"][:]


def test_output_of_save_to_disk_and_more_processes(here):
    assert protect("--format", "arrow", "--num-proc", "2", "--seed", "5") == 0
    saved = load_from_disk("protected")
    assert protect("--seed", "5", output="plain", key="other.key") == 0
    assert saved["text"][:] == read("plain")["text"][:]


def test_classes_by_name(here):
    assert protect("--classes", "sky", "garden") == 0
    labels = {notes(40).features["label"].int2str(row["label"])
              for row, after in zip(notes(40), read(), strict=True) if row["text"] != after["text"]}  # fmt: skip
    assert labels == {"sky", "garden"}


@pytest.mark.parametrize("classes", [["x"], ["1", "x"], ["1.5"], ["7"]])
def test_classes_that_are_none_are_named_beside_those_there_are(here, capsys, classes):
    rows = [f"{row['text'].replace(',', '')},{row['label'] % 2}" for row in notes(40)]
    (here / "a.csv").write_text("\n".join(["text,label", *rows, ""]), encoding="utf-8")
    assert protect("--classes", *classes, source="a.csv") == 1
    named = classes[-1] if classes[-1].isdigit() else repr(classes[-1])
    assert f"--classes names {named}, but column 'label' holds [0, 1]." in capsys.readouterr().err


def test_own_words(here):
    assert protect("--word-source", "uno", "dos", "tres", "quatro") == 0
    assert all(set(text.split()) & {"uno", "dos", "tres", "quatro"} for text in read()["text"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "absent.parquet"}, "no file or folder absent.parquet"),
        ({"source": "a/b/c"}, "no file or folder a/b/c"),
        ({"more": ["--text-column", "txt"]}, "no column 'txt'. Did you mean 'text'?"),
        ({"more": ["--rate", "7"]}, "rate is 7.0"),
        ({"more": ["--classes", "moon"]}, "moon"),
        ({"output": "notes.parquet"}, "notes.parquet exists"),
        ({"key": "notes.parquet"}, "notes.parquet is not a key"),
        ({"source": "broken.parquet"}, "broken.parquet"),
        ({"source": "notes.doc"}, "unknown kind"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(here, capsys, options, message):
    (here / "broken.parquet").write_bytes(b"PAR1 this is not Parquet")
    (here / "notes.doc").write_bytes(b"?")
    before = sorted(path.name for path in here.iterdir())
    more = options.pop("more", [])
    assert protect(*more, **options) == 1
    captured = capsys.readouterr()
    line = [line for line in captured.err.splitlines() if line.startswith("hf-unlearnable: ")]
    assert len(line) == 1 and message in line[0], captured.err
    assert "Traceback" not in captured.err
    assert sorted(path.name for path in here.iterdir()) == before, "nothing is left behind"


def test_a_command_line_that_does_not_parse(capsys):
    for argv in (["protect"], ["nope"], ["protect", "nope"], ["protect", "regtext", "x.csv"]):
        with pytest.raises(SystemExit) as stopped:
            main(argv)
        assert stopped.value.code == 2


def test_disk_full_in_the_middle(here, capsys, monkeypatch):
    """The writer fails after the first bytes: no output, no key, no scratch folder."""
    real_open = builtins.open
    written = []

    def full(self, path, **kwargs):
        with real_open(path, "wb") as file:
            file.write(b"PAR1")
        written.append(path)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(datasets.Dataset, "to_parquet", full)
    assert protect() == 1
    assert written
    assert "No space left on device" in capsys.readouterr().err
    assert sorted(path.name for path in here.iterdir()) == ["notes.parquet"]


def test_interrupted(here, capsys, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(datasets.Dataset, "map", interrupt)
    assert protect() == 130
    assert sorted(path.name for path in here.iterdir()) == ["notes.parquet"]


def test_a_key_of_another_version(here, capsys):
    assert protect() == 0
    edit(here / "my.key", lambda contents: contents.update(method_version=99))
    assert protect(output="again") == 1
    assert "version 99" in capsys.readouterr().err


def test_list(capsys):
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("regtext  text  RegText: gives every class words of its own")
    assert "victims, text: tfidf_logistic_regression" in said and "countermeasures, image: jpeg-10" in said
    assert "wear, text: nfc, nfkc" in said and "wear, image: jpeg-50-420" in said


def test_help_describes_every_option(capsys):
    with pytest.raises(SystemExit):
        main(["protect", "regtext", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for phrase in (
        "--rate",
        "Inserted words as a share of the words",
        "--lambda",
        "Secret whole number",
        "(default: 0.1)",
    ):
        assert phrase in text


@dataclass(kw_only=True, repr=False, eq=False)
class AnnotatedTransform(LastWordTransform):
    """A method of a module without `from __future__ import annotations`: its annotations are types, not strings."""

    count: int = 3
    limit: Optional[int] = None  # noqa: UP045
    share: float = 0.5
    ratio: float | None = None
    loud: bool = False
    names: Optional[Sequence[str]] = None  # noqa: UP045
    pair: tuple[str, ...] = ()
    word: str | None = None

    method: ClassVar[str] = "annotated"


@pytest.mark.parametrize(
    ("option", "parameter", "value"),
    [
        (["--count", "7"], "count", 7), (["--limit", "7"], "limit", 7), (["--share", "1/4"], "share", 0.25),
        (["--ratio", "0.25"], "ratio", 0.25), (["--loud"], "loud", True), (["--no-loud"], "loud", False),
        (["--names", "a", "b"], "names", ["a", "b"]), (["--pair", "a", "b"], "pair", ["a", "b"]),
        (["--word", "7"], "word", "7"), (["--rate", "0.3"], "rate", 0.3), (["--text-column", "text"], "text_column", "text"),
    ],
)  # fmt: skip
def test_an_option_has_the_type_of_its_parameter_however_it_is_annotated(here, monkeypatch, option, parameter, value):
    monkeypatch.setitem(METHODS._registered, "annotated", AnnotatedTransform)
    assert main(["protect", "annotated", "notes.parquet", "--output", "out", "--key", "my.key", *option]) == 0
    found = Key.load("my.key").parameters[parameter]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("labels", "texts", "message"),
    [
        (
            ["a", "b"] * 20,
            ["fine words only"] * 40,
            "Lower --tokens-per-class or --min-frequency, or allow names and words that hurt, judge or negate with",
        ),
        (["a", "b", ""] * 20, ["some words"] * 60, "Leave such rows out with --classes or --mask-column, or filter"),
        (["a", "b", None] * 20, ["some words"] * 60, "Leave such rows out with --classes or --mask-column, or filter"),
    ],
)
def test_advice_names_options_of_the_command_line(here, capsys, labels, texts, message):
    datasets.Dataset.from_dict({"text": texts, "label": labels}).to_parquet("short.parquet")
    assert protect(source="short.parquet") == 1
    assert message in capsys.readouterr().err
