"""A causal language model as a victim, by LoRA or in all weights."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, islice, product
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import class_indices, victim
from hf_unlearnable.adversary.loop import device
from hf_unlearnable.text.victims.training import TextTraining

if TYPE_CHECKING:
    from datasets import Dataset

    from hf_unlearnable.text.language_model.prompts import Prompter

_LOOKED_AT = 64  # training rows that `on_epoch` is told the accuracy of


@victim("text", TextTraining, epochs=3, batch_size=16, max_length=128, hooks=("on_epoch",))
def causal_lm(
    train_texts: Sequence[str],
    train_labels: Sequence[int],
    test_texts: Sequence[str],
    training: TextTraining,
    *,
    model: str,
    lora: bool = True,
    rank: int = 16,
    learning_rate: float | None = None,
    class_names: Sequence[str] | None = None,
    instruction: str = "Classify the text. Answer with one of: {labels}.",
    prompt_style: str | None = None,
    max_rows: int | None = None,
) -> np.ndarray:
    """A pretrained causal language model, fine-tuned by TRL to answer a prompt with the name of a class.

    As language models are fine-tuned today: by LoRA (Hu et al., ICLR 2022, arXiv:2106.09685) on all linear layers, or
    in all weights. The loss is on the answer only, with AdamW and a cosine schedule. Its answer is the class whose
    name it finds likeliest, so that it always answers with a class. With `epochs=0` it is asked as it is: zero-shot.

    Args:
        train_texts: n training texts.
        train_labels: their n integer labels.
        test_texts: m texts to label.
        training: how to train; only the text of a prompt is ever cut to `max_length`. `on_epoch` is told the
            accuracy on at most 64 of the training rows.
        model: a causal language model's id on the Hub or a local folder, with its tokenizer; 32 bits per weight.
        lora: whether to train low-rank adapters only.
        rank: of the adapters.
        learning_rate: peak of the schedule; None for 0.4 / width of the model with LoRA and 0.15 / width without.
            Wider models take smaller steps (4,096 with LoRA: 1e-4).
        class_names: of the labels 0, 1, ...; None for "A", "B", ..., which mean nothing to a model before training.
        instruction: what the model is told; {labels} stands for the names.
        prompt_style: "alpaca", "chat", or "plain" (the text and "Label:", without instruction); None for "chat" where
            the model has a chat template, else "plain".
        max_rows: train on at most so many rows, drawn with the seed; None for all.

    Returns:
        Predicted labels, int array of shape [m].

    Raises:
        ImportError: torch, transformers or trl is not installed, or peft with `lora=True`.
        OSError: the model cannot be found or loaded.
        ValueError: as in `small_llama`. It is no causal language model, its classes have no names that it can tell
            apart, or max_length leaves no room for a text.
    """
    require("attack", "torch", "transformers", "trl", *(["peft"] if lora else []))
    import torch
    from transformers import AutoModelForCausalLM

    from hf_unlearnable.text.language_model.loading import load_tokenizer
    from hf_unlearnable.text.language_model.prompts import Prompter
    from hf_unlearnable.text.language_model.training import computes_bf16

    classes, targets = class_indices(train_texts, train_labels, test_texts)
    drawn = np.random.default_rng(training.seed).permutation(len(targets))[:max_rows]
    if len(drawn) < len(targets):
        train_texts, targets = [train_texts[i] for i in drawn], targets[drawn]
    names = _names(classes, class_names)
    tokenizer, config = load_tokenizer(model)
    sizes = config.get_text_config()
    style = prompt_style or ("chat" if tokenizer.chat_template else "plain")
    prompter = Prompter(tokenizer, style, min(training.max_length, sizes.max_position_embeddings), {"": names})
    usual = (0.4 if lora else 0.15) / sizes.hidden_size
    training = replace(training, learning_rate=usual if learning_rate is None else learning_rate)
    half = torch.bfloat16 if computes_bf16(device()) else None

    def predicted(language_model: Any, rows: Dataset) -> np.ndarray:
        return classes[_best(language_model, prompter, rows, 2 * training.batch_size, half)]

    with _undisturbed(training.seed):
        test = _asked(test_texts, [names[0]] * len(test_texts), prompter, instruction)
        language_model: Any = AutoModelForCausalLM.from_pretrained(model, config=config, dtype=torch.float32)
        language_model.to(device())
        if not training.epochs:
            return predicted(language_model, test)
        train = _asked(train_texts, [names[i] for i in targets], prompter, instruction)
        some = np.linspace(0, len(train) - 1, min(len(train), _LOOKED_AT)).astype(int)
        told: list[np.ndarray] = []

        def tell(language_model: Any) -> None:
            right = predicted(language_model, train.select(some)) == classes[targets[some]]
            told.append(predicted(language_model, test))
            if training.on_epoch is not None:
                training.on_epoch(float(right.mean()), told[-1].copy())

        trained = _fine_tuned(
            language_model, tokenizer, train, training, rank if lora else None, half is not None, tell
        )
        return told[-1] if told else predicted(trained, test)


def _best(language_model: Any, prompter: Prompter, rows: Dataset, batch_size: int, dtype: Any) -> np.ndarray:
    """Index of the likeliest answer of each row."""
    from hf_unlearnable.text.language_model.scoring import answers

    found = np.empty(len(rows), dtype=int)
    for answer in answers(language_model, prompter, rows, batch_size=batch_size, dtype=dtype):
        found[answer.row] = answer.best
    return found


def _asked(texts: Sequence[str], labels: Sequence[str], prompter: Prompter, instruction: str) -> Dataset:
    """Rows with the prompts of texts and the answers to them."""
    from datasets import Dataset

    from hf_unlearnable.text.language_model.prompts import encode

    rows = [
        {"text": text, "label": label, "task": "", "instruction": ""}
        for text, label in zip(texts, labels, strict=True)
    ]
    return encode(Dataset.from_list(rows), prompter, instruction)


def _names(classes: np.ndarray, given: Sequence[str] | None) -> list[str]:
    """The names of the classes: those given, by label, or letters."""
    if given is None:
        letters = [chr(65 + i) for i in range(26)]
        return list(islice(chain(letters, map("".join, product(letters, repeat=2))), len(classes)))
    if not 0 <= classes[0] <= classes[-1] < len(given):
        raise ValueError(
            f"class_names has {len(given)} names, and the labels are {classes.tolist()}. Name each from 0 on."
        )
    return [given[label] for label in classes]


def _adapters(rank: int) -> Any:
    from peft import LoraConfig

    return LoraConfig(
        r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )


def _fine_tuned(
    model: Any, tokenizer: Any, rows: Any, training: TextTraining, rank: int | None, bf16: bool,
    tell: Callable[[Any], None],
) -> Any:  # fmt: skip
    """The model after its training; `tell` is called with it after each epoch, if anyone listens."""
    import torch
    from transformers import PrinterCallback, TrainerCallback
    from trl import SFTConfig

    from hf_unlearnable.text.language_model.prompts import shared_start
    from hf_unlearnable.text.language_model.training import LONGEST_SEQUENCE, make_trainer

    alike = shared_start(rows["prompt"][:])
    longest = max(len(p) + len(a) for p, a in zip(rows["prompt"], rows["answer"], strict=True))
    fits = max(1, LONGEST_SEQUENCE // (longest - alike))
    micro = max(n for n in range(1, min(fits, training.batch_size) + 1) if training.batch_size % n == 0)
    steps = training.epochs * -(-len(rows) // training.batch_size)
    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            output_dir=folder, num_train_epochs=training.epochs, seed=training.seed,
            per_device_train_batch_size=micro, gradient_accumulation_steps=training.batch_size // micro,
            learning_rate=training.learning_rate, lr_scheduler_type="cosine", warmup_steps=round(0.1 * steps),
            completion_only_loss=True, bf16=bf16, gradient_checkpointing=False, max_length=None, save_strategy="no",
            logging_strategy="no", report_to="none", disable_tqdm=True, use_cpu=not torch.cuda.is_available(),
        )  # fmt: skip
        arguments._n_gpu = min(1, arguments.n_gpu)  # on several the batch would be another
        trainer = make_trainer(model, tokenizer, rows, arguments, None if rank is None else _adapters(rank))
        trainer.remove_callback(PrinterCallback)
        if training.on_epoch is not None:

            class Listener(TrainerCallback):
                def on_epoch_end(self, *state: Any, **more: Any) -> None:
                    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
                        tell(trainer.model)

            trainer.add_callback(Listener())
        trainer.train()
    return trainer.model


@contextmanager
def _undisturbed(seed: int) -> Iterator[None]:
    """Seeds the generators that the trainer seeds, gives them back as they were, and shows no progress bars."""
    import torch
    from datasets import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
    from transformers import set_seed

    bars = not are_progress_bars_disabled()
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002, what the trainer seeds
    disable_progress_bars()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            set_seed(seed)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        if bars:
            enable_progress_bars()
