"""A browser before the page, and how a test reads what it shows: it waits for what it expects, and never looks once.

Screenshots go to the folder named by HF_UNLEARNABLE_SCREENSHOTS, or to pytest's temporary one.
"""

import contextlib
import os
import shutil
import time
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser test")
pytest.importorskip("gradio", reason="gradio is not installed: the Space is not tested here")

CHROMIUM = os.environ.get("HF_UNLEARNABLE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
expect = sync_api.expect

WAIT = 120_000  # milliseconds that a page may take for anything, on a machine that is busy with other things
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
LOOKS = {
    "desktop": {}, "phone": {"viewport": PHONE, "has_touch": True, "is_mobile": True}, "dark": {"color_scheme": "dark"},
}  # fmt: skip


def button(tab, name):
    return tab.get_by_role("button", name=name, exact=True).locator("visible=true")


def downloaded(tab, name):
    with tab.expect_download() as event:
        tab.get_by_text(name, exact=True).locator("visible=true").first.click()
    return Path(event.value.path()).read_bytes()


def upload(tab, path, label=""):
    """Gives a file to the uploader of that label, again where it did not listen yet, until its name is shown."""
    uploader = tab.locator(".block").filter(has_text=label).locator("input[type=file]").first
    end = time.monotonic() + WAIT / 1000
    while time.monotonic() < end:
        uploader.set_input_files(path)
        with contextlib.suppress(sync_api.TimeoutError):
            return tab.get_by_text(path.stem).locator("visible=true").first.wait_for(timeout=WAIT / 8)
    raise TimeoutError(f"{path.name} was not taken.")


def eventually(holds):
    """Waits until something holds."""
    end = time.monotonic() + WAIT / 1000
    while not holds():
        assert time.monotonic() < end, "It did not come to hold."
        time.sleep(0.2)


# What fades in has no contrast yet.
_AT_REST = (
    "document.getAnimations().every(one => one.playState != 'running' || one.effect.getTiming().iterations > 99)"
)


def serious(tab):
    """What axe-core finds that keeps somebody from using the page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-core: accessibility not checked")
    for _ in range(3):  # what was still being drawn is not found again
        tab.wait_for_function(_AT_REST)
        found = axe.Axe().run(tab).response["violations"]
        bad = [(one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in ("serious", "critical")]
        if not bad:
            break
        tab.wait_for_timeout(1000)
    return bad


def fits(tab):
    """Waits until nothing sticks out to the right."""
    tab.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth")


def read(locator, *expected):
    """The text of an element, once it holds what is expected."""
    for one in expected:
        expect(locator).to_contain_text(one)
    return locator.inner_text()


# Names that lie on pictures, and pictures that an overlay hides.
_COVERED = """[...document.querySelectorAll('#slider img, #difference img')].filter(one => {
  const at = one.getBoundingClientRect();
  return [0.1, 0.5, 0.9].some(x => [0.02, 0.5, 0.98].some(y => {
    const top = document.elementFromPoint(at.x + x * at.width, at.y + y * at.height);
    return top && (top.closest('label') || top.closest('[data-testid=status-tracker]'));
  }));
}).length"""


def uncovered(tab):
    """Waits until nothing lies on the pictures."""
    tab.wait_for_function(f"{_COVERED} === 0")


def protect_notes(tab):
    button(tab, "A table of notes").click()
    expect(tab.get_by_label("Column of texts")).to_have_value("text")
    button(tab, "Protect").click()
    tab.get_by_text("Row 1 of 920").first.wait_for()
