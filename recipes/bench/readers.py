# /// script
# dependencies = ["hf-unlearnable[attack]"]
# ///
"""What a reader of protected texts meets: words added, perplexity, likeness of meaning, and examples to judge.

    python recipes/bench/readers.py --data FOLDER --language_model MODEL --encoder ENCODER --examples examples.md

`FOLDER` holds `sst2/` and `imdb/` with `train.parquet` and `test.parquet`, columns `text` and `label`. Methods learn
from the training split and change texts spread over the test split, which the language model should not have seen.
Perplexity is that of the model, its first 256 tokens of every text; the table gives the ratio of its geometric mean
after and before. Likeness is the cosine of the encoder's mean-pooled outputs. Three keys. The examples are notes that
the package carries, of two of their topics.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, disable_progress_bars
from order_designs import InOrder

from hf_unlearnable import OrderCodeTransform, RegTextTransform
from hf_unlearnable.data import load_rows
from hf_unlearnable.samples import load_notes
from hf_unlearnable.text.countermeasures.outside import surprise
from hf_unlearnable.text.fidelity import text_fidelity

METHODS = {
    "order-code": OrderCodeTransform,
    "order-code, two phrases": lambda **options: OrderCodeTransform(carriers_per_code=2, **options),
    "order-code, refrain of words": lambda **options: OrderCodeTransform(
        code="refrain", carrier_source="words", **options
    ),
    "order-code, side by side": InOrder,
    "RegText, our defaults": RegTextTransform,
    "RegText, paper's setting": RegTextTransform.paper,
}


def vectors(texts: list[str], folder: str) -> np.ndarray:
    """Mean of the encoder's outputs over the tokens of each text, of length 1, floats [n, hidden]."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    found = []
    with torch.inference_mode():
        for start in range(0, len(texts), 32):
            batch = tokenizer(texts[start : start + 32], truncation=True, padding=True, return_tensors="pt")
            mask = batch["attention_mask"].unsqueeze(-1)
            mean = (model(**batch).last_hidden_state * mask).sum(1) / mask.sum(1)
            found.append(torch.nn.functional.normalize(mean).numpy())
    return np.concatenate(found)


def read(rows: Dataset, model: tuple[Any, Any], encoder: str) -> tuple[float, np.ndarray]:
    """The mean surprise of texts, in nats a token, and their vectors."""
    texts = list(rows["text"])
    return float(surprise(texts, *model).mean()), vectors(texts, encoder)


def compared(before: tuple[float, np.ndarray], after: tuple[float, np.ndarray]) -> list[float]:
    """The ratio of the perplexities, and the mean likeness."""
    return [float(np.exp(after[0] - before[0])), float((before[1] * after[1]).sum(1).mean())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--language_model", required=True)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--texts", type=int, default=100)
    parser.add_argument("--examples", type=Path, help="where twenty notes go, before and after order-code")
    arguments = parser.parse_args()
    disable_progress_bars()
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = arguments.language_model
    model = (AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval())
    print("| data | method | words added of 100 | edit rate of 100 | perplexity, ratio | likeness |")
    print("|---|---|---|---|---|---|")
    for name in ("sst2", "imdb"):
        train = load_rows(arguments.data / name / "train.parquet")
        before = load_rows(arguments.data / name / "test.parquet")
        before = before.select(np.linspace(0, len(before) - 1, arguments.texts).astype(int).tolist())
        original = read(before, model, arguments.encoder)
        for method, make in METHODS.items():
            runs = []
            for seed in range(3):
                cloak = make(seed=2026 + seed).fit(train)
                after = before.map(cloak, batched=True)
                fidelity = text_fidelity(before, after)
                added = [fidelity.words_added or 0, fidelity.edit_rate or 0]
                runs.append(added + compared(original, read(after, model, arguments.encoder)))
            mean = np.mean(runs, axis=0)
            print(f"| {name} | {method} | {mean[0]:.1f} | {mean[1]:.1f} | {mean[2]:.2f} | {mean[3]:.3f} |", flush=True)
    if arguments.examples:
        arguments.examples.write_text(examples(), encoding="utf-8")


def examples() -> str:
    """Twenty notes of two topics, before and after, with three keys."""
    notes = load_notes("train")
    notes = notes.select([i for i, label in enumerate(notes["label"]) if label < 2])
    lines = ["# Order code: twenty notes, before and after, three keys", ""]
    for seed in range(3):
        after = notes.map(OrderCodeTransform(seed=2026 + seed).fit(notes), batched=True)
        for i in range(seed, 20, 3):
            lines += [
                f"- {notes.features['label'].names[notes[i]['label']]}: {notes[i]['text']}",
                f"  - {after[i]['text']}",
            ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
