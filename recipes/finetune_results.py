"""What came of the trainings of `finetune_attack.py`: kept per training, compared, and written as a table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import Dataset
from finetune_data import EXAMPLE, Training

from hf_unlearnable.audit.statistics import Interval, accuracy_interval
from hf_unlearnable.data import write_file
from hf_unlearnable.markdown import table
from hf_unlearnable.text.language_model.prompts import said
from hf_unlearnable.text.language_model.scoring import Answer

if TYPE_CHECKING:
    from trl import SFTConfig

ZERO_SHOT = "zero-shot"
# What of the training's settings its result does not depend on. All others must be the same for a result to be kept.
NO_MATTER = {
    "output_dir", "run_name", "project", "report_to", "trackio_space_id", "trackio_bucket_id",
    "trackio_static_space_id", "disable_tqdm", "do_train", "do_eval", "do_predict", "debug",
    "per_device_eval_batch_size", "skip_memory_metrics", "include_num_input_tokens_seen", "deepspeed", "local_rank",
    "dataset_num_proc", "accelerator_config", "torch_empty_cache_steps",
}  # fmt: skip
NO_MATTER_AT_ALL = (
    "logging_",
    "log_",
    "save_",
    "hub_",
    "push_to_hub",
    "eval_",
    "ddp_",
    "dataloader_num",
    "dataloader_pin",
)


@dataclass(frozen=True)
class Result:
    """What came of one training.

    Args:
        name: Of the training.
        label_accuracy: Share of test rows whose right label got the highest probability.
        exact_match: Share of test rows where the model wrote the right label and nothing else.
        auc: Area under the ROC curve of the labels' probabilities, the mean over labels: it does not depend on how
            likely the model finds each label on the whole. 0.5 is chance, None where the probabilities are not known.
        label_shares: How often each label was the answer, as a share of the test rows.
        train_rows: How many rows it was trained on.
        steps: Steps of the optimiser; None, as the next two, for a model that is trained elsewhere.
        truncated_rows: How many of the training rows were cut to `max_length`.
        seconds: Training and testing.
    """

    name: str
    label_accuracy: Interval
    exact_match: Interval
    auc: float | None
    label_shares: dict[str, float]
    train_rows: int
    steps: int | None
    truncated_rows: int | None
    seconds: float | None


def judged(
    name: str, answers: Sequence[Answer], test: Dataset, tasks: Mapping[str, list[str]], **cost: Any
) -> tuple[Result, list[dict]]:
    """The result of a training, and what the model answered to every row.

    Args:
        name: Of the training.
        answers: One per test row.
        test: Columns task and label.
        tasks: Labels of each task.
        cost: The other fields of `Result`.
    """
    rows = []
    for answer, task, label in zip(sorted(answers, key=lambda a: a.row), test["task"], test["label"], strict=True):
        scores = dict(zip(tasks[task], (round(score, 5) for score in answer.scores), strict=True))
        rows.append({
            "row": answer.row, "task": task, "label": label, "answer": tasks[task][answer.best],
            "written": answer.written, "exact": said(str(answer.written)) == said(label), "log_probabilities": scores,
        })  # fmt: skip
    return summed(name, rows, [label for labels in tasks.values() for label in labels], **cost), rows


def summed(name: str, rows: Sequence[dict[str, Any]], labels: Sequence[str], **cost: Any) -> Result:
    """The result of the answers to all rows.

    Args:
        name: Of the training.
        rows: label, answer and exact of each test row, and log_probabilities where they are known.
        labels: What may be answered.
        cost: The other fields of `Result`.
    """
    right = np.array([row["answer"] == row["label"] for row in rows])
    exact = np.array([row["exact"] for row in rows])
    shares = {one: round(sum(row["answer"] == one for row in rows) / len(rows), 4) for one in dict.fromkeys(labels)}
    label, written = (accuracy_interval(table[None, :]) for table in (right, exact))
    known = auc(rows) if all("log_probabilities" in row for row in rows) else None
    return Result(name, label, written, known, shares, **cost)


def auc(rows: Sequence[Mapping[str, Any]]) -> float:
    """Area under the ROC curve, each label against the others of its task, the mean over labels and tasks.

    Args:
        rows: Of `judged`.

    Returns:
        In [0, 1]; NaN where no task has test rows of two labels.
    """
    from scipy.special import softmax
    from sklearn.metrics import roc_auc_score

    found = []
    for task in dict.fromkeys(row["task"] for row in rows):
        asked = [row for row in rows if row["task"] == task]
        labels = list(asked[0]["log_probabilities"])
        share = softmax([list(row["log_probabilities"].values()) for row in asked], axis=1)
        for place, label in enumerate(labels):
            is_it = [row["label"] == label for row in asked]
            if 0 < sum(is_it) < len(asked):
                found.append(roc_auc_score(is_it, share[:, place]))
    return round(float(np.mean(found)), 4) if found else float("nan")


def mcnemar(ours: Sequence[bool], theirs: Sequence[bool]) -> tuple[int, int, float]:
    """McNemar's exact test: whether two models that answered the same rows differ.

    Args:
        ours: Whether each test row is right.
        theirs: The same of the other model.

    Returns:
        Rows that only ours has right, rows that only theirs has right, and the two-sided p-value.
    """
    from scipy.stats import binomtest

    more = sum(a and not b for a, b in zip(ours, theirs, strict=True))
    fewer = sum(b and not a for a, b in zip(ours, theirs, strict=True))
    return more, fewer, float(binomtest(more, more + fewer).pvalue) if more + fewer else 1.0


def digest(rows: Dataset) -> str:
    """A fingerprint of texts and labels, the same in every process and at every start."""
    state = hashlib.sha256()
    for batch in rows.iter(1000):
        state.update(json.dumps([batch[name] for name in EXAMPLE]).encode())
    return state.hexdigest()[:16]


def training_settings(training: SFTConfig) -> dict[str, Any]:
    """All settings that the result of a training depends on.

    Args:
        training: Options of the training.
    """
    found = {
        field.name: getattr(training, field.name)
        for field in fields(training)
        if field.name not in NO_MATTER and not field.name.startswith(NO_MATTER_AT_ALL)
    }
    return json_like(found)


def json_like(contents: Any) -> Any:
    """As it comes back from a JSON file."""
    return json.loads(json.dumps(contents, default=lambda value: getattr(value, "value", str(value))))


def write_json(file: Path, contents: Any) -> None:
    """Whole or not at all."""
    write_file(file, json.dumps(contents, indent=1) + "\n")


def last_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that was written to its end: the trainer's state comes last."""
    whole = [state.parent for state in folder.glob("checkpoint-*/trainer_state.json")]
    return str(max(whole, key=lambda path: int(path.name.rpartition("-")[2]))) if whole else None


