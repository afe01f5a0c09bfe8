# /// script
# dependencies = ["hf-unlearnable[attack]"]
# ///
"""Whether rare words have larger gradients in a pretrained model, as the RegText paper claims.

    python recipes/bench/word_gradients.py --language_model models/smollm2 --encoder ENCODER

The loss is that of the first step of a fine-tuning: of a language model the label after its chat prompt, of an encoder
cross-entropy under a new head. A word's gradient is that of the loss of its row by the embeddings of its tokens,
summed. Two sizes are told: the mean length over the word's occurrences, and the length of the mean, in which what
points in different directions cancels out. Each is compared with how often the word stands in the whole training
split, by Spearman's rank correlation over words, with a 95 % interval from a bootstrap over words. Writes a line per
model beside this script, and a plot.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from drawn import sample
from protection import split_of
from torch import Tensor

from hf_unlearnable.audit.report import library_versions
from hf_unlearnable.data import write_file
from hf_unlearnable.text.language_model.loading import load_tokenizer
from hf_unlearnable.text.language_model.prompts import Prompter, messages
from hf_unlearnable.text.language_model.scoring import begin, padded

INSTRUCTION = "Is the opinion in this film review positive or negative?"
NAMES = ("negative", "positive")
PLOT = Path(__file__).parents[2] / "docs/assets/word-gradients.png"
BATCH = 16
Gradient = tuple[str, np.ndarray]  # a word where it stands in a text, and its gradient [hidden]


def words_of(text: str, offsets: Sequence[tuple[int, int]], gradient: Tensor) -> Iterator[Gradient]:
    """The words of a text with their gradients.

    Args:
        text: Words with spaces between them.
        offsets: Where in the text each token is, start and end.
        gradient: Of the tokens [n, hidden].
    """
    end = 0
    for word in text.split():
        start = text.index(word, end)
        end = start + len(word)
        inside = [i for i, (first, last) in enumerate(offsets) if first < end and last > start]
        if inside:
            yield word.lower(), gradient[inside].sum(0).numpy()


def of_language_model(folder: str, rows: Dataset) -> Iterator[Gradient]:
    """The gradients of words in a chat model that is asked for the labels.

    Args:
        folder: Of the model.
        rows: Columns text and label.
    """
    from transformers import AutoModelForCausalLM

    tokenizer, config = load_tokenizer(folder)
    model = (
        AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=torch.float32).eval().requires_grad_(False)
    )
    prompter = Prompter(tokenizer, "chat", 256, {"": list(NAMES)})
    chats = [
        tokenizer.apply_chat_template(messages(INSTRUCTION, text), tokenize=False, add_generation_prompt=True)
        for text in rows["text"]
    ]
    read = [tokenizer(chat, add_special_tokens=False, return_offsets_mapping=True) for chat in chats]
    shared, cache = begin(model, [one["input_ids"] for one in read])
    for start in range(0, len(rows), BATCH):
        batch = range(start, min(start + BATCH, len(rows)))
        answers = [prompter.answers[NAMES[rows[i]["label"]]][:-1] for i in batch]
        asked = [read[i]["input_ids"][shared:] for i in batch]
        ids, mask = padded([a + b for a, b in zip(asked, answers, strict=True)], "right", model.device)
        labels = [[-100] * len(a) + b for a, b in zip(asked, answers, strict=True)]
        targets = torch.tensor([one + [-100] * (ids.shape[1] - len(one)) for one in labels])
        past = copy.deepcopy(cache)
        past.batch_repeat_interleave(len(batch))
        embedded = model.get_input_embeddings()(ids).requires_grad_()
        logits = model(
            inputs_embeds=embedded, past_key_values=past, use_cache=True,
            attention_mask=torch.cat([mask.new_ones(len(batch), shared), mask], 1),
        ).logits  # fmt: skip
        torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), targets[:, 1:].flatten(), reduction="sum"
        ).backward()
        for i, gradient in zip(batch, embedded.grad, strict=True):
            place = chats[i].index(rows[i]["text"])
            offsets = [(a - place, b - place) for a, b in read[i]["offset_mapping"][shared:]]
            yield from words_of(rows[i]["text"], offsets, gradient)


def of_encoder(folder: str, rows: Dataset) -> Iterator[Gradient]:
    """The gradients of words in an encoder with a new head.

    Args:
        folder: Of the model.
        rows: Columns text and label.
    """
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(NAMES)).eval()
    model.requires_grad_(False)
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        read = tokenizer(batch["text"], padding=True, return_tensors="pt", return_offsets_mapping=True)
        offsets = read.pop("offset_mapping").tolist()
        embedded = model.get_input_embeddings()(read.pop("input_ids")).requires_grad_()
        logits = model(inputs_embeds=embedded, **read).logits
        torch.nn.functional.cross_entropy(logits, torch.tensor(batch["label"]), reduction="sum").backward()
        for text, places, gradient in zip(batch["text"], offsets, embedded.grad, strict=True):
            yield from words_of(text, places, gradient)


def sizes(found: Iterator[Gradient]) -> dict[str, tuple[float, float]]:
    """Of each word the mean length of its gradients, and the length of their mean."""
    lengths: dict[str, list[float]] = {}
    sums: dict[str, np.ndarray] = {}
    for word, gradient in found:
        lengths.setdefault(word, []).append(float(np.linalg.norm(gradient)))
        sums[word] = sums.get(word, 0) + gradient
    return {
        word: (float(np.mean(all_)), float(np.linalg.norm(sums[word]) / len(all_))) for word, all_ in lengths.items()
    }


def spearman(a: np.ndarray, b: np.ndarray, resamples: int = 1000) -> list[float]:
    """Spearman's rank correlation, and the ends of its 95 % interval.

    Args:
        a, b: One number per word.
        resamples: Of the bootstrap over words.
    """
    from scipy.stats import spearmanr

    random = np.random.default_rng(0)
    draws = [random.integers(0, len(a), len(a)) for _ in range(resamples)]
    drawn = [spearmanr(a[draw], b[draw]).statistic for draw in draws]
    return [round(float(x), 3) for x in (spearmanr(a, b).statistic, *np.quantile(drawn, [0.025, 0.975]))]


def compared(sized: dict[str, tuple[float, float]], frequency: Counter[str]) -> dict[str, Any]:
    """Correlations with frequency, and the median sizes of words in each decade of it, 1 for the median of all."""
    often = np.array([frequency[word] for word in sized])
    decade = 10 ** np.floor(np.log10(often)).astype(int)
    told: dict[str, Any] = {"words": len(sized)}
    for name, size in zip(("occurrence", "mean"), np.array(list(sized.values())).T, strict=True):
        inside = {int(one): size[decade == one] for one in np.unique(decade)}
        told[name] = {
            "spearman": spearman(often, size),
            "by_decade": {
                str(one): [len(some), round(float(np.median(some) / np.median(size)), 3)]
                for one, some in inside.items()
            },
        }
    return told


def plot(drawn: dict[str, tuple[np.ndarray, np.ndarray]], place: Path) -> None:
    """A point per word, a panel per model.

    Args:
        drawn: By model, frequencies and sizes.
        place: Of the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    for axes, (name, (often, size)) in zip(
        figure.subplots(1, len(drawn), squeeze=False)[0], drawn.items(), strict=True
    ):
        axes.loglog(often, size / np.median(size), ".", markersize=2, alpha=0.4, color="#1f5fa8")
        decade = np.floor(np.log10(often))
        for one in np.unique(decade):
            inside = decade == one
            axes.plot([10**one, 10 ** (one + 1)], [np.median(size[inside]) / np.median(size)] * 2, color="#c0392b")
        axes.set_title(name)
        axes.set_xlabel("occurrences in the training split")
        axes.set_ylabel("gradient per occurrence / median")
    figure.savefig(place, dpi=110)


