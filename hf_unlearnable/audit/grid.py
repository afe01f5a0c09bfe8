"""Runs the grid: every version of a dataset, every victim, every countermeasure, every seed, on the same clean test.

A protection is worth what the best attacker leaves of it, so the grid holds more than the protected rows and one
victim. It also holds what a number is compared with: the clean rows, the protected rows dropped, and a change of the
same dose that tells nothing.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._version import __version__
from hf_unlearnable.adversary import Attacker, Countermeasure, Rows, Victim, composed
from hf_unlearnable.audit.plan import best_pairs, roles_of
from hf_unlearnable.audit.statistics import Interval, accuracy_interval
from hf_unlearnable.audit.store import Store, digest
from hf_unlearnable.registry import modality_of

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)

NONE = "none"  # the countermeasure that changes nothing
ROLES = ("clean", "protected", "partly", "random", "dropped")


@dataclass(frozen=True)
class Version:
    """Rows that a victim may be trained on.

    Args:
        name: As the report shows it.
        rows: A dataset, or a function from a seed to one: every training then meets a key of its own, and the
            interval tells how much keys differ.
        role: "clean", "protected", "partly" (some rows protected, the others clean), "random" (the same dose of a
            change that tells nothing) or "dropped" (without the protected rows).
        share: How much of the rows is protected, from 0 to 1.
    """

    name: str
    rows: Dataset | Callable[[int], Dataset]
    role: str
    share: float = 1.0

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"The role {self.role!r} is none of {', '.join(ROLES)}.")


@dataclass(frozen=True, eq=False)
class Cell:
    """What one victim learned from one version after one countermeasure.

    Args:
        version: Whose rows it was trained on.
        victim: Name of the victim.
        countermeasure: Name of what was done about the protection, "none" for nothing.
        correct: Boolean [seeds, test rows]: which test rows each seed labelled rightly.
        seeds: The seeds that were run, in the order of `correct`.
        curves: For each seed, (training accuracy, test accuracy) after each epoch; empty where nothing was trained.
        train_rows: How many rows it was trained on, the countermeasure done.
        seconds: What the trainings took, all seeds together.
    """

    version: Version
    victim: str
    countermeasure: str
    correct: np.ndarray
    seeds: list[int]
    curves: list[list[tuple[float, float]]] = field(default_factory=list)
    train_rows: int = 0
    seconds: float = 0.0

    @property
    def accuracy(self) -> Interval:
        """On the clean test rows after the last epoch, with its interval over seeds and rows."""
        return accuracy_interval(self.correct)

    @property
    def by_seed(self) -> list[float]:
        """Accuracy of each seed."""
        return self.correct.mean(axis=1).round(4).tolist()

    @property
    def peak(self) -> float:
        """Mean over the seeds of the best accuracy after any epoch: for an attacker who knows when to stop."""
        best = [
            max([final, *(test for _, test in curve)]) for final, curve in zip(self.by_seed, self.curves, strict=True)
        ]
        return float(np.mean(best))


@dataclass(frozen=True)
class Audit:
    """What was found.

    Args:
        cells: One for each version, victim and countermeasure that was run.
        not_run: What was not, and why.
        classes: Number of classes in the test.
        protocol: How it was measured: data, rows, parameters that may be published.
        warnings: What a reader should know of the data.
        fingerprints: `data.fingerprint` of the clean and the protected column, by which a report finds its data again.
    """

    cells: list[Cell]
    not_run: list[str]
    classes: int
    protocol: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    fingerprints: dict[str, str] = field(default_factory=dict)

    def cell(self, version: str, victim: str, countermeasure: str = NONE) -> Cell | None:
        """The cell of these names, if it was run."""
        wanted = (version, victim, countermeasure)
        return next((c for c in self.cells if (c.version.name, c.victim, c.countermeasure) == wanted), None)

    def of_role(self, role: str, victim: str, countermeasure: str = NONE) -> Cell | None:
        """The first cell of that role, such as that of the clean version."""
        names = [cell.version.name for cell in self.cells if cell.version.role == role]
        return self.cell(names[0], victim, countermeasure) if names else None


@dataclass(frozen=True)
class _Training:
    version: Version
    victim: str
    countermeasure: str
    seed: int


def audit(
    versions: Sequence[Version],
    test: Dataset,
    victims: Mapping[str, Callable[..., np.ndarray]],
    countermeasures: Mapping[str, Countermeasure] | None = None,
    *,
    attacker: Attacker | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    input_column: str = "text",
    label_column: str = "label",
    store: str | os.PathLike | None = None,
    budget: float | None = None,
    on_cell: Callable[[Cell], Any] = lambda cell: None,
    compose: bool = False,
    skip: Collection[tuple[str, str, str]] = (),
) -> Audit:
    """Trains every victim on every version after every countermeasure, and tests it on clean rows.

    The order is: the first seed of everything, then the next; in a seed the trainings without a countermeasure come
    first. Countermeasures are tried on the protected versions and on the clean ones, which shows what they cost;
    those that bring clean rows of their own on the dropped ones too, which shows what these rows alone are worth.

    Args:
        versions: What to train on. Rows of fewer than two classes teach nothing: the victim then guesses the label
            that is most frequent in the test, the best a guess can do.
        test: Clean held-out rows.
        victims: By name: each a `Victim`, `partial(victim, epochs=8)`, or a plain function, see `Victim.of`.
        countermeasures: By name, apart from "none", which is always there. In a store they and the victims are known
            by name, function and settings: give one that does something else (another share, another model behind a
            callable) another name.
        attacker: What the adversary has of its own. Its seed is that of the training.
        seeds: One training each.
        input_column, label_column: Columns of all of them, inputs and their labels.
        store: Folder for a result file a training: what stands there is not computed again, and several processes
            that run the same audit share the work (`accelerate launch` gives each its GPU).
        budget: Seconds that it may take, `math.inf` for any. How long the whole grid would take is logged before it
            begins, and no training is begun that would not end in time. None does without.
        on_cell: Called with each cell as soon as all of its seeds are there.
        compose: Whether to try the composition of two countermeasures too, when all else was run: for each victim and
            each protected version the two that reached most there by themselves, in the order of `countermeasures`.
            Strengths of one kind ("jpeg-10", "jpeg-50") count once, clean rows of the attacker's own do not. Its cells
            are named "a+b".
        skip: Cells (version, victim, countermeasure) that are known from elsewhere and not to be run.

    Returns:
        The cells, in the order of versions, victims and countermeasures, and what was not run.

    Raises:
        ValueError: No test rows, or two versions of one name.
    """
    return _Grid(
        versions, test, victims, countermeasures or {}, attacker or Attacker(), list(seeds),
        (input_column, label_column), Store(store), on_cell, frozenset(skip),
    ).run(budget, compose)  # fmt: skip


def rows_of(dataset: Dataset, columns: tuple[str, str]) -> Rows:
    """Inputs, as victims take them, and labels of a dataset."""
    modality = modality_of(dataset.features, columns[0])
    return Rows(modality.read(dataset, columns[0]), dataset[columns[1]][:])


class _Grid:
    def __init__(
        self, versions: Sequence[Version], test: Dataset, victims: Mapping[str, Callable],
        countermeasures: Mapping[str, Countermeasure], attacker: Attacker, seeds: list[int],
        columns: tuple[str, str], store: Store, on_cell: Callable[[Cell], Any], skip: Collection[tuple[str, str, str]],
    ):  # fmt: skip
        names = [version.name for version in versions]
        if len(set(names)) < len(names):
            raise ValueError(f"Two versions have one name: {', '.join(names)}. Give each its own.")
        if len(test) == 0:
            raise ValueError("The test is empty. Victims are judged on clean rows that they were not trained on.")
        self.versions = {version.name: version for version in versions}
        self.victims = {name: Victim.of(victim) for name, victim in victims.items()}
        self.attacker, self.seeds, self.store = attacker, seeds, store
        self.countermeasures = {NONE: Countermeasure(), **countermeasures}
        self.columns, self.on_cell, self.skip = columns, on_cell, skip
        self.test = rows_of(test, columns)
        self.truth = np.array(self.test.labels)
        values, counts = np.unique(self.truth, return_counts=True)
        self.guess = np.full(len(self.truth), values[counts.argmax()])
        full = [v.rows for v in versions if v.role != "dropped"]
        self.published = len(full[0](self.seeds[0]) if callable(full[0]) else full[0]) if full else None
        self.not_run: dict[str, None] = {}
        # Everything a result depends on besides its own rows, victim, countermeasure and seed.
        brought = [self.attacker.clean and (self.attacker.clean.inputs, self.attacker.clean.labels),
                   self.attacker.corpus, self.attacker.language_model, self.attacker.paraphrase]  # fmt: skip
        self._common = {True: digest(__version__, self.test.inputs, self.test.labels, brought),
                        False: digest(__version__, self.test.inputs, self.test.labels)}  # fmt: skip
        self._digests: dict[tuple, str] = {}
        self._broken: set[str] = set()  # victims and countermeasures whose model or framework is not to be had
        self._seconds: dict[str, float] = {}  # what a training of this victim takes without a countermeasure
        self._prepared: dict[str, float] = {}  # what this countermeasure takes on the rows
        if "LOCAL_RANK" in os.environ:  # under accelerate launch or torchrun, each process has its own GPU
            import torch

            if torch.cuda.is_available():
                torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))

    def run(self, budget: float | None, compose: bool) -> Audit:
        end = None if budget is None else time.perf_counter() + budget
        cells = self._run(self._planned(dict.fromkeys(self.countermeasures, self.victims)), end)
        if compose:
            pairs = best_pairs(cells, self.countermeasures)
            self.countermeasures.update({name: composed(name, self.countermeasures) for name in pairs})
            cells += self._run(self._planned(pairs), end)
        order = {name: i for i, name in enumerate([*self.versions, *self.victims, *self.countermeasures])}
        cells.sort(key=lambda c: (order[c.version.name], order[c.victim], order[c.countermeasure]))
        return Audit(cells, list(self.not_run), len(np.unique(self.truth)))

    def _run(self, trainings: list[_Training], end: float | None) -> list[Cell]:
        """The cells of these trainings, those that end in time."""
        names = [self._name(training) for training in trainings]
        missing = [t for t, name in zip(trainings, names, strict=True) if self.store.get(name) is None]
        if end is not None and missing:
            self._probe([t for t in missing if t.victim not in self._seconds])
            needed = sum(self._estimate(t) for t in missing if not self._left_out(t))
            left = end - time.perf_counter()
            given = "no limit is set" if np.isinf(left) else f"{left / 60:.1f} are given"
            logger.warning(
                "%d trainings to run, %d there already: about %.1f minutes, %s.", len(missing),
                len(trainings) - len(missing), needed / 60, given,
            )  # fmt: skip

        def compute(place: int) -> dict | None:
            training = trainings[place]
            if end is not None and time.perf_counter() + self._estimate(training) > end:
                self.not_run[f"{_said(training)}, seed {training.seed}: out of time"] = None
                return None
            return None if self._left_out(training) else self._trained(training)

        open_seeds = Counter(map(_key, trainings))
        finished: set[int] = set()
        for place in self.store.each(names, compute):
            finished.add(place)
            key = _key(trainings[place])
            open_seeds[key] -= 1
            if open_seeds[key] == 0:
                self.on_cell(self._cell(key, trainings, names, finished))
        keys = dict.fromkeys(_key(t) for i, t in enumerate(trainings) if i in finished)
        return [self._cell(key, trainings, names, finished) for key in keys]

    # ------------------------------------------------------------------ the plan
    def _planned(self, wanted: Mapping[str, Iterable[str]]) -> list[_Training]:
        """The trainings of countermeasures, by name, on victims."""
        planned = []
        for name, victims in wanted.items():
            countermeasure = self.countermeasures[name]
            missing = countermeasure.missing(self.attacker)
            if missing:
                self.not_run[f"{name}: the attacker was given no {' and no '.join(missing)}"] = None
                continue
            for victim in victims:
                if countermeasure.in_training is not None and "in_training" not in self.victims[victim].takes:
                    self.not_run[f"{_on(name, victim)}: it takes nothing in training"] = None
                    continue
                for version in self.versions.values():
                    if (version.name, victim, name) in self.skip:
                        continue
                    if name == NONE or version.role in roles_of(countermeasure):
                        planned += [_Training(version, victim, name, seed) for seed in self.seeds]
        # First seeds first, and in each what everything else is compared with.
        return sorted(planned, key=lambda t: (self.seeds.index(t.seed), t.countermeasure != NONE))

    def _estimate(self, training: _Training) -> float:
        added = self.countermeasures[training.countermeasure].cost - 1
        training_seconds = self._seconds.get(training.victim, 0.0) * (self._size(training.version) + added)
        return training_seconds + self._prepared.get(training.countermeasure, 0.0)

    def _size(self, version: Version) -> float:
        """The rows of a version as a share of those that were published."""
        return 1.0 if callable(version.rows) or not self.published else len(version.rows) / self.published

    def _probe(self, missing: list[_Training]) -> None:
        """Trains each victim on a few rows and on twice as many, to know what a whole training will take."""
        rows = self._rows(next(iter(self.versions.values())), self.seeds[0])
        count = min(max(len(rows) // 16, 32), len(rows) // 2)
        order = np.random.default_rng(0).permutation(len(rows)).tolist()
        for victim in dict.fromkeys(training.victim for training in missing):
            took = []
            for few in (order[:count], order[: 2 * count]):
                labels = [rows.labels[i] for i in few]
                if len(set(labels)) < 2:
                    break
                tests = self.test.inputs[: max(len(self.test) * len(few) // len(rows), 1)]
                start = time.perf_counter()
                try:
                    self.victims[victim]([rows.inputs[i] for i in few], labels, tests, seed=0)
                except (OSError, ImportError) as error:
                    self._give_up(victim, error)
                    break
                took.append(time.perf_counter() - start)
            if len(took) == 2:  # the first also paid for what is done once in a process
                slope = max(took[1] - took[0], took[1] / 2) / count
                self._seconds[victim] = took[1] + slope * (len(rows) - 2 * count)

    # ------------------------------------------------------------------ one training
    def _name(self, training: _Training) -> str:
        """Named by the rows that are given to the countermeasure."""
        rows = self._digest_of(training)
        plain = training.countermeasure == NONE
        # Of the rows that are mixed in, as many as were published count, which the rows themselves do not tell then.
        count = self.published if training.version.role == "dropped" and not plain else None
        did = "" if plain else (count, training.countermeasure, self.countermeasures[training.countermeasure].on_rows,
                                self.countermeasures[training.countermeasure].in_training)  # fmt: skip
        return digest(
            self._common[not plain], rows, self.victims[training.victim], training.victim, did, training.seed
        )

    def _digest_of(self, training: _Training) -> str:
        rows = training.version.rows
        key = (training.version.name, training.seed if callable(rows) else None)
        if key not in self._digests:
            made = self._rows(training.version, training.seed)
            self._digests[key] = digest(made.inputs, made.labels)
        return self._digests[key]

    def _rows(self, version: Version, seed: int) -> Rows:
        return rows_of(version.rows(seed) if callable(version.rows) else version.rows, self.columns)

    def _trained(self, training: _Training) -> dict | None:
        """The result of a training: from the store where the same rows were trained on before."""
        start = time.perf_counter()
        countermeasure, run = self.countermeasures[training.countermeasure], self.victims[training.victim]
        rows = self._rows(training.version, training.seed)
        if countermeasure.on_rows is not None:
            attacker = replace(self.attacker, seed=training.seed, published=self.published)
            rows = self._tried(training, training.countermeasure, partial(countermeasure.on_rows, rows, attacker))
            if rows is None:
                return None
            self._prepared[training.countermeasure] = time.perf_counter() - start
        hook = countermeasure.in_training
        name = digest(self._common[False], digest(rows.inputs, rows.labels), run, training.victim,
                      "" if hook is None else ("", training.countermeasure, hook), training.seed)  # fmt: skip
        found = self.store.get(name)
        if found is None:
            begun = time.perf_counter()
            part = training.victim if hook is None else _on(training.countermeasure, training.victim)
            found = self._tried(training, part, partial(self._result, run, rows, hook, training.seed))
            if found is None:
                return None
            if len(set(rows.labels)) > 1 and self._size(training.version) >= 1:  # few rows do not tell
                took = (time.perf_counter() - begun) / countermeasure.cost
                self._seconds[training.victim] = max(self._seconds.get(training.victim, 0.0) * 0.5, took)
            found["seconds"] = round(time.perf_counter() - start, 2)
            self.store.put(name, found)
        logger.info("%s, seed %d: %.1f %% (%.0f s)", _said(training), training.seed,
                    100 * np.mean(_unpacked(found)), time.perf_counter() - start)  # fmt: skip
        return found

    def _tried(self, training: _Training, part: str, do: Callable[[], Any]) -> Any:
        """What is returned, or None.

        What cannot be had, such as a model of the Hub without a network, ends the cells that need that part and no
        others; a countermeasure that fails, or leaves rows that the victim cannot take, ends this training only.
        """
        try:
            return do()
        except (OSError, ImportError) as error:
            self._give_up(part, error)
        except (ValueError, RuntimeError) as error:
            if training.countermeasure == NONE:
                raise
            self._note(f"{_said(training)}, seed {training.seed}", error)
        return None

    def _left_out(self, training: _Training) -> bool:
        parts = training.victim, training.countermeasure, _on(training.countermeasure, training.victim)
        return not self._broken.isdisjoint(parts)

    def _give_up(self, part: str, error: Exception) -> None:
        self._broken.add(part)
        self._note(part, error)

    def _note(self, part: str, error: Exception) -> None:
        self.not_run[f"{part}: {' '.join(str(error).split())}"] = None
        logger.warning("%s is left out: %s", part, error)

    def _result(self, run: Victim, rows: Rows, hook: Callable | None, seed: int) -> dict:
        curve: list[tuple[float, float]] = []
        predicted = self.guess
        if len(set(rows.labels)) > 1:
            options: dict[str, Any] = {} if hook is None else {"in_training": hook}
            if "on_epoch" in run.takes:
                options["on_epoch"] = lambda train, test: curve.append(
                    (round(float(train), 4), round(float(np.mean(test == self.truth)), 4))
                )
            predicted = run(rows.inputs, rows.labels, self.test.inputs, seed=seed, **options)
        packed = np.packbits(predicted == self.truth).tobytes().hex()
        return {"correct": packed, "test_rows": len(self.truth), "train_rows": len(rows), "curve": curve}

    # ------------------------------------------------------------------ what came out
    def _cell(self, key: tuple[str, str, str], trainings: list[_Training], names: list[str], there: set[int]) -> Cell:
        places = [i for i in sorted(there) if _key(trainings[i]) == key]
        found: list[Any] = [self.store.get(names[i]) for i in places]
        return Cell(
            self.versions[key[0]], key[1], key[2],
            correct=np.stack([_unpacked(result) for result in found]),
            seeds=[trainings[i].seed for i in places],
            curves=[[tuple(point) for point in result["curve"]] for result in found],
            train_rows=found[-1]["train_rows"],
            seconds=round(sum(result.get("seconds", 0.0) for result in found), 1),
        )  # fmt: skip


def _key(training: _Training) -> tuple[str, str, str]:
    return training.version.name, training.victim, training.countermeasure


def _on(countermeasure: str, victim: str) -> str:
    return f"{countermeasure} on {victim}"


def _said(training: _Training) -> str:
    after = "" if training.countermeasure == NONE else f", {training.countermeasure}"
    return f"{training.version.name}, {training.victim}{after}"


def _unpacked(result: dict) -> np.ndarray:
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(result["correct"]), np.uint8))
    return bits[: result["test_rows"]].astype(bool)
