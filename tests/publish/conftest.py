"""A home folder with a name in it, which no publication may show."""

import datasets
import pytest

from tests.publish.staged import HOME


@pytest.fixture
def home(monkeypatch):
    monkeypatch.setenv("HOME", HOME)
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()
