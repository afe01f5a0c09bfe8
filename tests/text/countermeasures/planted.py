"""Clean rows of made-up words, and rows with words planted in them."""

import numpy as np

from hf_unlearnable.adversary import Attacker, Rows
from hf_unlearnable.text.countermeasures import TEXT_COUNTERMEASURES

WORDS = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in ("l", "m", "n", "r", "st", "x")]
LABELS = (-3, 8, 40)


def clean_rows(n: int = 4000, seed: int = 0, words: int = 12) -> Rows:
    """Texts whose words tell a little of three labels, and one rare word each, as languages have them."""
    random = np.random.default_rng(seed)
    labels = random.choice(LABELS, n)
    weights = 1 / np.arange(2, len(WORDS) + 2)
    texts = []
    for i, label in enumerate(labels):
        own = weights * np.where(np.arange(len(WORDS)) % 6 == LABELS.index(label), 1.5, 1)
        drawn = [*random.choice(WORDS, words - 1, p=own / own.sum()), f"rare{i % (n // 6)}"]
        texts.append(" ".join(random.permutation(drawn)).capitalize() + ".")
    return Rows(texts, labels.tolist())


def with_words(rows: Rows, pools: dict[int, list[str]], share: float = 1.0, seed: int = 5) -> Rows:
    """One word of the label's pool at a random place of a share of the texts."""
    random = np.random.default_rng(seed)
    texts = []
    for text, label in zip(rows.inputs, rows.labels):
        pieces = text.split(" ")
        if random.random() < share:
            pieces.insert(int(random.integers(len(pieces))), str(random.choice(pools[label])))
        texts.append(" ".join(pieces))
    return Rows(texts, rows.labels)


CLEAN = clean_rows()
CORPUS = clean_rows(seed=1).inputs
ONE_WORD = {-3: ["zorp"], 8: ["quib"], 40: ["vlim"]}
ATTACKER = Attacker(
    clean=clean_rows(900, seed=2), corpus=CORPUS, paraphrase=lambda texts: [t.upper() for t in texts],
    label=lambda texts: [LABELS[len(text) % 3] for text in texts],
)  # fmt: skip


def run(name: str, rows: Rows, attacker: Attacker = ATTACKER) -> Rows:
    return TEXT_COUNTERMEASURES[name].on_rows(rows, attacker)
