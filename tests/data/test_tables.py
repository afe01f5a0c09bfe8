"""Tables come out as they went in, or are refused: names of files, separators, quotes, encodings, types, errors."""

import csv
import gzip
import io
import json
import os
from pathlib import Path

import pyarrow as pa
import pytest
from datasets import Dataset, DatasetDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hf_unlearnable import RegTextTransform
from hf_unlearnable.cli import main
from hf_unlearnable.data import Form, load_rows, load_splits, table_form, write_rows
from tests.examples import notes
from tests.hub import Hub

NAMES = [
    "reviews [1]", "a*b", "what?", "{a,b}", "a::b", "hf:__x", "50%25 #1", "%5B1%5D", "~", "-", "ünï 漢字", "[!a]",
    "a;b", "$HOME", "q'uo\"te", "train-00000-of-00001", "zip:", "..a",
]  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(source, **options):
    return [tuple(row.values()) for row in load_rows(source, **options)]


def parsed(path, encoding="utf-8", **options):
    return list(csv.reader(io.StringIO(Path(path).read_bytes().decode(encoding), newline=""), **options))


# ---------------------------------------------------------------------- names
@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_never_a_pattern(here, name):
    """Beside it stand files that a pattern, an address or a decoded name would find."""
    for other in ("reviews 1", "a1b", "what1", "a", "b", "x", "50% #1", "[1]"):
        Path(f"{other}.csv").write_text("text\nother\n")
        os.mkdir(other)
        Path(other, "a.csv").write_text("text\nother\n")
    Path(f"{name}.csv").write_text("text\nmine\n")
    Dataset.from_dict({"text": ["mine"]}).to_parquet("plain")
    os.rename("plain", f"{name}.parquet")
    Path(f"{name}.jsonl").write_text('{"text": "mine"}\n')
    os.mkdir(name)
    Path(name, "x [1].csv").write_text("text\nmine\n")
    for source in (f"{name}.csv", f"{name}.parquet", f"{name}.jsonl", name):
        assert rows(source) == [("mine",)]
        assert {split: list(data["text"]) for split, data in load_splits(source).items()} == {"train": ["mine"]}
    streamed = load_splits(f"{name}.parquet", streaming=True)
    assert [row["text"] for row in streamed["train"]] == ["mine"]


def test_what_only_datasets_reads_is_refused_where_it_would_read_something_else(here):
    notes(3).save_to_disk("plain")
    for name in ("disk [1]", "disk*", "a::b"):
        os.rename("plain", name)
        if "::" in name:
            with pytest.raises(ValueError, match=r"a::b has '::' in its path"):
                load_rows(name)
        else:
            assert len(load_rows(name)) == 3
        os.rename(name, "plain")
    os.mkdir("texts [1]")
    Path("texts [1]/a.txt").write_text("a line\n")
    with pytest.raises(ValueError, match=r"texts \[1\] has .* in its path"):
        load_rows("texts [1]")
    os.rename("texts [1]", "texts")
    assert rows("texts") == [("a line",)]


# ---------------------------------------------------------------------- letters
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6) | st.text(
    st.sampled_from('",;\t\r\n a1é漢'), max_size=5
)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_csv_of_the_csv_module_is_read_and_written_letter_by_letter(tmp_path, data):
    width = data.draw(st.integers(1, 4))
    header = data.draw(st.lists(CELL.filter(bool), min_size=width, max_size=width, unique=True))
    lines = data.draw(st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1, max_size=6))
    separator = data.draw(st.sampled_from(",;\t|"))
    path, again = tmp_path / "a.csv", tmp_path / "b.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=separator).writerows([header, *lines])
    options = {"separator": separator, "quoting": "minimal", "encoding": "utf-8"}
    read = load_rows(path, **options)
    assert read.column_names == header
    assert [[str(value) for value in row.values()] for row in read] == lines
    again.unlink(missing_ok=True)
    write_rows(read, again, form=table_form(path, **options))
    assert again.read_bytes() == path.read_bytes()
    if separator == ",":  # without being told anything: no row less, or a refusal with the counts
        try:
            assert len(load_rows(path)) == len(lines)
        except ValueError as error:
            refusal = str(error)
            assert f"two ways: {len(lines)} rows if quotes enclose values" in refusal


