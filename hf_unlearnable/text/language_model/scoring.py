"""What a causal language model answers: how likely it finds each label, and what it writes by itself."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable.text.language_model.prompts import shared_start

if TYPE_CHECKING:
    import torch
    from datasets import Dataset

    from hf_unlearnable.text.language_model.prompts import Prompter


@dataclass(frozen=True)
class Answer:
    """What a model answers to one prompt.

    Args:
        row: Number of the row.
        scores: Natural log-probability of each label of the row's task, in their order.
        written: What it writes by itself, without the end; None where it was not let write.
    """

    row: int
    scores: list[float]
    written: str | None = None

    @property
    def best(self) -> int:
        """Index of the likeliest label."""
        return int(np.argmax(self.scores))


def answers(
    model: Any,
    prompter: Prompter,
    rows: Dataset,
    *,
    batch_size: int,
    write: bool = False,
    dtype: torch.dtype | None = None,
    numbers: Sequence[int] | None = None,
) -> Iterator[Answer]:
    """The answers to prompts, the longest first: equal lengths together waste no padding.

    Args:
        model: A causal language model that keeps a cache.
        prompter: Made the prompts.
        rows: Columns prompt (token ids) and task, as `prompts.encode` makes them.
        batch_size: Prompts per forward pass.
        write: Whether the model is let write, too: one token more than the longest label, so that it shows when an
            answer goes on behind it.
        dtype: Half precision to compute in; None for that of the weights.
        numbers: The rows to answer; None for all.

    Yields:
        One `Answer` per row.
    """
    import torch

    prompts, tasks = rows["prompt"][:], rows["task"][:]
    numbers = range(len(prompts)) if numbers is None else numbers
    order = sorted(numbers, key=lambda row: -len(prompts[row]))
    own = model.generation_config.eos_token_id
    ends = {prompter.end, prompter.tokenizer.eos_token_id, *(own if isinstance(own, list) else [own])} - {None}
    model.eval()
    with torch.autocast(model.device.type, dtype) if dtype else nullcontext():
        begun = begin(model, [prompts[row] for row in order])
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            candidates = [prompter.candidates(tasks[row]) for row in batch]
            longest = prompter.longest + 1 if write else 0
            scores, written = ask(model, [prompts[row] for row in batch], candidates, ends, longest, begun)
            texts: Sequence[str | None] = [None] * len(batch)
            if write:
                texts = prompter.tokenizer.batch_decode(
                    written, skip_special_tokens=True, clean_up_tokenization_spaces=False
                )
            yield from map(Answer, batch, scores, texts)


def ask(
    model: Any,
    prompts: Sequence[list[int]],
    candidates: Sequence[list[list[int]]],
    ends: Collection[int] = (),
    max_new_tokens: int = 0,
    begun: tuple[int, Any] | None = None,
) -> tuple[list[list[float]], list[list[int]]]:
    """How likely the model finds every candidate after its prompt, and what it writes by itself.

    The sum over a candidate's tokens is the log-probability that the model's answer begins with it. Labels that begin
    alike ("no", "not sure") are told apart by what follows. It is not divided by the length: a long label is as likely
    as its tokens together.

    What all prompts begin with is read once, each prompt's own part once, with the logits of its last token only; each
    candidate, and then what the model writes, goes on from what the model kept of it (the key-value cache).

    Args:
        model: A causal language model that keeps a cache.
        prompts: Token ids of the prompts of one batch.
        candidates: For each prompt the token ids of what may follow.
        ends: Tokens that end what the model writes.
        max_new_tokens: Most tokens that it writes, the likeliest each time; 0 for none.
        begun: Of `begin`, for these prompts and others; None where it was not read yet.

    Returns:
        Natural log-probabilities in the order of prompts and candidates, and the tokens written, without the end.
    """
    import torch

    with torch.no_grad():
        first, seen, cache = _read_prompts(model, prompts, begun or begin(model, prompts))
        scores: list[list[float]] = [[] for _ in prompts]
        for answers in zip_longest(*candidates):
            tokens, mask = padded([answer or [0] for answer in answers], "right", model.device)
            each = first
            if tokens.shape[1] > 1:
                # A copy, for not every kind of cache can forget.
                rest, _ = _read(model, tokens[:, :-1], torch.cat([seen, mask[:, :-1]], 1), copy.deepcopy(cache))
                each = torch.cat([first, rest], 1)
            each = each.gather(-1, tokens[..., None])[..., 0]
            sums = each.masked_fill(mask == 0, 0).sum(1).tolist()
            for of_prompt, answer, score in zip(scores, answers, sums, strict=True):
                if answer:
                    of_prompt.append(score)
        if not max_new_tokens:
            return scores, [[] for _ in prompts]
        return scores, _written(model, first, seen, cache, ends, max_new_tokens)


def begin(model: Any, prompts: Sequence[list[int]]) -> tuple[int, Any]:
    """Reads what all prompts begin with, once.

    Args:
        model: A causal language model that keeps a cache.
        prompts: Token ids.

    Returns:
        How many tokens that is, at least one less than any prompt has, and the cache of one row; (0, None) for none.
    """
    import torch

    shared = shared_start([prompt[:-1] for prompt in prompts]) if len(prompts) > 1 else 0
    if not shared:
        return 0, None
    with torch.no_grad():
        tokens, seen = padded([prompts[0][:shared]], "left", model.device)
        return shared, _read(model, tokens, seen, keep=1)[1]


def _read_prompts(
    model: Any, prompts: Sequence[list[int]], begun: tuple[int, Any]
) -> tuple[torch.Tensor, torch.Tensor, Any]:
    """Log-probabilities of what follows each prompt [n, 1, vocabulary], the mask of what was read, and the cache."""
    import torch

    shared, cache = begun[0], copy.deepcopy(begun[1])
    if shared:
        cache.batch_repeat_interleave(len(prompts))
    tokens, mask = padded([prompt[shared:] for prompt in prompts], "left", model.device)  # what follows comes right
    seen = torch.cat([mask.new_ones(len(prompts), shared), mask], 1)
    first, cache = _read(model, tokens, seen, cache, keep=1)
    return first, seen, cache


def _read(
    model: Any, tokens: torch.Tensor, seen: torch.Tensor, cache: Any = None, keep: int = 0
) -> tuple[torch.Tensor, Any]:
    """Log-probabilities of what follows each of the last `keep` tokens (0: of all); `seen` masks old and new."""
    places = (seen.cumsum(1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
    output = model(
        input_ids=tokens, attention_mask=seen, position_ids=places, past_key_values=cache, use_cache=True,
        logits_to_keep=keep,
    )  # fmt: skip
    return output.logits.float().log_softmax(-1), output.past_key_values


def _written(
    model: Any, first: torch.Tensor, seen: torch.Tensor, cache: Any, ends: Collection[int], max_new_tokens: int
) -> list[list[int]]:
    """The likeliest token each time, until all have ended."""
    import torch

    written = first.argmax(-1)
    stops = torch.tensor(sorted(ends), device=model.device)
    while written.shape[1] < max_new_tokens and not torch.isin(written, stops).any(1).all():
        seen = torch.cat([seen, torch.ones_like(written[:, :1])], 1)
        following, cache = _read(model, written[:, -1:], seen, cache)
        written = torch.cat([written, following.argmax(-1)], 1)
    lengths = (torch.isin(written, stops).cumsum(1) == 0).sum(1).tolist()
    return [row[:length] for row, length in zip(written.tolist(), lengths, strict=True)]


def padded(rows: Sequence[list[int]], side: str, device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch, and a mask that tells tokens from padding, so that it does not matter what the padding is made of."""
    import torch

    width = max(map(len, rows))
    ids, mask = torch.zeros(2, len(rows), width, dtype=torch.long)
    for i, row in enumerate(rows):
        place = slice(0, len(row)) if side == "right" else slice(width - len(row), width)
        ids[i, place], mask[i, place] = torch.tensor(row), 1
    return ids.to(device), mask.to(device)
