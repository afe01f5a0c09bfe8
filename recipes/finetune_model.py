"""The model of `finetune_attack.py`: a pretrained one as its options say, or a small random Llama."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.utils.memory import clear_device_cache
from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed
from trl import ModelConfig, SFTConfig, get_quantization_config

from hf_unlearnable.text.language_model import loading
from hf_unlearnable.text.language_model.prompts import alpaca

RANDOM_LLAMA = "random-llama"


def check(model_args: ModelConfig, training: SFTConfig) -> None:
    """Refuses what this device or this installation cannot train, before anything is loaded.

    Args:
        model_args: Options of the model.
        training: Options of the training.

    Raises:
        ValueError: It has no name, or it is to be quantised and there is no GPU.
        ImportError: bitsandbytes is needed and not installed.
    """
    if not model_args.model_name_or_path:
        raise ValueError(f"model_name_or_path is missing: a Hub id, a folder or {RANDOM_LLAMA!r}.")
    quantised = model_args.load_in_4bit or model_args.load_in_8bit
    if quantised and PartialState().device.type == "cpu":
        raise ValueError(
            "load_in_4bit and load_in_8bit need a GPU, and there is none. Start where there is one, or say "
            "--load_in_4bit false --optim adamw_torch and name a small model."
        )
    optimizer = str(getattr(training.optim, "value", training.optim))
    if (quantised or "8bit" in optimizer or "paged" in optimizer) and find_spec("bitsandbytes") is None:
        raise ImportError(
            f"{'load_in_4bit or load_in_8bit' if quantised else f'optim {optimizer}'} needs bitsandbytes, which is "
            'not installed: pip install "hf-unlearnable[attack,quantised]"'
        )
    if model_args.model_name_or_path != RANDOM_LLAMA:
        loading.check_folder(str(model_args.model_name_or_path))


def load_tokenizer(model_args: ModelConfig, training: SFTConfig, texts: Sequence[str]) -> tuple[Any, Any]:
    """The model's tokenizer and its configuration; an end token and a chat template may be given from without.

    Args:
        model_args: Options of the model.
        training: Options of the training.
        texts: What the tokenizer of "random-llama" is learned from.
    """
    source = {"revision": model_args.model_revision, "trust_remote_code": training.trust_remote_code}
    if model_args.model_name_or_path == RANDOM_LLAMA:
        tokenizer, config = random_llama(texts)
    else:
        tokenizer, config = loading.load_tokenizer(str(model_args.model_name_or_path), **source)
    if training.eos_token:
        tokenizer.eos_token = training.eos_token
    if training.chat_template_path:
        tokenizer.chat_template = chat_template(training.chat_template_path)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    return tokenizer, config


def chat_template(source: str) -> str:
    """The chat template of a Jinja file, or of the tokenizer of a folder or a Hub id.

    Args:
        source: What `chat_template_path` says.

    Raises:
        ValueError: That tokenizer has none.
    """
    if Path(source).is_file():
        return Path(source).read_text(encoding="utf-8")
    template = AutoTokenizer.from_pretrained(source).chat_template
    if not template:
        raise ValueError(f"The tokenizer of chat_template_path {source} has no chat template. Name a Jinja file.")
    return template


def load_model(config: Any, model_args: ModelConfig, training: SFTConfig) -> Any:
    """The model with its first weights, on this process's device.

    Args:
        config: Of `load_tokenizer`.
        model_args: Options of the model.
        training: Options of the training; its seed decides random weights, its `model_init_kwargs` are passed on.
    """
    clear_device_cache(garbage_collection=True)  # of what the last version left behind
    set_seed(training.seed)
    device = PartialState().device
    given = dict(training.model_init_kwargs or {})
    if model_args.load_in_4bit or model_args.load_in_8bit:
        given |= {"quantization_config": get_quantization_config(model_args), "device_map": {"": device}}
    if model_args.model_name_or_path == RANDOM_LLAMA:
        return AutoModelForCausalLM.from_config(config, **given).to(device)
    named = {
        "config": config, "revision": model_args.model_revision, "trust_remote_code": training.trust_remote_code,
        "attn_implementation": model_args.attn_implementation, "dtype": model_args.dtype,
    }  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(str(model_args.model_name_or_path), **{**named, **given})
    return model if "device_map" in given else model.to(device)


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
