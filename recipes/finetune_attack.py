# /// script
# dependencies = ["hf-unlearnable[attack]"]
# ///
"""The fine-tuning attack on text: what does a language model learn from the protected data?

    accelerate launch recipes/finetune_attack.py --config recipes/configs/finetune_llama_imdb.yaml
    python recipes/finetune_attack.py --config recipes/configs/finetune_smollm2.yaml   # a CPU; first `make llm`
    python recipes/finetune_attack.py --config recipes/configs/finetune_smoke_test.yaml    # a smoke test, a minute
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

All are tested on the same clean rows. "Label" compares the probabilities that the model gives to the labels and
nothing else: it asks what the model knows. "AUC" does not depend on how much it likes one label on the whole. "Exact
match" lets it write: it asks whether the answer comes out, too. A base model before training often knows and does not
say.

`max_steps` trains every version for equally many steps, `num_train_epochs` for equally many epochs; the two differ for
"dropped" only. `--method regtext order-code` and `--seeds 0 1 2` run several in one go: all methods share the clean
trainings, one per seed, and one zero-shot test; each method has a key per seed. From one seed nobody can tell how much
trainings differ.

Every option of TRL's `SFTConfig` and `ModelConfig` may stand in the YAML file beside those of `AttackArguments`, and
the command line overrides it, with "-" or "_" in the names; the few that make no sense here are refused by name. Out
come `<output_dir>/results.json` and `results.md`, per training its `predictions.jsonl` and, with `--save-model true`,
its adapter or weights, and with `--method` the key `<output_dir>.key`. The same command started again goes on where it
was interrupted: a training with a result of the same settings is not repeated, one with a checkpoint goes on from
there. Weights stay on one device: several processes share the rows (DDP, ZeRO-1 and -2), not the model.

Paper. The prompt and the setting of `finetune_llama8b_imdb_paper.yaml` follow A. Java, S. Shahid, C. Agarwal, "Towards
Operationalizing Right to Data Protection", NAACL 2025, arXiv:2411.08506. Unlike there an answer is never counted by a
part of it: "Non-obscene" is not "Obscene".
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object
from accelerate.utils.memory import clear_device_cache
from datasets import Dataset
from finetune_data import Training, load_data, planned
from finetune_model import check, load_model, load_tokenizer
from finetune_options import AttackArguments, parse, refuse
from finetune_results import (
    ZERO_SHOT,
    Result,
    digest,
    json_like,
    judged,
    keep,
    kept_result,
    last_checkpoint,
    training_settings,
    write_results,
)
from trl import ModelConfig, SFTConfig, get_peft_config

from hf_unlearnable.registry import method_class
from hf_unlearnable.text.language_model.prompts import Prompter, encode
from hf_unlearnable.text.language_model.scoring import Answer, answers
from hf_unlearnable.text.language_model.training import make_trainer

logger = logging.getLogger("finetune_attack")


def train(
    one: Training, model: Any, tokenizer: Any, rows: Dataset, training: SFTConfig, model_args: ModelConfig
) -> Any:
    """The trainer after its training on encoded rows, in a folder of its own.

    Args:
        one: Its name and its seed.
        model: With its first weights.
        tokenizer: Of the model.
        rows: Of `encode`.
        training: Options of the training.
        model_args: Options of the model.
    """
    training = copy.copy(training)
    output = Path(str(training.output_dir), one.name)
    training.output_dir, training.seed = str(output), one.seed
    training.run_name = f"{training.run_name or output.parent.name}-{one.name}"
    training.chat_template_path = training.model_init_kwargs = None  # tokenizer and model have them already
    if training.padding_free and not training.packing:
        training.max_length = None  # the rows are cut already, and TRL cannot
    trainer = make_trainer(model, tokenizer, rows, training, get_peft_config(model_args))
    trainer.train(resume_from_checkpoint=last_checkpoint(output))
    return trainer


def evaluate(model: Any, prompter: Prompter, test: Dataset, training: SFTConfig) -> list[Answer]:
    """The answers to the test rows. Each process answers its share; all get the whole.

    Args:
        model: Trained or not.
        prompter: Made the prompts.
        test: Of `encode`.
        training: Options of the training: batch size and precision.
    """
    clear_device_cache(garbage_collection=True)  # of the optimiser
    state = PartialState()
    lengths = [len(prompt) for prompt in test["prompt"]]
    order = sorted(range(len(test)), key=lengths.__getitem__, reverse=True)  # so that all processes have as much to do
    half = torch.float16 if training.fp16 else torch.bfloat16 if training.bf16 else None
    found = answers(
        model, prompter, test, batch_size=training.per_device_eval_batch_size, write=True, dtype=half,
        numbers=order[state.process_index :: state.num_processes],
    )  # fmt: skip
    return gather_object(list(found))


@dataclass
class Attack:
    """What all trainings of a run share.

    Args:
        args, training, model_args: The options.
        prompter: Makes the prompts.
        config: Of the model.
        test: Examples to test on, and the same encoded.
    """

    args: AttackArguments
    training: SFTConfig
    model_args: ModelConfig
    prompter: Prompter
    config: Any
    test: Dataset
    asked: Dataset

    def run(self, one: Training, rows: Dataset | None) -> tuple[Result, list[dict]]:
        """Trains and tests; without rows it is zero-shot.

        Args:
            one: The training.
            rows: Examples to train on.
        """
        start, steps, cut, trainer = time.perf_counter(), 0, 0, None
        model = load_model(self.config, self.model_args, replaced(self.training, seed=one.seed))
        if rows is not None:
            encoded = encode(rows, self.prompter, self.args.instruction)
            cut = sum(encoded["truncated"])
            logger.info("%s: %d of %d texts cut to max_length %d", one.name, cut, len(rows), self.prompter.max_length)
            trainer = train(one, model, self.prompter.tokenizer, encoded, self.training, self.model_args)
            model, steps = trainer.model, trainer.state.global_step
        found = evaluate(model, self.prompter, self.asked, self.training)
        result, answered = judged(
            one.name, found, self.test, self.prompter.tasks, train_rows=len(rows or ()), steps=steps,
            truncated_rows=cut, seconds=round(time.perf_counter() - start, 1),
        )  # fmt: skip
        if trainer is not None:
            trainer.log(
                {"test_label_accuracy": result.label_accuracy.mean, "test_exact_match": result.exact_match.mean}
            )
            if self.args.save_model:
                trainer.save_model(str(Path(str(self.training.output_dir), one.name, "model")))
            finish(trainer)
        return result, answered


def replaced(training: SFTConfig, **changes: Any) -> SFTConfig:
    """A copy of the options with changes; `dataclasses.replace` would check and derive everything again."""
    training = copy.copy(training)
    vars(training).update(changes)
    return training


def finish(trainer: Any) -> None:
    """Closes the trackers that hold one run per process, or the next training would go on in this one's.

    `Trainer.end` (transformers 5.18) does it too, but takes the process group with it.

    Args:
        trainer: After its training and its last `log`.
    """
    for tracker in {"wandb", "trackio"} & set(trainer.args.report_to or ()):
        if PartialState().is_main_process:
            import_module(tracker).finish()


def settings_of(
    args: AttackArguments, training: SFTConfig, model_args: ModelConfig, data: Mapping[str, Dataset], test: Dataset
) -> dict[str, Any]:
    """How it was measured, without what is secret: the seed and the words of the protection.

    Args:
        args: What is attacked.
        training: Options of the training.
        model_args: Options of the model.
        data: Examples by name of the training.
        test: Examples to test on.
    """
    described = {k: v for k, v in asdict(args).items() if k not in ("parameters", "save_model")}
    if args.method:
        described["parameters"] = {
            name: method_class(name)(**args.method_parameters).public_params() for name in args.method
        }
    described |= {k: v for k, v in asdict(model_args).items() if v is not None}
    described |= training_settings(training)
    described |= {"num_processes": PartialState().num_processes, "test_row_count": len(test)}
    return described | {"digests": {name: digest(rows) for name, rows in data.items()}, "test_digest": digest(test)}


def own_settings(settings: Mapping[str, Any], training: SFTConfig, one: Training) -> dict[str, Any]:
    """What the result of one training depends on: not on the methods and seeds that are run beside it.

    Args:
        settings: Of `settings_of`.
        training: Options of the training, which zero-shot does not depend on.
        one: The training.
    """
    beside = {"versions", "seeds", "method", "parameters", "protected", "random", "digests", "seed"}
    if one.version == ZERO_SHOT:
        beside |= set(training_settings(training)) - {"max_length", "bf16", "fp16", "eos_token", "model_init_kwargs"}
        return {name: value for name, value in settings.items() if name not in beside}
    kept = {name: value for name, value in settings.items() if name not in beside}
    return {**kept, "seed": one.seed, "digest": settings["digests"][one.name]}


def main(args: AttackArguments, training: SFTConfig, model_args: ModelConfig) -> None:
    """Runs zero-shot and every training, one after the other, and writes the table.

    Args:
        args: What is attacked.
        training: Options of the training.
        model_args: Options of the model.
    """
    state = PartialState()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logger.setLevel(logging.INFO if state.is_main_process else logging.ERROR)
    refuse(training)
    check(model_args, training)
    output = Path(str(training.output_dir))
    output.mkdir(parents=True, exist_ok=True)

    trainings = planned(args, args.seeds or [training.seed])
    data, test, tasks = load_data(args, output, trainings)
    tokenizer, config = load_tokenizer(model_args, training, next(iter(data.values()))["text"])
    reach = getattr(config.get_text_config(), "max_position_embeddings", None)
    training.max_length = min(n for n in (training.max_length, reach, tokenizer.model_max_length) if n)
    prompter = Prompter(tokenizer, args.prompt_style, training.max_length, tasks)
    asked = encode(test, prompter, args.instruction)
    logger.info("%d test rows, %d cut to max_length %d", len(test), sum(asked["truncated"]), training.max_length)

    attack = Attack(args, training, model_args, prompter, config, test, asked)
    settings = settings_of(args, training, model_args, data, test)
    found = run_all([Training(ZERO_SHOT, training.seed, name=ZERO_SHOT), *trainings], attack, data, settings)
    if state.is_main_process:
        logger.info("%s\nWritten to %s", write_results(output, found, trainings, settings), output)
    state.wait_for_everyone()
    state.destroy_process_group()


def run_all(
    trainings: Sequence[Training], attack: Attack, data: Mapping[str, Dataset], settings: Mapping[str, Any]
) -> dict[str, tuple[Result, list[dict]]]:
    """The results and answers by name of the training, those that are there already as they are.

    Args:
        trainings: Zero-shot first.
        attack: What they share.
        data: Examples by name of the training.
        settings: Of `settings_of`.

    Raises:
        ValueError: What lies in the output folder was made with other settings or of other rows.
    """
    state, output = PartialState(), Path(str(attack.training.output_dir))
    own = {one.name: json_like(own_settings(settings, attack.training, one)) for one in trainings}
    # What is done is looked up once and by one process: files of its own are not the business of the others.
    kept = {name: kept_result(output / name, own[name]) for name in own} if state.is_main_process else {}
    kept = broadcast_object_list([kept])[0]
    found: dict[str, tuple[Result, list[dict]]] = {}
    for one in trainings:
        rows = data.get(one.name)
        if kept[one.name]:
            found[one.name] = kept[one.name]
        elif rows is not None and not len(rows):  # nothing to learn from: the answers are those of zero-shot
            result, answered = found[ZERO_SHOT]
            found[one.name] = replace(result, name=one.name), answered
        else:
            found[one.name] = attack.run(one, rows)
        result, answered = found[one.name]
        if state.is_main_process and not kept[one.name]:
            keep(output / one.name, own[one.name], result, answered)
        logger.info("%s: label %s, exact match %s%s", one.name, result.label_accuracy, result.exact_match,
                    " (kept from before)" if kept[one.name] else "")  # fmt: skip
    return found


if __name__ == "__main__":
    main(*parse())
