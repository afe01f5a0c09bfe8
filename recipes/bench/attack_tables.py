"""The tables of attacks, from their cells: what a victim reaches on each version after each countermeasure.

`tables.py` writes them to the pages. Numbers of an earlier version of a method are marked: "v1".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import yaml
from scipy.stats import binomtest

from hf_unlearnable.adversary import Countermeasure
from hf_unlearnable.image.countermeasures import IMAGE_COUNTERMEASURES
from hf_unlearnable.image.victims import IMAGE_VICTIMS
from hf_unlearnable.markdown import table
from hf_unlearnable.registry import method_class, victims_of

BENCH = Path(__file__).parent
# The rows of the README's table: what they say, the version, the victim.
FRONT = {
    "images": (
        ("`texture`, small CNN from scratch", "texture", "small_cnn"),
        ("`texture`, pretrained model fine-tuned", "texture", "pretrained_image_model"),
        ("`error-min`, small CNN from scratch", "error-min, sample-wise", "small_cnn"),
    ),
    "photos": (("`texture`, linear probe of ImageNet weights", "texture", "linear_probe"),),
    "photos of 128 px": (
        ("`feature-shift` at 16/255, probe of a held-out model", "shift 16/255", "linear probe, Lite2"),
        ("`feature-shift` at 16/255, pretrained model fine-tuned", "shift 16/255", "fine-tuned, Lite0"),
    ),
    "photos without labels": (
        ("`feature-shift` at 16/255, pretrained model fine-tuned", "feature-shift by cluster", "fine-tuned, Lite0"),
    ),
    "recordings": (("`equalizer`, network on spectrograms", "equalizer", "log_mel_cnn"),),
    "texts": (
        ("`regtext`, pretrained encoder fine-tuned", "RegText, our defaults", "finetuned_encoder"),
        ("`regtext`, TF-IDF", "RegText, our defaults", "tfidf_logistic_regression"),
        ("`order-code`, pretrained encoder fine-tuned", "order-code", "finetuned_encoder"),
        ("`regtext`, SmolLM2 fine-tuned", "RegText, our defaults", "smollm2"),
        ("`word-balance`, pretrained encoder fine-tuned", "word-balance", "finetuned_encoder"),
        ("`word-balance`, TF-IDF", "word-balance", "tfidf_logistic_regression"),
        ("`word-balance`, SmolLM2 fine-tuned", "word-balance", "smollm2"),
    ),
}
IMAGES = {
    "clean": "clean", "texture": "texture", "error-min, sample-wise": "error-min",
    "error-min + one-pixel (CIFAR-10-S)": "CIFAR-10-S", "convolution (CUDA)": "CUDA", "one-pixel (OPS)": "OPS",
    "linear-separable (LSP)": "LSP", "linearization (PIL)": "PIL", "stable-error-min (SEM)": "SEM",
    "random noise": "random noise", "protected rows dropped": "dropped",
}  # fmt: skip
TEXTS = {
    "clean": "clean", "word-balance": "word-balance", "word-balance, 300 words": "300 words",
    "word-balance, 1,000 words": "1,000 words", "order-code": "order-code",
    "RegText, our defaults": "our defaults",
    "RegText, paper's setting": "paper's setting",
    "random words, same dose": "random words", "protected rows dropped": "dropped",
}  # fmt: skip
ORDERS = {
    "clean": "clean", "order-code": "order-code", "order-code, refrain of words": "refrain of words",
    "order-code, rarest class left": "rarest class left",
    "order-code, two phrases": "two phrases", "order-code, 12 pairs": "12 pairs", "order-code, two words": "two words",
    "order-code, one phrase": "one phrase", "order-code, side by side": "side by side", "order-code, apart": "apart",
    "order-code with RegText": "with RegText", "doubled word": "doubled word",
    "moved sentence": "moved sentence", "protected rows dropped": "dropped",
}  # fmt: skip
RECORDINGS = {
    "clean": "clean", "equalizer": "equalizer", "equalizer, narrow": "narrow", "equalizer that stays": "stays",
    "equalizer that stays, shallow": "stays, shallow",
    "position-convolution (PosCUDA)": "PosCUDA",
    "convolution (CUDA)": "CUDA", "error-min": "error-min", "equalizer + random noise": "with noise",
    "equalizer + error-min": "with error-min",
    "random noise": "random noise", "protected rows dropped": "dropped",
}  # fmt: skip
MAIN_ORDERS = (
    "clean", "order-code", "order-code, two phrases", "order-code, refrain of words", "order-code, rarest class left",
    "protected rows dropped",
)  # fmt: skip
OURS = ("texture", "order-code", "word-balance", "equalizer")
STUDY = yaml.safe_load((BENCH.parent / "configs/image_attack.yaml").read_text(encoding="utf-8"))
PHOTO_STUDY = yaml.safe_load((BENCH.parent / "configs/photo_attack.yaml").read_text(encoding="utf-8"))
IMAGE_METHODS = {
    name: parameters["method"]
    for name, parameters in {**STUDY["versions"], **PHOTO_STUDY["versions"]}.items()
    if isinstance(parameters, dict) and parameters.get("role") != "random"
}
# The same attacker who trains in another way.
OTHERWISE = {
    "small_cnn": ("small_cnn_30", "30 epochs"),
    "log_mel_cnn": ("log_mel_cnn_normalised", "normalised spectra"),
}
BASELINES = ("clean", "random noise", "random words, same dose", "protected rows dropped")
Cells = dict[tuple[str, str, str], dict]


def load(name: str, data: str | None = None) -> Cells:
    """The cells of a file, or of one dataset in it, by victim, version and countermeasure, if comparable."""
    kept = [cell for cell in lines(name) if data in (None, cell["data"]) and not of_another_training(cell)]
    return {(cell["victim"], cell["version"], cell["countermeasure"]): cell for cell in kept}


def lines(name: str) -> list[dict]:
    """The lines of a file."""
    return [json.loads(line) for line in (BENCH / name).read_text(encoding="utf-8").splitlines()]


def binomial(share: float, count: int) -> list[float]:
    """Ends of Wilson's 95 % interval of a share of so many."""
    return list(binomtest(round(share * count), count).proportion_ci(method="wilson"))


