# /// script
# dependencies = ["hf-unlearnable", "trl>=1.0", "peft>=0.17", "accelerate", "torch", "pyyaml"]
# ///
"""The fine-tuning attack on text: what does a language model learn from the protected data?

    accelerate launch recipes/finetune_attack.py --config recipes/configs/finetune_llama_imdb.yaml
    accelerate launch recipes/finetune_attack.py --config recipes/configs/finetune_tiny_random.yaml    # a CPU, offline
    accelerate launch --multi_gpu --num_processes 8 recipes/finetune_attack.py --config ...
    ACCELERATE_USE_CPU=true torchrun --nproc_per_node 2 recipes/finetune_attack.py --config ...  # two CPU processes
    python recipes/finetune_attack.py --config ... --clean mine.csv --protected cloaked/ --test test.csv

A causal language model is asked for the label of a text, before any training ("zero-shot") and after fine-tuning, each
time from its first weights, on versions of the training data:

- clean: the data as it was. Protection is the distance from this accuracy.
- protected: the data as it is published.
- random: the same dose of words that tell nothing. What this costs is damage, not protection.
- dropped: only the rows that the protection left as they were. An attacker reaches this without any trick. No such
  row, no training: the answer is then the zero-shot one.

All are tested on the same clean rows, in two ways. "Label" compares the probabilities that the model gives to the
labels and nothing else: it asks what the model knows. "Exact match" lets it write: it asks whether the answer comes
out, too. A base model before training often knows and does not say.

`max_steps` trains every version for equally many steps, `num_train_epochs` for equally many epochs; the two differ for
"dropped" only. The interval speaks of the test rows: one training seed cannot tell how much trainings differ. Start
again with another `--seed` and `--output_dir` to see.

Every option of TRL's `SFTConfig` and `ModelConfig` may stand in the YAML file beside those of `AttackArguments`, and
the command line overrides it. Out come `<output_dir>/results.json` and `results.md`, and with `--method` the keys
`<output_dir>.key` and `<output_dir>.random.key`. A version with a result is not trained again; with
`--resume_from_checkpoint true` one that was interrupted goes on from its last checkpoint. Weights stay on one device:
several processes share the rows (DDP, ZeRO-1 and -2), not the model.

Paper. The prompt and the setting of `finetune_llama8b_imdb_paper.yaml` follow A. Java, S. Shahid, C. Agarwal, "Towards
Operationalizing Right to Data Protection", NAACL 2025, arXiv:2411.08506. Unlike there an answer is never counted by a
part of it: "Non-obscene" is not "Obscene".
"""

from __future__ import annotations

import copy
import gc
import hashlib
import importlib.util
import json
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import yaml
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object
from datasets import ClassLabel, Dataset, Features, Value
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig, set_seed
from transformers.trainer_utils import get_last_checkpoint
from trl import ModelConfig, SFTConfig, SFTTrainer, TrlParser, get_peft_config, get_quantization_config

from hf_unlearnable import load_transform
from hf_unlearnable.attack.statistics import Interval, accuracy_interval
from hf_unlearnable.data import load_rows
from hf_unlearnable.registry import method_class
from hf_unlearnable.samples import load_notes

logger = logging.getLogger("finetune_attack")

VERSIONS = ("clean", "protected", "random", "dropped")
ZERO_SHOT = "zero-shot"
RANDOM_LLAMA = "random-llama"

# What of the training's settings a result depends on; two results that differ here cannot stand in one table.
TRAINING_SETTINGS = (
    "learning_rate", "lr_scheduler_type", "num_train_epochs", "max_steps", "per_device_train_batch_size",
    "gradient_accumulation_steps", "warmup_steps", "weight_decay", "optim", "max_length", "completion_only_loss",
    "packing", "bf16", "fp16", "seed",
)  # fmt: skip

# What all data are brought to; `instruction` is empty for rows that have none of their own.
EXAMPLE = Features({name: Value("string") for name in ("text", "label", "task", "instruction")})


