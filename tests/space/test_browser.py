"""Every tab used as a person would use it, in a real browser: on a desktop, on a phone, in the dark.

Screenshots go to the folder named by HF_UNLEARNABLE_SCREENSHOTS, or to pytest's temporary one.
"""

import contextlib
import io
import os
import re
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from hf_unlearnable import load_transform
from hf_unlearnable.samples import load_notes
from tests.space.files import opened, photo, png

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser test")
pytest.importorskip("gradio", reason="gradio is not installed: the Space is not tested here")

CHROMIUM = os.environ.get("HF_UNLEARNABLE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
expect = sync_api.expect
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no chromium: apt-get install chromium")

WAIT = 120_000  # milliseconds that a page may take for anything, on a machine that is busy with other things
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser():
    sync_api.expect.set_options(timeout=WAIT)
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


def button(tab, name):
    return tab.get_by_role("button", name=name, exact=True).locator("visible=true")


def downloaded(tab, name):
    with tab.expect_download() as event:
        tab.get_by_text(name, exact=True).locator("visible=true").first.click()
    return Path(event.value.path()).read_bytes()


def upload(tab, path, place=0):
    """Gives a file to an uploader in view, again where it did not listen yet, until its name is shown."""
    end = time.monotonic() + WAIT / 1000
    while time.monotonic() < end:
        tab.locator("input[type=file]").nth(place).set_input_files(path)
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
_COVERED = """() => [...document.querySelectorAll('#slider img, #difference img')].filter(one => {
  const at = one.getBoundingClientRect();
  return [0.1, 0.5, 0.9].some(x => [0.02, 0.5, 0.98].some(y => {
    const top = document.elementFromPoint(at.x + x * at.width, at.y + y * at.height);
    return top && (top.closest('label') || top.closest('[data-testid=status-tracker]'));
  }));
}).length"""


LOOKS = {
    "desktop": {}, "phone": {"viewport": PHONE, "has_touch": True, "is_mobile": True}, "dark": {"color_scheme": "dark"},
}  # fmt: skip


@pytest.mark.parametrize("look", LOOKS)
def test_all_tabs_are_usable_and_accessible(visit, shots, look):
    tab = visit(**LOOKS[look])
    tab.wait_for_function("document.documentElement.lang == 'en'")
    for name in ("Text", "Image", "Proof", "Publish", "Key"):
        tab.get_by_role("tab", name=name, exact=True).click()
        expect(tab.get_by_role("tab", name=name, exact=True)).to_have_attribute("aria-selected", "true")
        fits(tab)
        assert serious(tab) == []
        tab.screenshot(path=shots / f"{look}-{name.lower()}.png", full_page=True)
    paper = re.compile(r"rgb\((2\d|1\d), " if look == "dark" else r"rgb\(2\d\d, ")
    expect(tab.locator("body")).to_have_css("background-color", paper)


def test_a_pasted_text_is_marked_copied_and_downloaded(visit, shots, tmp_path):
    tab = visit()
    text = (
        "<b onmouseover=alert(1)>Bold</b> & <script>document.title = 'broken'</script> "
        + ("the moon rose over the tower and nobody looked up at all ") * 5
    )
    tab.get_by_label("Your text", exact=True).fill(text)
    button(tab, "Protect").click()
    shown = tab.locator("#text-marked p")
    expect(tab.locator("#text-marked")).to_contain_text("Your text, the changes in red")
    after = read(shown, "script")
    words = shown.locator("mark").all_inner_texts()
    assert len(set(words)) == 1 and len(words) == int(0.1 * len(text.split()))
    assert len(after.split()) == len(text.split()) + len(words)
    assert shown.locator("script, b").count() == 0 and tab.title() == "Unlearnable"
    expect(tab.locator("#text-copy textarea")).to_have_value(re.compile(r"\s+".join(map(re.escape, after.split()))))
    expect(tab.locator("#text-figures b").first).to_have_text(str(len(words)))
    tab.screenshot(path=shots / "text-protected.png", full_page=True)
    with zipfile.ZipFile(io.BytesIO(downloaded(tab, "Key (secret)"))) as archive:
        archive.extractall(tmp_path)
    cloak = load_transform(next(tmp_path.iterdir()))
    assert cloak.restore({"text": tab.locator("#text-copy textarea").input_value(), "label": "garden"})["text"] == text
    assert serious(tab) == []


def test_an_example_takes_one_click_and_a_keyboard_is_enough(visit):
    tab = visit()
    button(tab, "A note on bread").focus()
    tab.keyboard.press("Enter")
    expect(tab.get_by_label("Your text", exact=True)).to_have_value(re.compile("^The crust sings"))
    button(tab, "Protect").focus()
    tab.keyboard.press("Enter")
    expect(tab.locator("#text-marked")).to_contain_text("Your text, the changes in red")
    left = tab.locator("#text-marked p").evaluate(
        "p => { const own = p.cloneNode(true); own.querySelectorAll('mark').forEach(m => m.remove()); return own.innerText }"
    )
    assert left.split() == tab.get_by_label("Your text", exact=True).input_value().split()
    tab.get_by_role("tab", name="Text", exact=True).focus()
    tab.keyboard.press("ArrowRight")
    tab.wait_for_function("['Text', 'Image'].includes(document.activeElement.textContent.trim())")


def test_a_table_is_protected_and_its_formulas_are_inert(visit, tmp_path):
    notes = load_notes("train").select(range(200))
    texts = [f"=1+1 {text[:60]}" for text in notes["text"]]
    table = pa.table({"body": texts, "kind": notes["label"][:]})
    csv.write_csv(table, tmp_path / "my table.csv")
    tab = visit()
    tab.get_by_label("A table", exact=True).check()
    tab.get_by_label("Column of texts").wait_for()
    upload(tab, tmp_path / "my table.csv")
    expect(tab.get_by_label("Column of texts")).to_have_value("body")
    expect(tab.get_by_label("Column of classes")).to_have_value("kind")
    button(tab, "Protect").click()
    tab.get_by_text("Row 1 of 200").first.wait_for()
    inert = csv.read_csv(io.BytesIO(downloaded(tab, "Data as CSV")))["body"].to_pylist()
    exact = parquet.read_table(io.BytesIO(downloaded(tab, "Data")))["body"].to_pylist()
    assert 150 < sum(text.startswith("=") for text in exact) <= len(exact) == 200
    assert inert == ["'" * text.startswith("=") + text for text in exact]


def test_a_photo_is_protected_and_the_png_keeps_every_level(visit, shots, tmp_path):
    image = photo(5, 300, 400)
    (tmp_path / "holiday.png").write_bytes(png(image))
    tab = visit()
    tab.get_by_role("tab", name="Image").click()
    tab.get_by_label("Their class").wait_for()
    upload(tab, tmp_path / "holiday.png")
    button(tab, "Protect").click()
    tab.get_by_text("8 of 255", exact=True).wait_for()
    after = opened(downloaded(tab, "Protected PNG"))
    assert after.shape == image.shape and np.abs(after.astype(int) - image).max() == 8
    for one in (tab.locator("#slider img").first, tab.locator("#slider img").nth(1), tab.locator("#difference img")):
        expect(one).to_have_attribute("src", re.compile(r"-[0-9a-f]{12}\.png$"))
        one.evaluate("one => one.decode()")
    tab.screenshot(path=shots / "image-protected.png", full_page=True)
    assert tab.evaluate(_COVERED) == 0
    with zipfile.ZipFile(io.BytesIO(downloaded(tab, "Key (secret)"))) as archive:
        archive.extractall(tmp_path / "key")
    cloak = load_transform(next((tmp_path / "key").iterdir()))
    assert (cloak({"image": [image], "label": ["my pictures"]})["image"][0] == after).all()
    assert serious(tab) == []


def test_a_refusal_is_a_sentence(visit, tmp_path):
    (tmp_path / "x.png").write_bytes(b"<img src=x onerror=alert(1)>")
    tab = visit()
    tab.get_by_role("tab", name="Image").click()
    tab.get_by_label("Their class").wait_for()
    upload(tab, tmp_path / "x.png")
    button(tab, "Protect").click()
    tab.get_by_text("x.png is no image that opens").wait_for()
    expect(tab.locator("[data-testid=status-tracker] .error").locator("visible=true")).to_have_count(0)
    assert tab.evaluate(_COVERED) == 0  # the example stays in view
    assert serious(tab) == []


def test_an_error_that_quotes_the_visitor_shows_his_words_and_runs_nothing(visit, tmp_path):
    label = "<img src=x onerror=\"document.title='broken'\">"
    csv.write_csv(
        pa.table({"body": ["quite a long text of many words " * 5] * 9, "kind": [label] * 9}), tmp_path / "a.csv"
    )
    tab = visit()
    tab.get_by_label("A table", exact=True).check()
    tab.get_by_label("Column of texts").wait_for()
    upload(tab, tmp_path / "a.csv")
    expect(tab.get_by_label("Column of classes")).to_have_value("kind")
    button(tab, "Protect").click()
    tab.get_by_text("holds one class only").wait_for()
    said = read(tab.get_by_text("holds one class only"), "<img src=x")
    assert "<img src=x" in said and "&lt;" not in said and tab.title() == "Unlearnable"


_COUNT_POINTS = """window.points = []; new MutationObserver(
  () => window.points.push(document.querySelectorAll('#proof-chart circle').length)
).observe(document.body, { subtree: true, childList: true })"""


def percents(tab, count):
    """The large figures of the proof, once there are so many."""
    figures = tab.locator("#proof-figures b")
    expect(figures).to_have_count(count)
    expect(figures).to_have_text([re.compile(r"^\d+ %$")] * count)
    return [int(one.split()[0]) for one in figures.all_inner_texts()]


def test_two_models_train_and_the_attacker_has_his_turn(visit, shots):
    tab = visit(**LOOKS["phone"])
    tab.get_by_role("tab", name="Proof").click()
    tab.evaluate(_COUNT_POINTS)
    button(tab, "Train both").click()
    expect(tab.locator("#proof-status")).to_contain_text("Pass")
    tab.screenshot(path=shots / "proof-live.png", full_page=True)
    expect(button(tab, "See what is left")).to_be_enabled()
    expect(button(tab, "Train both")).to_be_enabled()
    assert set(range(1, 10)) & set(tab.evaluate("window.points"))  # drawn while it trains
    clean, protected, guess = percents(tab, 3)
    assert clean > 75 and protected < clean - 15 and guess == 25
    expect(tab.locator("#proof-chart circle")).to_have_count(10)
    expect(tab.locator("#proof-figures i")).to_have_count(2)  # intervals
    button(tab, "See what is left").click()
    expect(tab.locator("#proof-chart circle")).to_have_count(15)
    expect(button(tab, "Stop")).to_be_disabled()
    clean, protected, left, _ = percents(tab, 4)
    assert left > protected + 10
    tab.screenshot(path=shots / "proof.png", full_page=True)
    fits(tab)
    assert serious(tab) == []


def test_a_training_can_be_stopped(visit):
    tab = visit()
    tab.get_by_role("tab", name="Proof").click()
    expect(button(tab, "Stop")).to_be_disabled()
    tab.get_by_label("1,297 digits (images)").check()
    button(tab, "Train both").click()
    expect(tab.locator("#proof-status")).to_contain_text("Pass 1 of 6")
    button(tab, "Stop").click()
    expect(tab.locator("#proof-status")).to_contain_text("Stopped.")
    expect(button(tab, "Train both")).to_be_enabled()
    expect(button(tab, "Stop")).to_be_disabled()
    drawn = tab.locator("#proof-chart circle").count()
    assert drawn < 12
    tab.wait_for_timeout(3000)
    expect(tab.locator("#proof-chart circle")).to_have_count(drawn)


def test_after_an_error_nothing_can_be_stopped_and_a_training_started(visit):
    tab = visit()
    tab.get_by_role("tab", name="Proof").click()
    tab.get_by_label("What I protected here").check()
    button(tab, "Train both").click()
    tab.get_by_text("Nothing was protected in this session yet").wait_for()
    expect(button(tab, "Train both")).to_be_enabled()
    expect(button(tab, "Stop")).to_be_disabled()


def test_what_was_protected_goes_to_ones_own_account_private(visit, hub, shots):
    tab = visit()
    tab.get_by_role("tab", name="Publish").click()
    button(tab, "Look at what would leave").click()
    tab.get_by_text("Nothing was protected in this session yet").wait_for()
    tab.get_by_role("tab", name="Text").click()
    button(tab, "A table of notes").click()
    expect(tab.get_by_label("Column of texts")).to_have_value("text")
    button(tab, "Protect").click()
    tab.get_by_text("Row 1 of 920").first.wait_for()
    tab.get_by_role("tab", name="Publish").click()
    tab.get_by_label("Name of the dataset").fill("my-notes")
    expect(button(tab, "Push it, private")).to_be_disabled()
    button(tab, "Look at what would leave").click()
    tab.get_by_text("These files would leave").wait_for()
    expect(tab.locator("#publish-found")).to_contain_text("README.md")
    expect(tab.locator("#card")).to_contain_text(re.compile("regtext", re.IGNORECASE))
    tab.screenshot(path=shots / "publish-dry-run.png", full_page=True)
    assert ("dataset", "tester/my-notes") not in hub.repos
    assert serious(tab) == []
    button(tab, "Push it, private").click()
    tab.get_by_text("Sign in first").wait_for()


def test_signed_in_the_push_goes_through(visit, hub, shots):
    tab = visit()
    tab.get_by_role("tab", name="Publish").click()
    tab.locator("#sign-in").click()
    button(tab, "Protect").wait_for()  # back from signing in
    button(tab, "A table of notes").click()
    expect(tab.get_by_label("Column of texts")).to_have_value("text")
    button(tab, "Protect").click()
    tab.get_by_text("Row 1 of 920").first.wait_for()
    tab.get_by_role("tab", name="Publish").click()
    tab.get_by_label("Name of the dataset").fill("my-notes")
    button(tab, "Look at what would leave").click()
    tab.get_by_text("These files would leave").wait_for()
    button(tab, "Push it, private").click()
    tab.get_by_text("Pushed, private").wait_for()
    tab.screenshot(path=shots / "publish.png", full_page=True)
    assert hub.repo("tester/my-notes").private
    files = hub.files("tester/my-notes")
    assert any(name.endswith(".parquet") for name in files) and "README.md" in files
    assert not any("key" in name or "safetensors" in name for name in files)


def test_a_visitors_files_go_when_he_does(visit):
    tab = visit()
    button(tab, "A table of notes").click()
    expect(tab.get_by_label("Column of texts")).to_have_value("text")
    button(tab, "Protect").click()
    tab.get_by_text("Row 1 of 920").first.wait_for()
    with tab.expect_download() as event:
        tab.get_by_text("Data", exact=True).locator("visible=true").first.click()
    file = Path(re.search(r"file=(.*)", event.value.url)[1])
    assert file.is_file() and "sessions" in file.parts
    tab.close()
    eventually(lambda: not file.parent.exists())
