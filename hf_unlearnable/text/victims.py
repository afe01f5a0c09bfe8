"""Text classifiers that an adversary may train: two that count words, one from scratch, two pretrained.

They fail in different ways, which is why there are several. The linear model and naive Bayes count words and do not
see their order. The small Llama sees order, but has to learn the language from your rows alone. The pretrained encoder
and the causal language model already know it, need few examples, and are usually the hardest to keep from learning.

Each is a `Victim`, called as `victim(train_texts, train_labels, test_texts, seed=0, **settings)`. What its docstring
does not name among its settings is described in `TextTraining`. The neural victims use a GPU when there is one. On one
machine's CPU the same seed gives the same predictions every time; on a GPU some sums are done in no fixed order, and
training can grow such a last-bit difference into other answers on close calls. The caller's torch generators are left
as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.adversary import Training, Victim, victim

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class TextTraining(Training):
    """How a text victim trains: the fields of `Training`, and one more. The schedule is one cycle of AdamW.

    Args:
        max_length: Longest input in tokens; the rest of a text is cut.
    """

    max_length: int = 128


@victim("text", hooks=("on_epoch",))
def tfidf_logistic_regression(
    train_texts: Sequence[str],
    train_labels: Sequence[int],
    test_texts: Sequence[str],
    training: Training,
    *,
    C: float = 10.0,  # noqa: N803, scikit-learn's name
    ngram_range: tuple[int, int] = (1, 2),
) -> np.ndarray:
    """Logistic regression on TF-IDF weighted words and word pairs: seconds, and strong when words give the label away.

    Nothing here is random: all seeds give the same answer.

    Args:
        train_texts: n training texts.
        train_labels: their n integer labels.
        test_texts: m texts to label.
        training: seed and `on_epoch`, which is called once.
        C: inverse strength of the L2 penalty, above 0.
        ngram_range: shortest and longest n-gram counted, in words.

    Returns:
        Predicted labels, int array of shape [m].

    Raises:
        ImportError: scikit-learn is not installed.
        ValueError: no test texts, or train_labels that are not one integer per text from at least two classes.
    """
    require("attack", "sklearn")
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    classifier = LogisticRegression(C=C, max_iter=1000, random_state=training.seed)
    return _fit_and_predict(
        TfidfVectorizer(ngram_range=ngram_range), classifier, train_texts, train_labels, test_texts, training
    )


@victim("text", hooks=("on_epoch",))
def naive_bayes(
    train_texts: Sequence[str], train_labels: Sequence[int], test_texts: Sequence[str], training: Training
) -> np.ndarray:
    """Multinomial naive Bayes on word counts: every word weighs by itself, so an inserted one hides no other.

    Data, result and errors are those of `tfidf_logistic_regression`, and nothing here is random either.
    """
    require("attack", "sklearn")
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB

    return _fit_and_predict(CountVectorizer(), MultinomialNB(), train_texts, train_labels, test_texts, training)


def _fit_and_predict(
    vectorizer: Any,
    classifier: Any,
    train_texts: Sequence[str],
    train_labels: Sequence[int],
    test_texts: Sequence[str],
    training: Training,
) -> np.ndarray:
    """What the two victims that count words share, with scikit-learn's vectorizer and classifier."""
    classes, targets = _class_indices(train_texts, train_labels, test_texts)
    words = vectorizer.build_analyzer()
    if not any(words(text) for text in train_texts):  # such as where only empty texts were left unprotected
        guess = np.bincount(targets).argmax()
        predicted = np.full(len(test_texts), classes[guess])
        if training.on_epoch is not None:
            training.on_epoch(float((targets == guess).mean()), predicted.copy())
        return predicted
    counts = vectorizer.fit_transform(train_texts)
    classifier.fit(counts, targets)
    predicted = classes[classifier.predict(vectorizer.transform(test_texts))]
    if training.on_epoch is not None:
        training.on_epoch(float((classifier.predict(counts) == targets).mean()), predicted.copy())
    return predicted