@dataclass
class AttackArguments:
    """What is attacked and what is asked.

    Args:
        clean: Original training rows: a file, a folder, a Hub id, or "notes" for the notes that the package carries.
        protected: The same rows, protected, in the same order. Or give `method`.
        random: The same rows with the same dose of random words. Or give `method`.
        test: Clean test rows; None takes them where `clean` comes from.
        dataset_config: Configuration of a data set on the Hub.
        dataset_train_split: Split of `clean`, `protected` and `random`, where they have several.
        dataset_test_split: Split of `test`.
        train_rows: Train on so many rows, always the same ones; None for all.
        test_rows: Test on so many rows, always the same ones; None for all.
        text_column: Column of texts.
        label_column: Column of labels: names, or numbers with names.
        class_names: Names of the labels 0, 1, ..., for a column that has none or to rename those it has.
        task_column: Column that tells several tasks apart: each has its own labels, those that its rows hold.
        instruction: What the model is told; {labels} stands for the names.
        instruction_column: Column with an instruction for each row, in place of `instruction`.
        prompt_style: "alpaca" for the paper's prompt, "chat" for the model's own chat template.
        method: Name of a protection for texts, which then makes "protected" and "random" from `clean`.
        parameters: Arguments of the method, as YAML.
        versions: Which of clean, protected, random and dropped to train on.
    """

    clean: str | None = None
    protected: str | None = None
    random: str | None = None
    test: str | None = None
    dataset_config: str | None = None
    dataset_train_split: str = "train"
    dataset_test_split: str = "test"
    train_rows: int | None = None
    test_rows: int | None = None
    text_column: str = "text"
    label_column: str = "label"
    class_names: list[str] | None = None
    task_column: str | None = None
    instruction: str = "Classify the text. Answer with one of: {labels}."
    instruction_column: str | None = None
    prompt_style: Literal["alpaca", "chat"] = "alpaca"
    method: str | None = None
    parameters: dict[str, Any] | str | None = None
    versions: list[str] = field(default_factory=lambda: list(VERSIONS))

    def __post_init__(self) -> None:
        """Reads the parameters and refuses what cannot be run, before a model is loaded."""
        self.parameters = yaml.safe_load(self.parameters) if isinstance(self.parameters, str) else self.parameters
        unknown = [name for name in self.versions if name not in VERSIONS]
        if unknown:
            raise ValueError(f"versions has {', '.join(unknown)}. Choose of {', '.join(VERSIONS)}.")
        if not self.clean:
            raise ValueError("clean is missing: a file, a folder, a Hub id or 'notes'.")
        missing = [name for name in ("protected", "random") if name in self.needed and not getattr(self, name)]
        if missing and not self.method:
            raise ValueError(f"{missing[0]} is missing. Give --{missing[0]} FILE, or --method to make it from clean.")

    @property
    def needed(self) -> set[str]:
        """The data that the versions are made of."""
        return {"clean"} | {"protected" if name == "dropped" else name for name in self.versions}

    @property
    def method_parameters(self) -> dict[str, Any]:
        """Arguments of the method, which works on the same columns."""
        given = self.parameters if isinstance(self.parameters, dict) else {}
        return {"text_column": self.text_column, "label_column": self.label_column, **given}


@dataclass(frozen=True)
class Result:
    """What came of one version.

    Args:
        version: Its name.
        label_accuracy: Share of test rows whose right label got the highest probability.
        exact_match: Share of test rows where the model wrote the right label and nothing else.
        train_rows: How many rows it was trained on.
        steps: Steps of the optimiser.
        truncated_rows: How many of the training rows were cut to `max_length`.
        seconds: Training and testing.
    """

    version: str
    label_accuracy: Interval
    exact_match: Interval
    train_rows: int
    steps: int
    truncated_rows: int
    seconds: float


def parse(argv: list[str] | None = None) -> tuple[AttackArguments, SFTConfig, ModelConfig]:
    """The options of the YAML file and the command line. bf16 is on where the GPU has it, and off on a CPU."""
    classes: Any = (AttackArguments, SFTConfig, ModelConfig)
    parser: Any = TrlParser(classes)
    parser.set_defaults(bf16=torch.cuda.is_available() and torch.cuda.is_bf16_supported(), logging_first_step=True)
    return parser.parse_args_and_config(argv)


# ---------------------------------------------------------------------- data
def read(source: str, args: AttackArguments, split: str) -> Dataset:
    """The rows of a source."""
    return load_notes(split) if source == "notes" else load_rows(source, config=args.dataset_config, split=split)


def sample(rows: Dataset, count: int | None) -> Dataset:
    """`count` rows, always the same ones, in their order."""
    if count is None or count >= len(rows):
        return rows
    return rows.select(sorted(np.random.default_rng(0).choice(len(rows), count, replace=False).tolist()))


