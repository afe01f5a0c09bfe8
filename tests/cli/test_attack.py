"""`hf-unlearnable attack` from files to a report, again from what is there, and its errors."""

import json

import pytest

from hf_unlearnable import RegTextTransform
from hf_unlearnable.cli import main
from tests.examples import notes, pictures

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
    assert "At worst, tfidf_logistic_regression" in said and "% of what clean rows teach it" in said
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


def test_wear_has_a_table_of_its_own(files, tmp_path, capsys):
    argv = command(files, tmp_path / "report", "--countermeasures", "none", "--wear", "lower-case", "tokens-smollm2")
    assert main([*argv, "--model", f"tokens-smollm2={tmp_path / 'absent'}"]) == 0
    said = capsys.readouterr().out
    assert "Not run: tokens-smollm2: " in said and "(2 trainings)" in said
    assert "After wear, which nobody chooses (in parentheses: clean rows):\n\n| wear " in said
    stored = json.loads((tmp_path / "report" / "report.json").read_text())
    assert "| lower-case" in stored["wear"]["protected"] and stored["attacks"] == {}
    assert stored["protocol"]["wear by"].endswith(f"transformers {stored['protocol']['versions']['transformers']}")


def test_bad_input(files, tmp_path, capsys):
    def failed(*argv):
        assert main(list(argv)) == 1
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("hf-unlearnable:")]
        return line

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("private")
    assert "holds something else" in failed(*command(files, tmp_path / "mine"))
    assert "holds something else" in failed(*command(files, tmp_path / "mine" / "diary.txt"))
    assert (tmp_path / "mine" / "diary.txt").read_text() == "private"
    argv = command(files, tmp_path / "r")
    same = [f"--protected={files / 'clean'}.parquet" if "--protected" in part else part for part in argv]
    assert "never protected" in failed(*same)
    assert "There is no wear magic for texts. There is: nfc, nfkc" in failed(*argv, "--wear", "magic")
    assert "no countermeasure magic" in failed(*argv, "--countermeasures", "magic")
    assert "NAME=ID" in failed(*argv, "--model", "some/model")
    assert "There is no file or folder" in failed(*[p.replace("test.parquet", "absent.parquet") for p in argv])
    assert "colour" in failed(*argv, "--label-column", "colour")
    (tmp_path / "other.csv").write_text("words,label\na text,1\n")
    for option in ("--corpus", "--own-clean"):
        assert "There is no column 'text'" in failed(*argv, option, str(tmp_path / "other.csv"))


@pytest.mark.parametrize(("victim", "options", "reason"), [
    ("finetuned_encoder", ["--model", "finetuned_encoder=no-model"], "finetuned_encoder: "),
    ("tfidf_logistic_regression", ["--budget", "0"], "tfidf_logistic_regression: out of time"),
    ("finetuned_encoder", ["--model", "finetuned_encoder=no-model", "--countermeasures", "word-shuffle"], "finetuned_encoder"),
])  # fmt: skip
def test_an_attack_in_which_nothing_ran_fails(files, tmp_path, capsys, victim, options, reason):
    argv = [*command(files, tmp_path / "r", "--countermeasures", "none"), *options]
    argv[argv.index("tfidf_logistic_regression")] = victim
    assert main(argv) == 1
    out, err = capsys.readouterr()
    (line,) = [line for line in err.splitlines() if line.startswith("hf-unlearnable:")]
    assert line.startswith(
        "hf-unlearnable: Nothing was measured, for no training on the protected rows ran. None of the "
    )
    assert f"Not run: {reason}" in out and "reaches" not in out
    text = (tmp_path / "r" / "report.md").read_text()
    assert text.startswith("# ") and "protected: not measured" in text and "## Not run" in text
    stored = json.loads((tmp_path / "r" / "report.json").read_text())
    assert not stored["measured"] and stored["trainings"]["ran"] == 0 < stored["trainings"]["planned"]


def test_a_test_that_carries_the_mark_of_the_key_is_refused(files, tmp_path, capsys):
    from datasets import load_dataset

    key = tmp_path / "k"
    train, test = (
        load_dataset("parquet", data_files=str(files / f"{n}.parquet"), split="train") for n in ("clean", "test")
    )
    cloak = RegTextTransform(seed=5).fit(train)
    cloak.key.save(key)
    test.map(cloak, batched=True).to_parquet(str(tmp_path / "test.parquet"))
    argv = [part for part in command(files, tmp_path / "r") if not part.startswith("--test=")]
    assert main([*argv, f"--test={tmp_path / 'test.parquet'}", "--key", str(key)]) == 1
    assert "The test is protected: 100 of 100 test rows carry the key's mark." in capsys.readouterr().err


