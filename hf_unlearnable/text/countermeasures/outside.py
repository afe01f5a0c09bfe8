"""Filters that know how the language is used elsewhere: from other texts, or by a language model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.text.countermeasures.words import row_counts, without
from hf_unlearnable.text.language_model.loading import had

if TYPE_CHECKING:
    import polars as pl

_OUTSIDE_RATIO = 20.0
_OUTSIDE_SHARE = 0.005  # of the rows
_ONION_WORDS = 64
_ONION_FALL = 1.0  # nats, of the logarithm of the perplexity times the number of words
_ONION_TOKENS = 2048  # a batch: with a vocabulary of 50,000 its logits take 400 MB
_ONION_LENGTH = 256


def outside_frequency_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes words that are twenty times as frequent as in texts from elsewhere, and stand in half a percent of rows.

    Idea: an inserted word was rare, and is not any more; its frequency elsewhere gives it away, whatever the labels.
    Costs, on clean data, the words of its subject, unless the corpus shares it. Breaks RegText, and codes that all
    classes share.
    """
    outside, counts = _outside_counts(attacker), row_counts(rows.inputs)
    if counts is None:
        return rows
    import polars as pl

    both = counts.join(outside.select("word", outside="count"), on="word", how="left").fill_null(0)
    expected = (pl.col("outside") + 1) / outside["count"].sum() * pl.col("count").sum()
    frequent = (pl.col("count") > _OUTSIDE_RATIO * expected) & (pl.col("count") >= _OUTSIDE_SHARE * pl.col("rows"))
    return Rows(without(rows.inputs, set(both.filter(frequent)["word"])), rows.labels)


def unknown_word_filter(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes words with letters that stand in fewer than two texts from elsewhere, as a spell-checker would.

    Idea: the corpus is the dictionary. Costs, on clean data, names and rare words, fewer with a larger corpus. Breaks
    codes of invented or misspelt words and of look-alike letters; not RegText, whose words are real.
    """
    outside, counts = _outside_counts(attacker), row_counts(rows.inputs)
    if counts is None:
        return rows
    import polars as pl

    known = set(outside.filter(pl.col("count") >= 2)["word"])
    written = counts.filter(pl.col("word").str.contains(r"\p{L}"))["word"]
    return Rows(without(rows.inputs, set(written) - known), rows.labels)


def _outside_counts(attacker: Attacker) -> pl.DataFrame:
    counts = row_counts(attacker.corpus or [])
    if counts is None:
        raise ValueError("There are no words to compare with. Give texts from elsewhere: Attacker(corpus=[...]).")
    return counts


def onion(rows: Rows, attacker: Attacker) -> Rows:
    """Deletes words without which a text surprises a language model less (ONION).

    Idea: a word out of place raises the perplexity of its text. Each is left out in turn. It is deleted when the
    logarithm of the perplexity, times the number of words, falls by more than 1 without it. Times that number, one
    threshold suits any length. Paper: Qi et al., EMNLP 2021, arXiv:2011.10369. Padding is not counted here. A text's
    first 64 words are judged, and the rest is kept; no text loses all of its words.
    Costs a pass of the language model for every word. SST-2's 67,000 phrases are 700,000 passes of a dozen tokens.
    IMDb's 25,000 reviews are 1.6 million of a hundred, for a GPU. On clean data it costs one word in five to eight.
    Breaks words inserted where they do not fit, if the model can tell. A review model of 2.4 million weights finds
    nine in ten of RegText's. One of 0.3 million that knows tales for children finds a quarter to a half.
    """
    if attacker.language_model is None:
        raise ValueError("ONION needs a language model. Give Attacker(language_model=<id on the Hub or folder>).")
    require("attack", "torch", "transformers")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = had("tokenizer", attacker.language_model, AutoTokenizer.from_pretrained)
    model = had("language model", attacker.language_model, AutoModelForCausalLM.from_pretrained)
    model = model.to(device).eval()

    texts = []
    for start in range(0, len(rows), 256):
        cut = [text.split(" ") for text in rows.inputs[start : start + 256]]
        variants = []
        for pieces in cut:
            judged = pieces[:_ONION_WORDS]
            variants += [" ".join(judged), *(" ".join(judged[:i] + judged[i + 1 :]) for i in range(len(judged)))]
        odds = iter(surprise(variants, tokenizer, model))
        for pieces in cut:
            judged, whole = pieces[:_ONION_WORDS], next(odds)
            odd = [(whole - next(odds)) * len(judged) > _ONION_FALL for _ in judged]
            kept = [piece for piece, out in zip(judged, odd, strict=True) if not out] + pieces[_ONION_WORDS:]
            texts.append(" ".join(kept if any(kept) else pieces))
    return Rows(texts, rows.labels)


def surprise(texts: Sequence[str], tokenizer: Any, model: Any) -> np.ndarray:
    """Negative log-likelihood a token, in nats [n]: the logarithm of the perplexity; 0 for a text of no token.

    A first token stands behind the tokenizer's start, or its end where there is no start.
    """
    import torch

    start = next((i for i in (tokenizer.bos_token_id, tokenizer.eos_token_id) if i is not None), None)
    limit = min(_ONION_LENGTH, getattr(model.config, "max_position_embeddings", _ONION_LENGTH))
    encoded = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    ids = [torch.tensor(([] if start is None else [start]) + one)[:limit] for one in encoded]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    mean = np.zeros(len(ids))
    with torch.inference_mode():
        for batch in _within(order, [len(one) for one in ids]):
            padded = torch.nn.utils.rnn.pad_sequence([ids[i] for i in batch], batch_first=True, padding_value=-100)
            if padded.shape[1] < 2:
                continue
            padded = padded.to(model.device)
            counted = padded != -100
            logits = model(input_ids=padded.clamp(min=0).long(), attention_mask=counted.long()).logits[:, :-1]
            nll = torch.nn.functional.cross_entropy(
                logits.transpose(1, 2).float(), padded[:, 1:].long(), ignore_index=-100, reduction="none"
            )
            mean[batch] = (nll.sum(1) / counted[:, 1:].sum(1).clamp(min=1)).cpu().numpy()
    return mean


def _within(order: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    """Batches of ascending length that hold at most `_ONION_TOKENS` tokens, padding included."""
    batch: list[int] = []
    for i in order:
        if batch and (len(batch) + 1) * lengths[i] > _ONION_TOKENS:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