def protect(rows: Dataset, args: AttackArguments, key: Path, state: PartialState, **parameters: Any) -> Dataset:
    """The rows under the owner's key, which is made first if it is not there.

    One process decides, and hands the key to the others: a key that each drew for itself would differ.
    """
    given = {**args.method_parameters, **parameters}
    found = None
    if state.is_main_process and key.exists():
        found = load_transform(key)
        other = [name for name, value in given.items() if found.get_params().get(name) != value]
        if other:
            raise ValueError(f"The key {key} is there already and differs in {', '.join(other)}. Move it away.")
    elif state.is_main_process:
        cls = method_class(str(args.method))
        if cls.modality != "text":
            raise ValueError(f"method is {args.method}, which is for {cls.modality}s. This attack is on texts.")
        found = cls(**given).fit(rows)
        found.key.save(key)
    cloak = load_transform(broadcast_object_list([found and found.key])[0])
    logger.info("Protecting with %r", cloak)
    return rows.map(cloak, batched=True)


def load_sources(args: AttackArguments, output: Path, state: PartialState) -> dict[str, Dataset]:
    """The rows as they stand in the files: "clean" and what else the versions are made of.

    Raises:
        ValueError: Two of them do not hold the same rows.
    """
    train_split = args.dataset_train_split
    data = {"clean": read(str(args.clean), args, train_split)}
    for name in sorted(args.needed - {"clean"}):
        source = getattr(args, name)
        if source:
            data[name] = read(source, args, train_split)
        else:
            more = {"word_source": "random"} if name == "random" else {}
            key = output.with_name(f"{output.name}{'.random' if more else ''}.key")
            data[name] = protect(data["clean"], args, key, state, **more)
        if len(data[name]) != len(data["clean"]):
            raise ValueError(
                f"{name} has {len(data[name])} rows and clean has {len(data['clean'])}. They must be the same rows "
                "in the same order: protect the very file that you give as clean."
            )
    return {name: sample(rows, args.train_rows) for name, rows in data.items()}


def examples(rows: Dataset, args: AttackArguments, name: str) -> Dataset:
    """The rows as texts, names of labels, tasks and instructions.

    Raises:
        ValueError: A column is missing, or a row has no text, no label or one without a name.
    """
    optional = [column for column in (args.task_column, args.instruction_column) if column]
    for column in (args.text_column, args.label_column, *optional):
        if column not in rows.column_names:
            raise ValueError(f"{name} has no column {column!r}. Columns: {', '.join(rows.column_names)}.")
    names = label_names(rows, args)

    def named(label: Any, row: int) -> str:
        if isinstance(label, str) and label and (names is None or label in names):
            return label
        if isinstance(label, int) and names and 0 <= label < len(names):
            return names[label]
        raise ValueError(
            f"Row {row} of {name} has {label!r} in column {args.label_column!r}, which is no name of a label"
            f"{f' and none of the {len(names)} numbers that have one' if names else ''}. Filter such rows out, or "
            "name the labels with --class_names."
        )

    def convert(batch: dict[str, list], indices: list[int]) -> dict[str, list]:
        texts = batch[args.text_column]
        for row, text in zip(indices, texts, strict=True):
            if not isinstance(text, str):
                raise ValueError(f"Row {row} of {name} has no text in column {args.text_column!r}. Filter it out.")
        return {
            "text": texts,
            "label": [named(label, row) for label, row in zip(batch[args.label_column], indices, strict=True)],
            "task": [str(task) for task in batch[args.task_column]] if args.task_column else [""] * len(texts),
            "instruction": batch[args.instruction_column] if args.instruction_column else [""] * len(texts),
        }

    with PartialState().main_process_first():
        return rows.map(convert, batched=True, with_indices=True, remove_columns=rows.column_names, features=EXAMPLE)


def label_names(rows: Dataset, args: AttackArguments) -> list[str] | None:
    """The declared names of the labels, by number; None where the rows hold the names themselves."""
    feature = rows.features[args.label_column]
    return args.class_names or (feature.names if isinstance(feature, ClassLabel) else None)