@victim("text", TextTraining, epochs=12, batch_size=16, learning_rate=3e-3, max_length=128, hooks=("on_epoch",))
def small_llama(
    train_texts: Sequence[str],
    train_labels: Sequence[int],
    test_texts: Sequence[str],
    training: TextTraining,
    *,
    vocab_size: int = 4096,
    hidden_size: int = 128,
    num_hidden_layers: int = 1,
    num_attention_heads: int = 4,
) -> np.ndarray:
    """A small Llama-style classifier and its own tokenizer, both trained from nothing on the training texts.

    The defaults suit hundreds or a few thousand short texts, where one block learns as much as two in half the time.

    Args:
        train_texts: n training texts.
        train_labels: their n integer labels.
        test_texts: m texts to label.
        training: how to train; the end token that every text gets is part of `max_length`.
        vocab_size: largest size of the byte-level BPE vocabulary; few texts give a smaller one.
        hidden_size: width of the model, a multiple of `2 * num_attention_heads`.
        num_hidden_layers: number of transformer blocks.
        num_attention_heads: attention heads per block.

    Returns:
        Predicted labels, int array of shape [m].

    Raises:
        ImportError: torch, transformers or tokenizers is not installed.
        ValueError: no test texts, or train_labels that are not one integer per text from at least two classes.
    """
    require("attack", "torch", "transformers", "tokenizers")
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForSequenceClassification

    classes, targets = _class_indices(train_texts, train_labels, test_texts)

    pad, end = 0, 1  # the trainer numbers special tokens first, in this order
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.train_from_iterator(
        train_texts,
        trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=["<pad>", "<end>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )

    def encode(texts: Sequence[str]) -> list[list[int]]:
        # Llama classifies from the last token that is not padding. Ending every text with the same token gives it one
        # place to learn to gather the text in, and gives an empty text something to be.
        return [[*encoding.ids[: training.max_length - 1], end] for encoding in tokenizer.encode_batch(list(texts))]

    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=hidden_size,
        intermediate_size=2 * hidden_size,
        num_hidden_layers=num_hidden_layers,
        num_attention_heads=num_attention_heads,
        max_position_embeddings=training.max_length,
        pad_token_id=pad,
        bos_token_id=None,
        eos_token_id=end,
    )
    config.num_labels = len(classes)
    with _one_thread():
        return _train_and_predict(
            lambda: LlamaForSequenceClassification(config),
            encode(train_texts),
            targets,
            encode(test_texts),
            classes=classes,
            pad_token_id=pad,
            training=training,
        )


@victim("text", TextTraining, epochs=2, batch_size=32, learning_rate=1e-4, max_length=64, hooks=("on_epoch",))
def finetuned_encoder(
    train_texts: Sequence[str],
    train_labels: Sequence[int],
    test_texts: Sequence[str],
    training: TextTraining,
    *,
    model: str = "sentence-transformers/all-MiniLM-L6-v2",
) -> np.ndarray:
    """A pretrained encoder with a new classification head, all of its weights fine-tuned.

    Args:
        train_texts: n training texts.
        train_labels: their n integer labels.
        test_texts: m texts to label.
        training: how to train.
        model: a model id on the Hub or a local folder, with its tokenizer.

    Returns:
        Predicted labels, int array of shape [m].

    Raises:
        ImportError: torch or transformers is not installed.
        OSError: the model cannot be found or loaded.
        ValueError: as in `small_llama`, or the tokenizer has no padding token.
    """
    require("attack", "torch", "transformers")
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    classes, targets = _class_indices(train_texts, train_labels, test_texts)
    tokenizer = AutoTokenizer.from_pretrained(model)
    if tokenizer.pad_token_id is None:
        raise ValueError(f"the tokenizer of {model!r} has no padding token; use an encoder such as the default model")

    def encode(texts: Sequence[str]) -> list[list[int]]:
        return tokenizer(list(texts), truncation=True, max_length=training.max_length)["input_ids"]

    def build() -> torch.nn.Module:
        # .float(): some checkpoints are stored in half precision, in which AdamW loses small updates.
        return AutoModelForSequenceClassification.from_pretrained(
            model, num_labels=len(classes), ignore_mismatched_sizes=True
        ).float()

    return _train_and_predict(
        build,
        encode(train_texts),
        targets,
        encode(test_texts),
        classes=classes,
        pad_token_id=tokenizer.pad_token_id,
        training=training,
    )


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
) -> np.ndarray:
    """A pretrained causal language model, fine-tuned to complete "<text>, line break, Label:" with a class.

    As language models are fine-tuned today: by LoRA (Hu et al., ICLR 2022, arXiv:2106.09685) on all linear layers, or
    in all weights; with the loss on the completion only. Its classes are single tokens (letters, then any others), and
    the loss and the answer are the log-probabilities among these, so that it always answers with a class.

    Args:
        train_texts: n training texts.
        train_labels: their n integer labels.
        test_texts: m texts to label.
        training: how to train; "Label:" is part of `max_length` and is never cut.
        model: a causal language model's id on the Hub or a local folder, with its tokenizer; 32 bits per weight.
        lora: whether to train low-rank adapters only.
        rank: of the adapters.
        learning_rate: peak of the one-cycle schedule; None for 0.4 / width of the model with LoRA and 0.15 / width
            without: wider models take smaller steps (4,096 with LoRA: 1e-4).

    Returns:
        Predicted labels, int array of shape [m].

    Raises:
        ImportError: torch or transformers is not installed, or peft with `lora=True`.
        OSError: the model cannot be found or loaded.
        ValueError: as in `small_llama`, or more classes than tokens, or a max_length with no room for a text.
    """
    require("attack", "torch", "transformers", *(["peft"] if lora else []))
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    classes, targets = _class_indices(train_texts, train_labels, test_texts)
    tokenizer = AutoTokenizer.from_pretrained(model)
    answers = _class_tokens(tokenizer, len(classes))
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    question = tokenizer("\nLabel:", add_special_tokens=False)["input_ids"]
    taken = len(start) + len(question)
    room = training.max_length - taken
    if room < 1:
        raise ValueError(f"max_length is {training.max_length}, but the start and 'Label:' take {taken} tokens.")

    def encode(texts: Sequence[str]) -> list[list[int]]:
        return [start + ids[:room] + question for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]

    if learning_rate is None:
        learning_rate = (0.4 if lora else 0.15) / AutoConfig.from_pretrained(model).get_text_config().hidden_size

    def build() -> torch.nn.Module:
        language_model: Any = AutoModelForCausalLM.from_pretrained(model).float()
        if lora:
            from peft import LoraConfig, get_peft_model

            language_model = get_peft_model(
                language_model, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
            )
        return _class_completion(language_model, answers)

    return _train_and_predict(
        build,
        encode(train_texts),
        targets,
        encode(test_texts),
        classes=classes,
        pad_token_id=0,  # any will do: what is masked is not seen
        training=replace(training, learning_rate=learning_rate),
    )


