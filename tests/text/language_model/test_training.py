"""Rows that begin alike are read once, and the loss and its gradients are those of the rows side by side."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch", reason="language models need torch")
pytest.importorskip("transformers", reason="language models need transformers")

import torch
import transformers
from datasets import Dataset
from tokenizers import Tokenizer, models

from hf_unlearnable.text.language_model.training import SharedPrefix, make_trainer, shares_prefix

SIZES = {"vocab_size": 97, "num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4}


def llama(**more):
    torch.manual_seed(0)
    config = transformers.LlamaConfig(**SIZES, intermediate_size=64, num_key_value_heads=2, **more)
    return transformers.LlamaForCausalLM(config)


def gpt2():
    torch.manual_seed(0)
    sizes = {"vocab_size": 97, "n_layer": 2, "n_embd": 32, "n_head": 4, "n_positions": 64}
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0))


def batch(shared, lengths, answers):
    random = np.random.default_rng(0)
    start = random.integers(1, 97, shared).tolist()
    rows = []
    for length, answer in zip(lengths, answers):
        own = random.integers(1, 97, length + answer).tolist()
        rows.append({"input_ids": start + own, "labels": [-100] * (shared + length) + own[length:]})
    return rows


def side_by_side(model, rows):
    """The mean loss over all labels, each row read by itself."""
    total, count = 0, 0
    for row in rows:
        logits = model(torch.tensor([row["input_ids"]])).logits[0, :-1]
        labels = torch.tensor(row["labels"][1:])
        total = total + torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
        count += int((labels != -100).sum())
    return total / count


@pytest.mark.parametrize("make", [llama, gpt2])
@pytest.mark.parametrize(
    ("shared", "lengths", "answers"),
    [(20, [3, 9, 1, 14], [2, 1, 3, 2]), (5, [4, 4], [1, 1]), (12, [6], [2]), (0, [7, 3], [2, 2])],
)
def test_a_shared_start_gives_the_loss_and_gradients_of_the_rows(make, shared, lengths, answers):
    rows, gradients = batch(shared, lengths, answers), []
    for one in (True, False):
        model = make()
        if one:
            inputs = SharedPrefix()(rows)
            common = shared if len(rows) > 1 else len(rows[0]["input_ids"]) - answers[0] - 1
            assert inputs["input_ids"].shape[1] == common + sum(len(row["input_ids"]) - common for row in rows)
            labels = inputs.pop("labels")[0, 1:]
            logits = model(**inputs).logits[0, :-1]
            loss = torch.nn.functional.cross_entropy(logits, labels)
        else:
            loss = side_by_side(model, rows)
        loss.backward()
        gradients.append((loss.item(), [p.grad.clone() for p in model.parameters()]))
    (first, ours), (second, theirs) = gradients
    assert first == pytest.approx(second, abs=1e-5)
    for a, b in zip(ours, theirs):
        assert torch.allclose(a, b, atol=1e-5)


def test_a_start_is_shared_only_as_far_as_no_answer_is_part_of_it():
    rows = [{"input_ids": [1, 2, 3, 4], "labels": [-100, -100, 3, 4]}] * 2
    inputs = SharedPrefix()(rows)
    assert inputs["input_ids"].tolist() == [[1, 2, 3, 4, 2, 3, 4]]
    assert inputs["labels"].tolist() == [[-100, -100, 3, 4, -100, 3, 4]]
    assert inputs["position_ids"].tolist() == [[0, 1, 2, 3, 1, 2, 3]]
    assert inputs["attention_mask"][0, 0, 4].tolist() == [True, False, False, False, True, False, False]


@pytest.mark.parametrize(
    ("changed", "prompts", "shares"),
    [
        ({}, [[1, 2, 3, 4], [1, 2, 3, 9, 8]], True),
        ({}, [[1, *range(300)], [2, *range(300)]], True),
        ({}, [[1, *range(600)], [2, *range(600)]], False),  # all rows in one sequence would be too long
        ({"per_device_train_batch_size": 8}, [[1, *range(300)], [2, *range(300)]], False),
        ({"per_device_train_batch_size": 8}, [[*range(300), 1], [*range(300), 2]], True),
        ({"packing": True}, [[1, 2, 3, 4], [1, 2, 3, 9]], False),
        ({"padding_free": True}, [[1, 2, 3, 4], [1, 2, 3, 9]], False),
        ({"label_smoothing_factor": 0.1}, [[1, 2, 3, 4], [1, 2, 3, 9]], False),
        ({"loss_type": "dft"}, [[1, 2, 3, 4], [1, 2, 3, 9]], False),
        ({"completion_only_loss": False}, [[1, 2, 3, 4], [1, 2, 3, 9]], False),
    ],
)
def test_a_start_is_shared_where_that_is_possible_and_quicker(changed, prompts, shares):
    training = SimpleNamespace(**{
        "completion_only_loss": True, "packing": False, "padding_free": False, "loss_type": "nll",
        "label_smoothing_factor": 0, "per_device_train_batch_size": 2, **changed,
    })  # fmt: skip
    assert shares_prefix(llama(attn_implementation="sdpa"), prompts, training) is shares
    assert not shares_prefix(llama(attn_implementation="eager"), prompts, training)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_training_with_a_shared_start_is_that_of_trl(accumulation, tmp_path):
    """Three steps of the trainer on the same rows, read in both ways."""
    trl = pytest.importorskip("trl", reason="the trainer is TRL's")
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({f"w{i}": i for i in range(97)}, "w0")),
        eos_token="w1",
        pad_token="w1",
    )
    made = batch(20, [3, 9, 1, 14, 6, 7], [2, 1, 3, 2, 1, 1])
    ends = [row["labels"].index(next(label for label in row["labels"] if label != -100)) for row in made]
    rows = Dataset.from_list([
        {"prompt": row["input_ids"][:end], "answer": row["input_ids"][end:]} for row, end in zip(made, ends)
    ])  # fmt: skip
    weights = []
    for attention in ("sdpa", "eager"):
        arguments = trl.SFTConfig(
            str(tmp_path), max_steps=3, per_device_train_batch_size=2, gradient_accumulation_steps=accumulation,
            learning_rate=1e-2, completion_only_loss=True, bf16=False, use_cpu=True, gradient_checkpointing=False,
            report_to="none", save_strategy="no", disable_tqdm=True,
        )  # fmt: skip
        trainer = make_trainer(llama(attn_implementation=attention), tokenizer, rows, arguments)
        assert isinstance(trainer.data_collator, SharedPrefix) is (attention == "sdpa")
        trainer.train()
        weights.append(torch.cat([p.detach().flatten() for p in trainer.model.parameters()]))
    start = torch.cat([p.detach().flatten() for p in llama().parameters()])
    assert (weights[0] - start).abs().max() > 1e-2
    assert torch.allclose(*weights, atol=2e-4)
