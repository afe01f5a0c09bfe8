"""`protect`: rows that carry the key's mark already, and rows without a label in files."""

import csv
import json

import pytest
from datasets import ClassLabel, Dataset, concatenate_datasets

from hf_unlearnable import RegTextTransform, TextureTransform, load_transform, protection
from hf_unlearnable.cli import main
from hf_unlearnable.data import load_splits
from hf_unlearnable.ownership import Ownership
from hf_unlearnable.protection import protect
from hf_unlearnable.rows import has_label
from tests.examples import notes, pictures


# ---------------------------------------------------------------------- rows that carry the mark already
@pytest.mark.parametrize(("classes", "channels"), [(2, 1), (2, 3), (3, 3), (4, 1)])
def test_images_of_few_classes_are_not_protected_twice(classes, channels):
    data = pictures(60, classes, channels=channels, height=32, width=32)
    cloak = TextureTransform(seed=3).fit(data)
    once = protect(data, cloak).data["train"]
    with pytest.raises(ValueError, match="Split 'train' was protected with this key already: of 60 rows"):
        protect(once, cloak)


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 8))])
def test_clean_images_of_two_classes_are_protected_with_any_key(seed, caplog):
    data = pictures(60, 2)
    old = load_transform(TextureTransform(seed=seed).fit(data).key)
    assert protect(data, old).changed == {"train": 60}
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("marked", "rows", "log10_p", "said"),
    [
        (100, 100, -7, "refused"), (20, 100, -6, "refused"), (90, 100, -1.5, "refused"), (8, 8, -2.2, "refused"),
        (3, 3, -6.5, "refused"), (89, 100, -5.9, "told"), (5, 100, -3, "told"), (7, 7, -3, "told"),
        (89, 100, -2.9, ""), (100, 100, -1.4, ""), (1, 1, -2, ""), (7, 7, -2.9, ""), (1, 100, 0, ""),
    ],
)  # fmt: skip
def test_a_sign_of_the_mark_is_refused_or_told(monkeypatch, caplog, marked, rows, log10_p, said):
    monkeypatch.setattr(protection.before, "verify", lambda *_, **__: Ownership(rows, marked, 1.0, log10_p, -9.0))
    data = notes(100)
    cloak = RegTextTransform(word_source=["quokka", "zephyr", "piston", "karzai"], seed=1).fit(data)
    assert protect(data, cloak).changed == {"train": 100}, "a key that was drawn just now has marked nothing"
    cloak = load_transform(cloak.key)
    if said == "refused":
        with pytest.raises(ValueError, match=f"of {rows} rows that were looked at, {marked} carry its mark"):
            protect(data, cloak)
    else:
        assert protect(data, cloak).changed == {"train": 100}
        assert ("Split 'train' may hold rows that were protected with this key" in caplog.text) == (said == "told")


@pytest.mark.parametrize("seed", [*range(2), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 6))])
def test_a_single_clean_image_is_protected_with_any_key(seed):
    data = pictures(24, 2, seed=seed)
    for number in range(3):
        one = data.select([number])
        assert protect(one, TextureTransform(seed=10 * seed + number).fit(data)).changed == {"train": 1}


def marked_and_new(flag):
    """60 protected rows and 40 clean ones, the second 40 of them to be protected."""
    data = notes(100)
    cloak = RegTextTransform(word_source=["quokka", "zephyr", "piston", "karzai"], seed=1).fit(data)
    old = protect(data.select(range(60)), cloak).data["train"]
    rows = concatenate_datasets([old, data.select(range(60, 100))])
    return rows.add_column("new", [flag(row >= 60) for row in range(100)]), cloak


@pytest.mark.parametrize("flag", [bool, int, lambda new: True if new else None])
def test_protected_rows_that_the_mask_leaves_out_do_not_keep_new_ones_from_being_protected(flag):
    rows, cloak = marked_and_new(flag)
    with pytest.raises(ValueError, match="protected with this key already"):
        protect(rows, cloak)
    masked = cloak.from_key(cloak.key)
    masked.mask_column = "new"
    made = protect(rows, masked).data["train"]
    assert made["text"][:60] == rows["text"][:60]
    assert all(one != two for one, two in zip(made["text"][60:], rows["text"][60:], strict=True))


def test_protected_classes_do_not_keep_others_from_being_protected():
    data = notes(100)
    words = ["quokka", "zephyr", "piston", "karzai"]
    first = RegTextTransform(word_source=words, seed=1, classes=[0, 1]).fit(data)
    once = protect(data, first).data["train"]
    second = first.from_key(first.key)
    second.classes = [2, 3]
    twice = protect(once, second).data["train"]
    second.classes = None
    assert twice["text"][:] == protect(data, second).data["train"]["text"][:]