def _class_tokens(tokenizer: Any, number: int) -> list[int]:
    """As many different tokens: those that " A" to " Z" end with, then others of the vocabulary, none special."""
    letters = [tokenizer(f" {chr(65 + i)}", add_special_tokens=False)["input_ids"][-1] for i in range(26)]
    special = set(tokenizer.all_special_ids)
    tokens = [token for token in dict.fromkeys([*letters, *range(len(tokenizer))]) if token not in special]
    if len(tokens) < number:
        raise ValueError(f"{number} classes, but the tokenizer has {len(tokens)} tokens to name them with.")
    return tokens[:number]


def _class_completion(language_model: Any, answers: list[int]) -> torch.nn.Module:
    """A classifier: the logits of the answers behind the last token."""
    import torch
    from transformers.modeling_outputs import SequenceClassifierOutput

    class ClassCompletion(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.language_model = language_model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SequenceClassifierOutput:
            # Padding moves to the left: the last tokens then stand in one column, and only its logits are computed.
            width = input_ids.shape[1]
            shift = width - attention_mask.sum(1, keepdim=True)
            columns = (torch.arange(width, device=input_ids.device) - shift) % width
            mask = attention_mask.gather(1, columns)
            logits = self.language_model(
                input_ids=input_ids.gather(1, columns),
                attention_mask=mask,
                position_ids=(mask.cumsum(1) - 1).clamp(min=0),
                logits_to_keep=1,
            ).logits
            return SequenceClassifierOutput(logits=logits[:, -1, answers])

    return ClassCompletion()


@contextmanager
def _one_thread() -> Iterator[None]:
    """A model this small gains nothing from threads, and threads that wait for a busy core cost much more than it."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _class_indices(
    texts: Sequence[str], labels: Sequence[int], test_texts: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Check the input; return the sorted classes, shape [k], and each label's place among them, shape [n]."""
    if len(texts) != len(labels):
        raise ValueError(f"{len(texts)} train_texts but {len(labels)} train_labels; give one label per text")
    if len(test_texts) == 0:
        raise ValueError("test_texts is empty; a victim is judged on at least one text")
    given = np.asarray(labels)
    if given.dtype.kind not in "iu":
        raise ValueError(f"train_labels must be integers, got {given.dtype}; encode or drop the rows without a class")
    classes, targets = np.unique(given, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"train_labels hold {len(classes)} class(es); a classifier needs at least two")
    return classes, targets


def _train_and_predict(
    build: Callable[[], torch.nn.Module],
    train_ids: list[list[int]],
    targets: np.ndarray,
    test_ids: list[list[int]],
    *,
    classes: np.ndarray,
    pad_token_id: int,
    training: Training,
) -> np.ndarray:
    """Build a classifier, train it with AdamW on a one-cycle schedule, label the test rows.

    Args:
        build: makes the model; called once, with the generator already seeded.
        train_ids: n lists of token ids, unpadded.
        targets: class indices, int array [n].
        test_ids: m lists of token ids, unpadded.
        classes: the label of each class index [k].
        pad_token_id: what fills shorter rows of a batch.
        training: how to train.

    Returns:
        Predicted labels, int array [m].
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    labels = torch.as_tensor(targets)
    lengths = torch.tensor([len(ids) for ids in train_ids])

    def logits(ids: list[list[int]], rows: torch.Tensor) -> torch.Tensor:
        batch = [torch.tensor(ids[row]) for row in rows.tolist()]
        input_ids = torch.nn.utils.rnn.pad_sequence(batch, batch_first=True, padding_value=pad_token_id)
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in batch], batch_first=True)
        return model(input_ids=input_ids.to(device), attention_mask=mask.to(device)).logits

    def predict() -> np.ndarray:
        model.eval()
        predicted = np.empty(len(test_ids), dtype=int)
        by_length = torch.tensor([len(ids) for ids in test_ids]).argsort(stable=True)
        with torch.inference_mode():
            for rows in by_length.split(4 * training.batch_size):
                predicted[rows.numpy()] = logits(test_ids, rows).argmax(-1).cpu().numpy()
        return classes[predicted]

    # Initial weights and dropout draw from torch's global generator: borrow it, seed it, give it back as it was.
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(training.seed)
        order = torch.Generator().manual_seed(training.seed)
        model = build().to(device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=training.learning_rate, fused=True)
        total_steps = training.epochs * -(-len(train_ids) // training.batch_size)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, training.learning_rate, total_steps=total_steps)
        for _ in range(training.epochs):
            model.train()
            correct = 0
            for rows in _length_batches(lengths, training.batch_size, order):
                scores = logits(train_ids, rows)
                loss = torch.nn.functional.cross_entropy(scores, labels[rows].to(device))
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                if training.on_epoch is not None:
                    correct += int((scores.argmax(-1).cpu() == labels[rows]).sum())
            if training.on_epoch is not None:
                predicted = predict()
                with torch.random.fork_rng(devices=devices):  # it may draw, too
                    training.on_epoch(correct / len(train_ids), predicted.copy())
    return predict() if training.on_epoch is None else predicted


def _length_batches(lengths: torch.Tensor, batch_size: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """One epoch of row numbers, in random batches of similar length.

    Shuffle, cut into pools of eight batches, sort each pool by length, batch it, and shuffle the batches. Little
    padding is left to compute on, and every epoch still mixes the rows anew.
    """
    import torch

    batches = []
    for pool in torch.randperm(len(lengths), generator=generator).split(8 * batch_size):
        batches += pool[lengths[pool].argsort(stable=True)].split(batch_size)
    for i in torch.randperm(len(batches), generator=generator).tolist():
        yield batches[i]


TEXT_VICTIMS: dict[str, Victim] = {
    "tfidf_logistic_regression": tfidf_logistic_regression,
    "naive_bayes": naive_bayes,
    "small_llama": small_llama,
    "finetuned_encoder": finetuned_encoder,
    "causal_lm": causal_lm,
}
