"""The fine-tuning attack: prompts that fit, answers that are counted rightly, runs that go on, two processes."""

import json
import logging
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import ClassVar
from unittest import mock
from urllib.error import URLError

import numpy as np
import pytest
from datasets import ClassLabel, Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("trl", reason="the fine-tuning attack needs trl and peft")
pytest.importorskip("peft", reason="the fine-tuning attack needs trl and peft")

import prompts
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from recipes import finetune_attack as attack
from recipes import natural_instructions
from tests import ROOT
from tests.examples import MODELS, notes, tiny

CONFIGS = sorted((ROOT / "recipes/configs").glob("finetune_*.yaml"))
TINY = ROOT / "recipes/configs/finetune_tiny_random.yaml"
CHAT = "{% for m in messages %}[{{ m.role }}]{{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"


@pytest.fixture(scope="module")
def tokenizer():
    made, _ = attack.random_llama(notes()["text"])
    made.pad_token = made.eos_token
    return made


def prompter(tokenizer, labels, max_length=120, style="alpaca"):
    return prompts.Prompter(tokenizer, style, max_length, {"": list(labels)})


def model_of(*options):
    _, training, model_args = attack.parse(["--config", str(TINY), *options])
    return attack.load_model(attack.random_llama(notes()["text"])[1], model_args, training), training, model_args


# ---------------------------------------------------------------------- options
@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_configs_fit_the_options(config):
    args, training, model_args = attack.parse(["--config", str(config)])
    assert training.bf16 is torch.cuda.is_available() and training.report_to == [] and training.logging_first_step
    assert training.completion_only_loss is ("paper" not in config.stem)
    assert model_args.dtype == ("float32" if "tiny" in config.stem or "gpt2" in config.stem else "bfloat16")
    assert args.versions == ["clean", "protected", "random", "dropped"]
    assert training.output_dir == f"runs/{config.stem}"
    assert attack.method_class(args.method)(**(args.parameters or {})).modality == "text"
    if "paper" in config.stem:
        assert training.per_device_train_batch_size * training.gradient_accumulation_steps == 256
        assert (training.num_train_epochs, training.learning_rate, training.lr_scheduler_type) == (10, 2e-4, "linear")
        assert (training.warmup_steps, training.weight_decay, training.completion_only_loss) == (5, 1e-4, False)
        assert (model_args.lora_r, model_args.lora_alpha, model_args.lora_dropout) == (16, 16, 0)
        assert len(model_args.lora_target_modules) == 7 and model_args.load_in_4bit
        assert args.parameters == {"word_source": "regtext", "rate": 0.1, "max_tokens": 10, "tokens_per_class": 10}


