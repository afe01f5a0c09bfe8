"""`hf-unlearnable demo`: protect embedded notes and digits, train on them, and see what is left. No network."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_unlearnable._extras import require
from hf_unlearnable._words import counted
from hf_unlearnable.data import whole_or_nothing, write_rows

if TYPE_CHECKING:
    import numpy as np

    from hf_unlearnable.audit.records import Audit, Version

SEEDS = (0, 1, 2)


def run(
    output: Path, report: Callable[[str], Any], seeds: tuple[int, ...] = SEEDS, key_seed: int | None = None
) -> list[Audit]:
    """Protects notes and digits, trains on several versions of them and writes what came out.

    Args:
        output: A new folder: `text/` and `images/`, each with the protected rows, the table and its numbers. Beside
            it the keys, `<output>-text.key` and `<output>-images.key`.
        report: Takes the lines that a person reads.
        seeds: One training of each victim for each.
        key_seed: Seed of the keys; None draws fresh ones, and every run differs a little.

    Returns:
        The audits, that of the notes first.
    """
    require("attack", "torch", "transformers", "tokenizers", "sklearn")
    require("image", "accelerate", "PIL", "skimage")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    keys = {name: output.with_name(f"{output.name}-{name}.key") for name in ("text", "images")}
    with whole_or_nothing(output) as scratch:
        scratch.mkdir()
        text_audit, text_cloak = _text(scratch / "text", report, seeds, key_seed)
        image_audit, image_cloak = _images(scratch / "images", report, seeds, key_seed)
        text_cloak.key.save(keys["text"])
        image_cloak.key.save(keys["images"])
    report(
        "\nThey raise the price of training on your data. None is a lock: who finds the words deletes them,\n"
        "and compressing photos hard undoes most of what noise and grain do to them.\n"
        "Try it on your own data: hf-unlearnable attack --help\n"
        f"Written to {output}/, the keys to {keys['text']} and {keys['images']}: keep them, and keep them private."
    )
    return [text_audit, image_audit]


def _text(output: Path, report: Callable[[str], Any], seeds: tuple[int, ...], key_seed: int | None) -> Any:
    from hf_unlearnable import RegTextTransform
    from hf_unlearnable.audit.records import Version
    from hf_unlearnable.samples import load_notes
    from hf_unlearnable.text.victims import small_llama, tfidf_logistic_regression

    train, test = load_notes("train"), load_notes("test")
    report(f"Text. {len(train)} notes on {train.features['label'].num_classes} topics, {len(test)} held out.")
    cloak = RegTextTransform(seed=key_seed).fit(train)
    protected = train.map(cloak, batched=True)
    random_words = RegTextTransform(word_source="random", seed=key_seed)
    half_protected = train.map(RegTextTransform(fraction=0.5, seed=key_seed).fit(train), batched=True)
    left = [i for i, (a, b) in enumerate(zip(train["text"], half_protected["text"], strict=True)) if a == b]
    versions = [
        Version("clean notes", train, "clean"),
        Version("protected notes", protected, "protected"),
        Version("same dose of random words", train.map(random_words.fit(train), batched=True), "random"),
        Version("protected notes dropped (none left: a guess)", train.select([]), "dropped"),
        Version("half of them protected", half_protected, "partly", share=0.5),
        Version("that half dropped", train.select(left), "dropped", share=0.5),
    ]
    victims: dict[str, Callable[..., np.ndarray]] = {
        "small Llama from scratch": partial(small_llama, epochs=6),
        "TF-IDF logistic regression": tfidf_logistic_regression,
    }
    report("One of them, protected, as its readers will see it:\n")
    report(f"  {protected[0]['text']}\n")
    return _audited(output, report, seeds, cloak, versions, test, victims), cloak


def _images(output: Path, report: Callable[[str], Any], seeds: tuple[int, ...], key_seed: int | None) -> Any:
    from hf_unlearnable import ErrorMinTransform, RandomNoiseTransform, TextureTransform
    from hf_unlearnable.audit.records import Version
    from hf_unlearnable.audit.versions import dropped
    from hf_unlearnable.image.fidelity import image_fidelity
    from hf_unlearnable.image.sheets import contact_sheet
    from hf_unlearnable.image.victims import small_cnn
    from hf_unlearnable.samples import load_digits

    train, test = load_digits("train"), load_digits("test")
    report(
        f"\nImages. {len(train)} handwritten digits, {len(test)} held out. Noise of 8/255 for all but the nines:\n"
        "a model then takes whatever has no noise for one of them ..."
    )
    # Digits are easy: a surrogate that takes more steps, or sees them in place only, learns them instead of the noise.
    cloak = ErrorMinTransform(
        noise="class", classes=list(range(9)), augment=True, max_rounds=60, surrogate_steps=1, batch_size=32,
        stop_error=None, seed=key_seed,
    ).fit(train)  # fmt: skip
    protected = train.map(cloak, batched=True)
    nines = dropped(train, protected, "image")
    share = 1 - len(nines) / len(train)
    grain, noise = TextureTransform(seed=key_seed), RandomNoiseTransform(seed=key_seed)
    versions = [
        Version("clean digits", train, "clean"),
        Version("protected digits", protected, "protected", share),
        Version("digits under a grain (texture)", train.map(grain.fit(train), batched=True), "protected"),
        Version("random noise of the same size", train.map(noise.fit(train), batched=True), "random"),
        Version("protected digits dropped (nines left: a guess)", nines, "dropped", share),
    ]
    victims = {"small CNN from scratch": partial(small_cnn, epochs=12, augment=False)}
    report(f"{image_fidelity(train, protected, max_levels=cloak.max_levels)}\n")
    cells = _audited(output, report, seeds, cloak, versions, test, victims)
    contact_sheet(train, protected).save(output / "contact-sheet.png")
    return cells, cloak


def _audited(
    output: Path, report: Callable[[str], Any], seeds: tuple[int, ...], cloak: Any, versions: list[Version], test: Any,
    victims: dict,
) -> Audit:  # fmt: skip
    """Trains on every version, the clean one first and the protected one second, and writes what was found."""
    from hf_unlearnable.audit.grid import audit
    from hf_unlearnable.audit.report import markdown_table, verdict, write_report

    clean, protected, *_ = versions
    report(f"Training {' and '.join(victims)} on each version, {counted(len(seeds), 'seed')} ...")
    found = audit(
        versions, test, victims, seeds=seeds, input_column=cloak._columns()[0],
        on_cell=lambda cell: report(f"  {cell.victim}, {cell.version.name}: {cell.accuracy} ({cell.seconds:.0f} s)"),
    )  # fmt: skip
    output.mkdir()
    write_rows(protected.rows, output / "protected")
    protocol = {
        "data": f"{clean.name}: {found.cells[0].train_rows} to train on, {len(test)} clean ones to test on",
        "method": f"{cloak.method} {cloak.public_params()}",
        "seeds": list(seeds),
    }
    write_report(output, replace(found, protocol=protocol))
    report(f"\nAccuracy on clean rows in percent [95 % interval]:\n\n{markdown_table(found)}")
    report(f"\n{verdict(found, protected.name)}")
    return found
