# /// script
# dependencies = ["hf-unlearnable[attack]"]
# ///
"""The fine-tuning attack on a hosted model: files to train it with, and the scores of its answers.

    python recipes/hosted_jsonl.py write --config recipes/configs/finetune_smollm2.yaml --output-dir hosted/notes
    python recipes/hosted_jsonl.py score hosted/notes

`write` takes the options of `finetune_attack.py` and writes, per training, `NAME.jsonl`: lines of `messages`, a user's
question and the label as the assistant's answer, as hosted fine-tuning takes them. `test.jsonl` holds the questions
alone, with a `custom_id` each. Which answer is right stands in `hosted.json`, which stays here, as does the key beside
the folder.

Train a model per file, ask it all questions of `test.jsonl`, and put its answers into `NAME.answers.jsonl`, those of
the untrained model into `zero-shot.answers.jsonl`. A line is `{"custom_id": "row-0", "answer": "positive"}`, or one of
the output file of OpenAI's batches. `score` writes `results.json` and `results.md` of all trainings that have answers.

An answer counts that is the label and nothing else, but for case, space and a full stop; another is "no label", and
wrong. The table and the tests are those of `finetune_attack.py`, without AUC: hosted models do not tell every label's
probability.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import finetune_options
from finetune_data import Training, load_data, planned
from finetune_options import AttackArguments
from finetune_results import ZERO_SHOT, digest, summed, write_json, write_results
from options import run
from trl import SFTConfig

from hf_unlearnable.data import write_file
from hf_unlearnable.text.language_model.prompts import messages, said, told

NO_LABEL = "no label"


def write(args: AttackArguments, training: SFTConfig) -> list[Path]:
    """Writes the files of a run, and returns those to train with.

    Args:
        args: What is attacked.
        training: Where the files go, and the seed where `args` has none.

    Raises:
        ValueError: The folder holds files of another run, or `load_data` refuses the data.
    """
    output = Path(str(training.output_dir))
    trainings = planned(args, args.seeds or [training.seed])
    data, test, tasks = load_data(args, output, trainings)
    about = {
        "trainings": [asdict(one) | {"rows": len(data[one.name])} for one in trainings],
        "test": [{"task": row["task"], "label": row["label"]} for row in test], "tasks": tasks,
        "protocol": {
            "clean": args.clean, "method": args.method, "instruction": args.instruction, "test_row_count": len(test),
            "digests": {name: digest(rows) for name, rows in data.items()}, "test_digest": digest(test),
        },
    }  # fmt: skip
    place = output / "hosted.json"
    if place.exists() and json.loads(place.read_text(encoding="utf-8")) != about:
        raise ValueError(f"{output} holds the files of another run. Give another --output-dir, or move it away.")
    output.mkdir(parents=True, exist_ok=True)

    def asked(row: dict[str, Any]) -> list[dict[str, str]]:
        return messages(told(row, args.instruction, tasks[row["task"]]), row["text"])

    files = {output / f"{name}.jsonl": rows for name, rows in data.items() if len(rows)}
    for file, rows in files.items():
        answered = [[*asked(row), {"role": "assistant", "content": row["label"]}] for row in rows]
        write_lines(file, [{"messages": one} for one in answered])
    write_lines(
        output / "test.jsonl", [{"custom_id": f"row-{i}", "messages": asked(row)} for i, row in enumerate(test)]
    )
    write_json(place, about)
    return list(files)


def write_lines(file: Path, lines: list[dict[str, Any]]) -> None:
    """JSON lines, whole or not at all."""
    write_file(file, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def score(folder: Path) -> str:
    """Scores all answers of a folder, writes `results.json` and `results.md`, and returns the table.

    Args:
        folder: Of `write`.

    Raises:
        FileNotFoundError: It is none, or holds no answers.
        ValueError: Answers cannot be read, or some rows have none or two.
    """
    place = folder / "hosted.json"
    if not place.exists():
        raise FileNotFoundError(f"{place} is not there. `write` makes it, with the files to train with.")
    about = json.loads(place.read_text(encoding="utf-8"))
    trainings, rows_of = [], {ZERO_SHOT: 0}
    for one in about["trainings"]:
        rows_of[one["name"]] = one.pop("rows")
        trainings.append(Training(**one))
    labels = [*(label for labels in about["tasks"].values() for label in labels), NO_LABEL]
    found = {}
    for name, count in rows_of.items():
        # Where there is nothing to train on, the answers are those of zero-shot.
        file = folder / f"{name if count else ZERO_SHOT}.answers.jsonl"
        if file.exists():
            rows = matched(read_answers(file, len(about["test"])), about["test"], about["tasks"])
            found[name] = (
                summed(name, rows, labels, train_rows=count, steps=None, truncated_rows=None, seconds=None), rows
            )  # fmt: skip
    if not found:
        raise FileNotFoundError(
            f"{folder} holds no answers. They go into NAME.answers.jsonl; NAMES: {', '.join(rows_of)}."
        )
    return write_results(folder, found, [one for one in trainings if one.name in found], about["protocol"])


def read_answers(file: Path, count: int) -> list[str]:
    """What a model wrote to each of the rows, in their order.

    Args:
        file: Lines of a custom_id and an answer, or of the output file of OpenAI's batches.
        count: Of the rows.

    Raises:
        ValueError: A line cannot be read, or rows have no answer or two.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            answer = json.loads(line)
            name = answer["custom_id"]
            if "answer" not in answer:
                answer = {"answer": answer["response"]["body"]["choices"][0]["message"]["content"]}
            text = answer["answer"]
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(
                f'Line {number} of {file} is no answer. It must be {{"custom_id": "row-0", "answer": ...}}, or of the '
                "output file of a batch."
            ) from error
        if name in found:
            raise ValueError(f"Line {number} of {file} answers {name} a second time. Keep one answer per row.")
        found[name] = "" if text is None else str(text)
    names = [f"row-{i}" for i in range(count)]
    missing, unknown = [n for n in names if n not in found], sorted(found.keys() - set(names))
    if missing or unknown:
        what = f"has no answer to {', '.join(missing[:3])}" if missing else f"answers {', '.join(unknown[:3])}"
        raise ValueError(
            f"{file} {what}: {len(missing)} of {count} rows without an answer, {len(unknown)} answers without a row. "
            "Ask what test.jsonl holds, all of it."
        )
    return [found[name] for name in names]


