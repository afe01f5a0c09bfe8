"""The sound tab as a person would use it: record with the browser's microphone, listen, look, download."""

import contextlib
import re

import pytest

from hf_unlearnable.audio.codec import decode
from tests.space.browser import CHROMIUM, WAIT, button, downloaded, expect, serious

# What the players know of their sounds: seconds, and an error if they cannot play them.
_PLAYERS = "[...document.querySelectorAll('#sound-players audio')].map(one => [one.duration, one.error])"


@pytest.fixture(scope="module")
def browser():
    """A browser whose microphone hears beeps."""
    from tests.space.browser import sync_api

    if not CHROMIUM:
        pytest.skip("there is no chromium: apt-get install chromium")
    expect.set_options(timeout=WAIT)
    heard = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *heard])
        yield browser
        browser.close()


def test_a_recording_of_the_microphone_is_protected_heard_and_downloaded(visit, shots, tmp_path):
    tab = visit(permissions=["microphone"])
    tab.get_by_role("tab", name="Sound", exact=True).click()
    players = tab.locator("#sound-players audio")
    expect(players).to_have_count(2)
    example = players.first.get_attribute("src")
    button(tab, "Record").click()
    expect(button(tab, "Stop")).to_be_visible()
    tab.wait_for_timeout(1500)  # of sound
    button(tab, "Stop").click()
    expect(tab.locator("#sound-recorder time").first).to_be_visible()
    for _ in range(8):  # again where the recording had not reached the server
        button(tab, "Protect").click()
        with contextlib.suppress(AssertionError):
            expect(tab.locator("#sound-figures")).to_contain_text("SNR", timeout=WAIT / 8)
            break
    expect(players.first).not_to_have_attribute("src", example)
    tab.wait_for_function(f"{_PLAYERS}.every(([seconds, error]) => seconds > 0.5 && !error)")
    (before, _), (after, _) = tab.evaluate(_PLAYERS)
    samples, form = decode(downloaded(tab, "Protected FLAC"))
    assert before == after == pytest.approx(len(samples) / form.rate, abs=0.01)
    expect(tab.locator("#sound-spectrogram img")).to_have_count(3)
    expect(tab.locator("#sound-spectrogram p")).to_have_text(re.compile(r"kHz, the first \d\.\d seconds"))
    tab.screenshot(path=shots / "sound-protected.png", full_page=True)
    assert serious(tab) == []
