"""What a causal language model is asked, and what counts of its answer. `finetune_attack.py` is built on this."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import torch
from accelerate import PartialState
from datasets import Dataset


def alpaca(instruction: str, text: str) -> str:
    """The prompt of Stanford Alpaca, which the RegText paper trains with."""
    return (
        "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
        "response that appropriately completes the request.\n\n"
        f"### Instruction:\n{instruction}\n\n### Input:\n{text}\n\n### Response:\n"
    )


def said(answer: str) -> str:
    """What counts of an answer: its first line, without case, space around it and a full stop."""
    return answer.strip().partition("\n")[0].strip().rstrip(".").casefold()


class Prompter:
    """Turns an instruction and a text into the tokens of a prompt, and a label into those of an answer.

    Prompt and answer are made apart and joined as tokens, in training as in testing, so that a model is scored on the
    very sequence it was trained on. A text that is too long is cut, never the instruction and never the answer: the
    room of every prompt is `max_length` less the longest answer.

    Args:
        tokenizer: With an end token.
        style: "alpaca" or "chat".
        max_length: Tokens of a prompt with its answer and the end token.
        tasks: Labels of each task.

    Raises:
        ValueError: There is no chat template or no end token, or two labels of a task look the same.
    """

    def __init__(self, tokenizer: Any, style: str, max_length: int, tasks: dict[str, list[str]]):
        if style == "chat" and not tokenizer.chat_template:
            raise ValueError(
                f"{tokenizer.name_or_path} has no chat template. Use --prompt_style alpaca, or the instruct version "
                "of the model, or --chat_template_path with a template."
            )
        if tokenizer.eos_token_id is None:
            raise ValueError(f"{tokenizer.name_or_path} has no end token. Name one with --eos_token.")
        self.tokenizer = tokenizer
        self.style = style
        self.max_length = max_length
        self.tasks = tasks
        self.end = self._end()
        self.answers = {label: self._answer(label) for labels in tasks.values() for label in labels}
        self.longest = max(map(len, self.answers.values()))
        for task, labels in tasks.items():
            for form in (lambda label: self.answers[label], said):
                forms = [form(label) for label in labels]
                twice = [label for label, one in zip(labels, forms, strict=True) if forms.count(one) > 1]
                if twice:
                    raise ValueError(
                        f"The labels {', '.join(map(repr, twice))} of task {task!r} are the same to this model. "
                        "Rename them with --class_names."
                    )

    def prompt(self, text: str, instruction: str) -> tuple[list[int], bool]:
        """Token ids of a prompt that leaves room for every answer, and whether the text was cut."""
        room = self.max_length - self.longest
        tokens = self._encode(self._render(instruction, text))
        if len(tokens) <= room:
            return tokens, False
        places = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        starts = [start for start, _ in places["offset_mapping"]]
        keep = len(starts)
        while len(tokens) > room:
            if keep == 0:
                raise ValueError(
                    f"max_length is {self.max_length}, but the instruction and the longest label take "
                    f"{len(tokens) + self.longest} tokens without any text. Raise max_length."
                )
            # Cut as text, so that the prompt is made of the same tokens as one that was short from the start.
            keep = max(0, keep - (len(tokens) - room))
            tokens = self._encode(self._render(instruction, text[: starts[keep]] if keep else ""))
        return tokens, True

    def candidates(self, task: str) -> list[list[int]]:
        """Token ids of each answer to a task."""
        return [self.answers[label] for label in self.tasks[task]]

    def _render(self, instruction: str, text: str) -> str:
        if self.style == "alpaca":
            return alpaca(instruction, text)
        # The last one is for templates that would start with thoughts, like Qwen3's; others do not look at it.
        return self.tokenizer.apply_chat_template(
            [{"role": "user", "content": f"{instruction}\n\n{text}"}],
            tokenize=False, add_generation_prompt=True, enable_thinking=False,
        )  # fmt: skip

    def _encode(self, prompt: str) -> list[int]:
        """Tokens of a prompt. A chat template writes its special tokens itself; an end token has no place here."""
        tokens = self.tokenizer(prompt, add_special_tokens=self.style == "alpaca", verbose=False)["input_ids"]
        return tokens[:-1] if tokens[-1] == self.tokenizer.eos_token_id and self.style == "alpaca" else tokens

    def _end(self) -> int:
        """The end token; in a chat what the template puts behind an answer, which in some (Phi, Gemma) is another."""
        if self.style == "chat":
            talk = [{"role": "user", "content": "-"}, {"role": "assistant", "content": "answer"}]
            behind = self.tokenizer.apply_chat_template(talk, tokenize=False).rpartition("answer")[2].strip()
            tokens = self.tokenizer(behind, add_special_tokens=False)["input_ids"]
            if tokens and tokens[0] in self.tokenizer.added_tokens_decoder:
                return tokens[0]
        return self.tokenizer.eos_token_id

    def _answer(self, label: str) -> list[int]:
        """Tokens of a label as they follow a prompt, with the end token; its own tokens where the two would merge."""
        prompt = self._render("-", "-")
        before, both = self._encode(prompt), self._encode(prompt + label)
        alone = self.tokenizer(label, add_special_tokens=False, verbose=False)["input_ids"]
        return [*(both[len(before) :] if both[: len(before)] == before else alone), self.end]


def encode(rows: Dataset, prompter: Prompter, instruction: str) -> Dataset:
    """Prompts and answers as columns prompt, answer (token ids) and truncated.

    Args:
        rows: Examples.
        prompter: Makes the tokens.
        instruction: For rows that have none of their own; {labels} stands for the names.
    """

    def convert(row: dict[str, Any]) -> dict[str, Any]:
        own = row["instruction"] or instruction.replace("{labels}", ", ".join(prompter.tasks[row["task"]]))
        prompt, truncated = prompter.prompt(row["text"], own)
        return {"prompt": prompt, "answer": prompter.answers[row["label"]], "truncated": truncated}

    with PartialState().main_process_first():
        return rows.map(convert, remove_columns=["text", "instruction"], desc="Making prompts")


@torch.no_grad()
def ask(
    model: Any,
    prompts: Sequence[list[int]],
    candidates: Sequence[list[list[int]]],
    ends: set[int],
    max_new_tokens: int,
) -> tuple[list[list[float]], list[list[int]]]:
    """How likely the model finds every candidate after its prompt, and what it writes by itself.

    The whole candidate counts, end token included: the sum over its tokens is the log-probability that the model
    answers this and stops. Labels that begin alike ("no", "not sure") are told apart by what follows, and one that
    begins another by its end. It is not divided by the length: a long label is as likely as its tokens together.

    A prompt is read once. Each candidate, and then what the model writes, goes on from what the model kept of it (the
    key-value cache); long prompts and many labels would else cost as many times as much.

    Args:
        model: A causal language model that keeps a cache.
        prompts: Token ids of the prompts of one batch.
        candidates: For each prompt the token ids of what may follow.
        ends: Tokens that end what the model writes.
        max_new_tokens: Most tokens that it writes, the likeliest each time.

    Returns:
        Natural log-probabilities in the order of prompts and candidates, and the tokens written, without the end.
    """

    def read(tokens: torch.Tensor, seen: torch.Tensor, cache: Any = None, keep: int = 0) -> tuple[torch.Tensor, Any]:
        """Log-probabilities of what follows each of the last `keep` tokens (0: of all); `seen` masks old and new."""
        places = (seen.cumsum(1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
        output = model(
            input_ids=tokens, attention_mask=seen, position_ids=places, past_key_values=cache, use_cache=True,
            logits_to_keep=keep,
        )  # fmt: skip
        return output.logits.float().log_softmax(-1), output.past_key_values

    scores: list[list[float]] = [[] for _ in prompts]
    tokens, seen = padded(prompts, "left", model.device)  # what is written follows on the right
    first, cache = read(tokens, seen, keep=1)
    for answers in zip_longest(*candidates):
        tokens, mask = padded([answer or [0] for answer in answers], "right", model.device)
        rest, _ = read(tokens, torch.cat([seen, mask], 1), copy.deepcopy(cache))
        each = torch.cat([first, rest[:, :-1]], 1).gather(-1, tokens[..., None])[..., 0]
        sums = each.masked_fill(mask == 0, 0).sum(1).tolist()
        for of_prompt, answer, score in zip(scores, answers, sums, strict=True):
            if answer:
                of_prompt.append(score)
    written = first.argmax(-1)
    stops = torch.tensor(sorted(ends), device=model.device)
    while written.shape[1] < max_new_tokens and not torch.isin(written, stops).any(1).all():
        seen = torch.cat([seen, torch.ones_like(written[:, :1])], 1)
        following, cache = read(written[:, -1:], seen, cache)
        written = torch.cat([written, following.argmax(-1)], 1)
    lengths = (torch.isin(written, stops).cumsum(1) == 0).sum(1).tolist()
    return scores, [row[:length] for row, length in zip(written.tolist(), lengths, strict=True)]


def padded(rows: Sequence[list[int]], side: str, device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch, and a mask that tells tokens from padding, so that it does not matter what the padding is made of."""
    width = max(map(len, rows))
    ids, mask = torch.zeros(2, len(rows), width, dtype=torch.long)
    for i, row in enumerate(rows):
        place = slice(0, len(row)) if side == "right" else slice(width - len(row), width)
        ids[i, place], mask[i, place] = torch.tensor(row), 1
    return ids.to(device), mask.to(device)
