"""Natural Instructions from files, and without a network."""

import json
from unittest import mock
from urllib.error import URLError

import pytest

pytest.importorskip("trl", reason="the fine-tuning attack needs trl and peft")
pytest.importorskip("peft", reason="the fine-tuning attack needs trl and peft")


import finetune_data as data
from finetune_options import AttackArguments

from recipes import natural_instructions


def test_natural_instructions_from_files(tmp_path):
    instances = [
        {"id": str(i), "input": f"text {i}", "output": ["Obscene" if i in (7, 90) else "Non-obscene"]}
        for i in range(100)
    ]
    task = {"Definition": ["Judge it."], "Instances": instances}
    (tmp_path / "tasks").mkdir()
    for name in ("task1_a", "task2_b"):
        (tmp_path / "tasks" / f"{name}.json").write_text(json.dumps(task))
    natural_instructions.main([
        "--output", str(tmp_path / "out"), "--tasks_dir", str(tmp_path / "tasks"), "--train_tasks", "task1_a",
        "--test_tasks", "task1_a", "task2_b", "--train_rows", "1000", "--test_rows", "10",
    ])  # fmt: skip
    train, test = (data.load_rows(tmp_path / "out", split=split) for split in ("train", "test"))
    assert train.column_names == ["text", "label", "task", "definition"] and len(train) == 100
    assert train[7] == {"text": "text 7", "label": "Obscene", "task": "task1_a", "definition": "Judge it."}
    assert test["task"][:] == ["task1_a"] * 10 + ["task2_b"] * 10
    for part in (test.select(range(10)), test.select(range(10, 20))):  # the rare label is not lost
        assert sorted(text for text, label in zip(part["text"], part["label"]) if label == "Obscene") == [
            "text 7",
            "text 90",
        ]
    args = AttackArguments(clean="x", versions=["clean"], task_column="task", instruction_column="definition")
    train, test = data.examples(train, args, "clean"), data.examples(test, args, "test")
    assert set(data.labels_by_task(train, test, [])["task2_b"]) == {"Obscene", "Non-obscene"}
    assert test["instruction"][0] == "Judge it."
    with pytest.raises(FileNotFoundError, match="no .*task3_c.json"):
        natural_instructions.read_task("task3_c", str(tmp_path / "tasks"))


def test_natural_instructions_without_a_network(tmp_path):
    offline = mock.patch.object(natural_instructions, "urlopen", side_effect=URLError("no route"))
    with offline as asked, pytest.raises(ConnectionError, match="no route.*--tasks_dir"):
        natural_instructions.main(["--output", str(tmp_path / "out")])
    assert asked.call_args.args[0].endswith("master/tasks/task363_sst2_polarity_classification.json")
    assert not (tmp_path / "out").exists()
    assert (len(natural_instructions.TRAIN_TASKS), len(set(natural_instructions.TEST_TASKS))) == (10, 18)
