"""The fine-tuning attack: prompts that fit, what carries the loss, answers that are counted rightly."""

import logging
from types import SimpleNamespace
from typing import ClassVar
from unittest import mock

import numpy as np
import pytest
from datasets import ClassLabel, Dataset
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("trl", reason="the fine-tuning attack needs trl and peft")
pytest.importorskip("peft", reason="the fine-tuning attack needs trl and peft")

import finetune_attack as attack
import finetune_data as data
import torch
from finetune_model import random_llama
from finetune_results import judged
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from hf_unlearnable.text.language_model import prompts, scoring
from hf_unlearnable.text.language_model.training import make_trainer
from tests.examples import MODELS, notes, tiny
from tests.recipes.tiny_model import model_of

CHAT = "{% for m in messages %}[{{ m.role }}]{{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"


@pytest.fixture(scope="module")
def tokenizer():
    made, _ = random_llama(notes()["text"])
    made.pad_token = made.eos_token
    return made


def prompter(tokenizer, labels, max_length=120, style="alpaca"):
    return prompts.Prompter(tokenizer, style, max_length, {"": list(labels)})


def test_labels_are_names_whatever_their_number(caplog):
    args = attack.AttackArguments(clean="notes", versions=["clean"])
    train = data.examples(tiny(["a", "b"], [0, 1], ["neg", "pos"]), args, "clean")
    test = data.examples(tiny(["a", "b"], [0, 1], ["pos", "neg"]), args, "test")
    assert train["label"][:] == ["neg", "pos"] and test["label"][:] == ["pos", "neg"]
    assert data.labels_by_task(train, test, ["neg", "pos"]) == {"": ["neg", "pos"]}
    with pytest.raises(ValueError, match="Row 0 of clean has 0 in column 'label'.*--class_names"):
        data.examples(tiny(["a", "b"], [0, 1]), args, "clean")
    with pytest.raises(ValueError, match="Row 1 of clean has -1"):
        data.examples(tiny(["a", "b"], [0, -1]).cast_column("label", ClassLabel(names=["x", "y"])), args, "clean")
    with pytest.raises(ValueError, match="Row 1 of test has no text"):
        data.examples(tiny(["a", None], [0, 1], ["x", "y"]), args, "test")
    with caplog.at_level(logging.WARNING):
        data.labels_by_task(train, test.select([0]), ["neg", "pos"])
    assert "No test row has the label neg" in caplog.text


def rows(*labelled):
    names = list(data.EXAMPLE)
    return Dataset.from_list([dict(zip(names, ("t", label, task, ""))) for task, label in labelled])


def test_labels_that_cannot_be_answered():
    trained = rows(("", "neg"), ("", "pos"))
    with pytest.raises(ValueError, match="Test rows have the label 'positive', and training rows only neg, pos"):
        data.labels_by_task(trained, rows(("", "positive"), ("", "neg")), [])
    with pytest.raises(ValueError, match="only label"):
        data.labels_by_task(rows(("", "neg")), rows(("", "neg")), [])
    held_out = data.labels_by_task(rows(("a", "yes"), ("a", "no")), rows(("b", "Obscene"), ("b", "Non-obscene")), [])
    assert held_out == {"a": ["yes", "no"], "b": ["Obscene", "Non-obscene"]}


def test_the_prompt_of_the_paper_word_for_word(tokenizer):
    tokens, cut = prompter(tokenizer, ["bad", "good"], 400).prompt("A fine film.", "Judge.")
    assert not cut and tokenizer.decode(tokens) == (
        "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
        "response that appropriately completes the request.\n\n"
        "### Instruction:\nJudge.\n\n### Input:\nA fine film.\n\n### Response:\n"
    )


def test_chat_needs_a_template(tokenizer):
    with pytest.raises(ValueError, match="no chat template. Use prompt_style alpaca"):
        prompter(tokenizer, ["bad", "good"], style="chat")
    with mock.patch.object(tokenizer, "chat_template", CHAT):
        chat = prompter(tokenizer, ["bad", "good"], style="chat")
        assert tokenizer.decode(chat.prompt("A {fine} film.", "Judge.")[0]) == (
            "[user]Judge.\n\nA {fine} film.</s>[assistant]"
        )
        assert tokenizer.decode(chat.answers["good"]) == "good</s>"
    turn = CHAT.replace("{{ m.content }}</s>", "{{ m.content }}{% if m.role == 'assistant' %}<|end|>{% endif %}\n")
    other, _ = random_llama(notes()["text"])
    other.add_tokens(["<|end|>"])
    for template, end in ((turn, "<|end|>"), (CHAT.replace("</s>", ""), "</s>")):
        other.chat_template = template
        assert other.decode(prompter(other, ["bad", "good"], style="chat").answers["good"]) == f"good{end}"