# ---------------------------------------------------------------------- rows without a label
@pytest.mark.parametrize(
    ("label", "feature", "has"),
    [
        (None, None, False), ("", None, False), ("  ", None, False), ("\t", None, False),
        (-1, ClassLabel(names=["a"]), False), (-1, None, True), (0, None, True), (False, None, True), ("0", None, True),
    ],
)  # fmt: skip
def test_what_is_a_label(label, feature, has):
    assert has_label(label, feature) is has


@pytest.mark.parametrize("labels", [["a", "b"], ["0", "1"], ["True", "False"]])
@pytest.mark.parametrize("method", ["regtext", "order-code"])
def test_an_empty_label_of_a_csv_file_is_no_class(tmp_path, monkeypatch, capsys, method, labels):
    monkeypatch.chdir(tmp_path)
    texts = notes(80)["text"][:]
    column = ["" if row % 10 == 3 else labels[row % 2] for row in range(80)]
    Dataset.from_dict({"text": texts, "label": column}).to_csv("notes.csv", index=False)
    command = ["protect", method, "notes.csv", "--output", "out.csv", "--key", "my.key", "--sensitive"]
    assert main(command) == 1
    assert "Row 3 has no label in column 'label'" in capsys.readouterr().err
    assert not (tmp_path / "my.key").exists()
    assert main([*command, "--classes", *labels]) == 0
    assert "72 of 80 rows protected" in capsys.readouterr().out
    with open("out.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == column
    assert [row["text"] == text for row, text in zip(rows, texts, strict=True)] == [not label for label in column]


# ---------------------------------------------------------------------- places
@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--output", "there", "--key", "new.key"], "there exists. Give another --output"),
        (["--output", "out", "--key", "out/key"], "--key is within --output"),
        (["--output", "my.key/out", "--key", "my.key"], "--output is within --key"),
        (["--output", "out", "--key", "new.key", "--report", "there"], "there exists. Give another --report"),
        (["--output", "out", "--key", "r/key", "--report", "r"], "--key is within --report"),
        (["--output", "out", "--key", "my.key", "--report", "my.key/r"], "--report is within --key"),
        (["--output", "r/out", "--key", "new.key", "--report", "r"], "--output is within --report"),
        (["--output", "out", "--key", "my.key", "--fraction", "2"], "fraction is 2"),
        (["--output", "out.json", "--key", "new.key"], ".json files are not written"),
        (["--output", "out.csv", "--key", "new.key", "--format", "arrow"], "out.csv ends like a file"),
        (
            ["--output", "out.parquet", "--key", "new.key", "--format", "arrow"],
            "the format is arrow. Give a new folder",
        ),
    ],
)
def test_places_that_cannot_be_written_are_told_before_anything_is_learned(
    tmp_path, monkeypatch, capsys, more, message
):
    monkeypatch.chdir(tmp_path)
    notes(40).to_parquet("notes.parquet")
    (tmp_path / "there").mkdir()
    RegTextTransform(word_source=["quokka", "zephyr", "piston", "karzai"]).fit(notes(40)).key.save("my.key")
    monkeypatch.setattr(RegTextTransform, "fit", lambda *_: pytest.fail("learned before the places were looked at"))
    before = sorted(tmp_path.rglob("*"))
    assert main(["protect", "regtext", "notes.parquet", *more]) == 1
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("failing", ["checked", "write_report", "write_rows"])
def test_output_report_and_key_appear_together(tmp_path, monkeypatch, failing):
    places = {"output": tmp_path / "out", "key": tmp_path / "my.key", "report": tmp_path / "report"}

    def fail(*_, **__):
        raise OSError("full")

    with monkeypatch.context() as patch:
        patch.setattr(protection, failing, fail)
        with pytest.raises(OSError, match="full"):
            protect(notes(40), RegTextTransform(seed=1), places["output"], key=places["key"], report=places["report"])
    assert list(tmp_path.iterdir()) == []
    named = []
    replace = type(tmp_path).replace
    monkeypatch.setattr(type(tmp_path), "replace", lambda path, place: (named.append(place), replace(path, place))[1])
    protect(notes(40), RegTextTransform(seed=1), places["output"], key=places["key"], report=places["report"])
    assert named[-3:] == [places["key"], places["report"], places["output"]], "at the end, one right after the other"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my.key", "out", "report"]


def test_a_checkpoint_folder_that_holds_the_key_or_the_output_is_refused(tmp_path):
    for inner in ("key", "output", "report"):
        places = {"key": tmp_path / "k", "output": tmp_path / "o", "report": tmp_path / "r", inner: tmp_path / "c/in"}
        with pytest.raises(ValueError, match=f"{inner} is within checkpoint_dir"):
            protection.check_places(**places, checkpoint_dir=tmp_path / "c")


