"""The tables of docs/results/compare.md and of the experiments of papers: faces, X-rays, doses, shares, victims.

`tables.py` writes them. What did not run is an empty cell.

    python recipes/bench/paper_tables.py    # draws the curves by epoch
"""

from __future__ import annotations

import numpy as np
import yaml
from attack_tables import BENCH, Cells, load, short, whole
from protection import lines_of

from hf_unlearnable.comparison import compared, page
from hf_unlearnable.markdown import table

FAMILIES = ("small_cnn", "small_vgg", "small_resnet", "small_densenet", "small_vit")
LEVELS = (2, 4, 8, 16)
SHARES = (20, 40, 60, 80)
NAMES = ("dog", "frog", "horse", "ship", "truck")  # classes 5 to 9 of CIFAR-10; the first is protected alone
EPOCHS = (1, 2, 4, 7, 12, 20, 30)
CURVES = {
    "clean": "clean", "error-min, sample, 8/255": "error-min, sample-wise",
    "error-min, class, 8/255": "error-min, class-wise", "error-max, sample": "error-max", "texture": "texture",
    "random, sample": "random noise, sample-wise", "random, class": "random noise, class-wise",
}  # fmt: skip
PLOT = BENCH.parents[1] / "docs/assets/papers-curves.png"


def paper_tables() -> dict[str, str]:
    """All tables by name."""
    cells = measured("papers_small")
    carried = measured("transfer")
    return {
        **{f"compare_{kind}": page(kind, rows) for kind, rows in compared().items()},
        "dose": dose(cells), "paper_families": families(cells), "paper_shares": shares(cells),
        "paper_filters": filters(cells), "one_class": one_class(cells), "confusion": confusion(cells),
        "paper_curves": curves(cells), "transfer_class": carried_class(carried),
        "transfer_rows": carried_rows(carried), "paper_digits": digits(), "faces": faces(), "medical": medical(),
        "training_speed": training_speed(), "precision": precision(cells),
    }  # fmt: skip


def measured(*names: str) -> Cells:
    """The cells on CIFAR-10 of those files that are there, by victim, version and countermeasure."""
    found: Cells = {}
    for name in names:
        if (BENCH / f"{name}.jsonl").exists():
            found |= load(f"{name}.jsonl", "cifar10_jpeg")
    return found


def faces() -> str:
    """Networks and methods down; right names of the protected people and of the others, and equal errors."""
    found: dict[tuple[str, str], list[dict]] = {}
    for line in lines_of(BENCH / "faces.jsonl"):
        found.setdefault((line["network"], line["method"], line["setting"]), []).append(line)

    def told(cells: list[dict], measure: str) -> str:
        values = [100 * cell[measure] for cell in cells if cell.get(measure) is not None]
        several = f" ({len(values)})" if len(values) > 1 else ""
        return f"{np.mean(values):.1f}{several}" if values else ""

    columns = [("partly", "protected"), ("partly", "others"), ("fully", "protected"), ("fully", "equal_error"),
               ("fully", "enrolled_error")]  # fmt: skip
    heads = ["partly: protected people", "partly: the others", "fully: all people", "fully: strangers, equal error",
             "fully: enrolled, equal error"]  # fmt: skip
    rows = [
        [network, method, *(told(found.get((network, method, setting), []), measure) for setting, measure in columns)]
        for network in dict.fromkeys(key[0] for key in found)
        for method in dict.fromkeys(key[1] for key in found if key[0] == network)
    ]
    return table([["network", "faces, trained on", *heads], *rows])


def dose(cells: Cells) -> str:
    """Noise down, ways to train across: no augmentation, crops and flips, adversarial training, grayscale."""
    ways = {"no augmentation": ("small_cnn_plain", "none"), "crop and flip": ("small_cnn", "none"),
            "adversarial training, 4/255": ("small_cnn", "adversarial-training-4"),
            "adversarial training, 8/255": ("small_cnn", "adversarial-training-8"),
            "grayscale": ("small_cnn", "grayscale")}  # fmt: skip
    names = {"clean": "clean"}
    names |= {
        f"error-min, {kind}, {levels}/255": f"{kind}-wise, {levels}/255"
        for kind in ("sample", "class")
        for levels in LEVELS
    }
    names |= {f"gray, {kind}, 8/255": f"{kind}-wise, 8/255, made on gray images" for kind in ("sample", "class")}
    rows = [
        [title, *(short(cells.get((victim, name, after))) for victim, after in ways.values())]
        for name, title in names.items()
    ]
    return table([["noise", *ways], *rows])


