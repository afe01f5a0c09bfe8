"""The rows that `finetune_attack.py` trains and tests on: one set per version, all of the same rows."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from datasets import ClassLabel, Dataset, Features, Value

from hf_unlearnable import load_transform
from hf_unlearnable.audit.versions import random_dose
from hf_unlearnable.data import load_rows
from hf_unlearnable.registry import method_class
from hf_unlearnable.samples import load_notes

if TYPE_CHECKING:
    from finetune_options import AttackArguments

logger = logging.getLogger("finetune_attack")

# What all data are brought to; `instruction` is empty for rows that have none of their own.
EXAMPLE = Features({name: Value("string") for name in ("text", "label", "task", "instruction")})


@dataclass(frozen=True)
class Training:
    """One training of a run.

    Args:
        version: "clean", "protected", "random" or "dropped".
        seed: Of the training.
        method: The protection that the version is made of, where there are several.
        name: Its folder and its row of the table.
    """

    version: str
    seed: int
    method: str | None = None
    name: str = ""


def planned(args: AttackArguments, seeds: Sequence[int]) -> list[Training]:
    """The trainings of a run: each version per method and seed, and the clean rows once per seed."""
    several = len(args.method) > 1
    found = []
    for seed in seeds:
        for version in args.versions:
            methods: Sequence[str | None] = args.method if several and version != "clean" else [None]
            for method in methods:
                words = [*([method] if method else []), version, *([f"seed-{seed}"] if len(seeds) > 1 else [])]
                found.append(Training(version, seed, method, "-".join(words)))
    return found


def load_data(
    args: AttackArguments, output: Path, trainings: Sequence[Training]
) -> tuple[dict[str, Dataset], Dataset, dict[str, list[str]]]:
    """The examples of each training by name, those of the test, and the labels of each task.

    Args:
        args: What is attacked.
        output: Folder of the results; keys are made beside it.
        trainings: What will be trained.

    Raises:
        ValueError: Two versions do not hold the same rows, or all test rows are training rows.
    """
    clean = read(str(args.clean), args, args.dataset_train_split)
    whole = examples(clean, args, "clean")
    first = sample(whole, args.train_rows)
    made: dict[tuple, Dataset] = {("clean", None, 0): first}
    keyed = len({one.seed for one in trainings}) > 1
    for one in trainings:
        place = (one.version, one.method, one.seed if keyed else 0)
        if one.version != "clean" and place not in made:
            words = [output.name, *([one.method] if one.method else []), *([str(one.seed)] if keyed else [])]
            made[place] = _version(args, clean, whole, one, output.with_name(f"{'-'.join(words)}.key"))
    data = {
        one.name: first if one.version == "clean" else made[one.version, one.method, one.seed if keyed else 0]
        for one in trainings
    }
    raw = sample(read(args.test or str(args.clean), args, args.dataset_test_split), args.test_rows)
    test = examples(raw, args, "test")
    texts = set(first["text"])
    repeated = sum(text in texts for text in test["text"])
    if repeated == len(test):
        raise ValueError("All test rows are training rows, too. Give others with --test.")
    if repeated:
        logger.warning("%d of %d test rows are training rows, too: they ask for memory.", repeated, len(test))
    declared = [] if args.task_column else [*(label_names(clean, args) or ()), *(label_names(raw, args) or ())]
    return data, test, labels_by_task(first, test, declared)


def _version(args: AttackArguments, clean: Dataset, whole: Dataset, one: Training, key: Path) -> Dataset:
    """The examples of a version, as many as of the clean one, in the same order.

    Args:
        args: What is attacked.
        clean: All clean rows.
        whole: Their examples.
        one: The training that they are for.
        key: Of the protection, which is made if it is not there.
    """
    given = getattr(args, one.version, None)
    if given:
        rows = read(given, args, args.dataset_train_split)
    else:
        method = one.method or (args.method[0] if args.method else None)
        kept = args.protected and read(args.protected, args, args.dataset_train_split)
        rows = kept or protect(clean, args, method, key)
        if one.version == "random":
            with PartialState().main_process_first():
                rows = random_dose(clean, rows, args.text_column, seed=0)
    name = "protected" if one.version == "dropped" else one.version
    found = examples(rows, args, name)
    if found["label"][:] != whole["label"][:]:
        raise ValueError(
            f"{name} ({len(found)} rows) and clean ({len(clean)} rows) differ in their labels. They must be the "
            "same rows in the same order: protect the very file that you give as clean."
        )
    found, first = sample(found, args.train_rows), sample(whole, args.train_rows)
    if one.version != "dropped":
        return found
    return first.select([i for i, (a, b) in enumerate(zip(first["text"], found["text"], strict=True)) if a == b])


def read(source: str, args: AttackArguments, split: str) -> Dataset:
    """The rows of a source.

    Args:
        source: A file, a folder, a Hub id, or "notes".
        args: What is attacked: the configuration on the Hub.
        split: Of a source that has several.
    """
    return load_notes(split) if source == "notes" else load_rows(source, config=args.dataset_config, split=split)


def sample(rows: Dataset, count: int | None) -> Dataset:
    """`count` rows, always the same ones, in their order; all for None."""
    if count is None or count >= len(rows):
        return rows
    return rows.select(sorted(np.random.default_rng(0).choice(len(rows), count, replace=False).tolist()))


def protect(rows: Dataset, args: AttackArguments, method: str | None, key: Path) -> Dataset:
    """The rows under the owner's key, which is made first if it is not there.

    One process decides, and hands the key to the others: a key that each drew for itself would differ.

    Args:
        rows: Clean rows.
        args: What is attacked: columns, and arguments of the method.
        method: Its name.
        key: Folder of the key.

    Raises:
        ValueError: The key is of another method or of other arguments, or the method is not for texts.
    """
    given = args.method_parameters
    state, found = PartialState(), None
    if state.is_main_process and key.exists():
        found = load_transform(key)
        other = [name for name, value in given.items() if found.get_params().get(name) != value]
        other += ["method"] if found.method != method else []
        if other:
            raise ValueError(f"The key {key} is there already and differs in {', '.join(other)}. Move it away.")
    elif state.is_main_process:
        cls = method_class(str(method))
        if cls.modality != "text":
            raise ValueError(f"method is {method}, which is for {cls.modality}s. This attack is on texts.")
        found = cls(**given).fit(rows)
        found.key.save(key)
    cloak = load_transform(broadcast_object_list([found and found.key])[0])
    logger.info("Protecting with %r", cloak)
    with state.main_process_first():
        return rows.map(cloak, batched=True)


def label_names(rows: Dataset, args: AttackArguments) -> list[str] | None:
    """The declared names of the labels, by number; None where the rows hold the names themselves."""
    feature = rows.features.get(args.label_column)
    return args.class_names or (feature.names if isinstance(feature, ClassLabel) else None)


def examples(rows: Dataset, args: AttackArguments, name: str) -> Dataset:
    """The rows as texts, names of labels, tasks and instructions.

    Args:
        rows: Rows as they were read.
        args: What is attacked: the columns.
        name: What the rows are, for messages.

    Raises:
        ValueError: A column is missing, or a row has no text, no label or one without a name.
    """
    columns = [args.text_column, args.label_column, args.task_column, args.instruction_column]
    for column in columns:
        if column and column not in rows.column_names:
            raise ValueError(f"{name} has no column {column!r}. Columns: {', '.join(rows.column_names)}.")
    names = label_names(rows, args)

    def convert(row: dict[str, Any], index: int) -> dict[str, str]:
        text, label, task, instruction = (row[column] if column else "" for column in columns)
        if not isinstance(text, str):
            raise ValueError(f"Row {index} of {name} has no text in column {args.text_column!r}. Filter it out.")
        if isinstance(label, int) and names and 0 <= label < len(names):
            label = names[label]
        if not (isinstance(label, str) and label and (names is None or label in names)):
            raise ValueError(
                f"Row {index} of {name} has {label!r} in column {args.label_column!r}, which is no name of a label"
                f"{f' and none of the {len(names)} numbers that have one' if names else ''}. Filter such rows out, or "
                "name the labels with --class_names."
            )
        return {"text": text, "label": label, "task": str(task), "instruction": instruction}

    with PartialState().main_process_first():
        return rows.map(convert, with_indices=True, remove_columns=rows.column_names, features=EXAMPLE)


def labels_by_task(train: Dataset, test: Dataset, declared: Sequence[str]) -> dict[str, list[str]]:
    """Which labels the answer to a task is chosen from.

    Args:
        train: Examples of the clean version.
        test: Examples of the test.
        declared: Names that stand beside the data of a single task, which may hold some that no row has.

    Raises:
        ValueError: A task has one label only, or test rows have a label that a model never sees in training.
    """
    trained, tested = (dict.fromkeys(zip(rows["task"], rows["label"], strict=True)) for rows in (train, test))
    tasks: dict[str, list[str]] = {}
    for task, label in {**{("", label): None for label in declared}, **trained, **tested}:
        tasks.setdefault(task, []).append(label)
    for task, labels in tasks.items():
        if len(labels) < 2:
            raise ValueError(f"The only label{f' of task {task!r}' if task else ''} is {labels}: nothing to learn.")
        known = [label for label in labels if (task, label) in trained]
        asked = [label for label in labels if (task, label) in tested]
        unknown = [label for label in asked if label not in known]
        if unknown and (known or not task):  # a task that is held out as a whole is a fair question
            raise ValueError(
                f"Test rows have the label {unknown[0]!r}, and training rows only {', '.join(known)}: no model could "
                "answer. If they are the same labels under other names, name them with --class_names."
            )
        if asked and len(asked) < len(labels):
            absent = ", ".join(label for label in labels if label not in asked)
            logger.warning("No test row has the label %s: it is not tested.", absent)
    return tasks
