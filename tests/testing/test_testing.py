"""The contract suite catches what it is there to catch: each check fails on a transform that breaks it."""

import logging
import os
import random
from dataclasses import replace

import numpy as np
import pytest

from hf_unlearnable import RegTextTransform
from hf_unlearnable import testing as suite
from hf_unlearnable.mark import NoMarkError, RowMarks
from hf_unlearnable.testing import check_transform
from tests.examples import notes


class Broken(RegTextTransform):
    """A third party's method that works, to be broken one way at a time."""

    def _protect(self, rows):
        return super()._protect(rows)


class GlobalRandomness(Broken):
    def _protect(self, rows):
        changed = super()._protect(rows)
        return {name: [f"{text} {random.random()}" for text in texts] for name, texts in changed.items()}


class PositionInBatch(Broken):
    def _protect(self, rows):
        changed = super()._protect(rows)
        return {name: [f"{text} {i}" for i, text in enumerate(texts)] for name, texts in changed.items()}


class ProcessDependent(Broken):
    def _protect(self, rows):
        changed = super()._protect(rows)
        return {name: [f"{text} {os.getpid()}" for text in texts] for name, texts in changed.items()}


class NoIdentityAtZero(Broken):
    def _protect(self, rows):
        return {name: [f"{text}." for text in texts] for name, texts in super()._protect(rows).items()}


class DoesNothing(Broken):
    def _protect(self, rows):
        return {name: rows.column(name) for name in self._columns()}


class IgnoresSeed(Broken):
    def _resolved_seed(self):
        self._seed = 5
        return 5


class TellsInRepr(Broken):
    def __repr__(self):
        return f"TellsInRepr({self._words})"


class TellsInLog(Broken):
    def fit(self, dataset):
        super().fit(dataset)
        logging.getLogger("broken").info("words: %s", self._words)
        return self


class StateInUse(Broken):
    def __call__(self, batch):
        self.rate = self.rate * 1.0000001
        return super().__call__(batch)


class StaleHash(Broken):
    def __reduce__(self):
        rebuild, (cls, parameters, seed, state, _) = super().__reduce__()
        return rebuild, (cls, parameters, seed, state, "")


class TouchesOtherColumns(Broken):
    def _protect(self, rows):
        changed = super()._protect(rows)
        return {**changed, "note": ["x"] * len(changed["text"])} if "note" in rows._names else changed


class ProtectsEverything(Broken):
    def _sampled(self, stream):
        return True


class WorksInInit(Broken):
    def __init__(self, *, text_column="text", label_column="label", rate=0.1, fraction=1.0, classes=None,
                 mask_column=None, id_column=None, seed=None):  # fmt: skip
        super().__init__(text_column=str(text_column) + "", label_column=label_column, rate=float(rate) + 0.1,
                         fraction=fraction, classes=classes, mask_column=mask_column, id_column=id_column, seed=seed)  # fmt: skip


class TellsSeed(Broken):
    def _protect(self, rows):
        return {name: [f"{text} {2**60 + 1}" for text in texts] for name, texts in super()._protect(rows).items()}

    def _resolved_seed(self):
        self._seed = 2**60 + 1
        return self._seed


class FindsNothing(Broken):
    def ownership_scores(self, rows):
        return replace(super().ownership_scores(rows), agree=np.zeros((len(rows), 20), bool))


class FindsEverything(Broken):
    def ownership_scores(self, rows):
        return RowMarks(np.eye(1, 20, dtype=bool).repeat(len(rows), axis=0), range(len(rows)))


class HasNoReason(Broken):
    def ownership_scores(self, rows):
        raise NoMarkError


def test_a_sound_transform_passes():
    check_transform(Broken(seed=3), notes(40))


@pytest.mark.parametrize(
    ("cls", "check"),
    [
        (GlobalRandomness, suite.check_same_bytes),
        (PositionInBatch, suite.check_same_bytes),
        (PositionInBatch, suite.check_streams),
        (ProcessDependent, suite.check_two_processes_agree),
        (NoIdentityAtZero, suite.check_identity_at_zero),
        (DoesNothing, suite.check_something_changes),
        (IgnoresSeed, suite.check_keys_differ),
        (TellsInRepr, suite.check_secrecy),
        (TellsInLog, suite.check_secrecy),
        (StateInUse, suite.check_caching),
        (StaleHash, suite.check_caching),
        (TouchesOtherColumns, suite.check_columns_untouched),
        (ProtectsEverything, suite.check_rows_untouched),
        (WorksInInit, suite.check_init_only_stores),
        (FindsNothing, suite.check_ownership),
        (FindsEverything, suite.check_ownership),
        (HasNoReason, suite.check_ownership),
        (GlobalRandomness, suite.check_publish),
        (DoesNothing, suite.check_publish),
        (TellsSeed, suite.check_publish),
    ],
    ids=lambda value: value.__name__,
)
def test_a_broken_transform_is_caught(cls, check):
    check(Broken(seed=3), notes(40))
    with pytest.raises(AssertionError):
        check(cls(seed=3), notes(40))
