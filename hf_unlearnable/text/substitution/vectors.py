"""Vectors of words: drawn with the key, or those of a pretrained model's input layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hf_unlearnable._extras import require
from hf_unlearnable.text.language_model.loading import had
from hf_unlearnable.text.substitution.gradients import STATE, uniform

_KEPT = 100_000  # vectors in memory
_DEVIATION = 3**-0.5  # of the vectors that are drawn


class WordVectors:
    """Vectors of words in lower case, kept once they are known.

    Args:
        compute: From n words to float64 [n, width].
        width: See `compute`.
        is_one: Whether a word has a vector that is its own alone.
    """

    def __init__(
        self, compute: Callable[[list[str]], np.ndarray], width: int, is_one: Callable[[str], bool] = lambda word: True
    ):
        self._compute, self.width, self.is_one = compute, width, is_one
        self._known: dict[str, np.ndarray] = {}

    def of(self, words: Sequence[str]) -> np.ndarray:
        """The vectors of one word or more, float64 [words, width]."""
        if len(self._known) > _KEPT:
            self._known.clear()
        new = [word for word in dict.fromkeys(words) if word not in self._known]
        if new:
            self._known.update(zip(new, self._compute(new), strict=True))
        return np.stack([self._known[word] for word in words])


def drawn_vectors(seed: int) -> WordVectors:
    """Vectors that follow from a seed and the word alone, alike on every machine."""
    return WordVectors(lambda words: np.stack([uniform(f"word {word}", seed, (STATE,)) for word in words]), STATE)


def model_vectors(model: str) -> WordVectors:
    """The vectors of a model's input layer, as large as those that are drawn.

    A word that the model's tokenizer splits has the mean of its tokens, and none of its own.

    Args:
        model: Hub id or folder.

    Raises:
        ImportError: torch or transformers is not installed.
        OSError: The model cannot be found or loaded.
    """
    require("attack", "torch", "transformers")
    from transformers import AutoModel, AutoTokenizer

    tokenizer = had("tokenizer", model, AutoTokenizer.from_pretrained)
    loaded = had("model", model, AutoModel.from_pretrained)
    table = loaded.get_input_embeddings().weight.detach().double().numpy()
    table = table * (_DEVIATION / table.std())

    def tokens(words: Sequence[str]) -> list[list[int]]:
        return tokenizer([f" {word}" for word in words], add_special_tokens=False)["input_ids"]

    def compute(words: list[str]) -> np.ndarray:
        return np.stack([table[one].mean(0) if one else np.zeros(table.shape[1]) for one in tokens(words)])

    return WordVectors(compute, table.shape[1], lambda word: len(tokens([word])[0]) == 1)
