"""`hf-unlearnable demo`: protect embedded notes and digits, train on them, and see what is left. No network."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_unlearnable._extras import require
from hf_unlearnable.data import whole_or_nothing, write_rows

if TYPE_CHECKING:
    import numpy as np

    from hf_unlearnable.attack.audit import Cell

SEEDS = (0, 1, 2)


def run(
    output: Path, report: Callable[[str], Any], seeds: tuple[int, ...] = SEEDS, key_seed: int | None = None
) -> list[Cell]:
    """Protects notes and digits, trains on several versions of them and writes what came out.

    Args:
        output: A new folder: `text/` and `images/`, each with the protected rows, the table and its numbers. Beside
            it the keys, `<output>-text.key` and `<output>-images.key`.
        report: Takes the lines that a person reads.
        seeds: One training of each victim for each.
        key_seed: Seed of the keys; None draws fresh ones, and every run differs a little.

    Returns:
        The audits' cells, those of the notes first.
    """
    require("attack", "torch", "transformers", "tokenizers", "sklearn")
    require("image", "accelerate", "PIL", "skimage")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    keys = {name: output.with_name(f"{output.name}-{name}.key") for name in ("text", "images")}
    with whole_or_nothing(output) as scratch:
        scratch.mkdir()
        text_cells, text_cloak = _text(scratch / "text", report, seeds, key_seed)
        image_cells, image_cloak = _images(scratch / "images", report, seeds, key_seed)
        text_cloak.key.save(keys["text"])
        image_cloak.key.save(keys["images"])
    report(
        "\nBoth raise the price of training on your data. Neither is a lock: who finds the words deletes them, and\n"
        "compressing the images hard undoes most of the noise.\n"
        f"Written to {output}/, the keys to {keys['text']} and {keys['images']}: keep them, and keep them private."
    )
    return text_cells + image_cells


def _text(output: Path, report: Callable[[str], Any], seeds: tuple[int, ...], key_seed: int | None) -> Any:
    from hf_unlearnable import RegTextTransform
    from hf_unlearnable.attack.victims import small_llama, tfidf_logistic_regression
    from hf_unlearnable.samples import load_notes

    train, test = load_notes("train"), load_notes("test")
    report(f"Text. {len(train)} notes on {train.features['label'].num_classes} topics, {len(test)} held out.")
    cloak = RegTextTransform(seed=key_seed).fit(train)
    protected = train.map(cloak, batched=True)
    random_words = RegTextTransform(word_source="random", seed=key_seed)
    half_protected = train.map(RegTextTransform(fraction=0.5, seed=key_seed).fit(train), batched=True)
    left = [i for i, (a, b) in enumerate(zip(train["text"], half_protected["text"], strict=True)) if a == b]
    versions = {
        "clean notes": train,
        "protected notes": protected,
        "same dose of random words": train.map(random_words.fit(train), batched=True),
        "protected notes dropped (none left: a guess)": train.select([]),
        "half of them protected": half_protected,
        "that half dropped": train.select(left),
    }
    victims: dict[str, Callable[..., np.ndarray]] = {
        "small Llama from scratch": partial(small_llama, epochs=6),
        "TF-IDF logistic regression": tfidf_logistic_regression,
    }
    report("One of them, protected, as its readers will see it:\n")
    report(f"  {protected[0]['text']}\n")
    return _audited(output, report, seeds, cloak, versions, test, victims), cloak


def _images(output: Path, report: Callable[[str], Any], seeds: tuple[int, ...], key_seed: int | None) -> Any:
    from hf_unlearnable import ErrorMinTransform, RandomNoiseTransform, TextureTransform
    from hf_unlearnable.attack.victims import small_cnn
    from hf_unlearnable.fidelity import contact_sheet, image_fidelity
    from hf_unlearnable.samples import load_digits

    train, test = load_digits("train"), load_digits("test")
    report(f"\nImages. {len(train)} handwritten digits, {len(test)} held out. Error-minimising noise of 8/255 ...")
    # Digits are easy: a surrogate that takes more steps learns them instead of the noise.
    cloak = ErrorMinTransform(max_rounds=60, surrogate_steps=1, stop_error=None, seed=key_seed).fit(train)
    protected = train.map(cloak, batched=True)
    versions = {
        "clean digits": train,
        "protected digits": protected,
        "digits under a grain (texture)": train.map(TextureTransform(seed=key_seed).fit(train), batched=True),
        "random noise of the same size": train.map(RandomNoiseTransform(seed=key_seed).fit(train), batched=True),
        "protected digits dropped (none left: a guess)": train.select([]),
    }
    victims = {"small CNN from scratch": partial(small_cnn, epochs=8, augment=False)}
    report(f"{image_fidelity(train, protected, max_levels=cloak.max_levels)}\n")
    cells = _audited(output, report, seeds, cloak, versions, test, victims)
    contact_sheet(train, protected).save(output / "contact-sheet.png")
    return cells, cloak


def _audited(
    output: Path, report: Callable[[str], Any], seeds: tuple[int, ...], cloak: Any, versions: dict, test: Any,
    victims: dict,
) -> list[Cell]:  # fmt: skip
    """Trains on every version, the clean one first and the protected one second, and writes the table."""
    from hf_unlearnable.attack.audit import audit
    from hf_unlearnable.report import markdown_table, write_report

    clean, protected, *_ = versions
    report(f"Training {' and '.join(victims)} on each version, {len(seeds)} seeds ...")
    cells = audit(
        versions, test, victims, seeds=seeds, input_column=cloak._columns()[0],
        on_cell=lambda cell: report(f"  {cell.victim}, {cell.version}: {cell.accuracy} ({cell.seconds:.0f} s)"),
    )  # fmt: skip
    output.mkdir()
    write_rows(versions[protected], output / "protected")
    protocol = {
        "data": f"{clean}: {len(versions[clean])} to train on, {len(test)} clean ones to test on",
        "method": f"{cloak.method} {cloak.public_params()}",
        "numbers": f"accuracy on clean rows in percent, 95 % interval over {len(seeds)} seeds and the rows",
    }
    write_report(output, cells, protocol)
    report(f"\nAccuracy on clean rows in percent [95 % interval]:\n\n{markdown_table(cells)}")
    report(f"\n{_verdict(cells, clean, protected)}")
    return cells


def _verdict(cells: list[Cell], clean: str, protected: str) -> str:
    """What the numbers say, the worst case first."""
    accuracy = {(cell.version, cell.victim): 100 * cell.accuracy.mean for cell in cells}
    guesses = {cell.victim: 100 * cell.accuracy.mean for cell in cells if "a guess" in cell.version}
    left = {victim: value for (version, victim), value in accuracy.items() if version == protected}
    worst = max(left, key=lambda victim: left[victim])
    lines = [f"Worst case: {worst} still learns {left[worst]:.0f} % (clean: {accuracy[clean, worst]:.0f} %)."]
    lines += [
        f"{victim}: {value:.0f} % (clean {accuracy[clean, victim]:.0f}, a guess {guesses[victim]:.0f})."
        for victim, value in left.items()
        if victim != worst
    ]
    return "\n".join(lines)
