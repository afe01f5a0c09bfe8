"""The page, served by a process of its own, as the command does it."""

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests import ROOT
from tests.hub import Hub


class Page:
    """A running page: its address, its process, and what it printed."""

    def __init__(self, process):
        self.process = process
        self.printed = []
        self.url = None

    def client(self):
        """A program that calls the page; its own wait for an answer is 5 seconds, too few on a busy machine."""
        from gradio_client import Client

        return Client(self.url, verbose=False, httpx_kwargs={"timeout": 600})

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


@contextmanager
def served(hub, folder, *arguments, **settings):
    """A page before the loopback Hub, as long as the context lasts."""
    missing = [
        name for name in ("gradio", "sklearn", "skimage", "soundfile", "transformers") if find_spec(name) is None
    ]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: the Space is not tested here")
    settings = {
        **hub.environment(), "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1", **settings,
    }  # fmt: skip
    for name in ("GRADIO_TEMP_DIR", "HF_UNLEARNABLE_SPACE", "SPACE_ID"):
        settings.pop(name, None)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.space.serve", *arguments], cwd=ROOT, env=settings, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield Page(process).start()
    finally:
        process.terminate()
        process.wait(120)


@pytest.fixture(scope="session")
def page(hub, tmp_path_factory):
    """The page with signing in."""
    with served(hub, tmp_path_factory.mktemp("served"), "oauth") as page:
        yield page


@pytest.fixture(scope="module")
def browser():
    from tests.space.browser import CHROMIUM, WAIT, expect, sync_api

    if not CHROMIUM:
        pytest.skip("there is no chromium: apt-get install chromium")
    expect.set_options(timeout=WAIT)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shots(tmp_path_factory):
    folder = Path(os.environ.get("HF_UNLEARNABLE_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def visit(browser, page):
    """Opens the page; at the end there were no errors, and nothing was asked of another machine."""
    from tests.space.browser import DESKTOP, WAIT, button

    contexts, wrong = [], []

    def visit(url=page.url, **options):
        context = browser.new_context(**{"viewport": DESKTOP, "accept_downloads": True, **options})
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(WAIT)
        tab.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        local = ("http://127.0.0.1:", "http://localhost:", "data:", "blob:")
        tab.on("request", lambda asked: None if asked.url.startswith(local) else wrong.append(asked.url))
        tab.goto(url)
        button(tab, "Protect").wait_for()
        return tab

    yield visit
    for context in contexts:
        context.close()
    assert wrong == []
