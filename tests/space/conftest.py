"""The page, served by a process of its own, as the command does it."""

import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.hub import Hub

ROOT = Path(__file__).parents[2]


class Page:
    """A running page: its address, its process, and what it printed."""

    def __init__(self, process):
        self.process = process
        self.printed = []
        self.url = None

    def start(self):
        for line in self.process.stdout:
            self.printed.append(line)
            if line.startswith("http://"):
                self.url = line.strip()
                break
        else:
            raise RuntimeError("The page did not start:\n" + "".join(self.printed))
        threading.Thread(target=lambda: self.printed.extend(self.process.stdout), daemon=True).start()
        return self


@pytest.fixture(scope="session")
def hub(tmp_path_factory):
    """Where the page's visitors publish; outside a Space, Gradio signs everybody in with the second of these tokens."""
    users = {"hf_test": "tester", "mock-oauth-token-for-local-dev": "tester"}
    with Hub(tmp_path_factory.mktemp("hub"), users=users) as hub:
        yield hub


@pytest.fixture(scope="session")
def page(hub, tmp_path_factory):
    """The page with signing in, before the loopback Hub."""
    missing = [name for name in ("gradio", "sklearn", "skimage", "transformers") if find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: the Space is not tested here")
    settings = {
        **hub.environment(), "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path_factory.mktemp("served")),
        "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    for name in ("GRADIO_TEMP_DIR", "HF_UNLEARNABLE_SPACE", "SPACE_ID"):
        settings.pop(name, None)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.space.serve"], cwd=ROOT, env=settings, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield Page(process).start()
    finally:
        process.terminate()
        process.wait(20)