def test_the_command_line_overrides():
    args, training, _ = attack.parse(
        ["--config", str(TINY), "--max_steps", "3", "--versions", "clean", "dropped", "--parameters", "{rate: 0.2}"]
    )
    assert training.max_steps == 3 and args.versions == ["clean", "dropped"] and args.parameters == {"rate": 0.2}
    assert args.needed == {"clean", "protected"}


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="versions has cleen"):
        attack.AttackArguments(clean="notes", versions=["cleen"])
    with pytest.raises(ValueError, match="Give --protected FILE, or --method"):
        attack.AttackArguments(clean="notes")
    attack.AttackArguments(clean="notes", versions=["clean"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_four_bits_need_a_gpu():
    with pytest.raises(ValueError, match="need a GPU"):
        model_of("--load_in_4bit", "true")


# ---------------------------------------------------------------------- data
def test_labels_are_names_whatever_their_number(caplog):
    args = attack.AttackArguments(clean="notes", versions=["clean"])
    train = attack.examples(tiny(["a", "b"], [0, 1], ["neg", "pos"]), args, "clean")
    test = attack.examples(tiny(["a", "b"], [0, 1], ["pos", "neg"]), args, "test")
    assert train["label"][:] == ["neg", "pos"] and test["label"][:] == ["pos", "neg"]
    assert attack.labels_by_task(train, test, ["neg", "pos"]) == {"": ["neg", "pos"]}
    with pytest.raises(ValueError, match="Row 0 of clean has 0 in column 'label'.*--class_names"):
        attack.examples(tiny(["a", "b"], [0, 1]), args, "clean")
    with pytest.raises(ValueError, match="Row 1 of clean has -1"):
        attack.examples(tiny(["a", "b"], [0, -1]).cast_column("label", ClassLabel(names=["x", "y"])), args, "clean")
    with pytest.raises(ValueError, match="Row 1 of test has no text"):
        attack.examples(tiny(["a", None], [0, 1], ["x", "y"]), args, "test")
    with caplog.at_level(logging.WARNING):
        attack.labels_by_task(train, test.select([0]), ["neg", "pos"])
    assert "No test row has the label neg" in caplog.text


def rows(*labelled):
    names = list(attack.EXAMPLE)
    return Dataset.from_list([dict(zip(names, ("t", label, task, ""))) for task, label in labelled])


def test_labels_that_cannot_be_answered():
    trained = rows(("", "neg"), ("", "pos"))
    with pytest.raises(ValueError, match="Test rows have the label 'positive', and training rows only neg, pos"):
        attack.labels_by_task(trained, rows(("", "positive"), ("", "neg")), [])
    with pytest.raises(ValueError, match="only label"):
        attack.labels_by_task(rows(("", "neg")), rows(("", "neg")), [])
    held_out = attack.labels_by_task(rows(("a", "yes"), ("a", "no")), rows(("b", "Obscene"), ("b", "Non-obscene")), [])
    assert held_out == {"a": ["yes", "no"], "b": ["Obscene", "Non-obscene"]}


# ---------------------------------------------------------------------- prompts
def test_the_prompt_of_the_paper_word_for_word(tokenizer):
    tokens, cut = prompter(tokenizer, ["bad", "good"], 400).prompt("A fine film.", "Judge.")
    assert not cut and tokenizer.decode(tokens) == (
        "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
        "response that appropriately completes the request.\n\n"
        "### Instruction:\nJudge.\n\n### Input:\nA fine film.\n\n### Response:\n"
    )


def test_chat_needs_a_template(tokenizer):
    with pytest.raises(ValueError, match="no chat template. Use --prompt_style alpaca"):
        prompter(tokenizer, ["bad", "good"], style="chat")
    with mock.patch.object(tokenizer, "chat_template", CHAT):
        chat = prompter(tokenizer, ["bad", "good"], style="chat")
        assert tokenizer.decode(chat.prompt("A {fine} film.", "Judge.")[0]) == (
            "[user]Judge.\n\nA {fine} film.</s>[assistant]"
        )
        assert tokenizer.decode(chat.answers["good"]) == "good</s>"
    turn = CHAT.replace("{{ m.content }}</s>", "{{ m.content }}{% if m.role == 'assistant' %}<|end|>{% endif %}\n")
    other, _ = attack.random_llama(notes()["text"])
    other.add_tokens(["<|end|>"])
    for template, end in ((turn, "<|end|>"), (CHAT.replace("</s>", ""), "</s>")):
        other.chat_template = template
        assert other.decode(prompter(other, ["bad", "good"], style="chat").answers["good"]) == f"good{end}"


@settings(max_examples=60, deadline=None)
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
    tokenizer = attack.AutoTokenizer.from_pretrained(MODELS / name)
    made = prompter(tokenizer, ["Obscene", "Non-obscene"], 200)
    tokens, cut = made.prompt("Naïve – 漢字 " * 100, "Judge.")
    assert cut and 195 - made.longest <= len(tokens) <= 200 - made.longest
    assert tokenizer.decode(tokens + made.answers["Non-obscene"]).endswith("\n\n### Response:\nNon-obscene</s>")


# ---------------------------------------------------------------------- the loss
@pytest.mark.parametrize("completion_only", [True, False])
def test_what_carries_the_loss(tokenizer, completion_only, tmp_path):
    model, training, model_args = model_of(
        "--completion_only_loss", str(completion_only), "--output_dir", str(tmp_path)
    )
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    made = prompter(tokenizer, ["Obscene", "Non-obscene"], 90)
    data = [("a short one", "Obscene"), ("a long one, " * 40, "Non-obscene")]
    encoded = prompts.encode(
        Dataset.from_list([{"text": t, "label": y, "task": "", "instruction": ""} for t, y in data]), made, "{labels}?"
    )
    assert encoded["truncated"][:] == [False, True]
    trainer = attack.make_trainer(model, tokenizer, encoded, training, model_args)
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(2)])
    for i, (text, label) in enumerate(data):
        learned = tokenizer.decode(batch["labels"][i][batch["labels"][i] != -100])
        if completion_only:
            assert learned == f"{label}</s>"
        else:
            assert learned.startswith("Below is an instruction") and learned.endswith(f"Response:\n{label}</s>")
            assert "Obscene, Non-obscene?" in learned and (text in learned) == (i == 0)
        assert batch["attention_mask"][i].sum() == len(encoded[i]["prompt"]) + len(encoded[i]["answer"])