def labels_by_task(train: Dataset, test: Dataset, declared: Sequence[str]) -> dict[str, list[str]]:
    """Which labels the answer to a task is chosen from.

    Args:
        train: Examples of the clean version.
        test: Examples of the test.
        declared: Names that stand beside the data, which may hold some that no row has.

    Raises:
        ValueError: A task has one label only, or test rows have a label that a model never sees in training.
    """
    seen = [dict.fromkeys(zip(rows["task"], rows["label"], strict=True)) for rows in (train, test)]
    tasks: dict[str, list[str]] = {}
    for task, label in [*(("", label) for label in declared), *seen[0], *seen[1]]:
        if label not in tasks.setdefault(task, []):
            tasks[task].append(label)
    if declared and len(tasks) > 1:  # with tasks of their own, rows and not the declaration tell a task's labels
        del tasks[""]
    for task, labels in tasks.items():
        if len(labels) < 2:
            raise ValueError(f"The only label{f' of task {task!r}' if task else ''} is {labels}: nothing to learn.")
        trained = [label for label in labels if (task, label) in seen[0]]
        tested = [label for label in labels if (task, label) in seen[1]]
        untrained = [label for label in tested if label not in trained]
        if untrained and (trained or not task):  # a task that is held out as a whole is a fair question
            raise ValueError(
                f"Test rows have the label {untrained[0]!r}, and training rows only {', '.join(trained)}: no model "
                "could answer. If they are the same labels under other names, name them with --class_names."
            )
        absent = [label for label in labels if label not in tested]
        if tested and absent:
            logger.warning("No test row has the label %s: it is not tested.", ", ".join(absent))
    return tasks


def digest(rows: Dataset) -> str:
    """A fingerprint of texts and labels, the same in every process and at every start."""
    state = hashlib.sha256()
    for batch in rows.iter(1000):
        state.update(json.dumps([batch[name] for name in EXAMPLE]).encode())
    return state.hexdigest()[:16]


# ---------------------------------------------------------------------- prompts
def alpaca(instruction: str, text: str) -> str:
    """The prompt of Stanford Alpaca, which the paper trains with."""
    return (
        "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
        "response that appropriately completes the request.\n\n"
        f"### Instruction:\n{instruction}\n\n### Input:\n{text}\n\n### Response:\n"
    )


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
        self.answers = {label: self._answer(label) for labels in tasks.values() for label in labels}
        for task, labels in tasks.items():
            for form in (lambda label: tuple(self.answers[label]), said):
                forms = [form(label) for label in labels]
                twice = [label for label, one in zip(labels, forms, strict=True) if forms.count(one) > 1]
                if twice:
                    raise ValueError(
                        f"The labels {', '.join(map(repr, twice))} of task {task!r} are the same to this model. "
                        "Rename them with --class_names."
                    )
        self.longest = max(map(len, self.answers.values()))

    def prompt(self, text: str, instruction: str) -> tuple[list[int], bool]:
        """Token ids of a prompt that leaves room for every answer, and whether the text was cut."""
        room = self.max_length - self.longest
        tokens = self._encode(self._render(instruction, text))
        cut = len(tokens) > room
        words = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"] if cut else []
        keep = len(words)
        while len(tokens) > room:
            if keep == 0:
                raise ValueError(
                    f"max_length is {self.max_length}, but the instruction and the longest label take "
                    f"{len(tokens) + self.longest} tokens without any text. Raise max_length."
                )
            keep = max(0, keep - (len(tokens) - room))
            # Cut as text, so that the prompt is made of the same tokens as one that was short from the start. A cut
            # within a character leaves a replacement character behind.
            text = self.tokenizer.decode(words[:keep], skip_special_tokens=True).rstrip("\ufffd")
            tokens = self._encode(self._render(instruction, text))
        return tokens, cut

    def candidates(self, task: str) -> list[list[int]]:
        """Token ids of each answer to a task."""
        return [self.answers[label] for label in self.tasks[task]]

    def _render(self, instruction: str, text: str) -> str:
        if self.style == "chat":
            messages = [{"role": "user", "content": f"{instruction}\n\n{text}"}]
            # The last one is for templates that would start with thoughts, like Qwen3's; others do not look at it.
            return self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
            )
        return alpaca(instruction, text)

    def _encode(self, prompt: str) -> list[int]:
        """Tokens of a prompt. A chat template writes its special tokens itself; an end token has no place here."""
        tokens = self.tokenizer(prompt, add_special_tokens=self.style == "alpaca", verbose=False)["input_ids"]
        return tokens[:-1] if tokens[-1] == self.tokenizer.eos_token_id and self.style == "alpaca" else tokens

    def _answer(self, label: str) -> list[int]:
        """Tokens of a label as they follow a prompt, with the end token; its own tokens where the two would merge."""
        prompt = self._render("-", "-")
        before, both = self._encode(prompt), self._encode(prompt + label)
        alone = self.tokenizer(label, add_special_tokens=False, verbose=False)["input_ids"]
        return [*(both[len(before) :] if both[: len(before)] == before else alone), self.tokenizer.eos_token_id]


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


def said(answer: str) -> str:
    """What counts of an answer: its first line, without case, space around it and a full stop."""
    return answer.strip().partition("\n")[0].strip().rstrip(".").casefold()


