"""`hf-unlearnable restore` gives back the bytes that were protected, or says in a sentence why it cannot."""

import json
from pathlib import Path

import pytest
from datasets import Dataset, load_from_disk

from hf_unlearnable import RegTextTransform, load_transform, restore
from hf_unlearnable.cli import main
from hf_unlearnable.data import load_rows, write_rows
from tests.examples import notes, pictures
from tests.folders import names

WORDS = ["quokka", "zephyr", "piston", "karzai"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command, *argv):
    return main([*command.split(), *argv])


def said(capsys):
    (line,) = [one for one in capsys.readouterr().err.splitlines() if one.startswith("hf-unlearnable: ")]
    return line


CSV = [
    b'id;text;label\r\n007;"a ""quoted"" text; with more";1\r\n008;another, longer text here;0\r\n009;third of them;1\r\n',
    "text\tlabel\nein Text über Äpfel\t1\nnoch ein Text hier\t0\n".encode(),
    'label,text\n1,"two\nlines of text"\n0,one line of it\n1,\n'.encode("utf-8-sig"),
]


@pytest.mark.parametrize("method", ["regtext", "order-code"])
@pytest.mark.parametrize("data", CSV)
def test_a_csv_file_comes_back_byte_for_byte(here, method, data):
    name = "in.tsv" if b"\t" in data else "in.csv"
    Path(name).write_bytes(data)
    own = ["--word-source", "quokka", "zephyr"] if method == "regtext" else []
    output = name.replace("in", "out")
    assert run(f"protect {method} {name} --output {output} --key k --quiet", *own) == 0
    assert Path(output).read_bytes() != data
    assert run(f"restore --key k --data {output} --output back{Path(name).suffix} --quiet") == 0
    assert Path(f"back{Path(name).suffix}").read_bytes() == data


@pytest.mark.parametrize("output", ["back", "back.parquet", "back.jsonl", "back.csv", "--format arrow back"])
def test_rows_come_back_in_any_format(here, capsys, output):
    notes(40).to_parquet("n.parquet")
    assert run("protect regtext n.parquet --output p --key k --quiet", "--word-source", *WORDS) == 0
    *more, place = output.split()
    assert run(f"restore --key k --data p --output {place}", *more) == 0
    assert f"40 of 40 rows restored: {place}" in capsys.readouterr().out
    back = load_from_disk(place) if more else load_rows(place)
    assert back["text"][:] == notes(40)["text"][:] and back["label"][:] == notes(40)["label"][:]


def test_rows_that_were_left_alone_stay_as_they_are(here):
    notes(40).to_parquet("n.parquet")
    assert run("protect regtext n.parquet --fraction 0.5 --output p --key k --quiet") == 0
    assert run("restore --key k --data p --output b --json --num-proc 2") == 0
    assert load_rows("b")["text"][:] == notes(40)["text"][:]


def test_columns_with_other_names_are_named(here, capsys):
    notes(40).to_parquet("n.parquet")
    assert run("protect regtext n.parquet --output p.parquet --key k --quiet") == 0
    write_rows(load_rows("p.parquet").rename_columns({"text": "body", "label": "topic"}), "q.parquet")
    assert run("restore --key k --data q.parquet --output b --quiet") == 1
    assert "There is no column 'text'" in said(capsys)
    assert run("restore --key k --data q.parquet --output b --text-column body --label-column topic --quiet") == 0
    assert load_rows("b")["body"][:] == notes(40)["text"][:]


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("regtext", ["--mode", "replace"], "--mode replace overwrites words, so the texts cannot be restored"),
        *((name, [], f"{name} cannot be undone, not even with the key. Keep the originals.")
          for name in ("texture", "one-pixel", "convolution")),
    ],
)  # fmt: skip
def test_what_cannot_be_restored_is_refused_in_a_sentence(here, capsys, method, options, message):
    (notes(40) if method == "regtext" else pictures(8, classes=2)).to_parquet("n.parquet")
    assert run(f"protect {method} n.parquet --output p.parquet --key k --quiet", *options) == 0
    before = names(here)
    assert run("restore --key k --data p.parquet --output b") == 1
    assert message in said(capsys) and names(here) == before


@pytest.mark.parametrize(("image", "label"), [("image", "label"), ("photo", "class"), ("picture", "kind")])
def test_pictures_under_the_key_of_texts_name_the_column_that_is_missing(here, capsys, image, label):
    notes(40).to_parquet("n.parquet")
    assert run("protect regtext n.parquet --output p.parquet --key k --quiet") == 0
    folder = here / "photos" / "a"
    folder.mkdir(parents=True)
    pictures(2, classes=2)[0]["image"].save(folder / "0.png")
    pictures(2, classes=2).rename_columns({"image": image, "label": label}).to_parquet("i.parquet")
    for source in ("photos", "i.parquet"):
        assert run(f"restore {source} --key k --output b") == 1
        assert "There is no column 'text'. Columns: " in said(capsys)
    assert not (here / "b").exists()


@pytest.mark.parametrize("row", [0, 17, 39])
def test_a_row_of_other_origin_is_named_and_nothing_is_left(here, capsys, row):
    data = notes(40)
    data.to_parquet("n.parquet")
    assert run("protect regtext n.parquet --output p.parquet --key k --quiet", "--word-source", *WORDS) == 0
    texts = load_rows("p.parquet")["text"][:]
    texts[row] = "Somebody wrote this long after the protection, and it holds none of the words of the key."
    Dataset.from_dict({"text": texts, "label": data["label"][:]}).to_parquet("q.parquet")
    before = names(here)
    assert run("restore --key k --data q.parquet --output b.csv") == 1
    assert f"Row {row}, column 'text', was not protected with this key, or was changed since" in said(capsys)
    assert names(here) == before


def test_an_output_that_is_there_is_kept(here, capsys):
    notes(40).to_parquet("n.parquet")
    assert run("protect regtext n.parquet --output p.parquet --key k --quiet") == 0
    assert run("restore --key k --data p.parquet --output n.parquet") == 1
    assert "n.parquet exists. Give another --output" in said(capsys)
    assert load_rows("n.parquet")["text"][:] == notes(40)["text"][:]


def test_the_function_restores_in_memory_and_to_disk(here):
    data = notes(40)
    cloak = RegTextTransform(word_source=WORDS, seed=3).fit(data)
    cloak.key.save("k")
    protected = {"train": data.map(cloak, batched=True), "test": data.select(range(8)).map(cloak, batched=True)}
    done = restore(protected, "k")
    assert done.columns == ["text"] and done.rows == {"train": 40, "test": 8} == done.changed
    assert {name: rows["text"][:] for name, rows in done.data.items()} == {
        "train": data["text"][:], "test": data["text"][:8],
    }  # fmt: skip
    assert done.data["train"].features == data.features
    written = restore(protected, load_transform("k"), "back", format="jsonl")
    assert names("back") == ["test.jsonl", "train.jsonl"] and written.data["test"]["text"][:] == data["text"][:8]
    with pytest.raises(ValueError, match="no format 'images'"):
        restore(protected, "k", "more", format="images")


def test_json_says_what_was_restored(here, capsys):
    notes(40).to_parquet("n.parquet")
    assert run("protect regtext n.parquet --output p.csv --key k --quiet") == 0
    assert run("restore --key k --data p.csv --output b --json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {
        "command": "restore", "status": 0, "output": "b", "format": "csv", "rows": 40, "restored": 40,
    }  # fmt: skip
    assert names("b") == ["train.csv"]