@pytest.mark.parametrize(
    ("column", "read"),
    [
        (["1", "-20", "0"], [1, -20, 0]),
        (["01069", "1"], ["01069", "1"]),
        (["+1", "1"], ["+1", "1"]),
        (["-0", "1"], ["-0", "1"]),
        (["1_000", "1"], ["1_000", "1"]),
        (["١", "1"], ["١", "1"]),
        (["9223372036854775807"], [2**63 - 1]),
        (["9223372036854775808", "x"], ["9223372036854775808", "x"]),
        (["1.10", "2.5"], ["1.10", "2.5"]),
        (["1.5", "-0.25"], [1.5, -0.25]),
        (["1", "1.5"], ["1", "1.5"]),
        (["1e3", "1.5"], ["1e3", "1.5"]),
        (["nan", "1.5"], ["nan", "1.5"]),
        (["inf"], ["inf"]),
        (["True", "False"], [True, False]),
        (["true", "false"], ["true", "false"]),
        (["None", "null", "NA", "N/A", "NaN"], ["None", "null", "NA", "N/A", "NaN"]),
        (["", "1"], ["", "1"]),
        (["2021-01-01", "2021-01-02"], ["2021-01-01", "2021-01-02"]),
        ([" 1", "1 "], [" 1", "1 "]),
    ],
)
def test_a_column_gets_a_type_only_if_every_value_is_written_back(tmp_path, column, read):
    (tmp_path / "a.csv").write_text("x,text\n" + "".join(f"{value},a\n" for value in column), encoding="utf-8")
    loaded = load_rows(tmp_path / "a.csv")
    assert loaded["x"][:] == read
    write_rows(loaded, tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()


def test_one_type_for_all_files_of_a_folder(tmp_path):
    (tmp_path / "a.csv").write_text("zip,text\n1069,a\n")
    (tmp_path / "b.csv").write_text("zip,text\n01069,b\n")
    assert rows(tmp_path) == [("1069", "a"), ("01069", "b")]


def test_protect_leaves_the_other_columns_of_a_csv_file_letter_by_letter(here):
    fields = [[f"{i:05}", "01069", "1.10", text, i % 2] for i, text in enumerate(notes(40)["text"])]
    fields[5][3], fields[6][3] = "None", "null"
    with open("a.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=";").writerows([["id", "plz", "price", "text", "label"], *fields])
    read = load_rows("a.csv")
    assert read[5] == {"id": "00005", "plz": "01069", "price": "1.10", "text": "None", "label": 1}
    cloak = RegTextTransform(classes=[1], seed=3).fit(read)
    write_rows(read.map(cloak, batched=True), "b.csv", form=table_form("a.csv"))
    before, after = (Path(name).read_bytes().split(b"\r\n") for name in ("a.csv", "b.csv"))
    assert len(before) == len(after) == 42
    assert after[0::2] == before[0::2] or after[1::2] == before[1::2]
    for one, two in zip(parsed("a.csv", delimiter=";"), parsed("b.csv", delimiter=";"), strict=True):
        assert two[:3] + two[4:] == one[:3] + one[4:]
        assert (one[3] == two[3]) == (one[4] != "1")


# ---------------------------------------------------------------------- separators and quotes
@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found(tmp_path, name, separator):
    (tmp_path / name).write_text(f"text{separator}label\nplain{separator}1,5\nmore{separator}2,5\n".replace(
        ",5" if separator == "," else "\0", ""))  # fmt: skip
    assert rows(tmp_path / name)[0][0] == "plain"
    assert table_form(tmp_path / name) == Form(separator, "minimal", "utf-8", "\n")


def test_a_text_with_semicolons_in_one_column_stays_one_column(tmp_path):
    (tmp_path / "a.csv").write_text("text\nfirst; second\nthird\n")
    assert rows(tmp_path / "a.csv") == [("first; second",), ("third",)]


def test_two_separators_that_fit_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("a;b|c\n1;2|3\n")
    with pytest.raises(ValueError, match=r"reads in two ways, with semicolon or bar .* Give its separator"):
        load_rows(tmp_path / "a.csv")
    assert rows(tmp_path / "a.csv", separator="|") == [("1;2", 3)]


def test_quotes_that_are_letters_swallow_no_rows(tmp_path, caplog):
    """As GLUE, SST and tweets are: a quote in front of some texts, closed nowhere."""
    lines = [f"{chr(34) + ' ' if i in (20, 120) else ''}text {i}\t{i % 2}" for i in range(300)]
    (tmp_path / "a.tsv").write_text("text\tlabel\n" + "\n".join(lines) + "\n")
    read = load_rows(tmp_path / "a.tsv")
    assert [f"{row['text']}\t{row['label']}" for row in read] == lines
    assert "its quotes are read as letters" in caplog.text
    write_rows(read, tmp_path / "b.tsv", form=table_form(tmp_path / "a.tsv"))
    assert (tmp_path / "b.tsv").read_bytes() == (tmp_path / "a.tsv").read_bytes()


@pytest.mark.parametrize(
    ("content", "minimal", "none"),
    [
        ('text\tlabel\n"one\t1\ntwo\t0\nthree"\t1\n', 1, 3),
        ('text\tlabel\n"\t1\ntwo\t0\n"\t1\n', 1, 3),
        ('id\ttext\tlabel\n1\t"go\t1\n2\tx\t0\n3\tend"\t1\n4\t"a"\t0\n', 2, 4),
        ('label\ttext\n1\t"a\n0\tb"\n', 1, 2),
    ],
)
def test_two_ways_to_read_quotes_are_refused_with_both_counts(tmp_path, content, minimal, none):
    path = tmp_path / "a.tsv"
    path.write_text(content)
    with pytest.raises(
        ValueError, match=f"two ways: {minimal} rows if quotes enclose values, {none} rows if"
    ) as refused:
        load_rows(path)
    assert "Give quoting minimal for the first, none for the second" in str(refused.value)
    assert len(load_rows(path, quoting="minimal")) == minimal
    assert len(load_rows(path, quoting="none")) == none


def test_quoted_cells_with_line_breaks_are_one_row(tmp_path):
    (tmp_path / "a.csv").write_text('text,label\n"two\nlines, ""one"" cell",1\nplain,0\n')
    assert rows(tmp_path / "a.csv") == [('two\nlines, "one" cell', 1), ("plain", 0)]


@pytest.mark.parametrize("text", ["two\nlines", "a\ttab"])
def test_a_file_without_quoting_does_not_hold_everything(tmp_path, text):
    with pytest.raises(ValueError, match="without quoting does not hold"):
        write_rows(Dataset.from_dict({"text": [text]}), tmp_path / "a.tsv", form=Form("\t", "none"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"separator": ";;"}, "separator is ';;', but it is one letter"),
        ({"separator": '"'}, "but it is one letter"),
        ({"quoting": "all"}, "Choose one of 'minimal', 'none'"),
        ({"encoding": "utf8x"}, "no encoding 'utf8x'"),
    ],
)
def test_options_of_csv_that_are_wrong(tmp_path, options, message):
    (tmp_path / "a.csv").write_text("text\na\n")
    with pytest.raises(ValueError, match=message):
        load_rows(tmp_path / "a.csv", **options)