# ---------------------------------------------------------------------- scoring
def padded(rows: Sequence[list[int]], side: str, device: Any) -> dict[str, torch.Tensor]:
    """A batch with a mask that tells padding from tokens, so that it does not matter what the padding is made of."""
    width = max(map(len, rows))
    ids, mask = torch.zeros(2, len(rows), width, dtype=torch.long)
    for i, row in enumerate(rows):
        place = slice(0, len(row)) if side == "right" else slice(width - len(row), width)
        ids[i, place], mask[i, place] = torch.tensor(row), 1
    return {"input_ids": ids.to(device), "attention_mask": mask.to(device)}


@torch.no_grad()
def score_labels(
    model: Any, prompts: Sequence[list[int]], candidates: Sequence[list[list[int]]], batch_size: int
) -> list[list[float]]:
    """The log-probability of every candidate after its prompt.

    The whole candidate counts, end token included: the sum over its tokens is the log-probability that the model
    answers this and stops. Labels that begin alike ("no", "not sure") are told apart by what follows, and one that
    begins another by its end. It is not divided by the length: a long label is as likely as its tokens together.

    Args:
        model: A causal language model.
        prompts: Token ids of each prompt.
        candidates: For each prompt the token ids of what may follow.
        batch_size: Sequences in one pass.

    Returns:
        Natural log-probabilities, in the order of prompts and candidates.
    """
    pairs = [(i, j) for i, answers in enumerate(candidates) for j in range(len(answers))]
    # Equal lengths together waste no padding; the longest first show at once whether they fit into memory.
    pairs.sort(key=lambda pair: len(prompts[pair[0]]) + len(candidates[pair[0]][pair[1]]), reverse=True)
    scores = [[0.0] * len(answers) for answers in candidates]
    for start in range(0, len(pairs), batch_size):
        batch = pairs[start : start + batch_size]
        rows = [prompts[i] + candidates[i][j] for i, j in batch]
        # Padding stands on the right, where no token of a causal model sees it. Logits at place t speak of token
        # t + 1, and only those of the answers are computed: a large vocabulary over a long text would fill the memory.
        places = [range(len(prompts[i]) - 1, len(row) - 1) for (i, _), row in zip(batch, rows, strict=True)]
        kept = sorted(set().union(*places))
        inputs = padded(rows, "right", model.device)
        logits = model(**inputs, logits_to_keep=torch.tensor(kept, device=model.device), use_cache=False).logits
        log_probabilities = logits.float().log_softmax(-1)
        for n, ((i, j), row) in enumerate(zip(batch, rows, strict=True)):
            columns = [kept.index(place) for place in places[n]]
            scores[i][j] = log_probabilities[n, columns, row[len(prompts[i]) :]].sum().item()
    return scores


@torch.no_grad()
def greedy_answers(
    model: Any, tokenizer: Any, prompts: Sequence[list[int]], max_new_tokens: int, batch_size: int
) -> list[str]:
    """What the model writes after each prompt, taking the likeliest token each time, up to its end token."""
    ends = model.generation_config.eos_token_id
    ends = set(ends) if isinstance(ends, list) else {ends}
    answers = [""] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]), reverse=True)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        inputs = padded([prompts[i] for i in batch], "left", model.device)  # what is written follows on the right
        written = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
        for i, tokens in zip(batch, written[:, inputs["input_ids"].shape[1] :].tolist(), strict=True):
            stop = next((n for n, token in enumerate(tokens) if token in ends), len(tokens))
            answers[i] = tokenizer.decode(tokens[:stop], skip_special_tokens=True)
    return answers


def evaluate(model: Any, prompter: Prompter, test: Dataset, training: SFTConfig) -> tuple[np.ndarray, np.ndarray]:
    """Which test rows are right by label and by exact match. Each process answers its share; all get the whole."""
    state = PartialState()
    mine = range(state.process_index, len(test), state.num_processes)
    rows = test.select(mine)
    prompts, names = rows["prompt"][:], rows["label"][:]
    candidates = [prompter.candidates(task) for task in rows["task"]]
    size = training.per_device_eval_batch_size
    half = torch.bfloat16 if training.bf16 else torch.float16
    model.eval()
    with torch.autocast(model.device.type, half, enabled=training.bf16 or training.fp16):
        scores = score_labels(model, prompts, candidates, size)
        answers = greedy_answers(model, prompter.tokenizer, prompts, prompter.longest, size)
    best = [prompter.tasks[task][int(np.argmax(s))] for task, s in zip(rows["task"], scores, strict=True)]
    found = [
        (index, label == name, said(answer) == said(name))
        for index, label, answer, name in zip(mine, best, answers, names, strict=True)
    ]
    table = np.array([right for _, *right in sorted(gather_object(found))])
    return table[:, 0], table[:, 1]