# ---------------------------------------------------------------------- scoring
class TableModel:
    """A language model of seven tokens that answers by a table of probabilities: end 0, not 1, sure 2, yes 3, ..."""

    device = torch.device("cpu")
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
        return SimpleNamespace(logits=logits, past_key_values=[ids])


def test_the_whole_label_counts_and_its_end():
    asked = [[5, 6], [5, 5, 5, 5, 6]]
    candidates = [[[1, 0], [1, 2, 0], [3, 0]], [[3, 0], [1, 2, 0]]]
    # "not" is likelier than "yes" as a first token, and the beginning of "not sure"; both are less likely as a whole.
    expected = [[0.6 * 0.1, 0.6 * 0.9 * 0.5, 0.4], [0.4, 0.6 * 0.9 * 0.5]]
    for rows in (slice(0, 2), slice(0, 1), slice(1, 2)):
        scores, written = prompts.ask(TableModel(), asked[rows], candidates[rows], {0}, 5)
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
    scores, written = prompts.ask(model, asked, candidates, {0}, 6)
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
    assert prompts.ask(model, asked[1:2], candidates[1:2], {written[1][2]}, 6)[1] == [
        written[1][: written[1].index(written[1][2])]
    ]


def test_an_answer_is_not_counted_by_a_part_of_it(tokenizer):
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
    with mock.patch.object(attack, "ask", return_value=(scores, [tokenizer(a)["input_ids"] for a in answers])) as ask:
        by_label, exact = attack.evaluate(model, made, test, training)
    assert ask.call_args.args[3:] == ({7, 8, tokenizer.eos_token_id}, made.longest + 1)
    assert exact.tolist() == [False, True, False, False, True]
    assert by_label.tolist() == [True, True, False, False, True]


# ---------------------------------------------------------------------- the whole
@pytest.fixture(scope="module")
def weather(tmp_path_factory):
    """Six words of a class's own forty make a text: learned from many, while the protection's one word is quick."""
    folder = tmp_path_factory.mktemp("weather")
    random = np.random.default_rng(0)
    letters = np.array(list("bcdfghjklmnprstvwz"))
    words = sorted({"".join(random.choice(letters, 2)) + "aeiou"[n % 5] + random.choice(letters) for n in range(100)})
    own = {"sunny": words[:40], "rainy": words[40:80]}
    for split, count in (("train", 400), ("test", 60)):
        labels = [list(own)[i % 2] for i in range(count)]
        texts = [" ".join(random.choice(own[label], 6)) for label in labels]
        Dataset.from_dict({"text": texts, "label": labels}).to_parquet(str(folder / f"{split}.parquet"))
    return folder


def options_for(weather, output, *more):
    return [
        "--config", str(TINY), "--clean", str(weather), "--output_dir", str(output), "--disable_tqdm", "true",
        "--parameters", "{seed: 3, max_frequency: 1}", "--instruction", "?", *more,
    ]  # fmt: skip


