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
the command line overrides it. Out come `<output_dir>/results.json` and `results.md`, and with `--method` the key
`<output_dir>.key`. The same command started again goes on where it was interrupted: a version with a result is not
trained again, one with a checkpoint goes on from there. Weights stay on one device: several processes share the rows
(DDP, ZeRO-1 and -2), not the model.

Paper. The prompt and the setting of `finetune_llama8b_imdb_paper.yaml` follow A. Java, S. Shahid, C. Agarwal, "Towards
Operationalizing Right to Data Protection", NAACL 2025, arXiv:2411.08506. Unlike there an answer is never counted by a
part of it: "Non-obscene" is not "Obscene".
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import yaml
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object, tqdm
from accelerate.utils.memory import clear_device_cache
from datasets import ClassLabel, Dataset, Features, Value
from prompts import Prompter, alpaca, ask, encode, said
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, set_seed
from trl import ModelConfig, SFTConfig, SFTTrainer, TrlParser, get_peft_config, get_quantization_config

from hf_unlearnable import load_transform
from hf_unlearnable.audit.statistics import Interval, accuracy_interval
from hf_unlearnable.audit.versions import random_dose
from hf_unlearnable.data import load_rows, write_file
from hf_unlearnable.registry import method_class
from hf_unlearnable.samples import load_notes

logger = logging.getLogger("finetune_attack")

VERSIONS = ("clean", "protected", "random", "dropped")
ZERO_SHOT = "zero-shot"
RANDOM_LLAMA = "random-llama"

# What of the training's settings a result depends on; two results that differ here cannot stand in one table.
TRAINING_SETTINGS = (
    "learning_rate", "lr_scheduler_type", "num_train_epochs", "max_steps", "per_device_train_batch_size",
    "gradient_accumulation_steps", "warmup_steps", "weight_decay", "max_grad_norm", "optim", "max_length",
    "completion_only_loss", "packing", "bf16", "fp16", "seed", "eos_token", "chat_template_path",
)  # fmt: skip

# What all data are brought to; `instruction` is empty for rows that have none of their own.
EXAMPLE = Features({name: Value("string") for name in ("text", "label", "task", "instruction")})


