# /// script
# dependencies = ["hf-unlearnable[image]"]
# ///
"""Writes the tables of attacks in the README and in docs, from the cells beside this script.

Long because every table reads and rounds its cells in the same few ways.

    python recipes/bench/tables.py

A table stands between `<!-- table: NAME -->` and `<!-- end -->`; a test holds that each is what its cells say. Numbers
of an earlier version of a method are marked: "v1".
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from hf_unlearnable.adversary import Countermeasure
from hf_unlearnable.image.countermeasures import IMAGE_COUNTERMEASURES
from hf_unlearnable.image.victims import IMAGE_VICTIMS
from hf_unlearnable.markdown import table
from hf_unlearnable.registry import method_class

BENCH = Path(__file__).parent
ROOT = BENCH.parents[1]
PAGES = (
    ROOT / "README.md", ROOT / "docs/guides/visibility.md", ROOT / "docs/guides/where-data-goes.md",
    *sorted(ROOT.glob("docs/results/*.md")),
)  # fmt: skip
# The rows of the README's table: what they say, the version, the victim.
FRONT = {
    "images": (
        ("`texture`, small CNN from scratch", "texture", "small_cnn"),
        ("`texture`, pretrained model fine-tuned", "texture", "pretrained_image_model"),
        ("`error-min`, small CNN from scratch", "error-min, sample-wise", "small_cnn"),
    ),
    "photos": (("`texture`, linear probe of ImageNet weights", "texture", "linear_probe"),),
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
    "clean": "clean", "word-balance": "word-balance", "order-code": "order-code",
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
MAIN_ORDERS = (
    "clean", "order-code", "order-code, two phrases", "order-code, refrain of words", "order-code, rarest class left",
    "protected rows dropped",
)  # fmt: skip
OURS = ("texture", "order-code", "word-balance")
STUDY = yaml.safe_load((BENCH.parent / "configs/image_attack.yaml").read_text(encoding="utf-8"))
PHOTO_STUDY = yaml.safe_load((BENCH.parent / "configs/photo_attack.yaml").read_text(encoding="utf-8"))
IMAGE_METHODS = {
    name: parameters["method"]
    for name, parameters in {**STUDY["versions"], **PHOTO_STUDY["versions"]}.items()
    if isinstance(parameters, dict) and parameters.get("role") != "random"
}
LONGER = {"small_cnn": "small_cnn_30"}
BASELINES = ("clean", "random noise", "random words, same dose", "protected rows dropped")
Cells = dict[tuple[str, str, str], dict]


def load(name: str, data: str | None = None) -> Cells:
    """The cells of a file, or of one dataset in it, by victim, version and countermeasure, if comparable."""
    kept = [cell for cell in lines(name) if data in (None, cell["data"]) and not of_another_training(cell)]
    return {(cell["victim"], cell["version"], cell["countermeasure"]): cell for cell in kept}


def lines(name: str) -> list[dict]:
    """The lines of a file."""
    return [json.loads(line) for line in (BENCH / name).read_text(encoding="utf-8").splitlines()]


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
    """The version of the method that a cell is of, unless it is that of today or nothing is known of it."""
    method = IMAGE_METHODS.get(cell["version"])
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

    Training longer counts as one.
    """
    tried = [
        cell
        for (one, name, countermeasure), cell in cells.items()
        if name == version and not countermeasure.startswith("clean-")
        and ((one == victim and countermeasure != "none") or one == LONGER.get(victim))
    ]  # fmt: skip
    if version in BASELINES or not tried:
        return ""
    most = max(tried, key=lambda cell: cell["accuracy"][0])
    length = f", {most['protocol']['epochs']} epochs" if most["victim"] != victim else ""
    return f"{whole(most)}, {most['countermeasure']}{length}"


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