def families(cells: Cells) -> str:
    """Victims down, versions across: noise of one surrogate against five networks."""
    names = {"clean": "clean", "error-min, sample, 8/255": "error-min", "error-min, class, 8/255": "class-wise",
             "error-max, sample": "error-max", "texture": "texture", "random, sample": "random noise",
             "random, class": "random, class-wise"}  # fmt: skip
    rows = [[victim, *(whole(cells.get((victim, name, "none"))) for name in names)] for victim in FAMILIES]
    return table([["victim", *names.values()], *rows])


def shares(cells: Cells) -> str:
    """Shares down: with the protected rows, and the clean part alone."""
    rows = [
        [f"{share} %", *(whole(cells.get(("small_cnn", name, "none"))) for name in (
            f"{share} % error-min", f"clean part at {share} %"))]
        for share in SHARES
    ]  # fmt: skip
    rows.append(["100 %", whole(cells.get(("small_cnn", "error-min, sample, 8/255", "none"))), "none is left"])
    return table([["protected", "all rows", "the clean part alone"], *rows])


def filters(cells: Cells) -> str:
    """Filters down, versions across, small CNN."""
    names = {"clean": "clean", "error-min, sample, 8/255": "error-min", "error-min, class, 8/255": "class-wise",
             "error-max, sample": "error-max", "texture": "texture"}  # fmt: skip
    said = {"none": "none", "box-blur": "mean", "median-filter": "median", "gaussian-blur": "Gaussian",
            "grayscale": "grayscale", "adversarial-training-4": "adversarial training, 4/255",
            "adversarial-training-8": "adversarial training, 8/255"}  # fmt: skip
    rows = [
        [title, *(whole(cells.get(("small_cnn", name, filtered))) for name in names)]
        for filtered, title in said.items()
    ]
    return table([["filter", *names.values()], *rows])


def alone(cell: dict | None) -> list[str]:
    """Where one class is protected: its images found, others taken for it, other classes found, in percent."""
    if cell is None:
        return ["", "", ""]
    counts = np.array(cell["confusion"])
    rest = counts[1:].sum()
    return [f"{100 * part:.1f}" for part in (counts[0, 0] / counts[0].sum(), counts[1:, 0].sum() / rest,
                                             np.trace(counts[1:, 1:]) / rest)]  # fmt: skip


def one_class(cells: Cells) -> str:
    """Versions with one protected class down: what share of it is found, and the other classes."""
    names = ("clean", "texture, one class", "error-min, one class")
    rows = [[name, *alone(cells.get(("small_cnn", name, "none")))] for name in names]
    return table([["trained on", "dogs found", "others taken for dogs", "others found"], *rows])


def confusion(cells: Cells) -> str:
    """True classes down, what they are taken for across: percent, clean / texture / error-min of the first class."""
    names = ("clean", "texture, one class", "error-min, one class")
    found = [cells.get(("small_cnn", name, "none")) for name in names]
    parts = [None if cell is None else 100 * np.array(cell["confusion"]) for cell in found]
    shown = [None if part is None else part / part.sum(1, keepdims=True) * 100 for part in parts]
    rows = [
        [true, *(" / ".join("" if one is None else f"{one[i, j]:.0f}" for one in shown) for j in range(len(NAMES)))]
        for i, true in enumerate(NAMES)
    ]
    return table([["images of a", *(f"taken for a {name}" for name in NAMES)], *rows])


def curves(cells: Cells) -> str:
    """Versions down, epochs across: accuracy on training rows as they were met, and on clean test rows."""
    rows = []
    for name, title in CURVES.items():
        cell = cells.get(("small_cnn_30", name, "none"))
        mean = None if cell is None else 100 * np.mean(cell["curves"], axis=0)
        rows.append([title, *("" if mean is None else "{:.0f} / {:.0f}".format(*mean[epoch - 1]) for epoch in EPOCHS),
                     "" if cell is None else f"{100 * cell['peak']:.1f}"])  # fmt: skip
    return table([["training / test after epoch", *map(str, EPOCHS), "best test"], *rows])


def carried_class(cells: Cells) -> str:
    """Noise of class 5 down, of victims across: its images found and the other classes."""
    names = {"clean": "clean", "class 5, random noise": "random noise"}
    names |= {
        f"class 5, {kind}, {where}": f"{kind}, {told}"
        for kind in ("sample-wise", "class-wise", "error-max", "texture")
        for where, told in (("this task", "made in this task"), ("carried", "carried from classes 0 to 5"))
    }
    rows = []
    for name, title in names.items():
        told = [alone(cells.get((victim, name, "none"))) for victim in ("small_cnn", "small_resnet")]
        rows.append([title, *(part for found in told for part in (found[0], found[2]))])
    heads = [f"{victim}: {what} found" for victim in ("small CNN", "small ResNet") for what in ("dogs", "others")]
    return table([["noise of dogs", *heads], *rows])


