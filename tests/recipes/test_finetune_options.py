"""Options of TRL that do harm are refused before anything is loaded, and the others reach the training."""

import re
from types import SimpleNamespace
from unittest import mock

import pytest

pytest.importorskip("trl", reason="the fine-tuning attack needs trl and peft")
pytest.importorskip("peft", reason="the fine-tuning attack needs trl and peft")

import finetune_model
import torch
from finetune_options import AttackArguments, parse, refuse
from finetune_results import training_settings

from recipes import finetune_attack as attack
from tests import ROOT
from tests.recipes.tiny_model import TINY, model_of


def options(*more):
    return parse(["--config", str(TINY), *more])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--push_to_hub", "true"], "push_to_hub: it would publish a model that was trained on your clean rows"),
        (["--push-to-hub", "true", "--hub-model-id", "me/mine"], "push_to_hub: it would publish"),
        (["--resume_from_checkpoint", "runs/x"], "resume_from_checkpoint: the same command goes on by itself"),
        (["--eval_strategy", "steps", "--eval_steps", "5"], "eval_strategy: every training is tested at its end"),
        (["--assistant_only_loss", "true"], "assistant_only_loss: prompts and answers are tokens here"),
        (["--dataset_kwargs", '{"skip_prepare_dataset": true}'], "dataset_kwargs: the rows are prepared here"),
    ],
)
def test_options_that_do_harm_are_refused_before_anything_is_loaded(given, said, tmp_path):
    loads = mock.patch.object(attack, "load_data", side_effect=AssertionError("data were loaded"))
    with loads, pytest.raises(ValueError, match=f"^{said}.*Take it out"):
        attack.main(*options(*given, "--output_dir", str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()


def test_usual_options_are_not_refused():
    refuse(options("--report_to", "none", "--neftune_noise_alpha", "5", "--padding_free", "true")[1])


@pytest.mark.parametrize(
    "given",
    [
        ["--data_seed", "3"], ["--label_smoothing_factor", "0.1"], ["--neftune_noise_alpha", "5"],
        ["--adam_beta2", "0.95"], ["--loss_type", "dft"], ["--lr_scheduler_kwargs", '{"num_cycles": 2}'],
        ["--optim_args", "foreach=False"], ["--dataloader_drop_last", "true"], ["--padding_free", "true"],
    ],
)  # fmt: skip
def test_a_result_depends_on_every_option_of_the_training(given):
    before, after = training_settings(options()[1]), training_settings(options(*given)[1])
    assert [name for name in after if before[name] != after[name]] == [given[0].removeprefix("--")]


@pytest.mark.parametrize(
    "given",
    [
        ["--logging_steps", "3"], ["--save_strategy", "steps", "--save_steps", "7"], ["--output_dir", "elsewhere"],
        ["--report_to", "none"], ["--dataloader_num_workers", "2"], ["--per_device_eval_batch_size", "3"],
    ],
)  # fmt: skip
def test_a_result_does_not_depend_on_logs_and_checkpoints(given):
    assert training_settings(options()[1]) == training_settings(options(*given)[1])


def test_names_of_options_may_have_dashes():
    args, training, model_args = options(
        "--train-rows", "7", "--learning-rate=0.5", "--use-peft", "true", "--text-column", "a-b"
    )
    assert (args.train_rows, args.text_column) == (7, "a-b")
    assert training.learning_rate == 0.5 and model_args.use_peft


def test_several_methods_and_seeds_share_the_clean_trainings():
    args, *_ = options("--method", "regtext", "order-code", "--seeds", "0", "1")
    assert args.method == ["regtext", "order-code"]
    names = [one.name for one in attack.planned(args, args.seeds)]
    assert names == [
        f"{name}-seed-{seed}" for seed in (0, 1) for name in (
            "clean", "regtext-protected", "order-code-protected", "regtext-random", "order-code-random",
            "regtext-dropped", "order-code-dropped",
        )
    ]  # fmt: skip
    assert [one.name for one in attack.planned(AttackArguments("notes", method="regtext"), [4])] == [
        "clean", "protected", "random", "dropped"
    ]  # fmt: skip
    with pytest.raises(ValueError, match="method names several"):
        AttackArguments(clean="notes", protected="file", method=["regtext", "order-code"])


def test_options_of_the_model_are_passed_on():
    model, *_ = model_of("--model_init_kwargs", '{"attn_implementation": "eager", "dtype": "bfloat16"}')
    assert model.config._attn_implementation == "eager" and model.dtype == torch.bfloat16


def test_a_chat_template_comes_from_a_file_or_a_tokenizer(tmp_path):
    (tmp_path / "mine.jinja").write_text("{{ messages }}")
    tokenizer, _ = finetune_model.random_llama(["a text"])
    tokenizer.chat_template = "{{ messages[0].content }}"
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    assert finetune_model.chat_template(str(tmp_path / "mine.jinja")) == "{{ messages }}"
    assert finetune_model.chat_template(str(tmp_path / "tokenizer")) == "{{ messages[0].content }}"
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path / "none")
    with pytest.raises(ValueError, match="has no chat template. Name a Jinja file"):
        finetune_model.chat_template(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("cpu", "given", "error", "said"),
    [
        (True, ["--load_in_4bit", "true"], ValueError, "need a GPU, and there is none"),
        (
            False,
            ["--load_in_4bit", "true"],
            ImportError,
            r"load_in_4bit or load_in_8bit needs bitsandbytes.*\[attack,quantised\]",
        ),
        (False, ["--optim", "adamw_8bit"], ImportError, "optim adamw_8bit needs bitsandbytes"),
        (True, ["--optim", "paged_adamw_32bit"], ImportError, "optim paged_adamw_32bit needs bitsandbytes"),
    ],
)
def test_what_needs_bitsandbytes_is_named_before_anything_is_loaded(cpu, given, error, said, monkeypatch):
    device = SimpleNamespace(type="cpu" if cpu else "cuda")
    monkeypatch.setattr(finetune_model, "PartialState", lambda: SimpleNamespace(device=device))
    monkeypatch.setattr(finetune_model, "find_spec", lambda name: None)
    _, training, model_args = options(*given)
    with pytest.raises(error, match=said):
        finetune_model.check(model_args, training)


@pytest.mark.parametrize("recipe", ["finetune_attack.py", "finetune_diffusion.py"])
def test_the_header_names_extras_that_bring_every_import(recipe):
    """`uv run recipes/finetune_attack.py` installs what the header says and nothing else."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    header = (ROOT / "recipes" / recipe).read_text().split("# ///")[1]
    extras = re.search(r'dependencies = \["hf-unlearnable\[([\w,]+)\]"\]', header)[1].split(",")
    extra = [*project["dependencies"], *(one for name in extras for one in project["optional-dependencies"][name])]
    names = {"yaml": "pyyaml", "sklearn": "scikit_learn", "PIL": "pillow"}
    brought = {re.split(r"[\[<>=]", one)[0].replace("-", "_").lower() for one in extra} | {"hf_unlearnable"}
    scripts = [ROOT / "recipes" / recipe]
    if recipe == "finetune_attack.py":
        scripts += [path for path in (ROOT / "recipes").glob("finetune_*.py") if path.name != "finetune_diffusion.py"]
    for script in scripts:
        modules = set(re.findall(r"^\s*(?:from|import) (\w+)", script.read_text(), re.MULTILINE))
        own = {path.stem for path in script.parent.glob("*.py")} | set(__import__("sys").stdlib_module_names)
        missing = {names.get(one, one) for one in modules - own} - brought
        assert not missing, script
