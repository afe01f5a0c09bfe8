"""Confusion matrices: counts by hand, labels that are none, and a matrix per seed in every cell."""

import numpy as np

from hf_unlearnable.audit.grid import audit
from hf_unlearnable.audit.records import confusion
from tests.audit.rule import CLEAN, DROPPED, PROTECTED, TEST, by_rule


def test_true_classes_stand_down_and_predicted_ones_across():
    truth = np.array([3, 3, 3, 8, 8, 5])
    predicted = np.array([3, 8, 8, 8, 4, 5])
    assert confusion(truth, predicted) == [[1, 0, 2], [0, 1, 0], [0, 0, 1]], "4 is no class"


def test_more_than_twenty_classes_have_no_matrix():
    assert confusion(np.arange(21), np.arange(21)) == [] and len(confusion(np.arange(20), np.arange(20))) == 20


def test_a_cell_has_a_matrix_per_seed_from_a_store_too(tmp_path):
    for _ in range(2):  # trained, then read
        found = audit([CLEAN, PROTECTED, DROPPED], TEST, {"rule": by_rule}, seeds=(0, 1), store=tmp_path)
        for cell in found.cells:
            counts = np.array(cell.confusions)
            assert counts.shape == (2, 2, 2) and (counts.sum((1, 2)) == len(TEST)).all()
            assert np.trace(counts, axis1=1, axis2=2).tolist() == cell.correct.sum(1).tolist()
        assert found.cell("swapped", "rule").confusions[0] == [[0, 15], [15, 0]]