# ---------------------------------------------------------------------- encodings and packing
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_that_say_what_they_are(tmp_path, encoding, end):
    content = end.join(["text,label", "café 漢,01", "nöir,02", ""])
    (tmp_path / "a.csv").write_bytes(content.encode(encoding))
    read = load_rows(tmp_path / "a.csv")
    assert rows(tmp_path / "a.csv") == [("café 漢", "01"), ("nöir", "02")]
    form = table_form(tmp_path / "a.csv")
    assert form == Form(",", "minimal", encoding, end)
    write_rows(read, tmp_path / "b.csv", form=form)
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_an_encoding_is_never_guessed(tmp_path, name):
    text = "text,label\nplain,1\ncafé,2\n" if name == "a.csv" else '{"text": "plain"}\n\n{"text": "café"}\n'
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=rf"{name} is not UTF-8 \(line 3, byte 0xe9\). Give its encoding"):
        load_rows(tmp_path / name)
    assert load_rows(tmp_path / name, encoding="latin-1")["text"][:] == ["plain", "café"]
    (tmp_path / name).write_bytes(text.encode("utf-16-le"))
    with pytest.raises(ValueError, match="no UTF-8 text. Give its encoding, such as utf-16-le"):
        load_rows(tmp_path / name)
    assert load_rows(tmp_path / name, encoding="utf-16-le")["text"][:] == ["plain", "café"]


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz"])
def test_packed_files(tmp_path, ending):
    module = __import__({"gz": "gzip", "bz2": "bz2", "xz": "lzma"}[ending])
    (tmp_path / f"a.csv.{ending}").write_bytes(module.compress(b"text;zip\na;01\n"))
    (tmp_path / f"a.jsonl.{ending}").write_bytes(module.compress(b'{"text": "a"}\n'))
    assert rows(tmp_path / f"a.csv.{ending}") == [("a", "01")]
    assert rows(tmp_path / f"a.jsonl.{ending}") == [("a",)]