@dataclass
class AttackArguments:
    """What is attacked and what is asked.

    Args:
        clean: Original training rows: a file, a folder, a Hub id, or "notes" for the notes that the package carries.
        protected: The same rows, protected, in the same order. Or give `method`.
        random: The same rows with the same dose of random words; None makes them from `clean` and "protected".
        test: Clean test rows; None takes them where `clean` comes from.
        dataset_config: Configuration of a dataset on the Hub.
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
        method: Name of a protection for texts, which then makes "protected" from `clean`.
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
        if "protected" in self.needed and not self.protected and not self.method:
            raise ValueError("protected is missing. Give --protected FILE, or --method to make it from clean.")

    @property
    def needed(self) -> set[str]:
        """The data that the versions are made of."""
        made_of_it = {"dropped"} if self.random else {"dropped", "random"}
        protected = {"protected"} if made_of_it & set(self.versions) else set()
        return {"clean", *protected, *self.versions} - {"dropped"}

    @property
    def method_parameters(self) -> dict[str, Any]:
        """Arguments of the method, which works on the same columns."""
        given = self.parameters if isinstance(self.parameters, dict) else {}
        return {"text_column": self.text_column, "label_column": self.label_column, **given}


def parse(argv: list[str] | None = None) -> tuple[AttackArguments, SFTConfig, ModelConfig]:
    """The options of the YAML file and the command line.

    Where they say nothing, the loss is on the answers, and bf16 is on where the GPU has it and fp16 is not asked for.
    """
    classes: Any = (AttackArguments, SFTConfig, ModelConfig)
    parser: Any = TrlParser(classes)
    bf16 = None if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else False  # None: unless fp16
    parser.set_defaults(bf16=bf16, completion_only_loss=True, logging_first_step=True)
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


def protect(rows: Dataset, args: AttackArguments, key: Path) -> Dataset:
    """The rows under the owner's key, which is made first if it is not there.

    One process decides, and hands the key to the others: a key that each drew for itself would differ.
    """
    given = args.method_parameters
    state, found = PartialState(), None
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
    with state.main_process_first():
        return rows.map(cloak, batched=True)


def label_names(rows: Dataset, args: AttackArguments) -> list[str] | None:
    """The declared names of the labels, by number; None where the rows hold the names themselves."""
    feature = rows.features.get(args.label_column)
    return args.class_names or (feature.names if isinstance(feature, ClassLabel) else None)


def examples(rows: Dataset, args: AttackArguments, name: str) -> Dataset:
    """The rows as texts, names of labels, tasks and instructions.

    Raises:
        ValueError: A column is missing, or a row has no text, no label or one without a name.
    """
    columns = [args.text_column, args.label_column, args.task_column, args.instruction_column]
    for column in columns:
        if column and column not in rows.column_names:
            raise ValueError(f"{name} has no column {column!r}. Columns: {', '.join(rows.column_names)}.")
    names = label_names(rows, args)

    def convert(row: dict[str, Any], index: int) -> dict[str, str]:
        text, label, task, instruction = (row[column] if column else "" for column in columns)
        if not isinstance(text, str):
            raise ValueError(f"Row {index} of {name} has no text in column {args.text_column!r}. Filter it out.")
        if isinstance(label, int) and names and 0 <= label < len(names):
            label = names[label]
        if not (isinstance(label, str) and label and (names is None or label in names)):
            raise ValueError(
                f"Row {index} of {name} has {label!r} in column {args.label_column!r}, which is no name of a label"
                f"{f' and none of the {len(names)} numbers that have one' if names else ''}. Filter such rows out, or "
                "name the labels with --class_names."
            )
        return {"text": text, "label": label, "task": str(task), "instruction": instruction}

    with PartialState().main_process_first():
        return rows.map(convert, with_indices=True, remove_columns=rows.column_names, features=EXAMPLE)


def labels_by_task(train: Dataset, test: Dataset, declared: Sequence[str]) -> dict[str, list[str]]:
    """Which labels the answer to a task is chosen from.

    Args:
        train: Examples of the clean version.
        test: Examples of the test.
        declared: Names that stand beside the data of a single task, which may hold some that no row has.

    Raises:
        ValueError: A task has one label only, or test rows have a label that a model never sees in training.
    """
    trained, tested = (dict.fromkeys(zip(rows["task"], rows["label"], strict=True)) for rows in (train, test))
    tasks: dict[str, list[str]] = {}
    for task, label in {**{("", label): None for label in declared}, **trained, **tested}:
        tasks.setdefault(task, []).append(label)
    for task, labels in tasks.items():
        if len(labels) < 2:
            raise ValueError(f"The only label{f' of task {task!r}' if task else ''} is {labels}: nothing to learn.")
        known = [label for label in labels if (task, label) in trained]
        asked = [label for label in labels if (task, label) in tested]
        unknown = [label for label in asked if label not in known]
        if unknown and (known or not task):  # a task that is held out as a whole is a fair question
            raise ValueError(
                f"Test rows have the label {unknown[0]!r}, and training rows only {', '.join(known)}: no model could "
                "answer. If they are the same labels under other names, name them with --class_names."
            )
        if asked and len(asked) < len(labels):
            absent = ", ".join(label for label in labels if label not in asked)
            logger.warning("No test row has the label %s: it is not tested.", absent)
    return tasks


def load_data(args: AttackArguments, output: Path) -> tuple[dict[str, Dataset], Dataset, dict[str, list[str]]]:
    """The examples of each version, those of the test, and the labels of each task.

    Raises:
        ValueError: Two versions do not hold the same rows, or all test rows are training rows.
    """
    clean = protected = read(str(args.clean), args, args.dataset_train_split)
    data = {"clean": examples(clean, args, "clean")}
    for name in sorted(args.needed - {"clean"}):
        if getattr(args, name):
            rows = read(getattr(args, name), args, args.dataset_train_split)
        elif name == "protected":
            rows = protect(clean, args, output.with_name(f"{output.name}.key"))
        else:
            with PartialState().main_process_first():
                rows = random_dose(clean, protected, args.text_column, seed=0)
        protected = rows if name == "protected" else protected
        data[name] = examples(rows, args, name)
        if data[name]["label"][:] != data["clean"]["label"][:]:
            raise ValueError(
                f"{name} ({len(rows)} rows) and clean ({len(clean)} rows) differ in their labels. They must be the "
                "same rows in the same order: protect the very file that you give as clean."
            )
    data = {name: sample(rows, args.train_rows) for name, rows in data.items()}
    if "dropped" in args.versions:
        pairs = zip(data["clean"]["text"], data["protected"]["text"], strict=True)
        data["dropped"] = data["clean"].select([i for i, (before, after) in enumerate(pairs) if before == after])

    raw = sample(read(args.test or str(args.clean), args, args.dataset_test_split), args.test_rows)
    test = examples(raw, args, "test")
    texts = set(data["clean"]["text"])
    repeated = sum(text in texts for text in test["text"])
    if repeated == len(test):
        raise ValueError("All test rows are training rows, too. Give others with --test.")
    if repeated:
        logger.warning("%d of %d test rows are training rows, too: they ask for memory.", repeated, len(test))
    declared = [] if args.task_column else [*(label_names(clean, args) or ()), *(label_names(raw, args) or ())]
    return data, test, labels_by_task(data["clean"], test, declared)


# ---------------------------------------------------------------------- model
def load_tokenizer(model_args: ModelConfig, training: SFTConfig, texts: Sequence[str]) -> tuple[Any, Any]:
    """The model's tokenizer, which pads with the end token where it has no token for that, and its configuration.

    Those of "random-llama" are made of the texts. An end token and a chat template may be given from without.
    """
    if model_args.model_name_or_path == RANDOM_LLAMA:
        tokenizer, config = random_llama(texts)
    else:
        source = {"revision": model_args.model_revision, "trust_remote_code": training.trust_remote_code}
        tokenizer = AutoTokenizer.from_pretrained(str(model_args.model_name_or_path), **source)
        config = AutoConfig.from_pretrained(str(model_args.model_name_or_path), **source)
    if training.eos_token:
        tokenizer.eos_token = training.eos_token
    if training.chat_template_path:
        tokenizer.chat_template = Path(training.chat_template_path).read_text(encoding="utf-8")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    return tokenizer, config


def random_llama(texts: Sequence[str]) -> tuple[Any, Any]:
    """A byte-level BPE of at most 1,000 tokens, learned from the texts, and a Llama that a CPU trains in seconds."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["</s>"],
        show_progress=False,
    )  # fmt: skip
    bpe.train_from_iterator((alpaca("", text) for text in texts), trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="</s>", model_max_length=1024)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=1024, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    return tokenizer, config


