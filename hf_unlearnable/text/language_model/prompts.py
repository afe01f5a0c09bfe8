"""What a causal language model is asked, and what counts of its answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset

STYLES = ("alpaca", "chat", "plain")


def alpaca(instruction: str, text: str) -> str:
    """The prompt of Stanford Alpaca, which the RegText paper trains with."""
    return (
        "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
        "response that appropriately completes the request.\n\n"
        f"### Instruction:\n{instruction}\n\n### Input:\n{text}\n\n### Response:\n"
    )


def messages(instruction: str, text: str) -> list[dict[str, str]]:
    """What a user of a chat asks."""
    return [{"role": "user", "content": f"{instruction}\n\n{text}"}]


def told(row: dict[str, Any], instruction: str, labels: Sequence[str]) -> str:
    """The instruction of a row: its own, or the common one, in which {labels} stands for the names."""
    return row["instruction"] or instruction.replace("{labels}", ", ".join(labels))


def said(answer: str) -> str:
    """What counts of an answer: its first line, without case, space around it and a full stop."""
    return answer.strip().partition("\n")[0].strip().rstrip(".").casefold()


def shared_start(rows: Sequence[list[int]]) -> int:
    """How many tokens all rows begin with.

    Args:
        rows: Token ids, one row or more.
    """
    first, last = min(rows), max(rows)  # what the two ends of the order share, all share
    return next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))


class Prompter:
    """Turns an instruction and a text into the tokens of a prompt, and a label into those of an answer.

    Prompt and answer are made apart and joined as tokens, in training as in testing, so that a model is scored on the
    very sequence it was trained on. A text that is too long is cut, never the instruction and never the answer: the
    room of every prompt is `max_length` less the longest answer.

    Args:
        tokenizer: With an end token.
        style: "alpaca", "chat", or "plain" for the text, a line break and "Label:".
        max_length: Tokens of a prompt with its answer and the end token.
        tasks: Labels of each task.

    Raises:
        ValueError: There is no chat template or no end token, or two labels of a task look the same.
    """

    def __init__(self, tokenizer: Any, style: str, max_length: int, tasks: dict[str, list[str]]):
        if style == "chat" and not tokenizer.chat_template:
            raise ValueError(
                f"{tokenizer.name_or_path} has no chat template. Use prompt_style alpaca, or the instruct version of "
                "the model, or give chat_template_path a template."
            )
        if tokenizer.eos_token_id is None:
            raise ValueError(f"{tokenizer.name_or_path} has no end token. Name one with eos_token.")
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
                        "Rename them with class_names."
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
        """Token ids by which the answers to a task are told apart.

        The end token is no part of them, for a model that was never asked like this does not end there. Where one
        label begins another ("not", "not sure") only the end tells: then all labels of the task have it.
        """
        whole = [self.answers[label] for label in self.tasks[task]]
        bare = [answer[:-1] for answer in whole]
        begins = any(a != b and b[: len(a)] == a for a in bare for b in bare)
        return whole if begins else bare

    def _render(self, instruction: str, text: str) -> str:
        if self.style == "alpaca":
            return alpaca(instruction, text)
        if self.style == "plain":
            return f"{text}\nLabel:"
        # The last one is for templates that would start with thoughts, like Qwen3's; others do not look at it.
        return self.tokenizer.apply_chat_template(
            messages(instruction, text), tokenize=False, add_generation_prompt=True, enable_thinking=False
        )  # fmt: skip

    def _encode(self, prompt: str) -> list[int]:
        """Tokens of a prompt. A chat template writes its special tokens itself; an end token has no place here."""
        tokens = self.tokenizer(prompt, add_special_tokens=self.style != "chat", verbose=False)["input_ids"]
        return tokens[:-1] if tokens[-1] == self.tokenizer.eos_token_id and self.style != "chat" else tokens

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
        label = f" {label}" if self.style == "plain" else label
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
        prompt, truncated = prompter.prompt(row["text"], told(row, instruction, prompter.tasks[row["task"]]))
        return {"prompt": prompt, "answer": prompter.answers[row["label"]], "truncated": truncated}

    from accelerate import PartialState

    with PartialState().main_process_first():
        return rows.map(convert, remove_columns=["text", "instruction"], desc="Making prompts")
