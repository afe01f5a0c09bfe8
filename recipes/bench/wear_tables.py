"""The tables of victims after wear and of filters that drop images. `tables.py` writes them to the pages."""

from __future__ import annotations

from collections.abc import Mapping

from attack_tables import lines, load, short, whole

from hf_unlearnable.markdown import table


def worn_images(data: str, victims: Mapping[str, str]) -> str:
    """Victims and versions down, wear across: accuracy, and of how many keys if more than one.

    Args:
        data: Name of the dataset.
        victims: What each is called.
    """
    cells = load("image_wear.jsonl", data)
    worn = list(dict.fromkeys(name for _, _, name in cells))
    rows = [["images", *("as they are" if name == "none" else name for name in worn)]]
    for victim in victims:
        for version in dict.fromkeys(key[1] for key in cells if key[0] == victim):
            found = [cells.get((victim, version, name)) for name in worn]
            rows.append([victims[victim] + version, *(whole(one) + _keys(one) for one in found)])
    return table(rows)


def _keys(cell: Mapping | None) -> str:
    return f", {len(cell['seeds'])} keys" if cell and len(cell["seeds"]) > 1 else ""


def worn_texts(data: str, victims: Mapping[str, str]) -> str:
    """Versions down; victims and what was done to the texts across, with the share of rows that are kept.

    Args:
        data: Name of the dataset.
        victims: What each is called.
    """
    cells = load("text_wear.jsonl", data)
    columns = [
        (victim, name) for victim in victims for name in dict.fromkeys(key[2] for key in cells if key[0] == victim)
    ]
    head = [victims[victim] + ("" if name == "none" else f", {name}") for victim, name in columns]
    rows = [["texts", *head]]
    for version in dict.fromkeys(version for _, version, _ in cells):
        told = []
        for victim, name in columns:
            cell, plain = (cells.get((victim, version, one)) for one in (name, "none"))
            kept = f" ({100 * cell['train_rows'] / plain['train_rows']:.0f} % kept)" if cell and plain else ""
            told.append(short(cell) + (kept if name != "none" else ""))
        rows.append([version, *told])
    return table(rows)


def outliers(datasets: Mapping[str, str]) -> str:
    """Methods down; datasets and protected shares across: percentages that the filter of spectra keeps.

    Args:
        datasets: What each is called.
    """
    cells = [one for one in lines("outliers.jsonl") if one["filter"] == "spectrum-outlier-filter"]
    found = {(one["method"], one["data"], one["share"]): one for one in cells}
    columns = [(data, share) for share in sorted({key[2] for key in found}) for data in datasets]
    rows = [["method", *(f"{datasets[data]}, {100 * share:.0f} % protected" for data, share in columns)]]
    for method in dict.fromkeys(key[0] for key in found):
        told = []
        for column in columns:
            cell = found.get((method, *column), {})
            parts = [cell.get(part) for part in ("protected", "clean")]
            told.append(" / ".join(f"{100 * one:.0f}" for one in parts if one is not None))
        rows.append([method, *told])
    return table(rows)


def wear_tables() -> dict[str, str]:
    """All tables by name."""
    victims = {
        "tfidf_logistic_regression": "TF-IDF", "small_llama": "small Llama", "finetuned_encoder": "encoder",
    }  # fmt: skip
    return {
        "worn_images": worn_images("cifar10_jpeg", {"small_cnn": ""}),
        "worn_photos": worn_images("flowers", {"small_cnn": "at 64 px: ", "small_cnn_whole": "at 224 px: "}),
        "worn_texts_imdb": worn_texts("imdb", victims),
        "worn_texts_sst2": worn_texts("sst2", victims),
        "outliers": outliers({"flowers": "224 px", "cifar10_jpeg": "32 px"}),
    }