# ---------------------------------------------------------------------- JSON
def test_json_keeps_numbers_texts_and_nulls(tmp_path):
    objects = [
        {"text": "2021-01-01 00:00:00", "n": None, "deep": {"a": [1, 2]}},
        {"text": "None", "n": 1, "deep": None, "late": "007"},
        {"text": "é\u2028", "n": 2**62, "deep": {"a": []}, "late": None},
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(one) + "\n" for one in objects))
    (tmp_path / "b.json").write_text(json.dumps(objects, indent=1))
    whole = [{"text": one["text"], "n": one["n"], "deep": one["deep"], "late": one.get("late")} for one in objects]
    assert load_rows(tmp_path / "a.jsonl").to_list() == load_rows(tmp_path / "b.json").to_list() == whole
    write_rows(load_rows(tmp_path / "a.jsonl"), tmp_path / "c.jsonl")
    assert [json.loads(line) for line in (tmp_path / "c.jsonl").read_text("utf-8").split("\n")[:-1]] == whole


def test_a_column_of_nulls_at_first_has_the_type_of_what_comes_later(tmp_path):
    lines = [{"text": "a", "late": None}] * 1500 + [{"text": "a", "late": 1.5}, {"text": "a", "late": 2}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    assert load_rows(tmp_path / "a.jsonl")["late"][1499:] == [None, 1.5, 2.0]


# ---------------------------------------------------------------------- folders
@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (["a.csv", "b.csv"], {"train": 2}),
        (["train.csv", "test.csv"], {"train": 1, "test": 1}),
        (["my_training-1.csv", "my_dev-1.csv", "eval 2.csv"], {"train": 1, "validation": 1, "test": 1}),
        (["train/a.csv", "val/b.csv"], {"train": 1, "validation": 1}),
        (["data/extra-00000-of-00002.csv", "data/extra-00001-of-00002.csv"], {"extra": 2}),
        (["contest.csv", "trainer.csv"], {"train": 2}),
        (["train.csv", ".hidden.csv", "__pycache__/x.csv"], {"train": 1}),
    ],
)
def test_splits_of_a_folder(tmp_path, files, splits):
    for name in files:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text("text\na\n")
    assert {name: len(part) for name, part in load_splits(tmp_path / "in").items()} == splits
    with pytest.raises(ValueError, match="no split 'absent'. Splits: "):
        load_rows(tmp_path / "in", split="absent")


def test_a_table_that_belongs_to_no_split_is_named(tmp_path):
    for name in ("train.csv", "test.csv", "notes.csv"):
        (tmp_path / name).write_text("text\na\n")
    with pytest.raises(ValueError, match=r"notes\.csv belongs to no split"):
        load_rows(tmp_path)


