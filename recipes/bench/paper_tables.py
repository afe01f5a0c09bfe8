"""The tables of docs/results/compare.md and of the experiments of papers: faces, X-rays, doses, shares, victims.

`tables.py` writes them. A table whose cells nobody ran yet is left out.
"""

from __future__ import annotations

import numpy as np
from attack_tables import BENCH, load, whole
from protection import lines_of

from hf_unlearnable.comparison import compared, page
from hf_unlearnable.markdown import table

FAMILIES = ("small_cnn", "small_vgg", "small_resnet", "small_densenet", "small_vit")
LEVELS = (2, 4, 8, 16)
SHARES = (20, 40, 60, 80)
CLASS = 0  # the class that is protected alone, of 5 to 9


def paper_tables() -> dict[str, str]:
    """All tables by name."""
    found = {f"compare_{kind}": page(kind, rows) for kind, rows in compared().items()}
    if (BENCH / "papers_small.jsonl").exists():
        cells = load("papers_small.jsonl", "cifar10_jpeg")
        found |= {"dose": dose(cells), "paper_families": families(cells), "paper_shares": shares(cells),
                  "paper_filters": filters(cells), "one_class": one_class(cells),
                  "paper_digits": digits()}  # fmt: skip
    for name, of in (("faces", faces), ("medical", medical)):
        if (BENCH / f"{name}.jsonl").exists():
            found[name] = of()
    return found


def faces() -> str:
    """Methods down; of each setting: right names of the protected people and of the others, and the equal error."""
    found: dict[tuple[str, str], list[dict]] = {}
    for line in lines_of(BENCH / "faces.jsonl"):
        found.setdefault((line["method"], line["setting"]), []).append(line)

    def told(cells: list[dict], measure: str) -> str:
        values = [100 * cell[measure] for cell in cells if cell[measure] is not None]
        several = f" ({len(values)})" if len(values) > 1 else ""
        return f"{np.mean(values):.1f}{several}" if values else ""

    columns = [("partly", "protected"), ("partly", "others"), ("partly", "equal_error"), ("fully", "protected"),
               ("fully", "equal_error")]  # fmt: skip
    heads = ["partly: protected people", "partly: the others", "partly: equal error rate", "fully: all people",
             "fully: equal error rate"]  # fmt: skip
    rows = [
        [method, *(told(found.get((method, setting), []), measure) for setting, measure in columns)]
        for method in dict.fromkeys(method for method, _ in found)
    ]
    return table([["faces, trained on", *heads], *rows])


def dose(cells: dict) -> str:
    """Epsilon down, noise of a sample and of a class across."""
    rows = [
        [f"{levels}/255", *(whole(cells.get(("small_cnn", f"error-min, {kind}, {levels}/255", "none"))) for kind in (
            "sample", "class"))]
        for levels in LEVELS
    ]  # fmt: skip
    return table([["epsilon", "noise of a sample", "noise of a class"], *rows])


def families(cells: dict) -> str:
    """Victims down, versions across: noise of one surrogate against five networks."""
    names = {"clean": "clean", "error-min, sample, 8/255": "error-min", "error-min, class, 8/255": "class-wise",
             "error-max, sample": "error-max", "texture": "texture", "random, sample": "random noise",
             "random, class": "random, class-wise"}  # fmt: skip
    rows = [
        [victim, *(whole(cells.get((victim, name, "none"))) for name in names)]
        for victim in FAMILIES
        if any(key[0] == victim for key in cells)
    ]
    return table([["victim", *names.values()], *rows])


def shares(cells: dict) -> str:
    """Shares down: with the protected rows, and the clean part alone."""
    rows = [
        [f"{share} %", *(whole(cells.get(("small_cnn", name, "none"))) for name in (
            f"{share} % error-min", f"clean part at {share} %"))]
        for share in SHARES
    ]  # fmt: skip
    rows.append(["100 %", whole(cells.get(("small_cnn", "error-min, sample, 8/255", "none"))), ""])
    return table([["protected", "all rows", "the clean part alone"], *rows])


def filters(cells: dict) -> str:
    """Filters down, versions across, small CNN."""
    names = {"clean": "clean", "error-min, sample, 8/255": "error-min", "error-min, class, 8/255": "class-wise",
             "error-max, sample": "error-max", "texture": "texture"}  # fmt: skip
    said = {"none": "none", "box-blur": "mean", "median-filter": "median", "gaussian-blur": "Gaussian",
            "grayscale": "grayscale", "adversarial-training-4": "adversarial training, 4/255",
            "adversarial-training-8": "adversarial training, 8/255"}  # fmt: skip
    rows = [
        [title, *(whole(cells.get(("small_cnn", name, filtered))) for name in names)]
        for filtered, title in said.items()
        if any(("small_cnn", name, filtered) in cells for name in names)
    ]
    return table([["filter", *names.values()], *rows])


def one_class(cells: dict) -> str:
    """Versions with one protected class down: what share of it is found, where it goes, and the other classes."""
    rows = []
    for name in ("clean", "texture, one class", "error-min, one class"):
        cell = cells.get(("small_cnn", name, "none"))
        if cell is None:
            continue
        counts = np.array(cell["confusion"])
        right, own = np.diag(counts) / counts.sum(1), counts[CLASS] / counts[CLASS].sum()
        most = int(np.argsort(own)[-1 if own.argmax() != CLASS else -2])
        others = np.delete(np.arange(len(counts)), CLASS)
        rows.append([name, f"{100 * right[CLASS]:.1f}", f"class {5 + most}: {100 * own[most]:.1f}",
                     f"{100 * counts[others, CLASS].sum() / counts[others].sum():.1f}",
                     f"{100 * np.trace(counts[np.ix_(others, others)]) / counts[others].sum():.1f}"])  # fmt: skip
    return table([["trained on", "its images found", "most often taken for", "others taken for it",
                   "other classes found"], *rows])  # fmt: skip


def digits() -> str:
    """Versions down: digits in gray, another victim than the surrogate."""
    found = lines_of(BENCH / "papers_small.jsonl")
    rows = [
        [line["version"], line["victim"], whole(line)]
        for line in found
        if line["data"] == "digits" and line["countermeasure"] == "none"
    ]
    return table([["digits, trained on", "victim", "accuracy"], *rows])


def medical() -> str:
    """Versions of X-rays down; sensitivity and specificity, plain and after JPEG, from confusion matrices."""
    found: dict[str, dict[str, list[str]]] = {}
    for line in lines_of(BENCH / "medical.jsonl"):
        counts = np.array(line["confusion"])
        specificity, sensitivity = np.diag(counts) / counts.sum(1)  # the sick are class 1
        told = [f"{100 * sensitivity:.1f}", f"{100 * specificity:.1f}"]
        found.setdefault(line["version"], {})[line["countermeasure"]] = told
    heads = [f"{measure}{after}" for after in ("", " after jpeg-10") for measure in ("sensitivity", "specificity")]
    rows = [
        [version, *(x for after in ("none", "jpeg-10") for x in by.get(after, ["", ""]))]
        for version, by in found.items()
    ]
    return table([["X-rays, trained on", *heads], *rows])
