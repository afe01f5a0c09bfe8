"""The parts of the suite, the keys that its tests draw, and the Hub that they push to."""

import gc

import hypothesis
import pytest

from tests import ROOT
from tests.hub import Hub, User
from tests.keys import draw_from

# Files that take a minute go first, so that no worker ends long after the others.
LONG = ("test_contract.py", "test_ownership.py", "test_victims.py", "test_snippets.py", "test_browser.py")
PARTS = ("unit", "contract", "browser", "docs")  # `make test-PART` runs one; see CONTRIBUTING.md

# No deadline: a machine that is busy with other things is no failure. `make test-slow` takes the long one.
# The suite looks at the same examples in every run; the long profile draws others each time.
hypothesis.settings.register_profile("suite", deadline=None, max_examples=30, derandomize=True)
hypothesis.settings.register_profile("long", deadline=None, max_examples=500)
hypothesis.settings.load_profile("suite")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """A million objects are made here and stay: looking through them for garbage takes longer than their making."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.fixture(scope="module", autouse=True)
def _what_stays():
    """Nor is what earlier files left, modules above all, looked through again: each time it takes a second."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)  # before tests are selected by these marks
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONG)
    for item in items:
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        part = "browser" if "browser" in item.fixturenames else folder
        item.add_marker(part if part in PARTS else "unit")


@pytest.hookimpl(tryfirst=True)  # before its fixtures, which draw keys too
def pytest_runtest_setup(item):
    """A key that is given no seed is another one in each test, and the same in each run: nothing fails by chance."""
    draw_from(item.nodeid)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub of our own; pauses between attempts take no time."""
    users = {"hf_test": "tester", "hf_read": User("tester", write=False)}
    with Hub(tmp_path / "hub", users=users) as hub:
        hub.client_settings(monkeypatch)
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        yield hub