# ---------------------------------------------------------------------- model
def load_tokenizer(model_args: ModelConfig, training: SFTConfig, texts: Iterable[str]) -> Any:
    """The model's tokenizer, which pads with the end token where it has no token for that.

    Args:
        model_args: Names the model.
        training: May name an end token or a chat template.
        texts: Clean training texts, from which "random-llama" makes its tokenizer.
    """
    if model_args.model_name_or_path == RANDOM_LLAMA:
        tokenizer = byte_tokenizer(alpaca("", text) for text in texts)
    else:
        tokenizer = AutoTokenizer.from_pretrained(
            str(model_args.model_name_or_path),
            revision=model_args.model_revision,
            trust_remote_code=training.trust_remote_code,
        )
    if training.eos_token:
        tokenizer.eos_token = training.eos_token
    if training.chat_template_path and Path(training.chat_template_path).is_file():
        tokenizer.chat_template = Path(training.chat_template_path).read_text(encoding="utf-8")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    return tokenizer


def byte_tokenizer(texts: Iterable[str]) -> Any:
    """A byte-level BPE of at most 1,000 tokens, learned from the texts: every text can be written in it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1000, initial_alphabet=alphabet, special_tokens=["</s>"], show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="</s>", model_max_length=1024)


def load_model(model_args: ModelConfig, training: SFTConfig, tokenizer: Any) -> Any:
    """The model with its first weights, on this process's device.

    Raises:
        ValueError: It is to be quantised, and there is no GPU.
        ImportError: It is to be quantised, and bitsandbytes is missing.
    """
    device = PartialState().device
    set_seed(training.seed)
    quantised = model_args.load_in_4bit or model_args.load_in_8bit
    if quantised and device.type == "cpu":
        raise ValueError(
            "load_in_4bit and load_in_8bit need a GPU, and there is none. Start on a machine with one, or override "
            "with --load_in_4bit false --optim adamw_torch and a small model."
        )
    if quantised and importlib.util.find_spec("bitsandbytes") is None:
        raise ImportError("load_in_4bit and load_in_8bit need bitsandbytes: pip install bitsandbytes")
    if model_args.model_name_or_path == RANDOM_LLAMA:
        model = AutoModelForCausalLM.from_config(model_config(model_args, training, tokenizer))
    else:
        given: Any = dict(training.model_init_kwargs or {})  # type: ignore[arg-type]
        if quantised:
            given |= {"quantization_config": get_quantization_config(model_args), "device_map": {"": device}}
        model = AutoModelForCausalLM.from_pretrained(
            str(model_args.model_name_or_path),
            revision=model_args.model_revision,
            trust_remote_code=training.trust_remote_code,
            attn_implementation=model_args.attn_implementation,
            dtype=model_args.dtype,
            **given,
        )
    # What its authors advise for sampling has no place in a greedy answer, but where it may end stays.
    ends = model.generation_config.eos_token_id
    ends = set(ends if isinstance(ends, list) else [ends]) - {None} | {tokenizer.eos_token_id}
    model.generation_config = GenerationConfig(eos_token_id=sorted(ends), pad_token_id=tokenizer.pad_token_id)
    return model if quantised else model.to(device)


def model_config(model_args: ModelConfig, training: SFTConfig, tokenizer: Any) -> Any:
    """The configuration of the model; that of "random-llama" is of a Llama that one core trains in seconds."""
    if model_args.model_name_or_path != RANDOM_LLAMA:
        return AutoConfig.from_pretrained(
            str(model_args.model_name_or_path),
            revision=model_args.model_revision,
            trust_remote_code=training.trust_remote_code,
        )
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=1024, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip


def context_length(config: Any, tokenizer: Any, max_length: int | None) -> int:
    """Tokens of the longest sequence: as asked for, and no longer than the model can read."""
    known = [
        max_length,
        getattr(config.get_text_config(), "max_position_embeddings", None),
        tokenizer.model_max_length,
    ]
    return min(length for length in known if length)


def make_trainer(
    model: Any, tokenizer: Any, rows: Dataset, training: SFTConfig, model_args: ModelConfig
) -> SFTTrainer:
    """TRL's trainer on encoded rows, its loss on the answers, or on all tokens with `completion_only_loss: false`."""
    training.completion_only_loss = training.completion_only_loss is not False
    train = rows.map(
        lambda row: {
            "input_ids": row["prompt"] + row["answer"],
            "completion_mask": [0] * len(row["prompt"]) + [1] * len(row["answer"]),
        },
        remove_columns=rows.column_names,
        desc="Joining prompts and answers",
    )
    return SFTTrainer(
        model=model,
        args=training,
        train_dataset=train,
        processing_class=tokenizer,
        peft_config=get_peft_config(model_args),
    )


