"""The demo shows what it claims: the clean notes can be learned, the protected ones hardly, and nothing leaks."""

import json

import pytest
from datasets import load_dataset

from hf_unlearnable import demo, load_transform
from hf_unlearnable.samples import TOPICS, load_digits, load_notes

for module in ("torch", "transformers", "sklearn", "accelerate", "skimage"):
    pytest.importorskip(module, reason="the demo needs the demo extra")


def test_the_notes():
    train, test = load_notes("train"), load_notes("test")
    texts = train["text"][:] + test["text"][:]
    assert len(set(texts)) == len(texts)
    assert train.features["label"].names == test.features["label"].names == TOPICS
    for rows in (train, test):
        counts = [rows["label"][:].count(i) for i in range(len(TOPICS))]
        assert max(counts) - min(counts) <= 1


def test_the_digits():
    train, test = load_digits("train"), load_digits("test")
    assert (len(train), len(test)) == (1297, 500) and train[0]["image"].size == (32, 32)
    assert {image.mode for image in test["image"]} == {"RGB"} and set(train["label"]) == set(range(10))


def test_demo(tmp_path):
    lines = []
    audits = demo.run(tmp_path / "out", lines.append, seeds=(0,), key_seed=9_876_543_210)
    accuracy = {(c.version.name, c.victim.split()[1]): c.accuracy.mean for found in audits for c in found.cells}
    assert accuracy["clean notes", "Llama"] >= 0.8
    assert accuracy["clean notes", "logistic"] >= 0.8
    assert accuracy["protected notes", "Llama"] <= accuracy["clean notes", "Llama"] - 0.3
    assert accuracy["same dose of random words", "Llama"] >= accuracy["clean notes", "Llama"] - 0.1
    assert accuracy["clean digits", "CNN"] >= 0.97
    assert accuracy["protected digits", "CNN"] <= 0.2
    assert accuracy["digits under a grain (texture)", "CNN"] <= 0.3
    assert accuracy["random noise of the same size", "CNN"] >= 0.93
    said = "\n".join(lines)
    for name in ("text", "images"):
        assert str(load_transform(tmp_path / f"out-{name}.key").key.seed) not in said
    worst = max(accuracy["protected notes", v] for v in ("Llama", "logistic"))
    for reached in (worst, accuracy["protected digits", "CNN"]):
        assert f"reaches {100 * reached:.1f} [" in said
    texts, images = (
        load_dataset(str(tmp_path / f"out/{name}/protected"), split="train") for name in ("text", "images")
    )
    assert load_transform(tmp_path / "out-text.key").restore(texts)["text"][:] == load_notes("train")["text"][:]
    again = load_digits("train").map(load_transform(tmp_path / "out-images.key"), batched=True)
    assert images["image"][:50] == again["image"][:50] and images["image"][:5] != load_digits("train")["image"][:5]
    for name, count in (("text", 12), ("images", 5)):
        stored = json.loads((tmp_path / "out" / name / "report.json").read_text())
        assert len(stored["cells"]) == count
        assert "'seed'" not in stored["protocol"]["method"]
    assert (tmp_path / "out/images/contact-sheet.png").stat().st_size > 1000