def run(weather, output, *more):
    attack.main(*attack.parse(options_for(weather, output, *more)))
    return {r["version"]: r for r in json.loads((output / "results.json").read_text())["results"]}


def accuracy(results, name, way="label_accuracy"):
    return results[name][way]["mean"]


def test_a_run_and_what_is_kept_of_it(weather, tmp_path):
    output = tmp_path / "out"
    first = run(weather, output, "--versions", "clean")
    kept = mock.patch.object(attack, "load_model", side_effect=AssertionError("trained again"))
    with kept:
        assert run(weather, output, "--versions", "clean") == first
    with kept, pytest.raises(ValueError, match="other settings or data: learning_rate differ"):
        run(weather, output, "--versions", "clean", "--learning_rate", "0.1")

    found = run(weather, output, "--versions", "clean", "protected", "dropped")
    assert {name: found[name] for name in first} == first and list(found) == [
        "zero-shot", "clean", "protected", "dropped"
    ]  # fmt: skip
    assert accuracy(found, "zero-shot") < 0.7 and accuracy(found, "zero-shot", "exact_match") == 0
    assert accuracy(found, "clean") > 0.8 and accuracy(found, "clean", "exact_match") > 0.8
    assert accuracy(found, "protected") < 0.7 and accuracy(found, "protected", "exact_match") < 0.7
    assert [(r["train_rows"], r["steps"]) for r in found.values()] == [(0, 0), (400, 60), (400, 60), (0, 0)]
    assert found["dropped"] == {**found["zero-shot"], "version": "dropped"}

    protocol = json.loads((output / "results.json").read_text())["protocol"]
    assert protocol["max_steps"] == 60 and protocol["library_versions"]["trl"] and protocol["test_row_count"] == 60
    assert "seed" not in protocol["parameters"] and protocol["parameters"]["max_frequency"] == 1
    table = (output / "results.md").read_text()
    assert "| clean | " in table and "| 400 | 60 | 0 |" in table and "proves nothing" not in table
    cloak = attack.load_transform(tmp_path / "out.key")
    for file in output.rglob("*.*"):  # what may be published knows no word of the key
        assert not any(word in file.read_text().split('"') for words in cloak._words.values() for word in words), file


def test_files_and_rows_left_alone(weather, tmp_path):
    clean = attack.load_rows(weather / "train.parquet")
    half = attack.method_class("regtext")(seed=1, max_frequency=1, fraction=0.5).fit(clean)
    protected = clean.map(half, batched=True)
    protected.to_parquet(str(tmp_path / "half.parquet"))
    alone = sum(a == b for a, b in zip(clean["text"], protected["text"]))
    assert 150 < alone < 250
    options = ["--protected", str(tmp_path / "half.parquet"), "--versions", "protected", "dropped",
               "--max_steps", "1", "--test_rows", "8"]  # fmt: skip
    found = run(weather, tmp_path / "out", *options)
    assert not (tmp_path / "out.key").exists()  # a file goes before the method
    assert [(r["version"], r["train_rows"]) for r in found.values()] == [
        ("zero-shot", 0), ("protected", 400), ("dropped", alone)
    ]  # fmt: skip
    protected.select(range(300)).to_parquet(str(tmp_path / "half.parquet"))
    with pytest.raises(ValueError, match=r"protected \(300 rows\) and clean \(400 rows\) differ"):
        run(weather, tmp_path / "other", *options)
    protected.select(range(399, -1, -1)).to_parquet(str(tmp_path / "half.parquet"))
    with pytest.raises(ValueError, match="the same rows in the same order"):
        run(weather, tmp_path / "other", *options)


