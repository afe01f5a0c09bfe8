"""Two models in training, one epoch of the one after one epoch of the other, so that a visitor can watch both.

Victims are functions that train to the end. Each runs in a thread of its own, and its `on_epoch` hook waits there
until it is its turn again: only one trains at a time, so both use all cores and no random generator is shared.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.protection import protect
from hf_unlearnable.registry import MODALITIES, countermeasures_of, method_class, victims_of

from .limits import RefusedError
from .protection import file_dataset, guessed_columns, methods, transform
from .reading import alone, read_images, read_table

if TYPE_CHECKING:
    from datasets import Dataset

    from hf_unlearnable.modality import Grid

MAX_TRAINED = 1200  # rows that a model trains on, so that a proof takes less than a minute
MAX_TESTED = 500
_LEARNED = 0.05  # accuracy above a guess without which the clean data taught nothing
NONE = "none"
BASES = {"notes": "text", "digits": "image"}  # the samples, and their modalities


class StoppedError(Exception):
    """The visitor stopped the training, or left."""


@dataclass(frozen=True)
class Proof:
    """What is trained on: the same rows clean and protected, and clean rows to test on.

    Args:
        kind: Name of the modality.
        method: Name of the protection.
        clean, protected: Inputs to train on.
        labels: Their classes, whole numbers.
        test_inputs, test_labels: Clean rows held out.
    """

    kind: str
    method: str
    clean: Sequence[Any]
    protected: Sequence[Any]
    labels: Sequence[int]
    test_inputs: Sequence[Any]
    test_labels: Sequence[int]

    @property
    def guess(self) -> float:
        """Accuracy of always naming the class that most training rows have."""
        return float(np.mean(np.array(self.test_labels) == np.bincount(self.labels).argmax()))


# ---------------------------------------------------------------------- what to train on
def sample_proof(base: str, seed: int | None = None) -> Proof:
    """The embedded notes or digits, protected.

    Args:
        base: "notes" or "digits".
        seed: Of the key; None for one that is drawn now and thrown away.
    """
    from hf_unlearnable.samples import load_digits, load_notes

    if base not in BASES:
        raise RefusedError(f"There is no sample {base!r}. Choose one of {', '.join(BASES)}.")
    load = {"notes": load_notes, "digits": load_digits}[base]
    modality = MODALITIES[BASES[base]]
    method = methods(modality.name)[0]
    train, test = (modality.undecoded(load(split), modality.column) for split in ("train", "test"))
    after = protect(train, transform(method, "Standard", seed=seed)).data["train"]
    clean, protected, held = (modality.read_small(data, modality.column) for data in (train, after, test))
    return Proof(modality.name, method, clean, protected, train["label"][:], held, test["label"][:])


@alone
def file_proof(path: str) -> Proof:
    """A table of texts or an archive of images in folders, protected with the usual method and a key of the moment."""
    if Path(path).suffix.lower() == ".zip":
        method, column = methods("image")[0], "image"
        dataset = file_dataset(read_images([path], "mine"), column)
        columns = {}
    else:
        method, dataset = methods("text")[0], read_table(path)
        texts, classes = guessed_columns(dataset)
        if not texts or len(classes) < 2:
            raise RefusedError("The table needs a column of texts and one of classes.")
        column = texts[0]
        columns = {"text_column": column, "label_column": next(name for name in classes if name != column)}
    after = protect(dataset, transform(method, "Standard", **columns)).data["train"]
    return own_proof(dataset, after, column, columns.get("label_column", "label"), method)


@alone
def own_proof(original: Dataset, protected: Dataset, column: str, label_column: str, method: str) -> Proof:
    """A visitor's rows before and after, a quarter of them held out to test on.

    Raises:
        RefusedError: There are too few rows, or of one class only: that proves nothing.
    """
    values = original[label_column][:]
    names = sorted({value for value in values if value is not None}, key=str)
    labels = [names.index(value) if value is not None else -1 for value in values]
    usable = [i for i, value in enumerate(original[column]) if labels[i] >= 0 and value is not None]
    if len(usable) < 40 or len({labels[i] for i in usable}) < 2:
        raise RefusedError(
            f"These are {len(usable)} labelled rows of {len(names)} classes. A proof needs at least 40 rows of at "
            "least two classes: upload more, or take one of the samples."
        )
    order = np.random.default_rng(0).permutation(usable)
    test, train = np.split(order, [min(MAX_TESTED, len(order) // 4)])
    train = train[:MAX_TRAINED]
    if len({labels[i] for i in train}) < 2:
        raise RefusedError("The rows to train on are all of one class. Give more of the other classes.")
    kind = method_class(method).modality
    clean, after, held = (
        MODALITIES[kind].read_small(data.select(rows), column)
        for data, rows in ((original, train), (protected, train), (original, test))
    )
    return Proof(kind, method, clean, after, [labels[i] for i in train], held, [labels[i] for i in test])


# ---------------------------------------------------------------------- countermeasures
def countermeasures(kind: str) -> list[str]:
    """Names of those that need nothing but the published rows and hardly slow the training, the strongest first."""
    first = _watched(kind).countermeasures or ()
    cheap = [name for name, one in countermeasures_of(kind).items() if not one.needs and one.cost < 1.5]
    return list(dict.fromkeys([*first, *cheap]))


def verdict(proof: Proof, clean: float, tried: Mapping[str | None, float]) -> str:
    """The worst of what was tried, and how much of what there is to try that was.

    Args:
        proof: What was trained on.
        clean: Accuracy after training on the clean rows, from 0 to 1.
        tried: Accuracy after training on the protected rows, by countermeasure, `NONE` for none.
    """
    every = countermeasures(proof.kind)
    ran, planned = 1 + len(tried), 2 + len(every)
    much = f"{ran} of {planned} trainings ran: {len([*filter(every.__contains__, tried)])} of {len(every)} "
    much += "countermeasures, one small model." + (" The others may get further." if ran < planned else "")
    if not tried:
        return f"Not measured. {much}"
    if clean - proof.guess <= _LEARNED:
        return f"Even the clean data taught this small model next to nothing: this proves nothing either way. {much}"
    worst = max(tried, key=lambda name: tried[name])
    share = max(0, 100 * (tried[worst] - proof.guess) / (clean - proof.guess))
    after = "by training alone" if worst == NONE else f"after {worst}"
    return f"At worst, {after}, the protected data taught {share:.0f} % of what the clean data teach. {much}"


# ---------------------------------------------------------------------- training
def epochs(kind: str) -> int:
    """Passes over the rows of a training."""
    return next(iter(_watched(kind).victims.values()))["epochs"]


def _watched(kind: str) -> Grid:
    modality = MODALITIES[kind]
    if modality.watched is None:
        raise RefusedError(f"No training on {modality.plural} can be watched here: hf-unlearnable attack --help.")
    return modality.watched


def trainings(proof: Proof, wanted: Mapping[str, str | None]) -> dict[str, Callable]:
    """Trainings by name, each still to be given its `on_epoch`.

    Args:
        proof: What is trained on.
        wanted: Name to None for the clean rows, or to the countermeasure against the protected ones.
    """
    from hf_unlearnable.adversary import Attacker, Rows

    ((victim, given),) = _watched(proof.kind).victims.items()
    made: dict[str, Callable] = {}
    for name, against in wanted.items():
        rows = Rows(proof.clean if against is None else proof.protected, proof.labels)
        settings: dict[str, Any] = {"seed": 0, **given}
        if against not in (None, NONE):
            if against not in countermeasures(proof.kind):
                raise RefusedError(
                    f"There is no countermeasure {against!r}. Choose one of {', '.join(countermeasures(proof.kind))}."
                )
            measure = countermeasures_of(proof.kind)[against]
            rows = measure.on_rows(rows, Attacker()) if measure.on_rows else rows
            if measure.in_training:
                settings["in_training"] = measure.in_training
        made[name] = partial(
            victims_of(proof.kind)[victim], list(rows.inputs), list(rows.labels), proof.test_inputs, **settings
        )
    return made


def watched(
    runs: Mapping[str, Callable], test_labels: Sequence[int], stopped: Callable[[], bool]
) -> Iterator[tuple[str, float]]:
    """Trains in turns, and tells after every epoch whose it was and the accuracy on the test rows.

    Args:
        runs: Trainings by name, see `trainings`.
        test_labels: m right answers.
        stopped: Asked after every epoch; when it says so, all end.
    """
    told: queue.Queue[tuple[str, float | BaseException | None]] = queue.Queue()
    turns = {name: threading.Semaphore(0) for name in runs}
    leaving = threading.Event()

    def train(name: str, run: Callable) -> None:
        def on_epoch(accuracy: float, predicted: np.ndarray) -> None:
            told.put((name, float(np.mean(predicted == np.array(test_labels)))))
            turns[name].acquire()
            if leaving.is_set():
                raise StoppedError

        turns[name].acquire()
        try:
            if not leaving.is_set():
                run(on_epoch=on_epoch)
            told.put((name, None))
        except StoppedError:
            return  # nobody waits for an answer any more
        except BaseException as error:  # handed to who watches, not lost in a thread
            told.put((name, error))

    threads = [threading.Thread(target=train, args=item, daemon=True) for item in runs.items()]
    for thread in threads:
        thread.start()
    running = list(runs)
    try:
        while running:
            for name in list(running):
                turns[name].release()
                _, accuracy = told.get()
                if isinstance(accuracy, BaseException):
                    raise accuracy
                if accuracy is None:
                    running.remove(name)
                    continue
                yield name, accuracy
                if stopped():
                    raise StoppedError
    finally:
        leaving.set()
        for turn in turns.values():
            turn.release()
        for thread in threads:
            thread.join()


def shown_training(proof: Proof, wanted: Mapping[str, str | None], flag: Path) -> Iterator[tuple[str, float]]:
    """Trains what is wanted until a flag is gone, see `trainings` and `watched`: all it takes can go to a process."""
    yield from watched(trainings(proof, wanted), proof.test_labels, lambda: not flag.is_file())
