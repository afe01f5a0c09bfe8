# /// script
# dependencies = ["hf-unlearnable"]
# ///
"""Makes the "polarity" data of the RegText paper of Natural Instructions, as Parquet for `finetune_attack.py`.

    python recipes/natural_instructions.py --output polarity
    python recipes/natural_instructions.py --output polarity --tasks_dir natural-instructions/tasks  # a clone

Ten tasks to train on and eighteen others to test on: reviews, and posts that hurt or do not. Every row carries the
`definition` of its task, in words; labels are words and differ from task to task. Out come `<output>/train.parquet`
and `<output>/test.parquet`, columns text, label, task and definition.

Of each task at most `--train_rows` or `--test_rows` instances are kept, drawn with a fixed seed and evenly from its
labels: in some tasks one label holds nearly all instances, and of a hundred drawn blindly none might have the other.

Paper. Y. Wang et al., "Super-NaturalInstructions", EMNLP 2022, arXiv:2204.07705; the choice of tasks is that of A.
Java, S. Shahid, C. Agarwal, NAACL 2025, arXiv:2411.08506.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
from datasets import Dataset

from hf_unlearnable.data import whole_or_nothing

logger = logging.getLogger("natural_instructions")

URL = "https://raw.githubusercontent.com/allenai/natural-instructions/master/tasks"

TRAIN_TASKS = (
    "task363_sst2_polarity_classification",
    "task284_imdb_classification",
    "task475_yelp_polarity_classification",
    "task833_poem_sentiment_classification",
    "task609_sbic_potentially_offense_binary_classification",
    "task888_reviews_classification",
    "task1720_civil_comments_toxicity_classification",
    "task1724_civil_comments_insult_classification",
    "task1725_civil_comments_severtoxicity_classification",
    "task108_contextualabusedetection_classification",
)
TEST_TASKS = (
    "task586_amazonfood_polarity_classification",
    "task493_review_polarity_classification",
    "task1312_amazonreview_polarity_classification",
    "task761_app_review_classification",
    "task326_jigsaw_classification_obscene",
    "task328_jigsaw_classification_insult",
    "task323_jigsaw_classification_sexually_explicit",
    "task324_jigsaw_classification_disagree",
    "task322_jigsaw_classification_threat",
    "task327_jigsaw_classification_toxic",
    "task325_jigsaw_classification_identity_attack",
    "task337_hateeval_classification_individual_en",
    "task904_hate_speech_offensive_classification",
    "task1502_hatexplain_classification",
    "task335_hateeval_classification_aggresive_en",
    "task1503_hatexplain_classification",
    "task333_hateeval_classification_hate_en",
    "task512_twitter_emotion_classification",
)


def read_task(name: str, tasks_dir: str | None) -> dict[str, Any]:
    """The JSON of a task, from a folder of task files or from GitHub.

    Raises:
        FileNotFoundError: The folder has no file for it.
        ConnectionError: It could not be downloaded.
    """
    if tasks_dir:
        file = Path(tasks_dir, f"{name}.json")
        if not file.is_file():
            raise FileNotFoundError(f"There is no {file}. tasks_dir is the folder `tasks` of natural-instructions.")
        return json.loads(file.read_text(encoding="utf-8"))
    try:
        with urlopen(f"{URL}/{name}.json", timeout=60) as answer:
            return json.load(answer)
    except (URLError, TimeoutError) as error:
        raise ConnectionError(
            f"{URL}/{name}.json cannot be downloaded: {error}. Without a network, give a clone of "
            "https://github.com/allenai/natural-instructions with --tasks_dir natural-instructions/tasks."
        ) from error


def rows_of(task: dict[str, Any], name: str, count: int) -> list[dict[str, str]]:
    """At most `count` instances of a task, as evenly from its labels as they are there, in the file's order.

    Args:
        task: As its file has it: "Definition" (a list with one text) and "Instances", each with "input" and "output",
            a list of answers of which the first one counts.
        name: Of the task.
        count: Most rows.
    """
    by_label: dict[str, list[int]] = {}
    for i, instance in enumerate(task["Instances"]):
        by_label.setdefault(instance["output"][0].strip(), []).append(i)
    order = np.random.default_rng(0)
    drawn = {label: order.permutation(places).tolist() for label, places in by_label.items()}
    # In turn one of each label: those that run out leave their share to the others.
    turns = sorted((turn, label, place) for label, places in drawn.items() for turn, place in enumerate(places))
    kept = sorted((place, label) for _, label, place in turns[:count])
    definition = " ".join(task["Definition"])
    return [
        {"text": task["Instances"][place]["input"], "label": label, "task": name, "definition": definition}
        for place, label in kept
    ]


def convert(names: Sequence[str], count: int, tasks_dir: str | None) -> Dataset:
    """The rows of several tasks, one task after the other."""
    rows = []
    for name in names:
        found = rows_of(read_task(name, tasks_dir), name, count)
        logger.info("%s: %d rows", name, len(found))
        rows += found
    return Dataset.from_list(rows)


def main(argv: list[str] | None = None) -> None:
    """Writes both splits, whole or not at all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="new folder")
    parser.add_argument("--tasks_dir", help="folder of task files; without it they are downloaded")
    parser.add_argument("--train_tasks", nargs="+", default=TRAIN_TASKS)
    parser.add_argument("--test_tasks", nargs="+", default=TEST_TASKS)
    parser.add_argument("--train_rows", type=int, default=1000, help="most rows of a task to train on")
    parser.add_argument("--test_rows", type=int, default=100, help="most rows of a task to test on")
    arguments = parser.parse_args(argv)
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    with whole_or_nothing(arguments.output) as scratch:
        scratch.mkdir()
        for split in ("train", "test"):
            names, count = getattr(arguments, f"{split}_tasks"), getattr(arguments, f"{split}_rows")
            convert(names, count, arguments.tasks_dir).to_parquet(str(scratch / f"{split}.parquet"))


if __name__ == "__main__":
    main()