def main(argv: list[str] | None = None) -> None:
    """Writes a line per model and the plot.

    Args:
        argv: Of the command line; None for the process's own.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--language_model", required=True)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--data", default=os.environ.get("HF_UNLEARNABLE_DATA", "../shared/data"))
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".jsonl"))
    parser.add_argument("--plot", type=Path, default=PLOT)
    arguments = parser.parse_args(argv)
    train = split_of(arguments.data, "sst2", "train")
    frequency = Counter(word for text in train["text"] for word in text.lower().split())
    rows = sample(train, arguments.rows)
    lines, drawn = [], {}
    ways = {"SmolLM2-135M-Instruct": (of_language_model, arguments.language_model),
            "MiniLM (all-MiniLM-L6-v2)": (of_encoder, arguments.encoder)}  # fmt: skip
    for name, (gradients, folder) in ways.items():
        sized = sizes(gradients(folder, rows))
        about = {"model": name, "data": "sst2", "rows": len(rows)}
        lines.append({**about, **compared(sized, frequency), "versions": library_versions()})
        drawn[name] = np.array([frequency[word] for word in sized]), np.array([size for size, _ in sized.values()])
        print(json.dumps(lines[-1]), flush=True)
    write_file(arguments.output, "".join(json.dumps(line) + "\n" for line in lines))
    plot(drawn, arguments.plot)


if __name__ == "__main__":
    main()