# ---------------------------------------------------------------------- results
def run_version(
    name: str, rows: Dataset | None, test: Dataset, prompter: Prompter, training: SFTConfig, model_args: ModelConfig
) -> Result:
    """Trains on one version, where there is something to train on, and tests.

    Args:
        name: Of the version.
        rows: Encoded rows; None for zero-shot.
        test: Encoded test rows.
        prompter: That encoded them.
        training: Of all versions; this one works in a folder of its own.
        model_args: Of all versions.
    """
    start = time.perf_counter()
    model = load_model(model_args, training, prompter.tokenizer)
    steps = truncated = 0
    if rows:
        truncated = sum(rows["truncated"])
        if truncated:
            logger.info("%s: %d of %d texts cut to max_length %d", name, truncated, len(rows), prompter.max_length)
        training = copy.copy(training)
        output = Path(str(training.output_dir), name)
        training.output_dir = str(output)
        training.run_name = f"{training.run_name or output.parent.name}-{name}"
        trainer = make_trainer(model, prompter.tokenizer, rows, training, model_args)
        last = get_last_checkpoint(str(output)) if training.resume_from_checkpoint else None
        trainer.train(resume_from_checkpoint=last)
        model, steps = trainer.model, trainer.state.global_step
        if "wandb" in (training.report_to or ()) and PartialState().is_main_process:
            import wandb

            wandb.finish()  # else the next version would go on in this one's run
    by_label, exact = evaluate(model, prompter, test, training)
    return Result(
        name,
        accuracy_interval(by_label[None, :]),
        accuracy_interval(exact[None, :]),
        len(rows or ()),
        steps,
        truncated,
        round(time.perf_counter() - start, 1),
    )


def settings_of(
    args: AttackArguments, training: SFTConfig, model_args: ModelConfig, data: dict[str, Dataset], test: Dataset
) -> dict[str, Any]:
    """How it was measured, without what is secret: the seed and the words of the protection."""
    described = {k: v for k, v in asdict(args).items() if k not in ("versions", "parameters")}
    if args.method:
        described["parameters"] = method_class(args.method)(**args.method_parameters).public_params()
    model = {k: v for k, v in asdict(model_args).items() if v is not None}
    trained = {name: getattr(training, name) for name in TRAINING_SETTINGS}
    described |= {**model, **trained, "num_processes": PartialState().num_processes}
    described |= {"clean_digest": digest(data["clean"]), "test_digest": digest(test), "test_row_count": len(test)}
    return json.loads(json.dumps(described, default=str))


def kept_result(folder: Path, settings: dict[str, Any], resumes: bool) -> Result | None:
    """The result of a version that an earlier start finished; None if it is still to be trained.

    Raises:
        ValueError: What lies there was made with other settings or of other rows.
    """
    file, written = folder / "result.json", folder / "settings.json"
    going_on = resumes and folder.is_dir() and get_last_checkpoint(str(folder)) is not None
    if not (file.exists() or going_on):
        folder.mkdir(parents=True, exist_ok=True)
        written.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
        return None
    before = json.loads(written.read_text(encoding="utf-8"))
    other = [name for name in settings if before.get(name) != settings[name]]
    if other:
        raise ValueError(
            f"{folder} holds what was trained with other settings or data: {', '.join(other)} differ. Give another "
            "--output_dir, or move the folder away."
        )
    if not file.exists():
        return None
    found = json.loads(file.read_text(encoding="utf-8"))
    intervals = {name: Interval(**found[name]) for name in ("label_accuracy", "exact_match")}
    return Result(**{**found, **intervals})


