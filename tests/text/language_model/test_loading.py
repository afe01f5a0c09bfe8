"""A model that cannot be attacked with is named, with what to do; nothing starts from random weights."""

import json

import pytest

pytest.importorskip("transformers", reason="language models need transformers")

from hf_unlearnable.text.language_model.loading import load_tokenizer


@pytest.mark.parametrize("names", [["a.gguf"], ["a.gguf", "b.gguf"], ["model.Q4_K_M.gguf", "tokenizer.json"]])
def test_a_folder_of_gguf_weights_says_how_to_convert_them(tmp_path, names):
    for name in names:
        (tmp_path / name).write_bytes(b"GGUF")
    listed = ", ".join(name for name in names if name.endswith(".gguf"))
    with pytest.raises(
        ValueError, match=rf"holds GGUF weights \({listed}\) and no config.json.*gguf_model.py FILE.gguf"
    ):
        load_tokenizer(str(tmp_path))


def test_a_gguf_file_says_how_to_convert_it(tmp_path):
    with pytest.raises(ValueError, match=r"small.gguf is a GGUF file. .*make llm"):
        load_tokenizer(str(tmp_path / "small.gguf"))


@pytest.mark.parametrize("name", ["./models/smollm2", "../shared/models/none", "a/b/c"])
def test_a_folder_that_is_not_there_is_named(name):
    with pytest.raises(FileNotFoundError, match=f"no model folder {name}. `make llm` makes one"):
        load_tokenizer(name)


def test_no_network_and_no_folder_says_what_to_do(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(
        OSError, match=r"'nobody/no-such-model' is no folder here, and the Hub did not give it.*make llm"
    ):
        load_tokenizer("nobody/no-such-model")


@pytest.mark.parametrize(
    ("kind", "architecture"),
    [("bert", "BertModel"), ("bert", "BertForSequenceClassification"), ("distilbert", "DistilBertForMaskedLM"),
     ("t5", "T5ForConditionalGeneration")],
)  # fmt: skip
def test_a_model_of_another_kind_is_refused(tmp_path, kind, architecture):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind, "architectures": [architecture]}))
    with pytest.raises(ValueError, match=f"holds a {architecture}, which is no causal language model"):
        load_tokenizer(str(tmp_path))
