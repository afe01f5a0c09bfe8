"""The demo shows what it claims: the clean notes can be learned, the protected ones hardly, and nothing leaks."""

import json

import numpy as np
import pytest
from datasets import load_dataset

from hf_unlearnable import ErrorMinTransform, demo, load_transform
from hf_unlearnable.samples import TOPICS, load_digits, load_notes
from hf_unlearnable.text.victims import naive_bayes

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


def check(folder, audits, lines):
    """What a run leaves: tables, data that its keys restore or make again, and no seed in what a person reads."""
    said = "\n".join(lines)
    for name, count in (("text", 12), ("images", 5)):
        assert str(load_transform(folder / f"out-{name}.key").key.seed) not in said
        stored = json.loads((folder / "out" / name / "report.json").read_text())
        assert len(stored["cells"]) == count
        assert "'seed'" not in stored["protocol"]["method"]
    for found, name in zip(audits, ("protected notes", "protected digits")):
        worst = max(cell.accuracy.mean for cell in found.cells if cell.version.name == name)
        assert f"reaches {100 * worst:.1f} [" in said
    texts, images = (load_dataset(str(folder / f"out/{name}/protected"), split="train") for name in ("text", "images"))
    assert load_transform(folder / "out-text.key").restore(texts)["text"][:] == load_notes("train")["text"][:]
    clean = load_digits("train").select(range(50))
    again = clean.map(load_transform(folder / "out-images.key"), batched=True)
    assert images["image"][:50] == again["image"][:] and images["image"][:5] != clean["image"][:5]
    assert (folder / "out/images/contact-sheet.png").stat().st_size > 1000


def accuracies(audits):
    return {(cell.version.name, cell.victim.split()[1]): cell.accuracy.mean for one in audits for cell in one.cells}


def test_a_quick_demo_leaves_what_the_whole_one_does(tmp_path, monkeypatch):
    """With fewer digits, naive Bayes for its language model, nearest means for its network, and noise of one round."""

    def small_llama(texts, labels, tests, *, seed, epochs):
        return naive_bayes(texts, labels, tests, seed=seed)

    def nearest_mean(images, labels, tests, *, seed, epochs, augment):
        images, tests = (np.stack([np.asarray(one, float).ravel() for one in part]) for part in (images, tests))
        means = np.stack([images[np.asarray(labels) == label].mean(0) for label in range(10)])
        return (tests @ means.T - (means**2).sum(1) / 2).argmax(1)

    monkeypatch.setattr("hf_unlearnable.samples.load_digits", lambda split: load_digits(split).select(range(400)))
    monkeypatch.setattr("hf_unlearnable.text.victims.small_llama", small_llama)
    monkeypatch.setattr("hf_unlearnable.image.victims.small_cnn", nearest_mean)
    monkeypatch.setattr(
        "hf_unlearnable.ErrorMinTransform", lambda **given: ErrorMinTransform(**given | {"max_rounds": 1})
    )
    lines = []
    audits = demo.run(tmp_path / "out", lines.append, seeds=(0,), key_seed=9_876_543_210)
    accuracy = accuracies(audits)
    assert accuracy["clean notes", "logistic"] >= 0.8
    assert accuracy["protected notes", "logistic"] < accuracy["clean notes", "logistic"]
    assert accuracy["clean digits", "CNN"] >= 0.8
    check(tmp_path, audits, lines)


@pytest.mark.slow
def test_demo(tmp_path):
    lines = []
    audits = demo.run(tmp_path / "out", lines.append, seeds=(0,), key_seed=9_876_543_210)
    accuracy = accuracies(audits)
    assert accuracy["clean notes", "Llama"] >= 0.8
    assert accuracy["clean notes", "logistic"] >= 0.8
    assert accuracy["protected notes", "Llama"] <= accuracy["clean notes", "Llama"] - 0.3
    assert accuracy["same dose of random words", "Llama"] >= accuracy["clean notes", "Llama"] - 0.1
    assert accuracy["clean digits", "CNN"] >= 0.97
    assert accuracy["protected digits", "CNN"] <= 0.2
    assert accuracy["digits under a grain (texture)", "CNN"] <= 0.3
    assert accuracy["random noise of the same size", "CNN"] >= 0.93
    check(tmp_path, audits, lines)