def of_another_training(cell: dict) -> bool:
    """Whether a language model was trained in another way than today; later cells name the version of the package."""
    return cell["protocol"].get("victim") == "causal_lm" and "hf-unlearnable" not in cell["versions"]


def short(cell: dict | None) -> str:
    """Accuracy in percent, from how many seeds if it is more than one, and an earlier version of the method."""
    if cell is None:
        return ""
    seeds = len(cell["seeds"])
    return f"{100 * cell['accuracy'][0]:.1f}" + (f" ({seeds})" if seeds > 1 else "") + earlier(cell)


def earlier(cell: dict) -> str:
    """The version of an image's method that a cell is of, unless it is that of today or nothing is known of it."""
    method = None if cell.get("victim") in victims_of("audio") else IMAGE_METHODS.get(cell["version"])
    number = cell.get("method_version")
    return "" if None in (method, number) or number == method_class(method).method_version else f" v{number}"


def whole(cell: dict | None) -> str:
    """Accuracy in percent with its interval."""
    if cell is None:
        return ""
    return "{:.1f} [{:.1f}, {:.1f}]".format(*(100 * number for number in cell["accuracy"])) + earlier(cell)


def grid(cells: Cells, victim: str, names: dict[str, str]) -> str:
    """Countermeasures down, the worst first, versions across."""
    tried = list(dict.fromkeys(key[2] for key in cells if key[0] == victim))
    shown = [name for name in names if any((victim, name, one) in cells for one in tried)]

    def reached(one: str) -> float:
        known = [cells.get((victim, name, one)) for name in shown if name not in BASELINES]
        return max((cell["accuracy"][0] for cell in known if cell), default=0.0)

    tried.sort(key=lambda one: (one != "none", -reached(one)))
    rows = [[one, *(short(cells.get((victim, name, one))) for name in shown)] for one in tried]
    return table([["countermeasure", *(names[name] for name in shown)], *rows])


def worst(cells: Cells, victim: str, version: str) -> str:
    """The countermeasure that reached most, those with clean rows of the attacker's own left aside.

    Training longer, or on normalised spectra, counts as one.
    """
    other, how = OTHERWISE.get(victim, ("", ""))
    tried = [
        cell
        for (one, name, countermeasure), cell in cells.items()
        if name == version and not countermeasure.startswith("clean-")
        and ((one == victim and countermeasure != "none") or one == other)
    ]  # fmt: skip
    if version in BASELINES or not tried:
        return ""
    most = max(tried, key=lambda cell: cell["accuracy"][0])
    done = [one for one in (most["countermeasure"], how if most["victim"] == other else "none") if one != "none"]
    return ", ".join([whole(most), *done])


def ran(cells: Cells, victim: str, version: str) -> str:
    """How many of a victim's cells there are without a composition, of how many; those of earlier versions apart."""
    if version in BASELINES:
        return ""
    takes = IMAGE_VICTIMS[STUDY["datasets"]["cifar10_jpeg"]["victims"][victim].get("victim", victim)].takes
    grid = {"none": Countermeasure(), **IMAGE_COUNTERMEASURES}
    grid = {name: one for name, one in grid.items() if one.in_training is None or "in_training" in takes}
    there = [cells[victim, version, one] for one in grid if (victim, version, one) in cells]
    old = sum(bool(earlier(cell)) for cell in there)
    return f"{len(there) - old} of {len(grid)}" + (f", and {old} of an earlier version" if old else "")


