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
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._version import __version__
from hf_unlearnable._words import counted
from hf_unlearnable.adversary import Attacker, Countermeasure, Rows, Victim, Wear, composed
from hf_unlearnable.audit.generated import Judges
from hf_unlearnable.audit.inputs import rows_of
from hf_unlearnable.audit.plan import Planned, best_pairs, grouped, lacks, roles_of, together, why
from hf_unlearnable.audit.probe import whole_training
from hf_unlearnable.audit.records import NONE, Audit, Cell, Version, confusion, reasons
from hf_unlearnable.audit.store import Store, digest, packed, unpacked

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)


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
    on_plan: Callable[[str], Any] = logger.info,
    compose: bool = False,
    skip: Collection[tuple[str, str, str]] = (),
    wear: Mapping[str, Wear] | None = None,
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
            by name, function and settings: give one that does something else another name.
        attacker: What the adversary has of its own. Its seed is that of the training.
        seeds: One training each.
        input_column, label_column: Columns of all of them, inputs and their labels.
        store: Folder for a result file a training: what stands there is not computed again, and several processes
            that run the same audit share the work (`accelerate launch` gives each its GPU).
        budget: Seconds that it may take, `math.inf` for any, None for no look at the time. What the whole grid would
            take is told first (`on_plan`). No training is begun that would not end in time, nor one with a
            countermeasure where one without did not fit.
        on_cell: Called with each cell as soon as all of its seeds are there.
        on_plan: Called with a sentence on how many trainings there are and what they would take, if there is a budget.
        compose: Whether to try the composition of two countermeasures too, when all else was run: for each victim and
            each protected version the two that reached most there by themselves, in the order of `countermeasures`.
            Strengths of one kind ("jpeg-10", "jpeg-50") count once, the attacker's own clean rows do not.
        skip: Cells (version, victim, countermeasure) that are known from elsewhere and not to be run.
        wear: By name, tried as the countermeasures are, after them. It is part of no composition.

    Returns:
        The cells, in the order of versions, victims and countermeasures, and what was not run.

    Raises:
        ValueError: No test rows, or two versions, or a countermeasure and a wear, of one name.
    """
    return _Grid(
        versions, test, victims, countermeasures or {}, attacker or Attacker(), list(seeds),
        (input_column, label_column), Store(store), on_cell, on_plan, frozenset(skip), wear or {},
    ).run(budget, compose)  # fmt: skip


class _Grid:
    def __init__(
        self, versions: Sequence[Version], test: Dataset, victims: Mapping[str, Callable],
        countermeasures: Mapping[str, Countermeasure], attacker: Attacker, seeds: list[int],
        columns: tuple[str, str], store: Store, on_cell: Callable[[Cell], Any], on_plan: Callable[[str], Any],
        skip: Collection[tuple[str, str, str]], wear: Mapping[str, Wear],
    ):  # fmt: skip
        names = [version.name for version in versions]
        if len(set(names)) < len(names):
            raise ValueError(f"Two versions have one name: {', '.join(names)}. Give each its own.")
        if len(test) == 0:
            raise ValueError("The test is empty. Victims are judged on clean rows that they were not trained on.")
        self.versions = {version.name: version for version in versions}
        self.victims = {name: Victim.of(victim) for name, victim in victims.items()}
        self.attacker, self.seeds, self.store = attacker, seeds, store
        if both := wear.keys() & countermeasures.keys():
            raise ValueError(f"A countermeasure and a wear have one name: {', '.join(sorted(both))}. Rename one.")
        self.wear = wear
        worn = {name: Countermeasure(one.on_rows) for name, one in wear.items()}
        self.countermeasures = {NONE: Countermeasure(), **countermeasures, **worn}
        self.columns, self.on_cell, self.on_plan, self.skip = columns, on_cell, on_plan, skip
        self.test = rows_of(test, columns)
        self.truth = np.array(self.test.labels)
        values, counts = np.unique(self.truth, return_counts=True)
        self.guess = np.full(len(self.truth), values[counts.argmax()])
        full = [v.rows for v in versions if v.role != "dropped"]
        self.published = len(full[0](self.seeds[0]) if callable(full[0]) else full[0]) if full else None
        self._inapplicable: dict[str, None] = {}  # a hook in training for a victim that takes none
        self._missed: dict[Planned, tuple[str, str]] = {}  # to the part that lacks something, if any, and the reason
        self._late: set[tuple[str, int]] = set()  # victims and seeds that miss a training without a countermeasure
        # Everything a result depends on besides its own rows, victim, countermeasure and seed.
        self._common = {True: digest(__version__, self.test.inputs, self.test.labels, self.attacker),
                        False: digest(__version__, self.test.inputs, self.test.labels)}  # fmt: skip
        self._digests: dict[tuple, str] = {}
        # Victims and countermeasures that lack something, such as a model or a framework, and what they lack.
        self._broken = {name: lacks(name, victim) for name, victim in self.victims.items() if victim.needs}
        self._judges = Judges()
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
            pairs = best_pairs([one for one in cells if one.countermeasure not in self.wear], self.countermeasures)
            self.countermeasures.update({name: composed(name, self.countermeasures) for name in pairs})
            cells += self._run(self._planned(pairs), end)
        order = {name: i for i, name in enumerate([*self.versions, *self.victims, *self.countermeasures])}
        cells.sort(key=lambda c: (order[c.version.name], order[c.victim], order[c.countermeasure]))
        missed, num_classes = grouped(self._missed), len(np.unique(self.truth))
        not_run = [*reasons(missed), *self._inapplicable]
        contrastive = [name for name, victim in self.victims.items() if victim.contrastive]
        return Audit(cells, not_run, num_classes, missing=missed, wear=list(self.wear), contrastive=contrastive)

    def _run(self, trainings: list[Planned], end: float | None) -> list[Cell]:
        """The cells of these trainings, those that end in time."""
        names = [self._name(training) for training in trainings]
        lacking = [t for t, name in zip(trainings, names, strict=True) if self.store.get(name) is None]
        missing = [t for t in lacking if not self._lacking(t)]
        if end is not None and missing:
            self._probe([t for t in missing if t.victim not in self._seconds])
            needed = sum(self._estimate(t) for t in missing if not self._lacking(t))
            left = end - time.perf_counter()
            limit = "no budget is set" if np.isinf(left) else f"the budget leaves {max(left, 0) / 60:.1f}"
            self.on_plan(
                f"{counted(len(missing), 'training')} to run, {len(trainings) - len(lacking)} done before: "
                f"about {needed / 60:.1f} minutes; {limit}."
            )

        def compute(place: int) -> dict | None:
            training = trainings[place]
            if part := self._lacking(training):
                self._missed[training] = part, self._broken[part]
                return None
            late = training.countermeasure != NONE and (training.victim, training.seed) in self._late
            if late or (end is not None and time.perf_counter() + self._estimate(training) > end):
                self._missed[training] = "", "out of time"
                if training.countermeasure == NONE:  # the others would have nothing to be compared with
                    self._late.add((training.victim, training.seed))
                return None
            return self._trained(training)

        open_seeds = Counter(one.key for one in trainings)
        finished: set[int] = set()
        for place in self.store.each(names, compute):
            finished.add(place)
            key = trainings[place].key
            open_seeds[key] -= 1
            if open_seeds[key] == 0:
                self.on_cell(self._cell(key, trainings, names, finished))
        keys = dict.fromkeys(t.key for i, t in enumerate(trainings) if i in finished)
        return [self._cell(key, trainings, names, finished) for key in keys]

    # ------------------------------------------------------------------ the plan
    def _planned(self, wanted: Mapping[str, Iterable[str]]) -> list[Planned]:
        """The trainings of countermeasures, by name, on victims."""
        planned = []
        for name, victims in wanted.items():
            countermeasure = self.countermeasures[name]
            if missing := countermeasure.missing(self.attacker):
                self._broken[name] = f"the attacker was given no {' and no '.join(missing)}"
            for victim in victims:
                if countermeasure.in_training is not None and "in_training" not in self.victims[victim].takes:
                    self._inapplicable[
                        f"{together(name, victim)}: not in the grid, for this victim takes nothing in training"
                    ] = None
                    continue
                for version in self.versions.values():
                    if (version.name, victim, name) in self.skip:
                        continue
                    if name == NONE or version.role in roles_of(countermeasure):
                        planned += [Planned(version, victim, name, seed) for seed in self.seeds]
        # First seeds first, and in each what everything else is compared with.
        return sorted(planned, key=lambda t: (self.seeds.index(t.seed), t.countermeasure != NONE))

    def _estimate(self, training: Planned) -> float:
        added = self.countermeasures[training.countermeasure].cost - 1
        training_seconds = self._seconds.get(training.victim, 0.0) * (self._size(training.version) + added)
        return training_seconds + self._prepared.get(training.countermeasure, 0.0)

    def _size(self, version: Version) -> float:
        """The rows of a version as a share of those that were published."""
        return 1.0 if callable(version.rows) or not self.published else len(version.rows) / self.published

    def _probe(self, missing: list[Planned]) -> None:
        """Finds out what a whole training of each victim will take."""
        rows = self._rows(next(iter(self.versions.values())), self.seeds[0])
        for victim in dict.fromkeys(training.victim for training in missing):
            try:
                seconds = whole_training(self.victims[victim], rows, self.test)
            except (OSError, ImportError) as error:
                self._give_up(victim, error)
                continue
            if seconds is not None:
                self._seconds[victim] = seconds

    # ------------------------------------------------------------------ one training
    def _name(self, training: Planned) -> str:
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

    def _digest_of(self, training: Planned) -> str:
        rows = training.version.rows
        key = (training.version.name, training.seed if callable(rows) else None)
        if key not in self._digests:
            made = self._rows(training.version, training.seed)
            self._digests[key] = digest(made.inputs, made.labels)
        return self._digests[key]

    def _rows(self, version: Version, seed: int) -> Rows:
        return rows_of(version.rows(seed) if callable(version.rows) else version.rows, self.columns)

    def _trained(self, training: Planned) -> dict | None:
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
            part = training.victim if hook is None else together(training.countermeasure, training.victim)
            found = self._tried(training, part, partial(self._result, run, rows, hook, training.seed))
            if found is None:
                return None
            if len(set(rows.labels)) > 1 and self._size(training.version) >= 1:  # few rows do not tell
                took = (time.perf_counter() - begun) / countermeasure.cost
                self._seconds[training.victim] = max(self._seconds.get(training.victim, 0.0) * 0.5, took)
            found["seconds"] = round(time.perf_counter() - start, 2)
            self.store.put(name, found)
        logger.info("%s, seed %d: %.1f %% (%.0f s)", training, training.seed,
                    100 * np.mean(unpacked(found)), time.perf_counter() - start)  # fmt: skip
        return found

    def _tried(self, training: Planned, part: str, do: Callable[[], Any]) -> Any:
        """What is returned, or None.

        What cannot be had, such as a model of the Hub without a network, ends the cells that need that part and no
        others; a countermeasure that fails, or leaves rows that the victim cannot take, ends this training only.
        """
        try:
            return do()
        except (OSError, ImportError) as error:
            self._give_up(part, error)
            self._missed[training] = part, self._broken[part]
        except (ValueError, RuntimeError) as error:
            if training.countermeasure == NONE:
                raise
            logger.warning("%s, seed %d is left out: %s", training, training.seed, error)
            self._missed[training] = "", why("", error)
        return None

    def _lacking(self, training: Planned) -> str:
        """The part of a training that is known not to be had, or nothing."""
        parts = training.victim, training.countermeasure, together(training.countermeasure, training.victim)
        return next((part for part in parts if part in self._broken), "")

    def _give_up(self, part: str, error: Exception) -> None:
        does = self.victims[part].train if part in self.victims else getattr(self.wear.get(part), "change", None)
        self._broken[part] = why(part, error, does)
        logger.warning("%s is left out: %s", part, self._broken[part])

    def _result(self, run: Victim, rows: Rows, hook: Callable | None, seed: int) -> dict:
        curve: list[tuple[float, float]] = []
        predicted, made = self.guess, dict[str, Any]()
        if len(set(rows.labels)) > 1:
            options: dict[str, Any] = {} if hook is None else {"in_training": hook}
            if "on_epoch" in run.takes:
                options["on_epoch"] = lambda train, test: curve.append(
                    (round(float(train), 4), round(float(np.mean(test == self.truth)), 4))
                )
            if "cache" in run.takes and self.store.folder is not None:
                options["cache"] = self.store.folder / "features"
            if run.generates:
                predicted, made = self._judges.judged(run, rows, self.test, seed)
            else:
                predicted = run(rows.inputs, rows.labels, self.test.inputs, seed=seed, **options)
        told = {"train_rows": len(rows), "curve": curve, "confusion": confusion(self.truth, predicted), **made}
        return {**packed(predicted == self.truth), **told}

    # ------------------------------------------------------------------ what came out
    def _cell(self, key: tuple[str, str, str], trainings: list[Planned], names: list[str], there: set[int]) -> Cell:
        places = [i for i in sorted(there) if trainings[i].key == key]
        found: list[Any] = [self.store.get(names[i]) for i in places]
        return Cell(
            self.versions[key[0]], key[1], key[2],
            correct=np.stack([unpacked(result) for result in found]), seeds=[trainings[i].seed for i in places],
            curves=[[tuple(point) for point in result["curve"]] for result in found],
            train_rows=found[-1]["train_rows"], seconds=round(sum(one.get("seconds", 0.0) for one in found), 1),
            made=[one["made"] for one in found if "made" in one],
            confusions=[one["confusion"] for one in found if "confusion" in one],
        )  # fmt: skip