def write_results(output: Path, results: Sequence[Result], settings: dict[str, Any]) -> str:
    """Writes `results.json` and `results.md`, and returns the table."""
    libraries = ("hf-unlearnable", "torch", "transformers", "trl", "peft", "accelerate", "datasets")
    protocol = {**settings, "library_versions": {name: version(name) for name in libraries}}
    contents = {"protocol": protocol, "results": [asdict(result) for result in results]}
    output.joinpath("results.json").write_text(json.dumps(contents, indent=1) + "\n", encoding="utf-8")
    lines = ["| trained on | label, % | exact match, % | rows | steps | cut |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {r.version} | {r.label_accuracy} | {r.exact_match} | {r.train_rows} | {r.steps} | {r.truncated_rows} |"
        for r in results
    ]
    notes = [f"- {name}: {value}" for name, value in protocol.items() if value is not None]
    about = "With 95 % intervals over the test rows; one training each, so how much trainings differ is not in them."
    text = "\n".join([*lines, "", about, "", *notes]) + "\n"
    output.joinpath("results.md").write_text(text, encoding="utf-8")
    return "\n".join(lines)


def main(args: AttackArguments, training: SFTConfig, model_args: ModelConfig) -> None:
    """Runs zero-shot and every version, one after the other, and writes the table."""
    state = PartialState()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logger.setLevel(logging.INFO if state.is_main_process else logging.ERROR)
    if not model_args.model_name_or_path:
        raise ValueError(f"model_name_or_path is missing: a Hub id, a folder or {RANDOM_LLAMA!r}.")
    if str(training.resume_from_checkpoint).lower() not in ("none", "true", "false"):
        raise ValueError(
            "Every version has checkpoints of its own: say --resume_from_checkpoint true, without a path."
        )
    resumes = str(training.resume_from_checkpoint).lower() == "true"
    training.resume_from_checkpoint = "true" if resumes else None
    if training.fsdp or (training.deepspeed_plugin and training.deepspeed_plugin.zero_stage == 3):
        raise ValueError("This script tests a whole model on each device: use DDP, ZeRO-1 or ZeRO-2.")
    output = Path(str(training.output_dir))
    output.mkdir(parents=True, exist_ok=True)

    raw = load_sources(args, output, state)
    raw_test = sample(read(args.test or str(args.clean), args, args.dataset_test_split), args.test_rows)
    data = {name: examples(rows, args, name) for name, rows in raw.items()}
    if "dropped" in args.versions:
        pairs = zip(data["clean"]["text"], data["protected"]["text"], strict=True)
        data["dropped"] = data["clean"].select([i for i, (before, after) in enumerate(pairs) if before == after])
    test = examples(raw_test, args, "test")
    declared = {name: None for rows in (raw["clean"], raw_test) for name in label_names(rows, args) or ()}
    tasks = labels_by_task(data["clean"], test, list(declared))

    tokenizer = load_tokenizer(model_args, training, data["clean"]["text"])
    config = model_config(model_args, training, tokenizer)
    training.max_length = context_length(config, tokenizer, training.max_length)
    prompter = Prompter(tokenizer, args.prompt_style, training.max_length, tasks)
    settings = settings_of(args, training, model_args, data, test)

    # What is done is looked up once and by one process: files of its own are not the business of the others.
    names = [ZERO_SHOT, *args.versions]
    results: dict[str, Result | None] = {}
    if state.is_main_process:
        for name in names:
            own = {**settings, "digest": digest(data[name])} if name in data else settings
            results[name] = kept_result(output / name, own, resumes)
    results = broadcast_object_list([results])[0]
    encoded = {name: encode(data[name], prompter, args.instruction) for name in args.versions if len(data[name])}
    encoded_test = encode(test, prompter, args.instruction)
    logger.info(
        "%d test rows, %d of them cut to max_length %d",
        len(test), sum(encoded_test["truncated"]), training.max_length,
    )  # fmt: skip
    for name in names:
        kept, zero_shot = results[name], results[ZERO_SHOT]
        if zero_shot and name in args.versions and name not in encoded:  # nothing to train on
            result = replace(zero_shot, version=name)
        else:
            result = kept or run_version(name, encoded.get(name), encoded_test, prompter, training, model_args)
        results[name] = result
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()  # the next version loads a model of its own
        if state.is_main_process and not kept:
            (output / name / "result.json").write_text(json.dumps(asdict(result), indent=1) + "\n", encoding="utf-8")
        logger.info("%s: label %s, exact match %s%s", name, result.label_accuracy, result.exact_match,
                    " (kept from before)" if kept else "")  # fmt: skip
    if state.is_main_process:
        table = write_results(output, [result for result in results.values() if result], settings)
        logger.info("%s\nWritten to %s", table, output)
    state.wait_for_everyone()
    state.destroy_process_group()


if __name__ == "__main__":
    main(*parse())