def load_model(config: Any, model_args: ModelConfig, training: SFTConfig) -> Any:
    """The model with its first weights, on this process's device.

    Raises:
        ValueError: It is to be quantised, and there is no GPU.
    """
    clear_device_cache(garbage_collection=True)  # of what the last version left behind
    set_seed(training.seed)
    device, given = PartialState().device, {}
    if model_args.load_in_4bit or model_args.load_in_8bit:
        if device.type == "cpu":
            raise ValueError(
                "load_in_4bit and load_in_8bit need a GPU, and there is none. Start where there is one, or say "
                "--load_in_4bit false --optim adamw_torch and name a small model."
            )
        given = {"quantization_config": get_quantization_config(model_args), "device_map": {"": device}}
    if model_args.model_name_or_path == RANDOM_LLAMA:
        return AutoModelForCausalLM.from_config(config).to(device)
    model = AutoModelForCausalLM.from_pretrained(
        str(model_args.model_name_or_path), config=config, revision=model_args.model_revision,
        trust_remote_code=training.trust_remote_code, attn_implementation=model_args.attn_implementation,
        dtype=model_args.dtype, **given,
    )  # fmt: skip
    return model if given else model.to(device)


# ---------------------------------------------------------------------- training and testing
def make_trainer(model: Any, tokenizer: Any, rows: Dataset, training: SFTConfig, model_args: ModelConfig) -> Any:
    """TRL's trainer on encoded rows, its loss on the answers, or on all tokens with `completion_only_loss: false`."""
    train = rows.map(
        lambda row: {
            "input_ids": row["prompt"] + row["answer"],
            "completion_mask": [0] * len(row["prompt"]) + [1] * len(row["answer"]),
        },
        remove_columns=rows.column_names,
        desc="Joining prompts and answers",
    )
    peft = get_peft_config(model_args)
    return SFTTrainer(model, training, train_dataset=train, processing_class=tokenizer, peft_config=peft)


def last_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that was written to its end: the trainer's state comes last."""
    whole = [state.parent for state in folder.glob("checkpoint-*/trainer_state.json")]
    return str(max(whole, key=lambda path: int(path.name.rpartition("-")[2]))) if whole else None


