"""What came of a training: how it is judged, kept, and compared with others."""

import json
from unittest import mock

import numpy as np
import pytest

pytest.importorskip("trl", reason="the fine-tuning attack needs trl and peft")
pytest.importorskip("peft", reason="the fine-tuning attack needs trl and peft")

from datasets import Dataset
from finetune_options import parse
from finetune_results import auc, judged, kept_result, mcnemar, shares_table
from transformers import TrainerCallback
from trl import SFTTrainer

from hf_unlearnable.text.language_model.scoring import Answer
from recipes import finetune_attack as attack
from tests.recipes.tiny_model import TINY


def answered(scores, labels):
    return [
        {"task": "", "label": label, "answer": max(row, key=row.get), "log_probabilities": row}
        for row, label in zip(({"no": -one, "yes": one} for one in scores), labels)
    ]


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [
        ([3, 2, 1, 0], ["yes", "yes", "no", "no"], 1.0),  # it always likes "yes", and knows more than it answers
        ([0, 1, 2, 3], ["yes", "yes", "no", "no"], 0.0),
        ([1, 1, 1, 1], ["yes", "yes", "no", "no"], 0.5),
        ([3, 1, 2, 0], ["yes", "yes", "no", "no"], 0.75),
        ([2, 1], ["yes", "yes"], float("nan")),
    ],
)
def test_auc_does_not_depend_on_how_much_a_label_is_liked(scores, labels, expected):
    assert auc(answered(scores, labels)) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([1] * 10 + [0] * 10, [1] * 10 + [0] * 10, (0, 0, 1.0)),
        ([1] * 5, [0] * 5, (5, 0, 0.0625)),
        ([1] * 8 + [0] * 2, [0] * 8 + [1] * 2, (8, 2, 0.109375)),
        ([0, 1], [1, 0], (1, 1, 1.0)),
    ],
)
def test_mcnemar_counts_the_rows_that_only_one_has_right(ours, theirs, expected):
    more, fewer, p = mcnemar(ours, theirs)
    assert (more, fewer) == expected[:2] and p == pytest.approx(expected[2])


def test_every_row_is_judged_and_its_answer_kept():
    test = Dataset.from_dict({"task": ["a", "b", "a"], "label": ["no", "up", "yes"]})
    tasks = {"a": ["yes", "no"], "b": ["up", "down"]}
    answers = [Answer(2, [-1.0, -2.0], " Yes.\n"), Answer(0, [-1.0, -2.0], "no"), Answer(1, [-0.5, -3.0], "upwards")]
    result, rows = judged("clean", answers, test, tasks, train_rows=5, steps=2, truncated_rows=1, seconds=3.0)
    assert [(row["row"], row["answer"], row["exact"]) for row in rows] == [
        (0, "yes", True), (1, "up", False), (2, "yes", True)
    ]  # fmt: skip
    assert rows[1]["log_probabilities"] == {"up": -0.5, "down": -3.0} and rows[2]["written"] == " Yes.\n"
    assert result.label_accuracy.mean == pytest.approx(2 / 3) and result.exact_match.mean == pytest.approx(2 / 3)
    assert result.label_shares == {"yes": 0.6667, "no": 0.0, "up": 0.3333, "down": 0.0}
    assert shares_table({"clean": (result, rows)}).splitlines()[2:] == [
        "| (the truth) | 33.3 | 33.3 | 33.3 | 0.0 |", "| clean | 66.7 | 0.0 | 33.3 | 0.0 |"
    ]  # fmt: skip


@pytest.mark.parametrize("changed", [{"seed": 1}, {"loss_type": "dft"}, {"data_seed": 3}, {"new": 1}])
def test_a_result_of_other_settings_is_not_kept(tmp_path, changed):
    settings = {"seed": 0, "loss_type": "nll", "data_seed": None}
    result, rows = judged(
        "clean", [Answer(0, [-1.0, -2.0], "a"), Answer(1, [-2.0, -1.0], "b")],
        Dataset.from_dict({"task": ["", ""], "label": ["a", "b"]}), {"": ["a", "b"]},
        train_rows=2, steps=1, truncated_rows=0, seconds=0.0,
    )  # fmt: skip
    attack.keep(tmp_path, settings, result, rows)
    assert kept_result(tmp_path, settings) == (result, rows)
    with pytest.raises(ValueError, match=f"other settings or data: {next(iter(changed))} differ"):
        kept_result(tmp_path, {**settings, **changed})


def test_methods_and_seeds_share_one_zero_shot_and_trackers_are_told(tmp_path):
    """Two methods, one seed more: what was trained before is kept, and every training tells its test accuracy."""
    told = []

    class Tracker(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **_):
            told.append((args.run_name, logs["test_label_accuracy"])) if "test_label_accuracy" in logs else None

    def options(*more):
        return parse([
            "--config", str(TINY), "--output_dir", str(tmp_path / "out"), "--disable_tqdm", "true", "--max_steps", "2",
            "--train_rows", "48", "--test_rows", "12", "--versions", "clean", "protected", "--save_model", "true", *more,
        ])  # fmt: skip

    made = SFTTrainer.__init__

    def with_tracker(self, *given, **named):
        made(self, *given, **named)
        self.add_callback(Tracker())

    with mock.patch.object(SFTTrainer, "__init__", with_tracker):
        attack.main(*options("--method", "regtext", "order-code", "--seeds", "0"))
        names = ["clean", "regtext-protected", "order-code-protected"]
        assert [name for name, _ in told] == [f"out-{name}" for name in names]
        contents = json.loads((tmp_path / "out/results.json").read_text())
        assert [r["name"] for r in contents["results"]] == ["zero-shot", *names]
        assert [(t["training"], t["against"]) for t in contents["paired_tests"]] == [
            ("clean", "zero-shot"), *((name, against) for name in names[1:] for against in ("clean", "zero-shot"))
        ]  # fmt: skip
        assert {path.name for path in tmp_path.glob("*.key")} == {"out-regtext.key", "out-order-code.key"}
        for name in names:
            rows = [
                json.loads(line) for line in (tmp_path / "out" / name / "predictions.jsonl").read_text().splitlines()
            ]
            right = np.mean([row["answer"] == row["label"] for row in rows])
            assert len(rows) == 12 and dict(told)[f"out-{name}"] == pytest.approx(right)
            assert (tmp_path / "out" / name / "model/model.safetensors").is_file()
        told.clear()
        attack.main(*options("--method", "regtext", "--seeds", "0", "--output_dir", str(tmp_path / "out")))
    assert [name for name, _ in told] == ["out-protected"]  # zero-shot and clean are those of before
