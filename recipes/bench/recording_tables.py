"""The tables of docs/results/recordings.md, from the cells of its studies; `tables.py` writes them to the page.

Cells of an earlier version of a method are left out: their protection is not made any more.
"""

from __future__ import annotations

import statistics

from attack_tables import BASELINES, BENCH, RECORDINGS, Cells, grid, lines, whole
from protection import method_version
from study import read

from hf_unlearnable.audit.records import NONE
from hf_unlearnable.markdown import table
from hf_unlearnable.registry import countermeasures_of, victims_of

STUDIES = ("audio_attack", "audio_portfolio")
VICTIMS = {
    "log_mel_cnn": "The network on log-mel spectrograms",
    "log_mel_cnn_normalised": "The same network on normalised spectra",
    "mfcc_linear": "Logistic regression on statistics of MFCC",
    "mfcc_linear_normalised": "The same on normalised statistics", "raw_cnn": "A network on the wave",
    "audio_transformer": "A small audio transformer",
}  # fmt: skip
OURS = "equalizer"


def _study(name: str) -> dict:
    return read(BENCH.parent / f"configs/{name}.yaml")


def _cells(name: str) -> Cells:
    """The cells of a study, of the methods of today, by victim, version and countermeasure."""
    if not (BENCH / f"{name}.jsonl").exists():
        return {}
    versions = _study(name)["versions"]
    return {
        (cell["victim"], cell["version"], cell["countermeasure"]): cell
        for cell in lines(f"{name}.jsonl")
        if cell["version"] in versions and cell["method_version"] == method_version(versions[cell["version"]])
    }


def _planned(study: dict, victims: list[str]) -> set[tuple[str, str]]:
    """What each version is to be tried with: victims and countermeasures, without clean rows of the attacker's own."""
    every = countermeasures_of("audio")
    names = study["countermeasures"]
    parts = {one: [every[part] for part in one.split("+")] for one in (every if names == "all" else names)}
    own = {one for one, of in parts.items() if not one.startswith("clean-")}
    return {(victim, NONE) for victim in victims} | {
        (victim, one)
        for victim in victims
        for one in own
        if all(part.in_training is None or "in_training" in victims_of("audio")[victim].takes for part in parts[one])
    }


def _heard() -> dict[str, list[str]]:
    """PESQ and STOI of each version, medians over keys."""
    return {
        line["version"]: [f"{statistics.median(line[one]):.2f}" for one in ("pesq", "stoi")]
        for line in lines("audio_heard.jsonl")
    }


def worst_first(cells: Cells) -> str:
    """Versions down, the best that any attacker reached, who it was, and what the protection costs a listener."""
    price, rows = _heard(), []
    for name in STUDIES:
        study = _study(name)
        planned = _planned(study, list(study["datasets"]["fsdd"]["victims"]))
        for version in study["versions"]:
            there = {one: cells[one[0], version, one[1]] for one in planned if (one[0], version, one[1]) in cells}
            if version in BASELINES or not there:
                continue
            victim, countermeasure = max(there, key=lambda one: (there[one]["accuracy"][0], one))
            most = there[victim, countermeasure]
            title = f"**{version}** (ours)" if version == OURS else version
            rows.append(
                [
                    title,
                    whole(most),
                    victim,
                    countermeasure,
                    f"{len(there)} of {len(planned)}",
                    *price.get(version, ["", ""]),
                ]
            )
    rows.sort(key=lambda row: float(row[1].split()[0]))
    return table([["recordings, protected with", "worst case", "victim", "after", "cells run", "PESQ", "STOI"], *rows])


def alone(cells: Cells) -> str:
    """Versions down, victims across, with no countermeasure."""
    victims = [one for one in VICTIMS if any(key[0] == one for key in cells)]
    said = {"dropped": "protected rows dropped: a guess", "random noise": "random noise, same dose"}
    rows = []
    for name, title in RECORDINGS.items():
        found = [cells.get((victim, name, NONE)) for victim in victims]
        if any(found):
            title = said.get(title, name)
            rows.append([f"**{title}** (ours)" if name == OURS else title, *map(whole, found)])
    return table([["recordings, trained on", *(victim.replace("_", " ") for victim in victims)], *rows])


def grids(cells: Cells) -> str:
    """Of each victim a table of its own: countermeasures down, the worst first, versions across."""
    there = {one: f"{said}, `{one}`:" for one, said in VICTIMS.items() if any(key[0] == one for key in cells)}
    return "\n\n".join(f"{said}\n\n{grid(cells, one, RECORDINGS)}" for one, said in there.items())


def heard() -> str:
    """Versions down: PESQ and STOI of each key."""
    rows = [
        [line["version"], *(", ".join(f"{value:.2f}" for value in line[one]) for one in ("pesq", "stoi"))]
        for line in lines("audio_heard.jsonl")
    ]
    return table([["", "PESQ", "STOI"], *rows])


def speakers() -> str:
    """Versions down, victims across: who spoke; beside what the protection costs a listener."""
    cells, study, price = _cells("speakers"), _study("speakers"), _heard()
    victims = [one for one in study["datasets"]["fsdd"]["victims"] if any(key[0] == one for key in cells)]
    rows = []
    for name in study["versions"]:
        found = [whole(cells.get((one, name, NONE))) for one in victims]
        if any(found):
            rows.append([name, *found, *price.get(f"{name}, by speaker", ["", ""])])
    return table([["speakers, trained on", *(one.replace("_", " ") for one in victims), "PESQ", "STOI"], *rows])


def recording_tables() -> dict[str, str]:
    """All of them by name."""
    cells = {key: cell for name in STUDIES for key, cell in _cells(name).items()}
    return {
        "recordings": alone(cells), "recordings_worst": worst_first(cells), "recordings_grids": grids(cells),
        "recordings_heard": heard(), "speakers": speakers(),
    }  # fmt: skip
