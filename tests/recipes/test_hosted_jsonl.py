"""Hosted models: what they are trained and asked with, and their answers, read back and scored."""

import json

import pytest

pytest.importorskip("trl", reason="the fine-tuning attack needs trl and peft")
pytest.importorskip("peft", reason="the fine-tuning attack needs trl and peft")

import hosted_jsonl as hosted

from tests.examples import notes
from tests.recipes.tiny_model import TINY


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def put(file, answers):
    file.write_text("".join(json.dumps(answer) + "\n" for answer in answers))


def write(output, *more):
    hosted.main(["write", "--config", str(TINY), "--output_dir", str(output), "--test_rows", "20", "--train_rows", "40",
                 "--instruction", "Topic? {labels}", *more])  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    output = tmp_path_factory.mktemp("hosted") / "notes"
    write(output)
    return output


@pytest.fixture
def folder(written, tmp_path):
    """A folder of its own with the files of a run, and the right answers by custom_id."""
    for file in written.iterdir():
        (tmp_path / file.name).write_text(file.read_text())
    truth = json.loads((written / "hosted.json").read_text())["test"]
    return tmp_path, {f"row-{i}": row["label"] for i, row in enumerate(truth)}


def plain(answers):
    return [{"custom_id": name, "answer": answer} for name, answer in answers.items()]


def test_every_version_is_a_file_of_chats_with_the_same_questions_and_labels(written):
    assert sorted(path.name for path in written.iterdir()) == [
        "clean.jsonl", "hosted.json", "protected.jsonl", "random.jsonl", "test.jsonl"
    ], "with no row left alone there is nothing to train `dropped` on"  # fmt: skip
    assert (written.parent / "notes.key").is_dir()
    chats = {name: lines(written / f"{name}.jsonl") for name in ("clean", "protected", "random")}
    texts = set(notes(10_000)["text"])
    names = notes().features["label"].names
    start = f"Topic? {', '.join(names)}\n\n"
    for name, found in chats.items():
        assert len(found) == 40 and all(list(line) == ["messages"] for line in found)
        assert all([one["role"] for one in line["messages"]] == ["user", "assistant"] for line in found)
        labels = [line["messages"][1]["content"] for line in found]
        assert labels == [line["messages"][1]["content"] for line in chats["clean"]] and set(labels) <= set(names)
        asked = [line["messages"][0]["content"] for line in found]
        assert all(question.startswith(start) for question in asked)
        assert sum(question.removeprefix(start) in texts for question in asked) == (40 if name == "clean" else 0)
    test = lines(written / "test.jsonl")
    assert [line["custom_id"] for line in test] == [f"row-{i}" for i in range(20)]
    assert all([one["role"] for one in line["messages"]] == ["user"] for line in test), "the answer is not told"


def test_answers_are_scored_as_those_of_a_model_here(folder, capsys):
    output, truth = folder
    names = notes().features["label"].names
    put(output / "clean.answers.jsonl", plain({k: f" {v.upper()}.\nbecause" for k, v in truth.items()}))
    put(output / "protected.answers.jsonl", [
        {"custom_id": k, "error": None, "response": {"status_code": 200, "body": {"choices": [
            {"index": 0, "message": {"role": "assistant", "content": v if int(k[4:]) < 5 else names[0] + "!"}}
        ]}}} for k, v in reversed(truth.items())
    ])  # fmt: skip
    put(output / "zero-shot.answers.jsonl", plain(dict.fromkeys(truth, names[0])))
    hosted.main(["score", str(output)])
    contents = json.loads((output / "results.json").read_text())
    found = {result["name"]: result for result in contents["results"]}
    guess = sum(label == names[0] for label in truth.values()) / 20
    assert {name: result["label_accuracy"]["mean"] for name, result in found.items()} == {
        "zero-shot": guess, "clean": 1.0, "protected": 0.25, "dropped": guess
    }  # fmt: skip
    assert found["protected"]["label_shares"]["no label"] == 0.75 and found["clean"]["label_shares"]["no label"] == 0
    assert [result["train_rows"] for result in found.values()] == [0, 40, 40, 0]
    assert all(result["exact_match"] == result["label_accuracy"] for result in found.values())
    assert all(result["auc"] is None and result["steps"] is None for result in found.values())
    paired = {(one["training"], one["against"]): one for one in contents["paired_tests"]}
    assert (paired["protected", "clean"]["more"], paired["protected", "clean"]["fewer"]) == (0, 15)
    assert "| clean | 100.0 [100.0, 100.0] |  | 100.0 [100.0, 100.0] | 40 |  |  |" in capsys.readouterr().out
    assert "random" not in found, "it was given no answers"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda rows: rows[1:], r"has no answer to row-0: 1 of 20 rows without an answer, 0 answers without a row"),
        (lambda rows: [*rows, rows[3]], r"Line 21 of .*clean.answers.jsonl answers row-3 a second time"),
        (lambda rows: [*rows, {"custom_id": "row-20", "answer": "x"}], "answers row-20: 0 of 20 rows .*1 answers without"),
        (lambda rows: [{"id": 7}, *rows], "Line 1 of .* is no answer. It must be"),
        (lambda rows: [*rows[:4], {"custom_id": "row-4", "response": None}], "Line 5 of .* is no answer"),
        (lambda rows: ["row-0", *rows], "Line 1 of .* is no answer"),
    ],
)  # fmt: skip
def test_answers_that_cannot_be_counted_are_named(folder, spoil, said):
    output, truth = folder
    put(output / "clean.answers.jsonl", spoil(plain(truth)))
    with pytest.raises(ValueError, match=said):
        hosted.main(["score", str(output)])
    assert not (output / "results.json").exists()


def test_a_folder_without_answers_or_of_another_run_says_what_to_do(folder, tmp_path, written):
    output, _ = folder
    with pytest.raises(
        FileNotFoundError, match="holds no answers. They go into NAME.answers.jsonl; NAMES: zero-shot, clean"
    ):
        hosted.score(output)
    with pytest.raises(FileNotFoundError, match="hosted.json is not there. `write` makes it"):
        hosted.score(tmp_path / "none")
    before = {file: file.read_text() for file in written.iterdir()}
    write(written)
    assert {file: file.read_text() for file in written.iterdir()} == before, "the same command, the same files"
    with pytest.raises(ValueError, match="holds the files of another run. Give another --output-dir"):
        write(written, "--train_rows", "39")
    with pytest.raises(ValueError, match="Say `write` with the options of finetune_attack.py, or `score FOLDER`"):
        hosted.main(["score"])