def test_a_readme_that_says_what_the_files_are(tmp_path):
    (tmp_path / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: odd\n    path: x.csv\n---\n"
    )
    (tmp_path / "x.csv").write_text("id,text\n007,None\n")
    (tmp_path / "y.csv").write_text("id,text\n1,other\n")
    assert rows(tmp_path, split="odd") == [("007", "None")]


def test_csv_on_the_hub_is_read_letter_by_letter(tmp_path):
    import subprocess
    import sys

    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "train.csv").write_text("id,text\n007,None\n1.10,\n")
    code = "from hf_unlearnable.data import load_rows; print(load_rows('me/table')[:])"
    with Hub(tmp_path / "hub") as hub:
        hub.serve_folder("me/table", tmp_path / "repo")
        done = subprocess.run(
            [sys.executable, "-c", code], env=hub.environment(token=None), capture_output=True, text=True, check=False
        )
    assert "{'id': ['007', '1.10'], 'text': ['None', '']}" in done.stdout, done.stderr


# ---------------------------------------------------------------------- what cannot be read
PARQUET = io.BytesIO()
Dataset.from_dict({"text": ["a"] * 100}).to_parquet(PARQUET)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"", "empty: there are no rows"),
        ("a.jsonl", b"\n\n", "empty: there are no rows"),
        ("a.json", b"[]", "empty: there are no rows"),
        ("a.jsonl", b'{"text": "a"}\n{"text": \n', "line 2 is no JSON"),
        ("a.jsonl", b'{"text": "a"}\n[1]\n', "line 2: this is no object"),
        ("a.json", b'["a"]', "entry 0: this is no object"),
        ("a.json", b'[{"text": "a"}', "is no JSON"),
        ("a.jsonl", b'{"text": 1}\n{"text": "a"}\n', "column 'text': the values are of several types"),
        ("a.jsonl", b'{"n": 1e400, "m": 99999999999999999999}\n', "column 'm'"),
        ("a.jsonl", b"[" * 100_000, "broken or of another kind"),
        ("a.csv", b"", "empty: there is nothing to read"),
        ("a.csv", b"\n", "empty: there is nothing to read"),
        ("a.csv", b"text,label\n", "a header and no rows"),
        ("a.csv", b"text,text\na,b\n", "two columns are named 'text'"),
        ("a.csv", b"text,label\na,1\nb\n", "row 2 has 1 values, and the header has 2 with comma"),
        ("a.csv", b"text,label\na,1,2\n", "row 1 has 3 values, and the header has 2"),
        ("a.parquet", PARQUET.getvalue()[:200], "broken or of another kind"),
        ("a.parquet", PARQUET.getvalue()[200:], "broken or of another kind"),
        ("a.parquet", b"text,label\na,1\n", "broken or of another kind"),
        ("a.parquet", b"", "broken or of another kind"),
        ("a.arrow", b"ARROW1 no", "broken or of another kind"),
        ("a.csv.gz", b"text\na\n", "broken or of another kind"),
        ("a.csv.gz", gzip.compress(b"text\n" + os.urandom(5000).hex().encode())[:-400], "broken or of another kind"),
        ("a.csv.xz", b"text\na\n", "broken or of another kind"),
        ("a.parquet.gz", b"", "of an unknown kind"),
        ("a.doc", b"", "of an unknown kind"),
        ("a.tar", b"", "is an archive. Unpack it"),
        ("a.ZIP", b"", "is an archive. Unpack it"),
        ("a.tgz", b"", "is an archive. Unpack it"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("read", [load_rows, load_splits])
def test_what_cannot_be_read_is_one_sentence_with_its_name(tmp_path, read, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as refused:
        read(tmp_path / name)
    assert name in str(refused.value) and "\n" not in str(refused.value)


def test_folders_that_cannot_be_read(here, monkeypatch):
    os.mkdir("x.csv")
    for read in (load_rows, load_splits):
        with pytest.raises(ValueError, match=r"x\.csv is a folder without files"):
            read("x.csv")
    Path("x.csv/part-0.csv").write_text("text\na\n")  # as Spark writes a table
    assert rows("x.csv") == [("a",)]
    Path("x.csv/part-1.parquet").write_bytes(PARQUET.getvalue())
    with pytest.raises(ValueError, match="several kinds"):
        load_rows("x.csv")
    os.remove("x.csv/part-1.parquet")
    Path("x.csv/part-1.csv").write_text("other\na\n")
    with pytest.raises(ValueError, match="different columns"):
        load_rows("x.csv")
    Path("secret.csv").write_text("text\na\n")

    def denied(*args, **kwargs):
        raise PermissionError(13, "Permission denied", "secret.csv")

    monkeypatch.setattr("hf_unlearnable.data.csv_files.opened", denied)
    with pytest.raises(PermissionError, match=r"Permission denied: 'secret\.csv'"):
        load_rows("secret.csv")


@pytest.mark.parametrize(
    ("output", "column", "message"),
    [
        ("a.csv", [["x"]], "Column 'c' holds more than text and numbers"),
        ("a.tsv", [{"a": 1}], "Column 'c' holds more than text and numbers"),
        ("a.csv", [b"x"], "Column 'c' holds more than text and numbers"),
        ("a.jsonl", [b"x"], "JSON lines do not hold bytes"),
        ("a.json", ["x"], ".json files are not written"),
        ("a.csv.gz", ["x"], ".gz files are not written"),
        ("a.xlsx", ["x"], ".xlsx files are not written"),
        ("a.TXT", ["x"], ".txt files are not written"),
        ("a.tar", ["x"], ".tar files are not written"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(tmp_path, output, column, message):
    with pytest.raises(ValueError, match=message):
        write_rows(Dataset(pa.table({"c": column})), tmp_path / output)
    assert not list(tmp_path.iterdir())


def test_a_file_that_changed_is_read_anew(tmp_path):
    (tmp_path / "a.csv").write_text("text\na\n")
    assert rows(tmp_path / "a.csv") == [("a",)]
    (tmp_path / "a.csv").write_text("text\nb\n")
    os.utime(tmp_path / "a.csv", ns=(1, 1))
    assert rows(tmp_path / "a.csv") == [("b",)]


def test_labels_of_csv_work_on_the_command_line(here):
    Path("a.csv").write_text(
        "text,label\n" + "".join(f"{text.replace(',', '')},{i % 2}\n" for i, text in enumerate(notes(40)["text"]))
    )
    assert main(["protect", "regtext", "a.csv", "--output", "out", "--key", "k", "--classes", "1"]) == 0
    before, after = load_rows("a.csv"), load_rows("out")
    assert [one != two for one, two in zip(before["text"], after["text"], strict=True)] == [False, True] * 20
    assert after["label"][:] == [0, 1] * 20


def test_a_mask_of_texts_is_refused(here):
    """Any text is true: rows that say "false" would be protected."""
    Path("a.csv").write_text(
        "text,label,mask\n" + "".join(f"words for row {i},{i % 2},{'false' if i else 'true'}\n" for i in range(9))
    )
    read = load_rows("a.csv")
    with pytest.raises(ValueError, match="Column 'mask' holds the text 'true', and a mask is of booleans"):
        read.map(RegTextTransform(mask_column="mask").fit(read), batched=True)


def test_splits_of_save_to_disk(here):
    DatasetDict(train=notes(3), odd=notes(2)).save_to_disk("d")
    assert len(load_rows("d", split="odd")) == 2
    with pytest.raises(ValueError, match="no split 'test'. Splits: train, odd"):
        load_rows("d", split="test")


@pytest.mark.parametrize(
    ("name", "split", "there"),
    [
        ("a.csv", "train", True), ("a.csv", "test", False), ("a.csv", "validation", False),
        ("test.csv", "test", True), ("test.csv", "train", True), ("my-dev.csv", "validation", True),
        ("test.csv", "validation", False), ("latest.csv", "test", False),
    ],
)  # fmt: skip
def test_a_file_is_no_other_split_than_its_name_says(here, name, split, there):
    notes(4).to_csv(name, index=False)
    if there:
        assert len(load_rows(name, split=split)) == 4
    else:
        with pytest.raises(ValueError, match=f"{name} is one file, which has no split '{split}'"):
            load_rows(name, split=split)
