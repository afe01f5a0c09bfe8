"""The kind of data of `sound/`, registered for the tests that ask for it."""

import pytest

from hf_unlearnable import register
from hf_unlearnable.registry import COUNTERMEASURES, METHODS, MODALITIES
from tests.contract.sound.method import ToneTransform
from tests.contract.sound.modality import SOUND


@pytest.fixture
def sounds_registered(monkeypatch):
    for registry in (METHODS, MODALITIES, COUNTERMEASURES):
        monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    # It stands in for the recordings of this package, which take the same columns and folders.
    monkeypatch.setattr(MODALITIES, "_built_in", {k: v for k, v in MODALITIES._built_in.items() if k != "audio"})
    register(SOUND)
    register(ToneTransform)