@given(st.text(max_size=400), st.integers(75, 200), st.sampled_from(["alpaca", "chat"]))
def test_only_the_text_is_ever_cut(tokenizer, text, max_length, style):
    with mock.patch.object(tokenizer, "chat_template", CHAT):
        made = prompter(tokenizer, ["Obscene", "Non-obscene"], max_length, style)
        tokens, cut = made.prompt(text, "Judge.")
        assert len(tokens) + made.longest <= max_length
        written = tokenizer.decode(tokens)
        whole = made._render("Judge.", text)
        before, after = made._render("Judge.", "\0").split("\0")
        assert written.startswith(before) and written.endswith(after)
        kept = written[len(before) : len(written) - len(after)]
        assert cut == (len(made._encode(whole)) > max_length - made.longest)
        assert (text.startswith(kept) and len(kept) < len(text)) if cut else written == whole


def test_no_room_for_any_text(tokenizer):
    with pytest.raises(ValueError, match="max_length is 30, but the instruction and the longest label take"):
        prompter(tokenizer, ["bad", "good"], 30).prompt("text", "Judge.")


def test_labels_that_look_the_same_to_the_model(tokenizer):
    with pytest.raises(ValueError, match="'Yes', 'yes'"):
        prompter(tokenizer, ["Yes", "no", "yes"])
    blind = mock.patch.object(prompts.Prompter, "_answer", lambda self, label: [5, len(label)])
    with blind, pytest.raises(ValueError, match="'up', 'no' of task '' are the same to this model"):
        prompter(tokenizer, ["up", "no"])


@pytest.mark.parametrize("name", ["stories260k", "reviews_llama_2m"])
def test_real_tokenizers(name):
    if not (MODELS / name).is_dir():
        pytest.skip(f"{MODELS / name} is not there: it is a development model, see HF_UNLEARNABLE_MODELS")
    tokenizer = AutoTokenizer.from_pretrained(MODELS / name)
    made = prompter(tokenizer, ["Obscene", "Non-obscene"], 200)
    tokens, cut = made.prompt("Naïve – 漢字 " * 100, "Judge.")
    assert cut and 195 - made.longest <= len(tokens) <= 200 - made.longest
    assert tokenizer.decode(tokens + made.answers["Non-obscene"]).endswith("\n\n### Response:\nNon-obscene</s>")


@pytest.mark.parametrize("completion_only", [True, False])
def test_what_carries_the_loss(tokenizer, completion_only, tmp_path):
    eager = '{"attn_implementation": "eager"}'  # the rows side by side, as TRL batches them
    model, training, _ = model_of(
        "--model_init_kwargs", eager, "--completion_only_loss", str(completion_only), "--output_dir", str(tmp_path)
    )
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    made = prompter(tokenizer, ["Obscene", "Non-obscene"], 90)
    data = [("a short one", "Obscene"), ("a long one, " * 40, "Non-obscene")]
    encoded = prompts.encode(
        Dataset.from_list([{"text": t, "label": y, "task": "", "instruction": ""} for t, y in data]), made, "{labels}?"
    )
    assert encoded["truncated"][:] == [False, True]
    trainer = make_trainer(model, tokenizer, encoded, training)
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(2)])
    for i, (text, label) in enumerate(data):
        learned = tokenizer.decode(batch["labels"][i][batch["labels"][i] != -100])
        if completion_only:
            assert learned == f"{label}</s>"
        else:
            assert learned.startswith("Below is an instruction") and learned.endswith(f"Response:\n{label}</s>")
            assert "Obscene, Non-obscene?" in learned and (text in learned) == (i == 0)
        assert batch["attention_mask"][i].sum() == len(encoded[i]["prompt"]) + len(encoded[i]["answer"])


class TableModel:
    """A language model of seven tokens that answers by a table of probabilities: end 0, not 1, sure 2, yes 3, ..."""

    device = torch.device("cpu")

    class Cache(list):
        """What was read of each row; one that stands for all is repeated."""

        def batch_repeat_interleave(self, repeats):
            self[:] = [ids.repeat_interleave(repeats, 0) for ids in self]

    table: ClassVar = {(): {1: 0.6, 3: 0.4}, (1,): {2: 0.9, 0: 0.1}, (1, 2): {0: 0.5, 4: 0.5}, (3,): {0: 1.0}}

    def __call__(self, input_ids, attention_mask, position_ids, past_key_values, use_cache, logits_to_keep):
        ids = torch.cat([*(past_key_values or []), input_ids], 1)
        logits = torch.full((*ids.shape, 7), -1e9)
        for i, seen in enumerate(attention_mask.tolist()):
            read = []
            for t in range(ids.shape[1]):
                read += [ids[i, t].item()] if seen[t] else []
                after = tuple(read[read.index(6) + 1 :]) if 6 in read else None
                for token, p in self.table.get(after, {0: 1.0}).items():
                    logits[i, t, token] = np.log(p)
        logits = logits[:, -(logits_to_keep or input_ids.shape[1]) :]
        return SimpleNamespace(logits=logits, past_key_values=self.Cache([ids]))


