"""CSV comes out letter by letter, or is refused: separators, quotes, encodings."""

import csv
import io
from pathlib import Path

import pytest
from datasets import Dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hf_unlearnable import RegTextTransform
from hf_unlearnable.data import Form, load_rows, table_form, write_rows
from tests.data.tables import rows
from tests.examples import notes


def parsed(path, encoding="utf-8", **options):
    return list(csv.reader(io.StringIO(Path(path).read_bytes().decode(encoding), newline=""), **options))


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6) | st.text(
    st.sampled_from('",;\t\r\n a1é漢'), max_size=5
)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
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
