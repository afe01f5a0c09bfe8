"""The demo shows what it claims: the clean notes can be learned, the protected ones hardly, and nothing leaks."""

import json

import pytest
from datasets import load_dataset

from hf_unlearnable import demo, load_transform
from hf_unlearnable.samples import TOPICS, load_notes

for module in ("torch", "transformers", "sklearn"):
    pytest.importorskip(module, reason="the demo needs the attack extra")


def test_the_notes():
    train, test = load_notes("train"), load_notes("test")
    texts = train["text"][:] + test["text"][:]
    assert len(set(texts)) == len(texts)
    assert train.features["label"].names == test.features["label"].names == TOPICS
    for rows in (train, test):
        counts = [rows["label"][:].count(i) for i in range(len(TOPICS))]
        assert max(counts) - min(counts) <= 1


def test_demo(tmp_path):
    lines = []
    cells = demo.run(tmp_path / "out", lines.append, seeds=(0,), key_seed=9_876_543_210)
    accuracy = {(cell.version, cell.victim.split()[0]): cell.accuracy.mean for cell in cells}
    assert accuracy["clean notes", "small"] >= 0.8
    assert accuracy["clean notes", "TF-IDF"] >= 0.8
    assert accuracy["protected notes", "small"] <= accuracy["clean notes", "small"] - 0.3
    assert accuracy["same dose of random words", "small"] >= accuracy["clean notes", "small"] - 0.1
    said = "\n".join(lines)
    cloak = load_transform(tmp_path / "out.key")
    assert str(cloak.key.seed) not in said
    assert f"{100 * max(accuracy['protected notes', v] for v in ('small', 'TF-IDF')):.0f} %" in said
    protected = load_dataset(str(tmp_path / "out" / "protected"), split="train")
    assert cloak.restore(protected)["text"][:] == load_notes("train")["text"][:]
    stored = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(stored["cells"]) == len(cells) == 12
    assert "'seed'" not in stored["protocol"]["method"]
