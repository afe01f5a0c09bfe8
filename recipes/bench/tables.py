# /// script
# dependencies = ["hf-unlearnable[image]"]
# ///
"""Writes the tables of measurements in the README and in docs, from the cells beside this script.

    python recipes/bench/tables.py

A table stands between `<!-- table: NAME -->` and `<!-- end -->`; a test holds that each is what its cells say.
Those of attacks are in `attack_tables.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml
from attack_tables import (
    BENCH,
    IMAGES,
    MAIN_ORDERS,
    ORDERS,
    TEXTS,
    coverage,
    front,
    grid,
    headline,
    lines,
    load,
    overview,
    photos,
    strengths,
    whole,
)
from cluster_tables import cluster_batches, clusters, without_labels
from contrastive_tables import contrastive
from diffusion_tables import diffusion_tables
from distance_tables import distance_tables
from feature_shift_tables import comparable, feature_shift_tables
from paper_tables import paper_tables
from proof_tables import certificates, mixtures, schedules
from recording_tables import recording_tables
from wear_tables import wear_tables

from hf_unlearnable.markdown import table

ROOT = BENCH.parents[1]
PAGES = (
    ROOT / "README.md",
    *(ROOT / f"docs/guides/{name}.md" for name in ("attack", "signals", "visibility", "where-data-goes")),
    ROOT / "hf_unlearnable/space/worth.md", *sorted(ROOT.glob("docs/results/*.md")),
)  # fmt: skip


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


def one_edit() -> str:
    """Datasets and victims down, versions with one edit per text across; clean cells also from other studies."""
    study = yaml.safe_load((BENCH.parent / "configs/text_edits.yaml").read_text(encoding="utf-8"))
    others = [line for name in ("text_attack", "text_protection", "language_model") for line in lines(f"{name}.jsonl")]
    found = [line for line in others if line["version"] == "clean"] + lines("text_edits.jsonl")
    rows = [["data, victim", *study["versions"]]]
    for data, settings in study["datasets"].items():
        for victim, protocol in settings["victims"].items():
            cells = {
                line["version"]: line
                for line in found
                if (line["data"], line["victim"], line["protocol"]) == (data, victim, protocol)
                and line["countermeasure"] == "none"
            }
            if len(cells) > 1:
                rows.append([f"{data}, {victim}", *(whole(cells.get(version)) for version in study["versions"])])
    return table(rows)


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


def survival(data: str, measure: str) -> str:
    """Wear down, image methods across: what is left of their change, or how large it is; of a codec the bytes too."""
    cells = lines("survival.jsonl")
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
    cells = lines("text_survival.jsonl")
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


def identity(datasets: Mapping[str, str]) -> str:
    """Methods down; dataset and hash across: the share in percent that a service still finds.

    Args:
        datasets: What each is called at the head of its columns.
    """
    cells = [cell for cell in lines("identity.jsonl") if cell["data"] in datasets]
    found = {(cell["method"], cell["data"], cell["hash"]): cell["found"] for cell in cells}
    columns = dict.fromkeys(key[1:] for key in found)
    rows = [["method", *(datasets[data] + (f", {name}" if name != "minhash" else "") for data, name in columns)]]
    for method in sorted(dict.fromkeys(key[0] for key in found), key=lambda one: one == "strangers"):
        shown = [found.get((method, *column)) for column in columns]
        rows.append([method, *("" if share is None else f"{100 * share:.0f}" for share in shown)])
    return table(rows)


def label_free(datasets: Mapping[str, str]) -> str:
    """Datasets and versions down, filters across: what is left of a protection, and what clean rows lose.

    Args:
        datasets: What each is called.
    """
    found = [cell for cell in lines("label_free.jsonl") if cell["data"] in datasets]
    names = list(dict.fromkeys(cell["filter"] for cell in found))
    cells = {(cell["data"], cell["version"], cell["filter"]): cell for cell in found}
    rows = []
    for data, version in dict.fromkeys(key[:2] for key in cells):
        tried = [cells.get((data, version, name)) for name in names]
        rows.append(
            [
                datasets[data],
                version,
                *("" if one is None else f"{one['left']:.2f} ({one['lost']:.2g})" for one in tried),
            ]
        )
    return table([["data", "protected with", *names], *rows])


def watermark() -> str:
    """Methods down: bits of a watermark that are read, by which came first, and what is left of the protection."""
    found = {(cell["method"], cell["order"]): cell for cell in lines("watermark.jsonl")}
    rows = [["method", "bits read, protection first", "protection left", "bits read, watermark first"]]
    for method in dict.fromkeys(method for method, _ in found if method != "none"):
        first, last = found[method, "protection first"], found[method, "watermark first"]
        rows.append([method, f"{100 * first['read']:.0f}", f"{first['left']:.2f}", f"{100 * last['read']:.0f}"])
    return table(rows)


def without_training() -> dict[str, str]:
    """Tables for which nothing was trained, by name."""
    return {
        "survival_cifar10": survival("cifar10_jpeg", "left"),
        "survival_flowers": survival("flowers", "left"),
        "resizers_cifar10": survival("cifar10_jpeg", "contrast"),
        "resizers_flowers": survival("flowers", "contrast"),
        "text_survival": text_survival(),
        "watermark": watermark(),
        "label_free_texts": label_free({"imdb": "IMDb", "sst2": "SST-2", "trec": "TREC"}),
        "label_free_images": label_free({"flowers": "flowers, 224 px", "cifar10_jpeg": "CIFAR-10, 32 px"}),
        "identity_images": identity({"flowers": "224 px", "cifar10_jpeg": "32 px"}),
        "identity_texts": identity({"sst2": "SST-2", "imdb": "IMDb"}),
    }


IMAGE_COLUMNS = {
    "linear probe of a pretrained model": ("linear_probe", "none"),
    "the same, fine-tuned": ("pretrained_image_model", "none"),
    "small CNN, worst countermeasure": ("small_cnn", "worst"),
    "small CNN": ("small_cnn", "none"),
    "tried on the small CNN": ("small_cnn", "ran"),
}
TEXT_COLUMNS = {
    "encoder, worst countermeasure": ("finetuned_encoder", "worst"),
    "encoder": ("finetuned_encoder", "none"),
    "TF-IDF, worst countermeasure": ("tfidf_logistic_regression", "worst"),
    "TF-IDF": ("tfidf_logistic_regression", "none"),
}


def tables() -> dict[str, str]:
    """All tables by name."""
    images, texts, sounds = (load(f"{name}.jsonl") for name in ("image_attack", "text_attack", "audio_attack"))
    orders = {data: load("order_code_attack.jsonl", data) for data in ("sst2", "imdb", "trec")}
    flowers = load("photo_attack.jsonl", "flowers")
    smollm2 = load("language_model.jsonl", "sst2")
    smollm2["smollm2", "protected rows dropped", "none"] = smollm2["smollm2_zero_shot", "clean", "none"]
    sst2 = {**orders["sst2"], **texts, **smollm2}
    return {
        "language_model": language_model(),
        "certificates": certificates(),
        "contrastive": contrastive(),
        "mixtures": mixtures(),
        "schedules": schedules(),
        **{
            name: text
            for of in (
                distance_tables,
                diffusion_tables,
                paper_tables,
                feature_shift_tables,
                recording_tables,
                wear_tables,
                without_training,
            )
            for name, text in of().items()
        },
        "clusters": clusters(),
        "cluster_batches": cluster_batches(),
        "elsewhere": elsewhere(),
        "meaning": meaning(),
        "mechanism": mechanism(),
        "one_edit": one_edit(),
        "word_gradients": word_gradients(),
        "front": front(
            {
                "images": images,
                "photos": flowers,
                "photos of 128 px": comparable(),
                "photos without labels": without_labels(),
                "recordings": sounds,
                "texts": sst2,
            }
        ),
        "images": headline(images, IMAGES, IMAGE_COLUMNS, "images, trained on"),
        "image_coverage": coverage(images),
        **{f"photos_{victim}": photos(flowers, victim) for victim in dict.fromkeys(key[0] for key in flowers)},
        "strength": strengths({**images, **load("image_strength.jsonl")}),
        "texts": headline(sst2, TEXTS, TEXT_COLUMNS, "texts, trained on"),
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