def kept_result(folder: Path, settings: dict[str, Any]) -> tuple[Result, list[dict]] | None:
    """The result that an earlier start finished, with its answers; None if it is still to be trained, or to its end.

    Args:
        folder: Of the training.
        settings: What its result depends on.

    Raises:
        ValueError: What lies there was made with other settings or of other rows.
    """
    file = folder / "result.json"
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"settings": {}, "result": None}
    if before["result"] or last_checkpoint(folder):
        names = dict.fromkeys([*settings, *before["settings"]])
        other = [name for name in names if before["settings"].get(name) != settings.get(name)]
        if other:
            raise ValueError(
                f"{folder} holds what was trained with other settings or data: {', '.join(other)} differ. Give "
                "another --output-dir, or move the folder away."
            )
    if before["result"]:
        intervals = {name: Interval(**before["result"][name]) for name in ("label_accuracy", "exact_match")}
        lines = (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
        return Result(**{**before["result"], **intervals}), [json.loads(line) for line in lines]
    folder.mkdir(parents=True, exist_ok=True)
    write_json(file, {"settings": settings, "result": None})
    return None


def keep(folder: Path, settings: dict[str, Any], result: Result, rows: Sequence[dict]) -> None:
    """Writes a result and what was answered to every row, the result last.

    Args:
        folder: Of the training.
        settings: What its result depends on.
        result: What came of it.
        rows: Of `judged`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / "predictions.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    write_json(folder / "result.json", {"settings": settings, "result": asdict(result)})


def write_results(
    output: Path,
    found: Mapping[str, tuple[Result, list[dict]]],
    trainings: Sequence[Training],
    settings: dict[str, Any],
) -> str:
    """Writes `results.json` and `results.md`, and returns the table.

    Args:
        output: Folder of the results.
        found: Results and answers by name of the training.
        trainings: In their order.
        settings: The protocol.
    """
    libraries = ("hf-unlearnable", "torch", "transformers", "trl", "peft", "accelerate", "datasets")
    protocol = {**settings, "library_versions": {name: version(name) for name in libraries}}
    tests = compared(found, trainings)
    results = [asdict(result) for result, _ in found.values()]
    write_json(output / "results.json", {"protocol": protocol, "results": results, "paired_tests": tests})
    main = main_table(found, trainings)
    lines = [main, "", shares_table(found), "", tests_table(tests)]
    clean = [found[one.name][0] for one in trainings if one.version == "clean"]
    if (
        clean
        and ZERO_SHOT in found
        and min(r.label_accuracy.low for r in clean) <= found[ZERO_SHOT][0].label_accuracy.high
    ):
        lines += ["", "Clean data did not surely teach this model anything: what it did not learn proves nothing."]
    about = "With 95 % intervals over the test rows and, where there are several, the seeds of the training."
    notes = [f"- {name}: {value}" for name, value in protocol.items() if value is not None]
    write_file(output / "results.md", "\n".join([*lines, "", about, "", *notes]) + "\n")
    return main


def main_table(found: Mapping[str, tuple[Result, list[dict]]], trainings: Sequence[Training]) -> str:
    """A row per version and method; its seeds together."""
    groups: dict[tuple[str, str | None], list[str]] = {(ZERO_SHOT, None): [ZERO_SHOT]} if ZERO_SHOT in found else {}
    for one in trainings:
        groups.setdefault((one.version, one.method), []).append(one.name)
    lines = [["trained on", "label, %", "AUC", "exact match, %", "rows", "steps", "cut"]]
    for (name, method), members in groups.items():
        results = [found[member][0] for member in members]
        answers = [found[member][1] for member in members]
        label, exact = (
            accuracy_interval(np.array([[right(row) for row in rows] for rows in answers]))
            for right in (lambda row: row["answer"] == row["label"], lambda row: row["exact"])
        )
        title = f"{name}, {method}" if method else name
        of = f" ({len(members)} seeds)" if len(members) > 1 else ""
        counts = results[0].train_rows, results[0].steps, results[0].truncated_rows
        known = [r.auc for r in results if r.auc is not None]
        auc = f"{np.mean(known):.3f}" if known else ""
        cost = ["" if count is None else str(count) for count in counts]
        lines.append([f"{title}{of}", str(label), auc, str(exact), *cost])
    return table(lines)


def shares_table(found: Mapping[str, tuple[Result, list[dict]]]) -> str:
    """How often each label was the answer, beside how often it is right."""
    first, rows = next(iter(found.values()))
    labels = list(first.label_shares)
    truth = [sum(row["label"] == label for row in rows) / len(rows) for label in labels]
    lines = [["share of answers, %", *labels]]
    for name, shares in [("(the truth)", truth), *((r.name, r.label_shares.values()) for r, _ in found.values())]:
        lines.append([name, *(f"{100 * share:.1f}" for share in shares)])
    return table(lines)


def compared(found: Mapping[str, tuple[Result, list[dict]]], trainings: Sequence[Training]) -> list[dict[str, Any]]:
    """Every training against the clean one of its seed, and against zero-shot, by McNemar's exact test.

    Args:
        found: Results and answers by name of the training.
        trainings: Their versions and seeds.
    """
    tests = []
    clean = {one.seed: one.name for one in trainings if one.version == "clean"}
    for one in trainings:
        for other in (clean.get(one.seed), ZERO_SHOT):
            if other in found and other != one.name:
                ours, theirs = (
                    [row["answer"] == row["label"] for row in found[name][1]] for name in (one.name, other)
                )
                more, fewer, p = mcnemar(ours, theirs)
                tests.append({"training": one.name, "against": other, "more": more, "fewer": fewer, "p": round(p, 6)})
    return tests


def tests_table(tests: Sequence[dict[str, Any]]) -> str:
    """The paired tests."""
    header = ["McNemar's exact test", "against", "right here only", "right there only", "p"]
    rows = [[t["training"], t["against"], str(t["more"]), str(t["fewer"]), f"{t['p']:.4f}"] for t in tests]
    return table([header, *rows])
