"""An audit of forty texts, whose victim is a rule."""

import numpy as np

from hf_unlearnable.adversary import Rows
from hf_unlearnable.audit.records import Version
from tests.examples import tiny

TRAIN = tiny([f"word{i % 2} text" for i in range(40)], [i % 2 for i in range(40)])
TEST = tiny([f"word{i % 2} other" for i in range(30)], [i % 2 for i in range(30)])
SWAPPED = tiny(TRAIN["text"][:], [1 - label for label in TRAIN["label"]])
CLEAN, DROPPED = Version("clean", TRAIN, "clean"), Version("dropped", TRAIN.select([]), "dropped")
PROTECTED = Version("swapped", SWAPPED, "protected")


def by_rule(train_texts, train_labels, test_texts, *, seed, on_epoch=None):
    """Learns which first word goes with which label; seed 1 is wrong on the first five rows."""
    rule = dict(zip((text.split()[0] for text in train_texts), train_labels))
    predicted = np.array([rule.get(text.split()[0], 0) for text in test_texts])
    if seed == 1:
        predicted[:5] = 1 - predicted[:5]
    if on_epoch is not None:
        on_epoch(1.0, 1 - predicted)
        on_epoch(0.5, predicted)
    return predicted


class Counting:
    """A victim that counts its trainings and notes what it was given."""

    def __init__(self):
        self.given = []

    def __call__(self, train_texts, train_labels, test_texts, *, seed):
        self.given.append((list(train_texts), list(train_labels), seed))
        return by_rule(train_texts, train_labels, test_texts, seed=seed)


def flipped(rows, attacker):
    return Rows(rows.inputs, [1 - label for label in rows.labels])


def tagged(rows, attacker, tag):
    return Rows([f"{text} {tag}" for text in rows.inputs], rows.labels)