def test_a_key_that_cannot_be_saved_leaves_neither_data_nor_report(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        protect(
            notes(40), RegTextTransform(word_source="neutral", seed=1), tmp_path / "out",
            key=tmp_path / "file" / "my.key", report=tmp_path / "report",
        )  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("source", "separator", "output", "expected"),
    [
        ("a.csv", ";", "b.csv", ";"), ("a.csv", ";", "b.tsv", "\t"), ("a.csv", ",", "b.tsv", "\t"),
        ("a.tsv", "\t", "b.csv", ","), ("a.tsv", "|", "b.tsv", "|"), ("a.csv.gz", ";", "b.csv", ";"),
        ("a.csv.gz", ";", "b.tsv", "\t"),
    ],
)  # fmt: skip
def test_a_table_is_written_like_the_source_only_under_the_same_ending(
    tmp_path, monkeypatch, source, separator, output, expected
):
    monkeypatch.chdir(tmp_path)
    notes(40).to_pandas().to_csv(source, index=False, sep=separator)  # packed, if its name says so
    words = ["quokka", "zephyr", "piston", "karzai"]
    assert main(["protect", "regtext", source, "--output", output, "--key", "k", "--word-source", *words]) == 0
    assert (tmp_path / output).read_text(encoding="utf-8").startswith(f"text{expected}label")


@pytest.mark.parametrize(
    ("output", "written"),
    [("x", "x/test.parquet"), ("x.v2", "x.v2/test.parquet"), ("x.parquet", "x.parquet"), ("x.PARQUET", "x.PARQUET")],
)
def test_a_folder_keeps_the_name_of_the_split_whatever_it_ends_in(tmp_path, output, written):
    protect({"test": notes(40)}, RegTextTransform(seed=1), tmp_path / output)
    found = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert found == [written]


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet", ".CSV"])
def test_several_splits_do_not_go_into_a_file(tmp_path, ending):
    output = tmp_path / f"x{ending}"
    splits = {"train": notes(40), "test": notes(20)}
    advice = f"ends like one file, and 2 are written .* Give a new folder, such as {tmp_path / 'x'}\\."
    with pytest.raises(ValueError, match=advice):
        protect(splits, RegTextTransform(seed=1), output, key=tmp_path / "k")
    assert list(tmp_path.iterdir()) == []
    done = protect(splits, RegTextTransform(seed=1), tmp_path / "x", key=tmp_path / "k")
    assert {name: len(rows) for name, rows in done.data.items()} == {"train": 40, "test": 20}


def test_shares_of_several_processes_do_not_go_into_a_file(tmp_path):
    from types import SimpleNamespace

    processes = SimpleNamespace(process_index=0, num_processes=2)
    with pytest.raises(ValueError, match="ends like one file, and 2 are written"):
        protect(notes(40), RegTextTransform(seed=1), tmp_path / "x.parquet", key=tmp_path / "k", accelerator=processes)
    assert list(tmp_path.iterdir()) == []


def test_quotes_that_are_letters_are_told_once(tmp_path, caplog):
    lines = [f"{chr(34) + ' ' if i == 20 else ''}text {'odd' if i % 2 else 'even'} {i}\t{i % 2}" for i in range(60)]
    source = tmp_path / "in"
    source.mkdir()
    for name in ("a", "b"):
        (source / f"{name}.tsv").write_text("text\tlabel\n" + "\n".join(lines) + "\n")
    argv = ["protect", "order-code", str(source / "a.tsv"), "--rate", "0", "--output", str(tmp_path / "o.tsv")]
    assert main([*argv, "--key", str(tmp_path / "k")]) == 0
    assert caplog.text.count("quotes are read as letters") == 1
    assert (tmp_path / "o.tsv").read_bytes() == (source / "a.tsv").read_bytes()
    caplog.clear()
    data = load_splits(source, quoting="none")["train"]
    assert len(data) == 120 and "letters" not in caplog.text  # said by the user, so not told
    load_splits(source)
    assert caplog.text.count("quotes are read as letters") == 2  # of each file


def test_every_protected_column_is_measured(tmp_path, capsys):
    data = notes(40).rename_column("text", "title")
    data = data.add_column("body", data["title"][:])
    cloak = RegTextTransform(text_column=["title", "body"], seed=1)
    done = protect(data, cloak, tmp_path / "out", report=tmp_path / "report")
    assert {name: one.changed for name, one in done.fidelity["train"].items()} == {"title": 40, "body": 40}
    assert [line.split(":")[0] for line in done.told("train").splitlines()] == ["title", "body"]
    written = json.loads((tmp_path / "report/fidelity.json").read_text())
    assert written["title"]["changed"] == written["body"]["changed"] == 40
    assert done.data["train"]["body"][:] != data["body"][:]
