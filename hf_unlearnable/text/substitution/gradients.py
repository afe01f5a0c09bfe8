"""Which word in the place of another moves the loss of an untrained network most: to first order, as in HotFlip."""

from __future__ import annotations

import numpy as np

from hf_unlearnable.key import draws, row_stream

STATE = 64  # width of the state, and of drawn word vectors
_REMEMBERED = 1.0  # bias of the forget gate
_DIGITS = 9  # scores that agree to so many digits are a tie: machines and threads round sums in different ways


def uniform(name: str, seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers in [-1, 1) that follow from a name and a seed, alike on every machine; float64 of this shape."""
    count = int(np.prod(shape))
    stream = np.full(count, row_stream(name.encode(), seed), np.uint64)
    bits = draws(stream, np.arange(count, dtype=np.uint64))
    return ((bits >> np.uint64(11)) * 2.0**-52 - 1).reshape(shape)


class Surrogate:
    """An LSTM that classifies from its last state, with weights that are drawn and never trained.

    Args:
        width: Of the word vectors.
        classes: How many.
        seed: Of the weights.
    """

    def __init__(self, width: int, classes: int, seed: int):
        scale = STATE**-0.5
        self._inputs = scale * uniform("inputs", seed, (width, 4 * STATE))
        self._states = scale * uniform("states", seed, (STATE, 4 * STATE))
        self._head = scale * uniform("head", seed, (STATE, classes))

    def gradients(self, vectors: np.ndarray, lengths: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Of the cross-entropy of each text by the vectors of its words; zeros behind its last word.

        Args:
            vectors: Float64 [texts, words, width], anything behind the last word.
            lengths: How many words each text has, int64 [texts], 1 or more.
            labels: The class of each text, int64 [texts].
        """
        inputs = vectors @ self._inputs
        inputs[..., STATE : 2 * STATE] += _REMEMBERED
        state = cell = np.zeros((len(vectors), STATE))
        states, kept = [], []
        for step in range(vectors.shape[1]):
            gates = inputs[:, step] + state @ self._states
            opened = 1 / (1 + np.exp(-gates[:, : 3 * STATE]))  # in, forget, out
            new, before = np.tanh(gates[:, 3 * STATE :]), cell
            cell = opened[:, STATE : 2 * STATE] * cell + opened[:, :STATE] * new
            shown = np.tanh(cell)
            state = opened[:, 2 * STATE :] * shown
            states.append(state)
            kept.append((opened, new, before, shown))
        rows = np.arange(len(vectors))
        residual = _softmax(np.stack(states)[lengths - 1, rows] @ self._head)
        residual[rows, labels] -= 1
        by_last, by_gates = residual @ self._head.T, np.empty_like(inputs)
        by_state = by_cell = np.zeros_like(state)
        for step in reversed(range(vectors.shape[1])):
            opened, new, before, shown = kept[step]
            into, forget, out = np.split(opened, 3, axis=1)
            by_state = by_state + by_last * (lengths - 1 == step)[:, None]
            by_cell = by_cell + by_state * out * (1 - shown**2)
            by_opened = np.concatenate([by_cell * new, by_cell * before, by_state * shown], axis=1)
            by_gates[:, step] = np.concatenate(
                [by_opened * opened * (1 - opened), by_cell * into * (1 - new**2)], axis=1
            )
            by_state, by_cell = by_gates[:, step] @ self._states.T, by_cell * forget
        return by_gates @ self._inputs.T


def _softmax(scores: np.ndarray) -> np.ndarray:
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def best_words(
    gradient: np.ndarray, before: np.ndarray, candidates: np.ndarray, never: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each word of a text the one that lowers the loss most in its place; the first of those that tie.

    Args:
        gradient: By the vectors of n words [n, width].
        before: These vectors [n, width].
        candidates: Those of the words that may be put in [candidates, width].
        never: What may not stand in for what, boolean [n, candidates].

    Returns:
        Numbers of candidates [n], and by how much the loss changes [n], infinite where none may stand.
    """
    gains = gradient @ candidates.T
    ranks = np.round(gains / (np.abs(gains).max(axis=1, keepdims=True) + 1e-300), _DIGITS)
    ranks[never] = np.inf
    chosen, every = ranks.argmin(1), np.arange(len(ranks))
    change = gains[every, chosen] - (gradient * before).sum(axis=1)
    return chosen, np.where(never[every, chosen], np.inf, change)