@pytest.mark.parametrize("more", [[], ["--input-column", "title"], ["--input-column", "text"]])
def test_rows_with_two_protected_columns_are_paired_by_the_key(tmp_path, capsys, more):
    rows = notes(200)
    rows = rows.add_column("title", [text[:40] for text in rows["text"]])
    train, test = rows.select(range(150)), rows.select(range(150, 200))
    cloak = RegTextTransform(seed=5, text_column=["title", "text"], id_column="id")
    train = train.add_column("id", list(range(len(train))))
    protected = train.map(cloak.fit(train), batched=True).shuffle(seed=3)
    cloak.key.save(tmp_path / "k")
    for name, rows in {"clean": train, "protected": protected, "test": test}.items():
        rows.to_parquet(str(tmp_path / f"{name}.parquet"))
    argv = [*command(tmp_path, tmp_path / "r", "--countermeasures", "none"), *more]
    assert main(argv) == 1, "without the key nothing says that both changed"
    assert "or the --key, which says what else is protected" in capsys.readouterr().err
    assert main([*argv, "--key", str(tmp_path / "k")]) == 0
    assert "All 8 trainings ran." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seeds", "0"], "--seeds is 0"),
        (["--seeds", "-2"], "--seeds is -2"),
        (["--budget", "-1"], "--budget is neg"),
    ],
)
def test_numbers_that_train_nothing_are_refused(files, tmp_path, capsys, options, message):
    assert main([*command(files, tmp_path / "r"), *options]) == 1
    assert f"hf-unlearnable: {message}" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--corpus", "--language-model"])
def test_what_is_for_texts_is_refused_for_images(tmp_path, capsys, option):
    pictures(8).to_parquet(str(tmp_path / "p.parquet"))
    data = [f"--{name}={tmp_path / 'p.parquet'}" for name in ("clean", "protected", "test")]
    assert main(["attack", *data, f"--report={tmp_path / 'r'}", option, str(tmp_path / "p.parquet")]) == 1
    assert f"{option}: no countermeasure for images uses it. Leave it out." in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_a_model_that_is_not_there_is_named_and_left_out(files, tmp_path, capsys):
    argv = command(files, tmp_path / "r", "finetuned_encoder", "--countermeasures", "none")
    assert main([*argv, "--model", f"finetuned_encoder={tmp_path / 'no-model'}"]) == 0
    said = capsys.readouterr().out
    assert "Not run: finetuned_encoder: " in said and "tfidf_logistic_regression reaches" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--language-model", "no-model"], "--language-model: no countermeasure that is tried uses it. Leave it out, or name one "
                                           "with --countermeasures: onion."),
        (["--corpus", "test"], "--corpus: no countermeasure that is tried uses it. Leave it out, or name one with "
                               "--countermeasures: outside-frequency-filter, unknown-word-filter."),
        (["--model", "finetuned_encoder=x"], "a model for finetuned_encoder, which is not among the victims of this attack"),
        (["--countermeasures", "+"], "'+' names no countermeasure, or lacks one beside the +."),
        (["--countermeasures", "word-shuffle+"], "'word-shuffle+' names no countermeasure, or lacks one"),
        (["--countermeasures", ""], "'' names no countermeasure"),
        (["--countermeasures", "word-shuffle+magic"], "There is no countermeasure magic."),
        (["--victims", ""], "There is no victim ''."),
    ],
)  # fmt: skip
def test_what_would_not_be_used_or_is_none_is_refused(files, tmp_path, capsys, options, message):
    options = [str(files / "test.parquet") if one == "test" else one for one in options]
    assert main([*command(files, tmp_path / "r"), *options]) == 1
    assert message in capsys.readouterr().err


def test_json_of_an_attack_names_the_report_and_the_verdict(files, tmp_path, capsys):
    argv = command(files, tmp_path / "r", "--countermeasures", "none", "--text-column", "text", "--json")
    assert main(argv) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    stored = json.loads((tmp_path / "r" / "report.json").read_text())
    assert found["verdict"] == stored["verdict"][0] and found["verdict"] in err
    assert (found["status"], found["report"]) == (0, str(tmp_path / "r" / "report.json"))
    assert found["trainings"] == stored["trainings"] and found["trainings"]["ran"] > 0
