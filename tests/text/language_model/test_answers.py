"""By what the answers are told apart, and that one forward pass per batch finds what `generate` would."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch", reason="language models need torch")
pytest.importorskip("transformers", reason="language models need transformers")

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from hf_unlearnable.text.language_model.prompts import Prompter, encode, shared_start
from hf_unlearnable.text.language_model.scoring import answers, ask
from tests.text.language_model.test_training import gpt2, llama

WORDS = ["[UNK]", "[END]", "Label", ":", "not", "sure", "yes", "no", "maybe", *(f"w{i}" for i in range(60))]


@pytest.fixture(scope="module")
def tokenizer():
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, "[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]", eos_token="[END]")


@pytest.mark.parametrize(
    ("labels", "told_apart_by"),
    [
        (["yes", "no"], [["yes"], ["no"]]),
        (["not sure", "yes"], [["not", "sure"], ["yes"]]),
        (["not", "not sure"], [["not", "[END]"], ["not", "sure", "[END]"]]),
        (["not sure", "not maybe"], [["not", "sure"], ["not", "maybe"]]),  # the same first token
        (["no", "yes", "yes sure"], [["no", "[END]"], ["yes", "[END]"], ["yes", "sure", "[END]"]]),
    ],
)
def test_the_end_counts_only_where_one_label_begins_another(tokenizer, labels, told_apart_by):
    prompter = Prompter(tokenizer, "plain", 40, {"": labels})
    found = [tokenizer.convert_ids_to_tokens(tokens) for tokens in prompter.candidates("")]
    assert found == told_apart_by
    assert [answer[-1] for answer in prompter.answers.values()] == [1] * len(labels)  # trained with its end


def test_a_model_that_does_not_end_after_a_label_is_not_taken_for_undecided():
    """It would go on after "yes" and end after "no"; counting the end, it would seem to say "no"."""

    class Model:
        device = torch.device("cpu")

        def __call__(self, input_ids, **_):
            logits = torch.full((*input_ids.shape, 9), -20.0)
            logits[..., 6], logits[..., 7] = 2.0, 1.0  # yes, no
            logits[input_ids == 6] = torch.tensor([0.0] * 8 + [9.0])
            logits[input_ids == 7] = torch.tensor([0.0, 9.0] + [0.0] * 7)
            return SimpleNamespace(logits=logits, past_key_values=None)

    bare, _ = ask(Model(), [[4]], [[[6], [7]]])
    ended, _ = ask(Model(), [[4]], [[[6, 1], [7, 1]]])
    assert np.argmax(bare[0]) == 0 and np.argmax(ended[0]) == 1


@pytest.mark.parametrize("make", [llama, gpt2])
@pytest.mark.parametrize("alike", [0, 1, 12])
@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_every_batch_and_shared_start_gives_the_answers_of_rows_alone(tokenizer, make, alike, batch_size):
    model, random = make().eval(), np.random.default_rng(alike)
    model.generation_config.eos_token_id = 1
    start = random.integers(9, 69, alike).tolist()
    prompts = [start + random.integers(9, 69, n).tolist() for n in (1, 9, 4, 4, 17, 2, 30)]
    prompter = Prompter(tokenizer, "plain", 60, {"": ["yes", "not sure", "no"]})
    rows = Dataset.from_dict({"prompt": prompts, "task": [""] * len(prompts)})
    found = {answer.row: answer for answer in answers(model, prompter, rows, batch_size=batch_size, write=True)}
    assert sorted(found) == list(range(len(prompts)))
    for row, prompt in enumerate(prompts):
        for score, label in zip(found[row].scores, prompter.candidates("")):
            with torch.no_grad():
                logits = model(torch.tensor([prompt + label])).logits[0].log_softmax(-1)
            alone = sum(logits[len(prompt) + i - 1, token].item() for i, token in enumerate(label))
            assert score == pytest.approx(alone, abs=1e-3)
        own = model.generate(
            torch.tensor([prompt]),
            max_new_tokens=prompter.longest + 1,
            do_sample=False,
            eos_token_id=1,
            pad_token_id=1,
        )
        text = tokenizer.decode(own[0, len(prompt) :], skip_special_tokens=True)
        assert found[row].written == text
    only = [answer.row for answer in answers(model, prompter, rows, batch_size=2, numbers=[4, 0])]
    assert sorted(only) == [0, 4]


def test_a_text_that_is_longer_than_the_context_is_cut_and_the_label_is_not(tokenizer):
    prompter = Prompter(tokenizer, "plain", 12, {"": ["yes", "no"]})
    rows = [{"text": " ".join(["w1"] * n), "label": "no", "task": "", "instruction": ""} for n in (3, 8, 9, 500)]
    encoded = encode(Dataset.from_list(rows), prompter, "")
    assert encoded["truncated"][:] == [False, False, True, True]
    assert [len(prompt) for prompt in encoded["prompt"]] == [5, 10, 10, 10]
    assert all(tokenizer.decode(prompt).endswith("w1 Label :") for prompt in encoded["prompt"])


@pytest.mark.parametrize(
    ("rows", "shared"),
    [([[1, 2, 3], [1, 2, 4]], 2), ([[1, 2], [1, 2, 4]], 2), ([[5]], 1), ([[], [1]], 0), ([[2, 1], [1, 2], [2, 2]], 0)],
)
def test_a_shared_start_is_what_all_rows_begin_with(rows, shared):
    assert shared_start(rows) == shared
