"""How a causal language model is fine-tuned: TRL's trainer on prompts and answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hf_unlearnable.text.language_model.prompts import shared_start

if TYPE_CHECKING:
    import torch
    from datasets import Dataset


LONGEST_SEQUENCE = 1024  # tokens; the attention over all rows of a longer batch takes more than it saves


def computes_bf16(device: str) -> bool:
    """Whether a device ("cuda", "cpu", ...) has instructions for bfloat16; without them it takes many times as long.

    Args:
        device: Type of a torch device.
    """
    import torch

    if device == "cuda":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return device == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def make_trainer(model: Any, tokenizer: Any, rows: Dataset, training: Any, peft_config: Any = None) -> Any:
    """TRL's trainer, its loss on the answers, or on all tokens with `completion_only_loss=False`.

    On a CPU, short prompts are read as `SharedPrefix` does it, and logits are computed where there is a loss, which
    gives the same loss in less than half of the time where half of a prompt is alike.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer, with a padding token.
        rows: Columns prompt and answer (token ids), as `prompts.encode` makes them.
        training: An `SFTConfig`.
        peft_config: Adapters to train instead of all weights.

    Returns:
        An `SFTTrainer`.
    """
    from torch.nn.functional import cross_entropy
    from trl import SFTTrainer

    joined = rows.map(
        lambda row: {
            "input_ids": row["prompt"] + row["answer"],
            "completion_mask": [0] * len(row["prompt"]) + [1] * len(row["answer"]),
        },
        remove_columns=rows.column_names,
        desc="Joining prompts and answers",
    )
    given = {"train_dataset": joined, "processing_class": tokenizer, "peft_config": peft_config}
    if not shares_prefix(model, rows["prompt"][:], training):
        return SFTTrainer(model, training, **given)

    class SharedPrefixTrainer(SFTTrainer):
        """TRL 1.16 computes the logits of every position on a CPU, a third of the time of a small model."""

        def compute_loss(self, model: Any, inputs: dict, return_outputs: bool = False, num_items_in_batch: Any = None):
            labels = inputs.pop("labels")[0, 1:]
            asked = (labels != -100).nonzero()[:, 0]
            outputs = model(**inputs, logits_to_keep=asked, use_cache=False)
            loss = cross_entropy(outputs.logits[0].float(), labels[asked], reduction="sum")
            loss = loss / (len(asked) if num_items_in_batch is None else num_items_in_batch)
            return (loss, outputs) if return_outputs else loss

    return SharedPrefixTrainer(model, training, data_collator=SharedPrefix(), **given)


def shares_prefix(model: Any, prompts: Sequence[list[int]], training: Any) -> bool:
    """Whether a batch may be read as one sequence: full attention, a usual loss, and not too long to be quicker."""
    usual = training.completion_only_loss and training.loss_type == "nll" and not training.label_smoothing_factor
    usual = usual and not training.packing and not training.padding_free
    config = model.config.get_text_config()
    full = config._attn_implementation == "sdpa" and not getattr(config, "sliding_window", None)
    alike = shared_start(prompts)
    own = sum(map(len, prompts)) / len(prompts) - alike
    length = alike + own * training.per_device_train_batch_size
    return bool(usual and full and model.device.type == "cpu" and length <= LONGEST_SEQUENCE)


class SharedPrefix:
    """Puts the rows of a batch into one sequence that holds what they all begin with only once.

    Every row sees the shared start and itself, at the places that it would have alone: no row is padded, and the loss
    is that of the rows side by side.
    """

    def __call__(self, rows: Sequence[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        """The batch, with an attention mask [1, 1, length, length].

        Args:
            rows: input_ids and labels (-100 for what carries no loss, which the shared start is part of).
        """
        import torch

        ids = [row["input_ids"] for row in rows]
        unlabelled = min(next(i for i, label in enumerate(row["labels"]) if label != -100) for row in rows)
        shared = min(shared_start(ids), unlabelled - 1)
        own = torch.tensor([0] * shared + [n for n, row in enumerate(ids, 1) for _ in row[shared:]])
        sees = (own[:, None] == own) | (own == 0)
        return {
            "input_ids": torch.tensor([ids[0][:shared] + [token for row in ids for token in row[shared:]]]),
            "labels": torch.tensor([[-100] * shared + [label for row in rows for label in row["labels"][shared:]]]),
            "position_ids": torch.tensor([[*range(shared), *(i for row in ids for i in range(shared, len(row)))]]),
            "attention_mask": torch.tril(sees)[None, None],
        }