def language_model() -> str:
    """A dataset and a way to ask down, versions across, beside how much of the grid was run."""
    study = yaml.safe_load((BENCH.parent / "configs/language_model.yaml").read_text(encoding="utf-8"))
    after, versions = study["countermeasures"], study["versions"]
    rows = [["data, labels", "zero-shot", *versions, "worst after a filter", "cells run"]]
    for data, settings in study["datasets"].items():
        cells = load("language_model.jsonl", data)
        for victim, protocol in settings["victims"].items():
            if "only" in protocol:
                continue
            names = ", ".join(protocol["class_names"])
            zero = cells.get((f"{victim}_zero_shot", "clean", "none"))
            plain = [cells.get((victim, version, "none")) for version in versions]
            tried = [cell for (one, name, filtered), cell in cells.items()
                     if one == victim and name != "clean" and filtered != "none"]  # fmt: skip
            most = max(tried, key=lambda cell: cell["accuracy"][0], default=None)
            worst_case = f"{whole(most)}, {most['version']}, {most['countermeasure']}" if most else ""
            filtered = sum(not isinstance(v, dict) or v.get("role") != "random" for v in versions.values())
            grid_size = len(versions) + len(after) * filtered
            there = sum(key[0] == victim for key in cells)
            rows.append([f"{data}: {names}", whole(zero), *map(whole, plain), worst_case, f"{there} of {grid_size}"])
    return table(rows)


def elsewhere() -> str:
    """Where a language model was trained and tested down, versions across."""
    study = yaml.safe_load((BENCH.parent / "configs/language_model.yaml").read_text(encoding="utf-8"))
    rows, versions = [], []
    for data, settings in study["datasets"].items():
        cells = load("language_model.jsonl", data)
        for victim, protocol in settings["victims"].items():
            for other in protocol.get("test_on", []):
                versions = protocol.get("only", versions)
                found = [cells.get((victim, version, "none")) for version in versions]
                rows.append([data, data, *map(whole, found)])
                there = [cell and {**cell, "accuracy": cell["elsewhere"][other]} for cell in found]
                rows.append([data, other, *map(whole, there)])
    return table([["trained on", "tested on", *versions], *rows])


def mechanism() -> str:
    """What a model was trained on and whose mark is in the test, down; the tests across, with a label's share."""
    found = lines("mechanism.jsonl")
    steps = list(dict.fromkeys(line["step"] for line in found if line["test"] == "clean"))
    marks = list(dict.fromkeys(line["test"] for line in found if line["test"] != "clean"))
    label = next(iter(found[0]["label_shares"]))
    kinds = list(dict.fromkeys(mark.partition(", ")[2] for mark in marks))
    rows = []
    for version in dict.fromkeys(line["version"] for line in found):
        by_test = {(line["test"], line["step"]): line for line in found if line["version"] == version}
        for method in dict.fromkeys(mark.partition(", ")[0] for mark in marks):
            tests = [("clean", step) for step in steps] + [(f"{method}, {kind}", steps[-1]) for kind in kinds]
            if tests[-1] in by_test:
                told = [
                    (100 * by_test[one]["accuracy"][0], 100 * by_test[one]["label_shares"][label]) for one in tests
                ]
                rows.append([version, method, *(f"{right:.1f} ({share:.0f})" for right, share in told)])
    return table([["trained on", "mark of", *(f"step {step}" for step in steps), *kinds], *rows])


def word_gradients() -> str:
    """Models down; how the size of a word's gradient goes with its frequency across."""
    rows = [["model", "words", "per occurrence", "mean over occurrences"]]
    for line in lines("word_gradients.jsonl"):
        told = ["{:.2f} [{:.2f}, {:.2f}]".format(*line[size]["spearman"]) for size in ("occurrence", "mean")]
        rows.append([line["model"], str(line["words"]), *told])
    return table(rows)


def meaning() -> str:
    """Versions down: how many texts a judge still labels right, and as the clean text, over the keys."""
    by_version: dict[str, list[dict]] = {}
    for line in lines("meaning.jsonl"):
        by_version.setdefault(line["version"], []).append(line)
    rows = [["version", "right", "as the clean text"]]
    rows.append(["clean", f"{100 * next(iter(by_version.values()))[0]['right_before']:.1f}", ""])
    for version, found in by_version.items():
        told = [[100 * line[share] for line in found] for share in ("right", "as_before")]
        rows.append([version, *(f"{sum(one) / len(one):.1f} ({min(one):.1f} to {max(one):.1f})" for one in told)])
    return table(rows)


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