def matched(written: list[str], test: list[dict[str, str]], tasks: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    """The label that each answer is, or `NO_LABEL`, beside the right one.

    Args:
        written: By a model, per row.
        test: task and label of each row.
        tasks: Labels of each task.
    """
    rows = []
    for text, row in zip(written, test, strict=True):
        answer = next((label for label in tasks[row["task"]] if said(label) == said(text)), NO_LABEL)
        rows.append({**row, "answer": answer, "written": text, "exact": answer == row["label"]})
    return rows


def parse(argv: list[str] | None = None) -> Path | tuple[AttackArguments, SFTConfig]:
    """The folder to score, or the options of what is written.

    Args:
        argv: Of the command line; None for the process's own.

    Raises:
        ValueError: It is neither.
    """
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == ["write"]:
        return finetune_options.parse(words[1:])[:2]
    if words[:1] == ["score"] and len(words) == 2:
        return Path(words[1])
    raise ValueError("Say `write` with the options of finetune_attack.py, or `score FOLDER`.")


def main(argv: list[str] | None = None) -> None:
    """Writes or scores.

    Args:
        argv: Of the command line; None for the process's own.
    """
    asked = parse(argv)
    print(score(asked) if isinstance(asked, Path) else "\n".join(map(str, write(*asked))))


if __name__ == "__main__":
    run(main)
