"""Attacks a protected dataset as its owner has it: the clean rows, the protected ones, and a clean test."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._words import spelled
from hf_unlearnable.adversary import Attacker, Countermeasure, Rows, Victim, composed
from hf_unlearnable.audit.certify import certified
from hf_unlearnable.audit.distance import looked_into
from hf_unlearnable.audit.grid import audit
from hf_unlearnable.audit.held_out import check_unprotected, looks_protected
from hf_unlearnable.audit.inputs import identities, prepared, rows_of, trained_on
from hf_unlearnable.audit.plan import lacks
from hf_unlearnable.audit.records import NONE, Audit, Cell
from hf_unlearnable.audit.versions import check_names, check_pair, check_test, set_aside, versions_of
from hf_unlearnable.audit.wear import chosen_wear
from hf_unlearnable.data import fingerprint, paired
from hf_unlearnable.modality import Grid, Modality
from hf_unlearnable.registry import countermeasures_of, load_transform, method_class, usual_column, victims_of
from hf_unlearnable.transform import Transform

if TYPE_CHECKING:
    from datasets import Dataset

    from hf_unlearnable.key import Key

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Effort:
    """How much an attack may cost.

    Args:
        rows, test_rows: Training and test rows at most, drawn at random.
        seeds: Trainings of each cell.
        grid: Victims and countermeasures, or the name of the modality's own: "quick", "laptop" or "full".
        shares: Shares of the protected rows that are tried beside all of them.
        budget: Seconds, infinite for as long as it takes.
        compose: Whether the composition of the two best countermeasures is tried too, see `audit`. Where the user
            names countermeasures, it is not.
    """

    rows: int
    test_rows: int
    seeds: int
    grid: Grid | str
    shares: tuple[float, ...] = ()
    budget: float = math.inf
    compose: bool = False


EFFORTS = {
    "quick": Effort(1500, 500, seeds=1, grid="quick", budget=150),
    "laptop": Effort(3000, 2000, seeds=3, grid="laptop", shares=(0.5,), budget=3600, compose=True),
    "full": Effort(10**9, 10**9, seeds=3, grid="full", shares=(0.25, 0.5, 0.75, 0.9), compose=True),
}


def attack(
    clean: Dataset,
    protected: Dataset,
    test: Dataset,
    *,
    input_column: str | None = None,
    label_column: str = "label",
    method: str | None = None,
    key: Key | Transform | str | os.PathLike | None = None,
    effort: str | Effort = "laptop",
    victims: Sequence[str] | Mapping[str, Callable[..., np.ndarray]] | None = None,
    countermeasures: Sequence[str] | None = None,
    models: Mapping[str, str] | None = None,
    attacker: Attacker | None = None,
    own_clean: Dataset | None = None,
    seeds: int | None = None,
    budget: float | None = None,
    store: str | os.PathLike | None = None,
    on_cell: Callable[[Cell], Any] = lambda cell: None,
    on_plan: Callable[[str], Any] = logger.info,
    wear: bool | Sequence[str] = False,
    certify: int = 0,
    distance: bool = False,
) -> Audit:
    """Trains on the clean and the protected rows, on these without the protected ones and on a random dose.

    No key is needed; with it, test rows that were protected with it are noticed. Countermeasures that mix clean rows
    in get a sixth of the training rows, which are set aside, unless the attacker brings its own.

    Args:
        clean: The rows before.
        protected: The rows after, in the same order.
        test: Clean held-out rows.
        input_column: Column of inputs; None for the usual name, such as "text" or "image", whichever is there.
        label_column: Column of labels: whole numbers, ClassLabel, names or booleans.
        method: Name of the method, if it is known: the attacks that its author would mount are then tried first.
        key: The owner's key, its folder or the transform: names the method, and is looked for in the test. Nothing
            of it is reported.
        effort: "quick" (under three minutes on two cores), "laptop" (an hour at most) or "full" (hours, with a GPU).
            Or an `Effort` of your own.
        victims, countermeasures: Names to try instead of those of the effort. Victims may also be a mapping of your
            own, by name: see `Victim.of`. "a+b" is countermeasure a, then b.
        models: Hub id or folder by name: of the model of a pretrained victim, or of the tokenizer of a wear.
        attacker: What the adversary has of its own.
        own_clean: Its clean rows, instead of those of `attacker`: none of them published, none of them tested on. Of
            the same columns as the others, and numbered as they are where labels are names.
        seeds: Trainings of each cell, instead of those of the effort.
        budget: Seconds, instead of those of the effort.
        store: Folder for finished trainings, see `audit`.
        on_cell: Called with each cell as it comes.
        on_plan: Called with a sentence on how many trainings there are, and what they would take.
        wear: What happens without an attacker and is tried too, after the countermeasures: names, or True for what
            the effort tries.
        certify: Draws of the certificate of a small CNN, see `certified_learnability`, and the recovery attack with
            the attacker's clean rows; 0 for neither. Each draw is a pass over the test. Images only, on top of the
            budget.
        distance: Whether to measure the Unlearnable Distance of a small CNN, the SAL of its layers and its loss
            landscape. Images only, on top of the budget.

    Returns:
        The audit, with its protocol and what a reader should know of the data.

    Raises:
        ValueError: The three datasets do not belong together (which row or label, and what to do), or the test is
            protected. A name is unknown, or a victim that was named needs a model and has none.
    """
    _check_numbers(seeds, budget, certify)
    chosen = EFFORTS[_checked([effort], EFFORTS, "effort")[0]] if isinstance(effort, str) else effort
    column = input_column or usual_column(clean.column_names)
    cloak = key if key is None or isinstance(key, Transform) else load_transform(key)
    protected = _in_order(clean, protected, column, cloak)
    fingerprints = {name: fingerprint(part, column) for name, part in (("clean", clean), ("protected", protected))}
    method = method or (cloak.method if cloak else None)
    whole: dict[str, Any] = {"clean": clean, "protected": protected, "test": test, "attacker's own": own_clean}
    clean, protected, test, *own = prepared(whole, column, label_column)
    unchanged, warnings = _belonging(clean, protected, test, own, column, label_column)
    likeness, more = _looked_at(clean, protected, test, whole["test"], column, cloak)
    modality, first = trained_on(clean, column), method_class(method).adaptive_attacks if method else ()
    worn = chosen_wear(modality, chosen.grid, wear, models or {})
    run, tried = _wanted(modality, chosen.grid, victims, countermeasures, _without(models or {}, worn), first)
    _require_used(attacker or Attacker(), tried, countermeasures_of(modality.name))
    (clean, protected), (test,) = _sampled(chosen.rows, clean, protected), _sampled(chosen.test_rows, test)
    attacker, clean, protected = _equipped(attacker or Attacker(), own, tried, clean, protected, column, label_column)
    versions, every_seed = versions_of(clean, protected, column, chosen.shares), range(seeds or chosen.seeds)
    parts = _measured(modality, versions[:2], (column, label_column), test, attacker.clean, certify, distance, store)
    found = audit(
        versions, test, run, tried, attacker=attacker, seeds=every_seed, input_column=column,
        label_column=label_column, store=store, budget=chosen.budget if budget is None else budget, on_cell=on_cell,
        on_plan=on_plan, compose=chosen.compose and countermeasures is None, wear=worn,
    )  # fmt: skip
    protocol = {
        "column": column, "training rows": len(clean), "of them protected": f"{100 * versions[1].share:.0f} %",
        "test rows": len(test), "test rows taken for protected ones": likeness,
        "rows the protection left alone (of all that were given)": unchanged,
        "the attacker's own clean rows": len(attacker.clean) if attacker.clean is not None else 0,
        "seeds": list(every_seed),
        "method": method or "not said", "attacks of the method's author": _tried(found, first),
        "victims": {name: _settings(victim) for name, victim in run.items()},
        **({"wear by": ", ".join(dict.fromkeys(one.tools for one in worn.values()))} if worn else {}),
    }  # fmt: skip
    return replace(found, protocol=protocol, warnings=warnings + more, fingerprints=fingerprints, **parts)


def _measured(
    modality: Modality, pair: Sequence[Any], columns: tuple[str, str], test: Dataset, clean: Rows | None, draws: int,
    distance: bool, store: str | os.PathLike | None,
) -> dict[str, Any]:  # fmt: skip
    """What is measured of networks of the clean and the protected rows besides accuracy, as fields of an `Audit`."""
    return {
        "certificates": certified(modality, pair, columns, test, clean, draws, store) if draws else [],
        "distance": looked_into(modality, pair, columns, store) if distance else {},
    }


def _check_numbers(seeds: int | None, budget: float | None, certify: int) -> None:
    if seeds is not None and seeds < 1:
        raise ValueError(f"{spelled('seeds')} is {seeds}, and each cell takes one training or more. Give 1 or more.")
    if budget is not None and budget < 0:
        raise ValueError(f"{spelled('budget')} is negative. Give the time that the trainings may take.")
    if certify < 0:
        raise ValueError(f"{spelled('certify')} is {certify}, but it is a number of draws: 0 or more.")


def _in_order(clean: Dataset, protected: Dataset, column: str, cloak: Transform | None) -> Dataset:
    """The protected rows in the order of the clean ones."""
    if len(clean) != len(protected):  # check_pair says which row is in one of them only
        return protected
    there = set(clean.column_names) & set(protected.column_names)
    others, id_column = (cloak._columns(), cloak.id_column) if cloak else ([], None)
    columns = list(dict.fromkeys([column, *(name for name in others if name in there)]))
    return paired(clean, protected, columns=columns, id_column=id_column if id_column in there else None)


def _equipped(
    attacker: Attacker, own: Sequence[Dataset], tried: Mapping[str, Countermeasure], clean: Dataset,
    protected: Dataset, column: str, label_column: str,
) -> tuple[Attacker, Dataset, Dataset]:  # fmt: skip
    """The attacker with clean rows where one is tried that needs them: its own, or some taken from those given."""
    if own:
        attacker = replace(attacker, clean=rows_of(own[0], (column, label_column)))
    if attacker.clean is None and any("clean" in one.needs for one in tried.values()):
        clean, protected, aside = set_aside(clean, protected, 0.17, 0, label_column)
        attacker = replace(attacker, clean=rows_of(aside, (column, label_column)))
    return attacker, clean, protected


def _wanted(
    modality: Modality, grid: Grid | str, victims: Any, countermeasures: Sequence[str] | None,
    models: Mapping[str, str], first: Sequence[str],
) -> tuple[dict[str, Victim], dict[str, Countermeasure]]:  # fmt: skip
    """The victims to train and the countermeasures to try, `first` before all others."""
    known_victims, known_countermeasures = victims_of(modality.name), countermeasures_of(modality.name)
    if isinstance(grid, str):
        grid = modality.grids[_checked([grid], modality.grids, f"grid for {modality.plural}")[0]]
    settings = grid.victims
    if isinstance(victims, Mapping):
        known_victims, settings = {name: Victim.of(one) for name, one in victims.items()}, {}
    names = _checked(victims or grid.victims, known_victims, "victim")
    run = _victims(names, settings, known_victims, models)
    lacking = [f"{name}: {lacks(name, victim)}." for name, victim in run.items() if victim.needs]
    if lacking and victims:
        raise ValueError(lacking[0])
    others = countermeasures if countermeasures is not None else grid.countermeasures
    if others is None:
        others = [name for name, one in known_countermeasures.items() if one.cost <= grid.dearest]
    wanted = dict.fromkeys([*first, *others])
    return run, {name: composed(name, known_countermeasures) for name in wanted if name != NONE}


def _without(models: Mapping[str, str], wear: Mapping[str, Any]) -> dict[str, str]:
    """The models of victims, without the tokenizers of wear."""
    return {name: model for name, model in models.items() if name not in wear}


def _require_used(
    attacker: Attacker, tried: Mapping[str, Countermeasure], known: Mapping[str, Countermeasure]
) -> None:  # fmt: skip
    """Raises for what the attacker brings and nothing that is tried uses: it would seem to have been tried."""
    for name in ("corpus", "language_model", "paraphrase", "label"):
        if getattr(attacker, name) is None or any(name in one.needs for one in tried.values()):
            continue
        using = [other for other, one in known.items() if name in one.needs]
        raise ValueError(
            f"{spelled(name)}: no countermeasure that is tried uses it. Leave it out"
            + (f", or name one with {spelled('countermeasures')}: {', '.join(using)}." if using else ".")
        )


def _belonging(
    clean: Dataset, protected: Dataset, test: Dataset, own: Sequence[Dataset], column: str, label_column: str
) -> tuple[int, list[str]]:
    """How many rows the protection left alone, and what a reader should know; an error if the parts do not belong."""
    unchanged = check_pair(clean, protected, column, label_column)
    shared = check_test(clean, test, column, label_column)
    warnings = [f"{shared} of {len(test)} test rows are training rows too."] if shared else []
    missing = set(clean[label_column][:]) - set(test[label_column][:])
    if missing:
        warnings.append(f"No test row has the label {', '.join(map(str, sorted(missing)))}.")
    for part in own:
        warnings += _checked_own(part, clean, test, column, label_column)
    return unchanged, warnings


def _looked_at(
    clean: Dataset, protected: Dataset, test: Dataset, whole_test: Dataset, column: str, cloak: Transform | None
) -> tuple[str, list[str]]:
    """How many test rows look protected, in words, and warnings where the test is not clean."""
    warnings = check_unprotected(clean, protected, whole_test, column, cloak)
    likeness, alike = looks_protected(clean, protected, test, column)
    if alike:
        warnings.append(
            f"The test looks protected, or differs from the training rows in another way: {likeness} of its rows are "
            "taken for protected ones. Only clean test rows tell what was learned."
        )
    return likeness, warnings


def _sampled(most: int, *parts: Dataset) -> list[Dataset]:
    """The same rows of each part, in their order, at most so many, drawn at random."""
    keep = np.sort(np.random.default_rng(0).permutation(len(parts[0]))[:most])
    return [part.select(keep) for part in parts]


def _checked(names: Any, known: Mapping[str, Any], what: str) -> list[str]:
    unknown = [name or "''" for name in names if name not in known and name != NONE]
    if unknown:
        raise ValueError(f"There is no {what} {', '.join(unknown)}. There are: {', '.join(known)}.")
    return [name for name in names if name != NONE]


def _victims(
    names: Sequence[str], settings: Mapping[str, Mapping[str, Any]], known: Mapping[str, Victim],
    models: Mapping[str, str],
) -> dict[str, Victim]:  # fmt: skip
    for name in _checked(models, known, "victim"):
        if name not in names:
            raise ValueError(
                f"There is a model for {name}, which is not among the victims of this attack ({', '.join(names)}). "
                f"Name it with {spelled('victims')}, or leave the model out."
            )
        if "model" not in (*known[name].settings, *known[name].needs):
            raise ValueError(f"{name} takes no model: it starts from nothing.")
    chosen = {name: {"model": models[name]} if name in models else {} for name in names}
    return {name: known[name].configured(**{**settings.get(name, {}), **chosen[name]}) for name in names}


def _tried(found: Audit, names: Sequence[str]) -> str:
    """The attacks of an author, each with how much of it ran on the protected rows."""
    said = []
    for name in names:
        cells, missing = (
            [one for one in part if one.countermeasure == name and one.version.role == "protected"]
            for part in (found.cells, found.missing)
        )
        ran, lacking = (sum(len(one.seeds) for one in part) for part in (cells, missing))
        some = f" ({ran} of {ran + lacking} trainings)" if lacking else ""
        said.append(f"{name}{some if ran else ' (not run)'}")
    return ", ".join(said) or "not known"


def _settings(victim: Victim) -> dict[str, Any]:
    """All that it is trained with, usual values too."""
    settings = victim.settings
    if os.path.isdir(str(settings.get("model"))):  # where a folder stands is nobody's business
        settings["model"] = os.path.basename(os.path.abspath(settings["model"]))
    return settings


def _checked_own(own: Dataset, clean: Dataset, test: Dataset, column: str, label_column: str) -> list[str]:
    """Warnings on the adversary's own rows, whose labels must mean what those of the others mean."""
    check_names(clean, own, label_column, "attacker's own")
    unknown = set(own[label_column][:]) - set(clean[label_column][:])
    if unknown:
        raise ValueError(f"The attacker's own rows have the labels {sorted(unknown)}, which no training row has.")
    tested = set(identities(test, column))
    both = sum(identity in tested for identity in identities(own, column))
    return [f"{both} of the attacker's {len(own)} own rows are test rows too."] if both else []
