"""`hf-unlearnable demo`: protect the embedded notes, train on them, and see what is left. No network."""

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
_CLEAN, _PROTECTED, _DROPPED = "clean notes", "protected notes", "protected notes dropped (none left: a guess)"


def run(
    output: Path, report: Callable[[str], Any], seeds: tuple[int, ...] = SEEDS, key_seed: int | None = None
) -> list[Cell]:
    """Protects the embedded notes, trains two victims on six versions of them and writes what came out.

    Args:
        output: A new folder: `protected/`, the table and its numbers; beside it the key, `<output>.key`.
        report: Takes the lines that a person reads.
        seeds: One training of each victim for each.
        key_seed: Seed of the keys; None draws fresh ones, and every run differs a little.

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
    cloak = RegTextTransform(seed=key_seed).fit(train)
    protected = train.map(cloak, batched=True)
    random_words = RegTextTransform(word_source="random", seed=key_seed)
    half_protected = train.map(RegTextTransform(fraction=0.5, seed=key_seed).fit(train), batched=True)
    left = [i for i, (a, b) in enumerate(zip(train["text"], half_protected["text"], strict=True)) if a == b]
    versions = {
        _CLEAN: train,
        _PROTECTED: protected,
        "same dose of random words": train.map(random_words.fit(train), batched=True),
        _DROPPED: train.select([]),
        "half of them protected": half_protected,
        "that half dropped": train.select(left),
    }
    report("One of them, as its readers will see it:\n")
    report(f"  {protected[0]['text']}\n")
    report(f"Training a small Llama and a TF-IDF logistic regression on each version, {len(seeds)} seeds ...")
    victims: dict[str, Callable[..., np.ndarray]] = {
        "small Llama from scratch": partial(small_llama, epochs=6),
        "TF-IDF logistic regression": tfidf_logistic_regression,
    }
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
            "numbers": f"accuracy on clean notes in percent, 95 % interval over {len(seeds)} seeds and the notes",
        }
        write_report(scratch, cells, protocol)
        cloak.key.save(output.with_name(output.name + ".key"))
    report("\nAccuracy on clean notes in percent [95 % interval]:\n")
    report(markdown_table(cells))
    report(f"\n{_verdict(cells)}\n")
    report(
        "RegText raises the price of training on your text. It is no lock: who finds the words deletes them.\n"
        f"Written to {output}/, the key to {output}.key: keep it, and keep it private."
    )
    return cells


def _verdict(cells: list[Cell]) -> str:
    """What the numbers say, the worst case first."""
    accuracy = {(cell.version, cell.victim): 100 * cell.accuracy.mean for cell in cells}
    protected = {victim: value for (version, victim), value in accuracy.items() if version == _PROTECTED}
    worst = max(protected, key=lambda victim: protected[victim])
    lines = [f"Worst case: {worst} still learns {protected[worst]:.0f} % (clean: {accuracy[_CLEAN, worst]:.0f} %)."]
    lines += [
        f"{victim}: {value:.0f} % (clean {accuracy[_CLEAN, victim]:.0f}, a guess {accuracy[_DROPPED, victim]:.0f})."
        for victim, value in protected.items()
        if victim != worst
    ]
    return "\n".join(lines)