def train(
    name: str, model: Any, tokenizer: Any, rows: Dataset, training: SFTConfig, model_args: ModelConfig
) -> tuple[Any, int]:
    """The model fine-tuned on encoded rows, in a folder of its own, and the steps that it took."""
    training = copy.copy(training)
    output = Path(str(training.output_dir), name)
    training.output_dir = str(output)
    training.run_name = f"{training.run_name or output.parent.name}-{name}"
    training.chat_template_path = None  # the tokenizer has it already
    trainer = make_trainer(model, tokenizer, rows, training, model_args)
    trainer.train(resume_from_checkpoint=last_checkpoint(output))
    if "wandb" in (training.report_to or ()) and PartialState().is_main_process:
        import wandb

        wandb.finish()  # else the next version would go on in this one's run
    return trainer.model, trainer.state.global_step


def evaluate(model: Any, prompter: Prompter, test: Dataset, training: SFTConfig) -> tuple[np.ndarray, np.ndarray]:
    """Which test rows are right by label and by exact match. Each process answers its share; all get the whole."""
    clear_device_cache(garbage_collection=True)  # of the optimiser
    state, size = PartialState(), training.per_device_eval_batch_size
    found: list[tuple[int, bool, bool]] = []
    lengths = [len(prompt) for prompt in test["prompt"]]
    # Equal lengths together waste no padding; the longest first show at once whether they fit into memory.
    order = sorted(range(len(test)), key=lengths.__getitem__, reverse=True)
    mine = order[state.process_index :: state.num_processes]
    own = model.generation_config.eos_token_id
    ends = {prompter.end, prompter.tokenizer.eos_token_id, *(own if isinstance(own, list) else [own])} - {None}
    model.eval()
    half = torch.float16 if training.fp16 else torch.bfloat16
    with torch.autocast(model.device.type, half, enabled=bool(training.bf16 or training.fp16)):
        for start in tqdm(range(0, len(mine), size), desc="Testing", disable=training.disable_tqdm):
            rows = test[mine[start : start + size]]
            candidates = [prompter.candidates(task) for task in rows["task"]]
            # One more than the longest label takes: so it shows when an answer goes on after it.
            scores, written = ask(model, rows["prompt"], candidates, ends, prompter.longest + 1)
            answers = prompter.tokenizer.batch_decode(
                written, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
            best = [prompter.tasks[task][int(np.argmax(s))] for task, s in zip(rows["task"], scores, strict=True)]
            for row, label, answer, name in zip(mine[start:], best, answers, rows["label"], strict=False):
                found.append((row, label == name, said(answer) == said(name)))
    table = np.array([right for _, *right in sorted(gather_object(found))])
    return table[:, 0], table[:, 1]


# ---------------------------------------------------------------------- results
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


def digest(rows: Dataset) -> str:
    """A fingerprint of texts and labels, the same in every process and at every start."""
    state = hashlib.sha256()
    for batch in rows.iter(1000):
        state.update(json.dumps([batch[name] for name in EXAMPLE]).encode())
    return state.hexdigest()[:16]


def settings_of(
    args: AttackArguments, training: SFTConfig, model_args: ModelConfig, clean: Dataset, test: Dataset
) -> dict[str, Any]:
    """How it was measured, without what is secret: the seed and the words of the protection."""
    described = {k: v for k, v in asdict(args).items() if k not in ("versions", "parameters")}
    if args.method:
        described["parameters"] = method_class(args.method)(**args.method_parameters).public_params()
    described |= {k: v for k, v in asdict(model_args).items() if v is not None}
    described |= {name: getattr(training, name) for name in TRAINING_SETTINGS}
    described |= {"num_processes": PartialState().num_processes, "test_row_count": len(test)}
    described |= {"clean_digest": digest(clean), "test_digest": digest(test)}
    return json.loads(json.dumps(described, default=str))


def write_json(file: Path, contents: Any) -> None:
    """Whole or not at all."""
    write_file(file, json.dumps(contents, indent=1) + "\n")


def kept_result(folder: Path, settings: dict[str, Any]) -> Result | None:
    """The result of a version that an earlier start finished; None if it is still to be trained, or to its end.

    Raises:
        ValueError: What lies there was made with other settings or of other rows.
    """
    file = folder / "result.json"
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"settings": {}, "result": None}
    if before["result"] or last_checkpoint(folder):
        other = [name for name in settings if before["settings"].get(name) != settings[name]]
        if other:
            raise ValueError(
                f"{folder} holds what was trained with other settings or data: {', '.join(other)} differ. Give "
                "another --output_dir, or move the folder away."
            )
    if before["result"]:
        intervals = {name: Interval(**before["result"][name]) for name in ("label_accuracy", "exact_match")}
        return Result(**{**before["result"], **intervals})
    folder.mkdir(parents=True, exist_ok=True)
    write_json(file, {"settings": settings, "result": None})
    return None


