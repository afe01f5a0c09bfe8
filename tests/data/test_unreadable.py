"""What cannot be read or written is one sentence with its name."""

import gzip
import io
import os
from pathlib import Path

import pyarrow as pa
import pytest
from datasets import Dataset, DatasetDict

from hf_unlearnable import RegTextTransform
from hf_unlearnable.cli import main
from hf_unlearnable.data import load_rows, load_splits, write_rows
from tests.data.tables import rows
from tests.examples import notes

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
        ("a.csv", b"text,label\na,1\nb\n", "row 2 has 1 value, and the header has 2 with comma"),
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