def survival(data: str, measure: str) -> str:
    """Wear down, image methods across: what is left of their change, or how large it is; of a codec the bytes too."""
    cells = [json.loads(line) for line in (BENCH / "survival.jsonl").read_text(encoding="utf-8").splitlines()]
    found = {(cell["wear"], cell["method"]): cell for cell in cells if cell["data"] == data}
    methods = list(dict.fromkeys(method for _, method in found))
    resized = [name for name, _ in found if name.startswith("resize-")]
    rows = []
    for name in dict.fromkeys(name for name, _ in found if (name in resized) == (measure == "contrast")):
        of_wear = {method: found[name, method] for method in methods if (name, method) in found}
        size = [f"{cell['clean_bytes']:.0f}" for cell in of_wear.values() if "clean_bytes" in cell][:1]
        size += [f"{cell['bytes']:.0f}" for method, cell in of_wear.items() if method == "texture" and "bytes" in cell]
        shown = [f"{of_wear[method][measure]:.2f}" if method in of_wear else "" for method in methods]
        rows.append([name.removeprefix("resize-"), *([] if measure == "contrast" else [" to ".join(size)]), *shown])
    head = ["resizer"] if measure == "contrast" else ["wear", "bytes, clean to texture"]
    return table([[*head, *methods], *rows])


def text_survival() -> str:
    """Wear down; dataset and method across: texts kept of the clean ones and of the protected ones, and words left."""
    cells = [json.loads(line) for line in (BENCH / "text_survival.jsonl").read_text(encoding="utf-8").splitlines()]
    found = {(cell["wear"], f"{cell['data']}, {cell['method']}"): cell for cell in cells}
    columns = list(dict.fromkeys(column for _, column in found))
    rows = []
    for name in dict.fromkeys(name for name, _ in found):
        row = [name]
        for column in columns:
            numbers = [found.get((name, column), {}).get(part) for part in ("clean", "kept", "left")]
            row.append(" / ".join("-" if number is None else f"{100 * number:.0f}" for number in numbers))
        rows.append(row)
    return table([["wear", *columns], *rows])


def tables() -> dict[str, str]:
    """All tables by name."""
    images, texts = load("image_attack.jsonl"), load("text_attack.jsonl")
    orders = {data: load("order_code_attack.jsonl", data) for data in ("sst2", "imdb", "trec")}
    flowers = load("photo_attack.jsonl", "flowers")
    image_columns = {
        "linear probe of a pretrained model": ("linear_probe", "none"),
        "the same, fine-tuned": ("pretrained_image_model", "none"),
        "small CNN, worst countermeasure": ("small_cnn", "worst"),
        "small CNN": ("small_cnn", "none"),
        "tried on the small CNN": ("small_cnn", "ran"),
    }
    text_columns = {
        "encoder, worst countermeasure": ("finetuned_encoder", "worst"),
        "encoder": ("finetuned_encoder", "none"),
        "TF-IDF, worst countermeasure": ("tfidf_logistic_regression", "worst"),
        "TF-IDF": ("tfidf_logistic_regression", "none"),
    }
    smollm2 = load("language_model.jsonl", "sst2")
    smollm2["smollm2", "protected rows dropped", "none"] = smollm2["smollm2_zero_shot", "clean", "none"]
    sst2 = {**orders["sst2"], **texts, **smollm2}
    return {
        "language_model": language_model(),
        "survival_cifar10": survival("cifar10_jpeg", "left"),
        "survival_flowers": survival("flowers", "left"),
        "resizers_cifar10": survival("cifar10_jpeg", "contrast"),
        "resizers_flowers": survival("flowers", "contrast"),
        "text_survival": text_survival(),
        "elsewhere": elsewhere(),
        "meaning": meaning(),
        "mechanism": mechanism(),
        "word_gradients": word_gradients(),
        "front": front({"images": images, "photos": flowers, "texts": sst2}),
        "images": headline(images, IMAGES, image_columns, "images, trained on"),
        "image_coverage": coverage(images),
        **{f"photos_{victim}": photos(flowers, victim) for victim in dict.fromkeys(key[0] for key in flowers)},
        "strength": strengths({**images, **load("image_strength.jsonl")}),
        "texts": headline(sst2, TEXTS, text_columns, "texts, trained on"),
        "order_code": overview(orders, {name: ORDERS[name] for name in MAIN_ORDERS}),
        **{victim: grid(images, victim, IMAGES) for victim in dict.fromkeys(key[0] for key in images)},
        **{victim: grid(texts, victim, TEXTS) for victim in dict.fromkeys(key[0] for key in texts)},
        **{
            f"order_code_{data}_{victim}": grid(cells, victim, ORDERS)
            for data, cells in orders.items()
            for victim in dict.fromkeys(key[0] for key in cells)
        },
    }


def filled(page: str) -> str:
    """A page with all of its tables written anew."""
    known = tables()
    marked = re.compile(r"(<!-- table: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
    return marked.sub(lambda found: found[1] + known[found[2]] + "\n" + found[4], page)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