def write_results(output: Path, results: dict[str, Result], settings: dict[str, Any]) -> str:
    """Writes `results.json` and `results.md`, and returns the table."""
    libraries = ("hf-unlearnable", "torch", "transformers", "trl", "peft", "accelerate", "datasets")
    protocol = {**settings, "library_versions": {name: version(name) for name in libraries}}
    write_json(output / "results.json", {"protocol": protocol, "results": [asdict(r) for r in results.values()]})
    lines = ["| trained on | label, % | exact match, % | rows | steps | cut |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {r.version} | {r.label_accuracy} | {r.exact_match} | {r.train_rows} | {r.steps} | {r.truncated_rows} |"
        for r in results.values()
    ]
    if "clean" in results and results["clean"].label_accuracy.low <= results[ZERO_SHOT].label_accuracy.high:
        lines += ["", "Clean data did not surely teach this model anything: what it did not learn proves nothing."]
    about = "With 95 % intervals over the test rows; one training each, so how much trainings differ is not in them."
    notes = [f"- {name}: {value}" for name, value in protocol.items() if value is not None]
    write_file(output / "results.md", "\n".join([*lines, "", about, "", *notes]) + "\n")
    return "\n".join(lines)


def main(args: AttackArguments, training: SFTConfig, model_args: ModelConfig) -> None:
    """Runs zero-shot and every version, one after the other, and writes the table."""
    state = PartialState()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logger.setLevel(logging.INFO if state.is_main_process else logging.ERROR)
    if not model_args.model_name_or_path:
        raise ValueError(f"model_name_or_path is missing: a Hub id, a folder or {RANDOM_LLAMA!r}.")
    sharded = training.fsdp or os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"
    if sharded or (training.deepspeed_plugin and training.deepspeed_plugin.zero_stage == 3):
        raise ValueError("This script tests a whole model on each device: use DDP, ZeRO-1 or ZeRO-2.")
    output = Path(str(training.output_dir))
    output.mkdir(parents=True, exist_ok=True)

    data, test, tasks = load_data(args, output)
    tokenizer, config = load_tokenizer(model_args, training, data["clean"]["text"])
    reach = getattr(config.get_text_config(), "max_position_embeddings", None)
    training.max_length = min(n for n in (training.max_length, reach, tokenizer.model_max_length) if n)
    prompter = Prompter(tokenizer, args.prompt_style, training.max_length, tasks)
    settings = settings_of(args, training, model_args, data["clean"], test)

    # What is done is looked up once and by one process: files of its own are not the business of the others.
    own = {ZERO_SHOT: settings, **{name: {**settings, "digest": digest(data[name])} for name in args.versions}}
    kept = {name: kept_result(output / name, own[name]) for name in own} if state.is_main_process else {}
    kept = broadcast_object_list([kept])[0]
    asked = encode(test, prompter, args.instruction)
    logger.info("%d test rows, %d cut to max_length %d", len(test), sum(asked["truncated"]), training.max_length)

    results: dict[str, Result] = {}
    for name in own:
        rows = data.get(name, ())
        if kept[name]:
            results[name] = kept[name]
        elif name != ZERO_SHOT and not len(rows):
            results[name] = replace(results[ZERO_SHOT], version=name)
        else:
            start, steps, cut = time.perf_counter(), 0, 0
            model = load_model(config, model_args, training)
            if name != ZERO_SHOT:
                encoded = encode(rows, prompter, args.instruction)
                cut = sum(encoded["truncated"])
                logger.info("%s: %d of %d texts cut to max_length %d", name, cut, len(rows), training.max_length)
                model, steps = train(name, model, tokenizer, encoded, training, model_args)
            label, exact = (accuracy_interval(r[None, :]) for r in evaluate(model, prompter, asked, training))
            del model  # the next version loads its own
            seconds = round(time.perf_counter() - start, 1)
            results[name] = Result(name, label, exact, len(rows), steps, cut, seconds)
        if state.is_main_process and not kept[name]:
            write_json(output / name / "result.json", {"settings": own[name], "result": asdict(results[name])})
        logger.info("%s: label %s, exact match %s%s", name, results[name].label_accuracy, results[name].exact_match,
                    " (kept from before)" if kept[name] else "")  # fmt: skip
    if state.is_main_process:
        logger.info("%s\nWritten to %s", write_results(output, results, settings), output)
    state.wait_for_everyone()
    state.destroy_process_group()


if __name__ == "__main__":
    main(*parse())
