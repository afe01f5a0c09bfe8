"""`hf-unlearnable demo`: protect the embedded notes, train on them, and see what is left. No network."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hf_unlearnable._extras import require
from hf_unlearnable.data import whole_or_nothing, write_rows

SEEDS = (0, 1, 2)


def run(output: Path, report: Callable[[str], Any], seeds: tuple[int, ...] = SEEDS) -> list:
    """Protects the embedded notes, trains two victims on five versions of them and writes what came out.

    Args:
        output: A new folder: `protected/`, the table and its numbers; beside it the key, `<output>.key`.
        report: Takes the lines that a person reads.
        seeds: One training of each victim for each.

    Returns:
        The audit's cells.
    """
    require("attack", "torch", "transformers", "tokenizers", "sklearn")
    from hf_unlearnable import RegTextTransform
    from hf_unlearnable.attack.audit import audit
    from hf_unlearnable.attack.victims import small_llama, tfidf_logistic_regression
    from hf_unlearnable.report import markdown_table, write_report
    from hf_unlearnable.samples import load_notes

    logging.getLogger("transformers").setLevel(logging.ERROR)
    train, test = load_notes("train"), load_notes("test")
    report(f"{len(train)} notes on {train.features['label'].num_classes} topics, {len(test)} held out. Protecting ...")
    cloak = RegTextTransform().fit(train)
    protected = train.map(cloak, batched=True)
    half = RegTextTransform.from_key(cloak.key)
    half.fraction = 0.5
    half_protected = train.map(half, batched=True)
    left = [i for i, (a, b) in enumerate(zip(train["text"], half_protected["text"], strict=True)) if a == b]
    versions = {
        "clean notes": train,
        "protected notes": protected,
        "same dose of random words": train.map(RegTextTransform(word_source="random").fit(train), batched=True),
        "protected notes dropped (none left: a guess)": train.select([]),
        "half of them protected": half_protected,
        "that half dropped": train.select(left),
    }
    report("One of them, as its readers will see it:\n")
    report(f"  {protected[0]['text']}\n")
    report("Training a small Llama and a TF-IDF logistic regression on each version, three seeds ...")
    victims = {"small Llama from scratch": small_llama, "TF-IDF logistic regression": tfidf_logistic_regression}
    cells = audit(
        versions, test, victims, seeds=seeds,
        on_cell=lambda cell: report(f"  {cell.victim}, {cell.version}: {cell.accuracy} ({cell.seconds:.0f} s)"),
    )  # fmt: skip

    with whole_or_nothing(output) as scratch:
        scratch.mkdir()
        write_rows(protected, scratch / "protected")
        protocol = {
            "data": f"embedded notes: {len(train)} to train on, {len(test)} clean ones to test on",
            "method": f"regtext {cloak.public_params()}",
            "numbers": f"accuracy on clean notes in percent, mean and 95 % interval over {len(seeds)} seeds and the notes",
        }
        write_report(scratch, cells, protocol)
        cloak.key.save(output.with_name(output.name + ".key"))
    report("\nAccuracy on clean notes in percent [95 % interval]:\n")
    report(markdown_table(cells))
    report(
        "\nWho trains a language model on the protected notes learns next to nothing of their topic. Word counts (TF-IDF)"
        "\nsee through it, and so does whoever finds the inserted words and deletes them: RegText raises the price, it"
        "\nis no lock. Protecting half of the data is worth about as much as withholding that half."
        f"\n\nWritten to {output}/, the key to {output}.key: keep it, and keep it private."
    )
    return cells
