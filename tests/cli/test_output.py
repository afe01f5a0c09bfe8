"""What commands print, in which format they write, and the status with which they end."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import Dataset

from hf_unlearnable.cli import main
from hf_unlearnable.data import load_rows
from tests.examples import notes, pictures
from tests.folders import names

WORDS = ["--word-source", "quokka", "zephyr", "piston", "karzai"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notes(40).to_parquet("n.parquet")
    return tmp_path


def run(command, *argv):
    return main([*command.split(), *argv])


# ---------------------------------------------------------------------- formats
def write(name):
    rows = [{"text": row["text"], "label": row["label"]} for row in notes(40)]
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".gz":
        Dataset.from_list(rows).to_csv(path.stem, index=False)
        path.write_bytes(gzip.compress(Path(path.stem).read_bytes()))
    else:
        Dataset.from_list(rows).to_csv(name, index=False, sep="\t" if ".tsv" in name else ",")


@pytest.mark.parametrize(
    ("source", "output", "written"),
    [
        ("a.csv", "out", "out/train.csv"), ("a.tsv", "out", "out/train.tsv"), ("a.jsonl", "out", "out/train.jsonl"),
        ("a.json", "out", "out/train.jsonl"), ("n.parquet", "out", "out/train.parquet"),
        ("a.csv", "o.jsonl", "o.jsonl"), ("a.jsonl", "o.csv", "o.csv"), ("a.csv", "o.CSV", "o.CSV"),
        ("a.csv", "o.parquet", "o.parquet"), ("n.parquet", "o.tsv", "o.tsv"), ("in/part.csv", "out", "out/train.csv"),
        ("a.csv.gz", "out", "out/train.csv"), ("a.csv", "photos-1.0", "photos-1.0/train.csv"),
    ],
)  # fmt: skip
def test_the_format_is_that_of_the_name_and_else_of_the_input(here, source, output, written):
    if source != "n.parquet":
        write(source)
    given = "in" if source.startswith("in/") else source
    assert run(f"protect regtext {given} --output {output} --key k --quiet", *WORDS) == 0
    assert Path(written).is_file() and sum(len(files) for _, _, files in os.walk(output)) == Path(output).is_dir()
    after = load_rows(written)
    assert all(set(text.split()) & set(WORDS) for text in after["text"])
    assert after["label"][:] == notes(40)["label"][:]
    if written.endswith("csv") and "csv" in source:
        assert Path(written).read_text(encoding="utf-8").startswith("text,label\n")


@pytest.mark.parametrize("format", ["parquet", "csv", "tsv", "jsonl"])
def test_a_format_that_is_asked_for_is_written_into_a_folder(here, format):
    assert run(f"protect regtext n.parquet --output out --format {format} --key k --quiet") == 0
    assert names("out") == [f"train.{format}"]


@pytest.mark.parametrize("ending", [".xyz", ".xlsx", ".json", ".txt", ".csv.gz", ".7z", ".data", ".Docx"])
@pytest.mark.parametrize("command", ["protect regtext n.parquet --key k", "restore --key old --data n.parquet"])
def test_an_ending_that_is_not_written_is_refused_with_those_that_are(here, capsys, ending, command):
    assert run("protect regtext n.parquet --output o --key old --quiet") == 0
    before = names(here)
    assert run(command, "--output", f"out{ending}") == 1
    last = ending.lower().rpartition(".")[2]
    assert f".{last} files are not written. Files that are: .parquet, .csv, .tsv, .jsonl." in capsys.readouterr().err
    assert names(here) == before


@pytest.mark.parametrize(("format", "advice"), [("jsonl", "another --output"), ("arrow", "a new folder as --output")])
def test_a_format_that_the_name_contradicts_is_refused(here, capsys, format, advice):
    assert run(f"protect regtext n.parquet --output out.csv --format {format} --key k") == 1
    assert f"out.csv ends like a file, and the format is {format}. Give {advice}." in capsys.readouterr().err


# ---------------------------------------------------------------------- lines for a person
def test_a_row_before_and_after_is_shown(here, capsys):
    assert run("protect regtext n.parquet --output o.parquet --key k", *WORDS) == 0
    out = capsys.readouterr().out
    before, after = (next(line for line in out.splitlines() if line.startswith(f"Row 0 {when}:"))
                     for when in ("before", "after"))  # fmt: skip
    assert "quokka" in after and "quokka" not in before
    assert max(len(before), len(after)) < 200
    shown = after.partition(":")[2].replace("...", "").replace(" quokka", "").strip()
    assert shown in " ".join(notes(40)[0]["text"].split())


@pytest.mark.parametrize(("fraction", "row"), [("0.2", None), ("0", "none")])
def test_the_first_row_that_changed_is_shown(here, capsys, fraction, row):
    assert run(f"protect regtext n.parquet --output o.parquet --key k --fraction {fraction}", *WORDS) == 0
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Row ")]
    pairs = zip(notes(40)["text"], load_rows("o.parquet")["text"], strict=True)
    changed = [number for number, (a, b) in enumerate(pairs) if a != b]
    assert [line.split()[1] for line in shown] == ([str(changed[0])] * 2 if row is None else [])


def test_the_bound_and_where_to_look_are_shown_for_pictures(here, capsys):
    pictures(8, classes=2, height=12, width=16).to_parquet("p.parquet")
    assert run("protect texture p.parquet --output o --key k --report r") == 0
    out = capsys.readouterr().out
    assert "Row 0, 16 x 12 pixels: changed by " in out and "at most 8" in out
    for name in ("contact-sheet.png", "fidelity.json", "full-size.png"):
        assert str(Path("r", name)) in out and Path("r", name).is_file()


# ---------------------------------------------------------------------- for programs
def test_json_is_one_object_and_nothing_else_stands_beside_it(here, capsys):
    assert run("protect regtext n.parquet --output o.csv --key k --json", *WORDS) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert out.count("\n") == 1
    assert {name: found[name] for name in ("command", "status", "method", "output", "format", "rows", "protected")} == {
        "command": "protect", "status": 0, "method": "regtext", "output": "o.csv", "format": "csv", "rows": 40,
        "protected": 40,
    }  # fmt: skip
    assert found["key"] == "k" and found["key_is_new"] is True and found["skipped"] == []
    assert found["fidelity"]["text"]["texts"] == found["fidelity"]["text"]["changed"] == 40
    assert "40 of 40 rows protected" in err and "Words for" not in err + out


@pytest.mark.parametrize("more", ["", "--quiet"])
def test_an_error_is_an_object_too(here, capsys, more):
    assert run(f"protect regtext absent.csv --output o --key k --json {more}") == 1
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found == {"command": "protect", "status": 1, "error": found["error"]}
    assert found["error"].startswith("There is no file or folder absent.csv") and found["error"] in err


@pytest.mark.parametrize("command", ["list", "verify --key k --data o.csv", "restore --key k --data o.csv --output b"])
def test_quiet_prints_nothing(here, capsys, command):
    assert run("protect regtext n.parquet --output o.csv --key k --quiet", *WORDS) == 0
    assert capsys.readouterr().out == ""
    assert run(f"{command} --quiet") == 0
    out, err = capsys.readouterr()
    assert out == "" and "examples/s" not in err


def test_a_process_of_its_own_keeps_both_streams_apart(here):
    argv = [
        sys.executable,
        "-m",
        "hf_unlearnable",
        "protect",
        "regtext",
        "n.parquet",
        "--output",
        "o.csv",
        "--key",
        "k",
    ]
    done = subprocess.run([*argv, "--json", "--num-proc", "2"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["protected"] == 40 and "Protecting" in done.stderr
    argv = [*argv[:6], "--output", "again.csv", "--key", "k", "--quiet"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_list_names_all_there_is(capsys):
    assert run("list --json") == 0
    found = json.loads(capsys.readouterr().out)
    assert {one["name"]: one["data"] for one in found["methods"]}["texture"] == "image"
    assert "label-word-filter" in found["countermeasures"]["text"] and "small_cnn" in found["victims"]["image"]


# ---------------------------------------------------------------------- exit status of verify
@pytest.mark.parametrize(
    ("data", "key", "status"),
    [
        ("protected.parquet", "k", 0), ("half.parquet", "k", 0), ("n.parquet", "k", 1), ("protected.parquet", "other", 1),
        ("few.parquet", "k", 1), ("absent.parquet", "k", 2), ("protected.parquet", "absent", 2),
        ("renamed.parquet", "k", 2), ("pictures.parquet", "pixel", 2),
    ],
)  # fmt: skip
def test_the_status_of_verify_tells_a_script_what_was_found(here, capsys, data, key, status):
    assert run("protect regtext n.parquet --output protected.parquet --key k --quiet", *WORDS) == 0
    protected = load_rows("protected.parquet")
    if data == "few.parquet":
        protected.select(range(1)).to_parquet(data)
    if data == "half.parquet":
        protected.select(range(20)).to_parquet(data)
    if data == "renamed.parquet":
        protected.rename_column("text", "body").to_parquet(data)
    if key == "other":
        assert run("protect regtext n.parquet --output o --key other --quiet") == 0
    if key == "pixel":
        pictures(8, classes=2).to_parquet(data)
        assert run(f"protect one-pixel {data} --output o --key pixel --quiet") == 0
    assert run(f"verify --key {key} --data {data} --json") == status
    found = json.loads(capsys.readouterr().out)
    assert found["status"] == status and found["command"] == "verify"
    assert found.get("shown") == {0: True, 1: False}.get(status)
    assert ("error" in found) == (status == 2)
    if status == 0:
        assert found["p_value"] < 1e-3 and found["marked"] == found["rows"] == len(load_rows(data))


def test_wrong_usage_has_status_2_everywhere(capsys):
    for command in ("protect", "restore", "attack", "publish", "verify"):
        with pytest.raises(SystemExit) as stopped:
            run(f"{command} --json")
        assert stopped.value.code == 2 and capsys.readouterr().out == ""
