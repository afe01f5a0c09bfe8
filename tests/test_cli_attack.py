"""`hf-unlearnable attack` from files to a report, again from what is there, and its errors."""

import json

import pytest

from hf_unlearnable import RegTextTransform
from hf_unlearnable.cli import main
from tests.data import notes

for module in ("torch", "sklearn", "transformers"):
    pytest.importorskip(module, reason="attacks need the attack extra")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    rows = notes(400)
    train, test = rows.select(range(300)), rows.select(range(300, 400))
    protected = train.map(RegTextTransform(seed=5).fit(train), batched=True)
    for name, part in {"clean": train, "protected": protected, "test": test}.items():
        part.to_parquet(str(folder / f"{name}.parquet"))
    return folder


def command(files, report, *more):
    data = [f"--{name}={files / name}.parquet" for name in ("clean", "protected", "test")]
    return ["attack", *data, f"--report={report}", "--quick", "--victims", "tfidf_logistic_regression", *more]


def test_report_and_again(files, tmp_path, capsys):
    report = tmp_path / "report"
    assert main(command(files, report, "--method", "regtext", "--seeds", "2")) == 0
    said = capsys.readouterr().out
    assert "protected: at worst, tfidf_logistic_regression" in said and "% of what clean rows teach it" in said
    stored = json.loads((report / "report.json").read_text())
    assert stored["verdict"][0] in said and stored["verdict"][0] in (report / "report.md").read_text()
    tried = dict.fromkeys(cell["countermeasure"] for cell in stored["cells"])
    assert list(tried)[:2] == ["none", "label-word-filter"] and {"clean-20%", "word-shuffle"} <= set(tried)
    assert stored["protocol"]["seeds"] == [0, 1]
    cells = sorted((report / "cells").glob("*.json"))
    times = [cell.stat().st_mtime_ns for cell in cells]
    assert main(command(files, report, "--method", "regtext", "--seeds", "2")) == 0
    assert [cell.stat().st_mtime_ns for cell in sorted((report / "cells").glob("*.json"))] == times
    assert json.loads((report / "report.json").read_text())["cells"] == stored["cells"]


def test_bad_input(files, tmp_path, capsys):
    def failed(*argv):
        assert main(list(argv)) == 1
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("hf-unlearnable:")]
        return line

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("private")
    assert "holds something else" in failed(*command(files, tmp_path / "mine"))
    assert (tmp_path / "mine" / "diary.txt").read_text() == "private"
    argv = command(files, tmp_path / "r")
    same = [f"--protected={files / 'clean'}.parquet" if "--protected" in part else part for part in argv]
    assert "never protected" in failed(*same)
    assert "no countermeasure magic" in failed(*argv, "--countermeasures", "magic")
    assert "VICTIM=ID" in failed(*argv, "--model", "some/model")
    assert "There is no file or folder" in failed(*[p.replace("test.parquet", "absent.parquet") for p in argv])
    assert "colour" in failed(*argv, "--label-column", "colour")
    (tmp_path / "other.csv").write_text("words,label\na text,1\n")
    for option in ("--corpus", "--own-clean"):
        assert "There is no column 'text'" in failed(*argv, option, str(tmp_path / "other.csv"))


def test_a_model_that_is_not_there_is_named_and_left_out(files, tmp_path, capsys):
    argv = command(files, tmp_path / "r", "finetuned_encoder", "--countermeasures", "none")
    assert main([*argv, "--model", f"finetuned_encoder={tmp_path / 'no-model'}"]) == 0
    said = capsys.readouterr().out
    assert "Not run: finetuned_encoder: " in said and "tfidf_logistic_regression reaches" in said