def coverage(cells: Cells) -> str:
    """Methods down, victims across: how much of the grid was run."""
    victims = list(dict.fromkeys(key[0] for key in cells))
    methods = [name for name in IMAGES if name in IMAGE_METHODS]
    rows = [[IMAGES[name], *(ran(cells, victim, name) for victim in victims)] for name in methods]
    return table([["cells run", *victims], *rows])


def headline(cells: Cells, names: dict[str, str], columns: dict[str, tuple[str, str]], what: str) -> str:
    """Versions down; a column is a victim with no countermeasure, or after its worst one."""
    rows = []
    for name, short_name in names.items():
        said = {"dropped": "protected rows dropped: a guess", "random noise": "random noise, same dose"}
        title = said.get(short_name, name)
        row = [f"**{title}** (ours)" if name in OURS else title]
        for victim, one in columns.values():
            tell = {"worst": worst, "ran": ran}.get(one)
            row.append(tell(cells, victim, name) if tell else whole(cells.get((victim, name, one))))
        rows.append(row)
    return table([[what, *columns], *rows])


def over_keys(found: Mapping[tuple[str, str, str], list[dict]]) -> Cells:
    """Photos of twelve kinds: the mean over keys by victim, version and treatment, with Wilson's interval."""
    told: Cells = {}
    for (victim, version, treatment), keys in found.items():
        mean, rows = float(np.mean([cell["accuracy"] for cell in keys])), keys[0]["test_rows"]
        told[victim, version, treatment] = {
            "victim": victim, "version": version, "countermeasure": treatment,
            "accuracy": [mean, *binomial(mean, rows)], "seeds": [cell["seed"] for cell in keys],
        }  # fmt: skip
        told[victim, "protected rows dropped", "none"] = {
            "accuracy": [1 / 12] * 3,
            "version": "protected rows dropped",
        }
    return told


def front(data: dict[str, Cells]) -> str:
    """A protection and a victim down; beside clean rows, what is left without and with the worst countermeasure."""
    rows = [["data, protection, attacker", "clean", "rows dropped", "protected", "protected, worst countermeasure"]]
    for kind, chosen in FRONT.items():
        for title, version, victim in chosen:
            plain = [data[kind].get((victim, one, "none")) for one in ("clean", "protected rows dropped", version)]
            clean, dropped, protected = map(whole, plain)
            most = worst(data[kind], victim, version) or "none tried"
            rows.append([f"{kind}, {title}", clean.split()[0], dropped.split()[0], protected, f"**{most}**"])
    return table(rows)


def overview(data: dict[str, Cells], names: dict[str, str]) -> str:
    """Datasets and victims down, versions across, with no countermeasure."""
    rows = []
    for name, cells in data.items():
        for victim in dict.fromkeys(key[0] for key in cells):
            found = [cells.get((victim, version, "none")) for version in names]
            rows.append([f"{name}, {victim}", *map(whole, found)])
    return table([["data, victim", *names.values()], *rows])


def strengths(cells: Cells) -> str:
    """Texture at each strength, down, against the small CNN without and with JPEG."""
    names = {f"{levels}/255": "texture" if levels == 8 else f"texture {levels}/255" for levels in (2, 4, 8, 16)}
    measures = [one for one in ("none", "jpeg-90", "jpeg-10") if ("small_cnn", "texture 4/255", one) in cells]
    rows = [
        [title, *(whole(cells.get(("small_cnn", name, one))) for one in measures)] for title, name in names.items()
    ]
    said = {"none": "no countermeasure", "jpeg-90": "JPEG of quality 90 first", "jpeg-10": "JPEG of quality 10 first"}
    return table([["strength", *(said[one] for one in measures)], *rows])


def photos(cells: Cells, victim: str) -> str:
    """Versions of photos down; what was tried on a victim across, and how many of its cells there are."""
    planned = ("none", *PHOTO_STUDY["countermeasures"])
    tried = [one for one in planned if any(key[0] == victim and key[2] == one for key in cells)]
    rows = []
    for name in PHOTO_STUDY["versions"]:
        found = {one: cells[victim, name, one] for one in tried if (victim, name, one) in cells}
        of = 1 if name in ("random noise", "protected rows dropped") else len(planned)
        rows.append([IMAGES.get(name, name), *(whole(found.get(one)) for one in tried), f"{len(found)} of {of}"])
    return table([["photos, trained on", *tried, "cells run"], *rows])