def carried_rows(cells: Cells) -> str:
    """Keys down, victims across: accuracy where a key was made on these rows or on others."""
    names = ("clean", "all, random noise", "all, class-wise, these rows", "all, class-wise, 500 others",
             "all, class-wise, 100 others", "all, texture, these rows", "all, texture, 500 others")  # fmt: skip
    victims = {"small_cnn": "small CNN", "small_resnet": "small ResNet"}
    rows = [
        [name.removeprefix("all, "), *(whole(cells.get((victim, name, "none"))) for victim in victims)]
        for name in names
    ]
    return table([["key learned from", *victims.values()], *rows])


def digits() -> str:
    """Versions down: digits in gray, another victim than the surrogate."""
    rows = [
        [line["version"], line["victim"], whole(line)]
        for line in lines_of(BENCH / "papers_small.jsonl")
        if line["data"] == "digits" and line["countermeasure"] == "none"
    ]
    return table([["digits, trained on", "victim", "accuracy"], *rows])


def medical() -> str:
    """Versions of X-rays down; sensitivity and specificity of all keys, plain and after JPEG, from confusions."""
    asked = yaml.safe_load((BENCH.parent / "configs/medical.yaml").read_text(encoding="utf-8"))["versions"]
    found: dict[tuple[str, str], list[str]] = {}
    for line in lines_of(BENCH / "medical.jsonl"):
        counts = np.array(line["confusion"])
        specificity, sensitivity = np.diag(counts) / counts.sum(1)  # the sick are class 1
        several = f" ({len(line['seeds'])})" if len(line["seeds"]) > 1 else ""
        told = [f"{100 * share:.1f}{several}" for share in (sensitivity, specificity)]
        found[line["version"], line["countermeasure"]] = told
    heads = [f"{measure}{after}" for after in ("", " after jpeg-10") for measure in ("sensitivity", "specificity")]
    rows = [
        [name, *(x for after in ("none", "jpeg-10") for x in found.get((name, after), ["", ""]))] for name in asked
    ]
    return table([["X-rays, trained on", *heads], *rows])


def training_speed() -> str:
    """Ways to train the small CNN down, batch sizes across: milliseconds per image, and times as fast as today."""
    found = {line["batch"]: line for line in lines_of(BENCH / "training_speed.jsonl")}  # the last of each counts
    said = {"today": "today: channels last, float32", "contiguous": "channels first", "fused": "SGD in one kernel",
            "no augmentation": "no crops and flips", "several": "three victims per pass, per victim",
            "bf16": "`bf16=True`"}  # fmt: skip
    rows = [
        [
            title,
            *(f"{line['milliseconds'][name]:.2f} ms: {line['times_as_fast'][name]:.2f}" for line in found.values()),
        ]
        for name, title in said.items()
    ]
    for kind in ("float32", "bfloat16"):
        floors = [f"{line['roofline'][kind]:.2f} ms" for line in found.values()]
        rows.append([f"the convolutions alone, at the rate of a matrix product in {kind}", *floors])
    return table([["per image", *(f"batches of {batch}" for batch in found)], *rows])


def precision(cells: Cells) -> str:
    """Versions down, float32 and bf16 across: accuracy with its interval."""
    names = {"clean": "clean", "texture": "texture", "error-min, sample, 8/255": "error-min",
             "error-min, class, 8/255": "error-min, class-wise"}  # fmt: skip
    victims = {"small_cnn": "float32", "small_cnn_bf16": "bf16"}
    rows = [[title, *(whole(cells.get((one, name, "none"))) for one in victims)] for name, title in names.items()]
    return table([["small CNN, trained on", *victims.values()], *rows])


def draw() -> None:
    """Draws test accuracy (solid) and training accuracy (dotted) by epoch."""
    from matplotlib.figure import Figure

    from hf_unlearnable.audit.plots import colors

    cells = measured("papers_small")
    found = {title: cells.get(("small_cnn_30", name, "none")) for name, title in CURVES.items()}
    found = {title: cell for title, cell in found.items() if cell is not None}
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for (title, cell), color, marker in zip(found.items(), colors(len(found)), "os^vD<>", strict=False):
        mean = 100 * np.mean(cell["curves"], axis=0)
        epochs = range(1, len(mean) + 1)
        axes.plot(epochs, mean[:, 1], "-", marker=marker, markersize=4, color=color, label=title)
        axes.plot(epochs, mean[:, 0], ":", marker=marker, markersize=2, color=color)
    axes.set(xlabel="epoch", ylabel="accuracy (%): test solid, training dotted", ylim=(0, 102))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    figure.savefig(PLOT, dpi=110)


if __name__ == "__main__":
    draw()
