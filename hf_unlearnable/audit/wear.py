"""Which wear an attack tries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from inspect import signature
from typing import Any

from hf_unlearnable.adversary import Wear
from hf_unlearnable.modality import Grid, Modality
from hf_unlearnable.registry import wear_of


def chosen_wear(
    modality: Modality, grid: Grid | str, wanted: bool | Sequence[str], models: Mapping[str, str]
) -> dict[str, Wear]:
    """The wear to try, by name.

    Args:
        modality: The kind of data.
        grid: That of the effort, or its name.
        wanted: Names; True for those of the grid, False for none.
        models: Hub id or folder by the name of the wear that takes one; those of victims are left aside.

    Raises:
        ValueError: A name is unknown, the message names those there are; or a wear takes no model.
    """
    known = wear_of(modality.name)
    if wanted is False:
        return {}
    if wanted is True:
        usual = modality.grids[grid].wear if isinstance(grid, str) else grid.wear
        wanted = list(known) if usual is None else usual
    if unknown := [name or "''" for name in wanted if name not in known]:
        raise ValueError(f"There is no wear {', '.join(unknown)} for {modality.plural}. There is: {', '.join(known)}.")
    return {name: _with_model(name, known[name], models[name]) if name in models else known[name] for name in wanted}


def _with_model(name: str, wear: Wear, model: str) -> Wear:
    change: Callable[..., list[Any]] = wear.change
    if "model" not in signature(change).parameters:
        raise ValueError(f"{name} takes no model: name none for it.")
    return replace(wear, change=partial(change, model=model))