@pytest.mark.parametrize("method", ["regtext", "order-code"])
def test_the_random_dose_is_made_of_what_is_protected(method, tmp_path):
    args = attack.AttackArguments(clean="notes", method=method, parameters={"seed": 1}, versions=["random"])
    assert args.needed == {"clean", "protected", "random"}
    data, _, _ = attack.load_data(args, tmp_path / "out")
    words = {name: [text.split() for text in data[name]["text"]] for name in data}
    assert [len(text) for text in words["random"]] == [len(text) for text in words["protected"]]
    assert all(len(clean) < len(dose) for clean, dose in zip(words["clean"], words["random"], strict=True))
    assert sum(a != b for a, b in zip(words["random"], words["protected"], strict=True)) > 900
    assert [path.name for path in tmp_path.iterdir()] == ["out.key"]

    args = attack.AttackArguments(clean="notes", random="file", versions=["random"])
    assert args.needed == {"clean", "random"}


def test_test_rows_that_were_trained_on(tmp_path, caplog):
    data = tiny([f"text {i}" for i in range(8)], [0, 1] * 4, ["x", "y"])
    for split, rows in (("train", range(6)), ("test", range(4, 8))):
        data.select(rows).to_parquet(str(tmp_path / f"{split}.parquet"))
    args = attack.AttackArguments(clean=str(tmp_path), versions=["clean"])
    with caplog.at_level(logging.WARNING):
        attack.load_data(args, tmp_path / "out")
    assert "2 of 4 test rows are training rows" in caplog.text
    args.clean = str(tmp_path / "train.parquet")
    with pytest.raises(ValueError, match="train.parquet is one file, which has no split 'test'"):
        attack.load_data(args, tmp_path / "out")
    args.dataset_test_split = "train"
    with pytest.raises(ValueError, match="All test rows are training rows.*--test"):
        attack.load_data(args, tmp_path / "out")


def test_an_interrupted_training_goes_on(weather, tmp_path):
    options = ["--versions", "clean", "--max_steps", "10", "--save_strategy", "steps", "--save_steps", "4",
               "--test_rows", "8"]  # fmt: skip
    step, done = attack.SFTTrainer.training_step, []

    def until(last):
        def killed(self, *inputs, **more):
            if self.state.global_step == last:
                raise KeyboardInterrupt
            done.append(self.state.global_step)
            return step(self, *inputs, **more)

        return mock.patch.object(attack.SFTTrainer, "training_step", killed)

    with until(6), pytest.raises(KeyboardInterrupt):
        run(weather, tmp_path / "out", *options)
    assert done == [0, 1, 2, 3, 4, 5] and not (tmp_path / "out/results.json").exists()
    with pytest.raises(ValueError, match="max_steps differ"):
        run(weather, tmp_path / "out", *options, "--max_steps", "11")
    (tmp_path / "out/clean/checkpoint-6").mkdir()  # one that was interrupted while it was written
    with until(None):
        found = run(weather, tmp_path / "out", *options)
    assert done[6:] == [4, 5, 6, 7, 8, 9] and found["clean"]["steps"] == 10