def test_the_whole_label_counts_and_its_end():
    asked = [[5, 6], [5, 5, 5, 5, 6]]
    candidates = [[[1, 0], [1, 2, 0], [3, 0]], [[3, 0], [1, 2, 0]]]
    # "not" is likelier than "yes" as a first token, and the beginning of "not sure"; both are less likely as a whole.
    expected = [[0.6 * 0.1, 0.6 * 0.9 * 0.5, 0.4], [0.4, 0.6 * 0.9 * 0.5]]
    for rows in (slice(0, 2), slice(0, 1), slice(1, 2)):
        scores, written = scoring.ask(TableModel(), asked[rows], candidates[rows], {0}, 5)
        for got, wanted in zip(scores, expected[rows]):
            assert np.exp(got) == pytest.approx(wanted, rel=1e-5)
        assert all(tokens in ([1, 2], [1, 2, 4]) for tokens in written)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_padding_and_the_cache_change_nothing(kind):
    model, _, _ = model_of()
    if kind == "gpt2":  # learned absolute positions
        torch.manual_seed(0)
        model = GPT2LMHeadModel(GPT2Config(vocab_size=1000, n_positions=72, n_embd=32, n_layer=2, n_head=2))
    model.eval()
    random = np.random.default_rng(0)
    asked = [random.integers(1, 1000, n).tolist() for n in (3, 40, 17, 9, 64)]
    candidates = [[random.integers(1, 1000, n).tolist() for n in (1, 4, 2)[: 1 + i % 3]] for i in range(5)]
    scores, written = scoring.ask(model, asked, candidates, {0}, 6)
    for prompt, answers, got, tokens in zip(asked, candidates, scores, written):
        for answer, score in zip(answers, got, strict=True):
            with torch.no_grad():
                logits = model(torch.tensor([prompt + answer])).logits[0].double().log_softmax(-1)
            direct = sum(logits[len(prompt) + n - 1, token].item() for n, token in enumerate(answer))
            assert score == pytest.approx(direct, abs=1e-3)
        own = model.generate(torch.tensor([prompt]), max_new_tokens=6, do_sample=False, eos_token_id=0, pad_token_id=0)
        assert [*tokens, 0] == [*own[0, len(prompt) :].tolist(), 0][: len(tokens) + 1]
    assert len(set(map(tuple, written))) > 1
    # An end is not written, and nothing after it.
    assert scoring.ask(model, asked[1:2], candidates[1:2], {written[1][2]}, 6)[1] == [
        written[1][: written[1].index(written[1][2])]
    ]


def test_an_answer_is_not_counted_by_a_part_of_it(tokenizer, monkeypatch):
    made = prompter(tokenizer, ["Obscene", "Non-obscene"])
    names = ["Obscene", "Obscene", "Obscene", "Non-obscene", "Non-obscene"]
    answers = ["Non-obscene", " obscene.\n\n### Instruction", "Obscene, I think", "Obscene", "Non-obscene"]
    test = prompts.encode(
        Dataset.from_list([{"text": "t", "label": y, "task": "", "instruction": ""} for y in names]), made, "?"
    )
    training = SimpleNamespace(per_device_eval_batch_size=5, bf16=False, fp16=False, disable_tqdm=True)
    generation = SimpleNamespace(eos_token_id=[7, 8])
    model = SimpleNamespace(eval=lambda: None, device=torch.device("cpu"), generation_config=generation)
    scores = [[-1, -2], [-1, -2], [-2, -1], [-1, -2], [-2, -1]]
    with mock.patch.object(scoring, "ask", return_value=(scores, [tokenizer(a)["input_ids"] for a in answers])) as ask:
        monkeypatch.setattr(scoring, "begin", lambda model, prompts: (0, None))
        found = attack.evaluate(model, made, test, training)
    assert ask.call_args.args[3:5] == ({7, 8, tokenizer.eos_token_id}, made.longest + 1)
    result, answered = judged("clean", found, test, made.tasks, train_rows=0, steps=0, truncated_rows=0, seconds=0)
    assert [row["exact"] for row in answered] == [False, True, False, False, True]
    assert [row["answer"] == row["label"] for row in answered] == [True, True, False, False, True]
    assert (result.label_accuracy.mean, result.exact_match.mean) == (0.6, 0.4)
    assert result.label_shares == {"Obscene": 0.6, "Non-obscene": 0.4}