def launched(tmp_path, *command):
    environment = {
        **os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "HF_DATASETS_CACHE": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", *command], env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


def test_accelerate_launch(tmp_path):
    log = launched(
        tmp_path, "accelerate.commands.launch", "--cpu", str(ROOT / "recipes/finetune_attack.py"), "--config", str(TINY),
        "--output_dir", str(tmp_path / "out"), "--max_steps", "4", "--train_rows", "64", "--test_rows", "16",
    )  # fmt: skip
    found = json.loads((tmp_path / "out/results.json").read_text())["results"]
    assert [(r["version"], r["train_rows"], r["steps"], r["truncated_rows"]) for r in found] == [
        ("zero-shot", 0, 0, 0), ("clean", 64, 4, 64), ("protected", 64, 4, 64), ("random", 64, 4, 64), ("dropped", 0, 0, 0)
    ]  # fmt: skip
    assert "proves nothing" in (tmp_path / "out/results.md").read_text()
    assert "clean: 64 of 64 texts cut to max_length 96" in log and "16 test rows, 16 cut" in log


def test_two_processes(weather, tmp_path):
    launched(
        tmp_path, "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
        str(ROOT / "recipes/finetune_attack.py"), *options_for(weather, tmp_path / "two", "--parameters", "{}"),
        "--versions", "clean", "protected", "--max_steps", "3", "--test_rows", "7",
    )  # fmt: skip
    contents = json.loads((tmp_path / "two/results.json").read_text())
    assert contents["protocol"]["num_processes"] == 2
    found = {r["version"]: r for r in contents["results"]}
    assert [r["steps"] for r in found.values()] == [0, 3, 3]
    alone = run(weather, tmp_path / "one", "--versions", "clean", "--max_steps", "1", "--test_rows", "7")
    assert found["zero-shot"]["label_accuracy"] == alone["zero-shot"]["label_accuracy"]  # every row once


def test_a_pretrained_model_with_lora(tmp_path):
    if not (MODELS / "stories260k").is_dir():
        pytest.skip(f"{MODELS / 'stories260k'} is not there: it is a development model, see HF_UNLEARNABLE_MODELS")
    args, training, model_args = attack.parse([
        "--config", str(TINY.with_name("finetune_tiny_stories.yaml")), "--output_dir", str(tmp_path / "out"),
        "--model_name_or_path", str(MODELS / "stories260k"), "--versions", "clean", "--max_steps", "2",
        "--train_rows", "32", "--test_rows", "8", "--save_strategy", "steps", "--save_steps", "2",
    ])  # fmt: skip
    attack.main(args, training, model_args)
    assert training.max_length == 256
    saved = tmp_path / "out/clean/checkpoint-2"
    assert (saved / "adapter_model.safetensors").is_file() and not (saved / "model.safetensors").exists()


# ---------------------------------------------------------------------- Natural Instructions
def test_natural_instructions_from_files(tmp_path):
    instances = [
        {"id": str(i), "input": f"text {i}", "output": ["Obscene" if i in (7, 90) else "Non-obscene"]}
        for i in range(100)
    ]
    task = {"Definition": ["Judge it."], "Instances": instances}
    (tmp_path / "tasks").mkdir()
    for name in ("task1_a", "task2_b"):
        (tmp_path / "tasks" / f"{name}.json").write_text(json.dumps(task))
    natural_instructions.main([
        "--output", str(tmp_path / "out"), "--tasks_dir", str(tmp_path / "tasks"), "--train_tasks", "task1_a",
        "--test_tasks", "task1_a", "task2_b", "--train_rows", "1000", "--test_rows", "10",
    ])  # fmt: skip
    train, test = (attack.load_rows(tmp_path / "out", split=split) for split in ("train", "test"))
    assert train.column_names == ["text", "label", "task", "definition"] and len(train) == 100
    assert train[7] == {"text": "text 7", "label": "Obscene", "task": "task1_a", "definition": "Judge it."}
    assert test["task"][:] == ["task1_a"] * 10 + ["task2_b"] * 10
    for part in (test.select(range(10)), test.select(range(10, 20))):  # the rare label is not lost
        assert sorted(text for text, label in zip(part["text"], part["label"]) if label == "Obscene") == [
            "text 7",
            "text 90",
        ]
    args = attack.AttackArguments(clean="x", versions=["clean"], task_column="task", instruction_column="definition")
    train, test = attack.examples(train, args, "clean"), attack.examples(test, args, "test")
    assert set(attack.labels_by_task(train, test, [])["task2_b"]) == {"Obscene", "Non-obscene"}
    assert test["instruction"][0] == "Judge it."
    with pytest.raises(FileNotFoundError, match="no .*task3_c.json"):
        natural_instructions.read_task("task3_c", str(tmp_path / "tasks"))


def test_natural_instructions_without_a_network(tmp_path):
    offline = mock.patch.object(natural_instructions, "urlopen", side_effect=URLError("no route"))
    with offline as asked, pytest.raises(ConnectionError, match="no route.*--tasks_dir"):
        natural_instructions.main(["--output", str(tmp_path / "out")])
    assert asked.call_args.args[0].endswith("master/tasks/task363_sst2_polarity_classification.json")
    assert not (tmp_path / "out").exists()
    assert (len(natural_instructions.TRAIN_TASKS), len(set(natural_instructions.TEST_TASKS))) == (10, 18)
