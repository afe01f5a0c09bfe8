"""Every tab used as a person would use it, in a real browser: on a desktop, on a phone, in the dark.

Screenshots go to the folder named by HF_UNLEARNABLE_SCREENSHOTS, or to pytest's temporary one.
"""

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
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no chromium: apt-get install chromium")

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser():
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

    def visit(**options):
        context = browser.new_context(**{"viewport": DESKTOP, "accept_downloads": True, **options})
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(20_000)
        tab.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        local = ("http://127.0.0.1:", "http://localhost:", "data:", "blob:")
        tab.on("request", lambda asked: None if asked.url.startswith(local) else wrong.append(asked.url))
        tab.goto(page.url)
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


def upload(tab, path):
    """Gives a file to the one uploader that is in view, once it listens."""
    tab.wait_for_timeout(500)
    tab.locator("input[type=file]").first.set_input_files(path)


# What fades in has no contrast yet.
_AT_REST = (
    "document.getAnimations().every(one => one.playState != 'running' || one.effect.getTiming().iterations > 99)"
)


def serious(tab):
    """What axe-core finds that keeps somebody from using the page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-core: accessibility not checked")
    tab.wait_for_function(_AT_REST)
    found = axe.Axe().run(tab).response["violations"]
    return [(one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in ("serious", "critical")]


def fits(tab):
    """Whether nothing sticks out to the right."""
    return tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


LOOKS = {
    "desktop": {}, "phone": {"viewport": PHONE, "has_touch": True, "is_mobile": True}, "dark": {"color_scheme": "dark"},
}  # fmt: skip


@pytest.mark.parametrize("look", LOOKS)
def test_all_tabs_are_usable_and_accessible(visit, shots, look):
    tab = visit(**LOOKS[look])
    assert tab.evaluate("document.documentElement.lang") == "en"
    for name in ("Text", "Image", "Proof", "Publish"):
        tab.get_by_role("tab", name=name).click()
        tab.wait_for_timeout(250)
        tab.screenshot(path=shots / f"{look}-{name.lower()}.png", full_page=True)
        assert fits(tab), name
        assert serious(tab) == []
    dark = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", dark)[:3])) < 150) == (look == "dark")


def test_a_pasted_text_is_marked_copied_and_downloaded(visit, shots, tmp_path):
    tab = visit()
    text = (
        "<b onmouseover=alert(1)>Bold</b> & <script>document.title = 'broken'</script> "
        + ("the moon rose over the tower and nobody looked up at all ") * 5
    )
    tab.get_by_label("Your text", exact=True).fill(text)
    button(tab, "Protect").click()
    tab.get_by_text("Your text, the changes in red").wait_for()
    shown = tab.locator("#text-marked p")
    after = shown.inner_text()
    words = shown.locator("mark").all_inner_texts()
    assert len(set(words)) == 1 and len(words) == int(0.1 * len(text.split()))
    assert len(after.split()) == len(text.split()) + len(words)
    assert shown.locator("script, b").count() == 0 and tab.title() == "Unlearnable"
    assert tab.locator("#text-copy textarea").input_value().split() == after.split()
    assert tab.locator("#text-figures").inner_text().startswith(str(len(words)))
    tab.screenshot(path=shots / "text-protected.png", full_page=True)
    with zipfile.ZipFile(io.BytesIO(downloaded(tab, "Key (secret)"))) as archive:
        archive.extractall(tmp_path)
    cloak = load_transform(next(tmp_path.iterdir()))
    assert cloak.restore({"text": tab.locator("#text-copy textarea").input_value(), "label": 0})["text"] == text
    assert serious(tab) == []


def test_an_example_takes_one_click_and_a_keyboard_is_enough(visit):
    tab = visit()
    button(tab, "A note on bread").focus()
    tab.keyboard.press("Enter")
    sync_api.expect(tab.get_by_label("Your text", exact=True)).to_have_value(re.compile("^The crust sings"))
    button(tab, "Protect").focus()
    tab.keyboard.press("Enter")
    tab.get_by_text("Your text, the changes in red").wait_for()
    left = tab.locator("#text-marked p").evaluate(
        "p => { const own = p.cloneNode(true); own.querySelectorAll('mark').forEach(m => m.remove()); return own.innerText }"
    )
    assert left.split() == tab.get_by_label("Your text", exact=True).input_value().split()
    tab.get_by_role("tab", name="Text").focus()
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate("document.activeElement.textContent").strip() in ("Text", "Image")


def test_a_table_is_protected_and_its_formulas_are_inert(visit, tmp_path):
    notes = load_notes("train").select(range(200))
    texts = [f"=1+1 {text[:60]}" for text in notes["text"]]
    table = pa.table({"body": texts, "kind": notes["label"][:]})
    csv.write_csv(table, tmp_path / "my table.csv")
    tab = visit()
    tab.get_by_label("A table", exact=True).check()
    tab.get_by_label("Column of texts").wait_for()
    upload(tab, tmp_path / "my table.csv")
    sync_api.expect(tab.get_by_label("Column of texts")).to_have_value("body")
    sync_api.expect(tab.get_by_label("Column of classes")).to_have_value("kind")
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
    tab.get_by_text("holiday").first.wait_for()
    button(tab, "Protect").click()
    tab.get_by_text("8 of 255", exact=True).wait_for()
    after = opened(downloaded(tab, "Protected PNG"))
    assert after.shape == image.shape and np.abs(after.astype(int) - image).max() == 8
    tab.wait_for_timeout(500)
    tab.screenshot(path=shots / "image-protected.png", full_page=True)
    shown = tab.locator("#slider img").evaluate_all("all => all.map(one => one.src)")
    assert len(shown) >= 2 and all(source.endswith(".png") for source in shown)
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
    tab.get_by_text("x.png").first.wait_for()
    button(tab, "Protect").click()
    tab.get_by_text("x.png is no image that opens").wait_for()
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
    sync_api.expect(tab.get_by_label("Column of classes")).to_have_value("kind")
    button(tab, "Protect").click()
    tab.get_by_text("holds one class only").wait_for()
    said = tab.get_by_text("holds one class only").inner_text()
    assert "<img src=x" in said and "&lt;" not in said and tab.title() == "Unlearnable"


def test_two_models_train_and_the_attacker_has_his_turn(visit, shots):
    tab = visit(**LOOKS["phone"])
    tab.get_by_role("tab", name="Proof").click()
    button(tab, "Train both").click()
    tab.get_by_text(re.compile("^Pass 1 of 5")).wait_for(timeout=40_000)
    assert tab.locator("#proof-chart circle").count() < 10  # drawn while it trains
    tab.screenshot(path=shots / "proof-live.png", full_page=True)
    tab.get_by_text("At worst, by training alone").wait_for(timeout=60_000)
    clean, protected, guess = (int(one.split()[0]) for one in tab.locator("#proof-figures b").all_inner_texts())
    assert clean > 75 and protected < clean - 15 and guess == 25
    assert tab.locator("#proof-chart circle").count() == 10
    button(tab, "See what is left").click()
    tab.get_by_text("At worst, after label-word-filter").wait_for(timeout=60_000)
    clean, protected, left, _ = (int(one.split()[0]) for one in tab.locator("#proof-figures b").all_inner_texts())
    assert left > protected + 10
    tab.screenshot(path=shots / "proof.png", full_page=True)
    assert fits(tab) and serious(tab) == []


def test_a_training_can_be_stopped(visit):
    tab = visit()
    tab.get_by_role("tab", name="Proof").click()
    tab.get_by_label("1,297 digits (images)").check()
    button(tab, "Train both").click()
    tab.get_by_text(re.compile("^Pass 1 of 6")).wait_for(timeout=40_000)
    button(tab, "Stop").click()
    tab.get_by_text("Stopped.").wait_for()
    tab.wait_for_timeout(3000)
    assert tab.locator("#proof-chart circle").count() < 8
    sync_api.expect(button(tab, "Train both")).to_be_enabled()


def test_what_was_protected_goes_to_ones_own_account_private(visit, hub, shots):
    tab = visit()
    tab.get_by_role("tab", name="Publish").click()
    button(tab, "Look at what would leave").click()
    tab.get_by_text("Nothing was protected in this session yet").wait_for()
    tab.get_by_role("tab", name="Text").click()
    button(tab, "A table of notes").click()
    sync_api.expect(tab.get_by_label("Column of texts")).to_have_value("text")
    button(tab, "Protect").click()
    tab.get_by_text("Row 1 of 920").first.wait_for()
    tab.get_by_role("tab", name="Publish").click()
    tab.get_by_label("Name of the dataset").fill("my-notes")
    sync_api.expect(button(tab, "Push it, private")).to_be_disabled()
    button(tab, "Look at what would leave").click()
    tab.get_by_text("These files would leave").wait_for()
    assert "README.md" in tab.locator("#publish-found").inner_text()
    assert "regtext" in tab.locator("#card").inner_text().lower()
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
    sync_api.expect(tab.get_by_label("Column of texts")).to_have_value("text")
    button(tab, "Protect").click()
    tab.get_by_text("Row 1 of 920").first.wait_for()
    tab.get_by_role("tab", name="Publish").click()
    tab.get_by_label("Name of the dataset").fill("my-notes")
    button(tab, "Look at what would leave").click()
    tab.get_by_text("These files would leave").wait_for()
    button(tab, "Push it, private").click()
    tab.get_by_text("Pushed, private").wait_for(timeout=30_000)
    tab.screenshot(path=shots / "publish.png", full_page=True)
    assert hub.repo("tester/my-notes").private
    files = hub.files("tester/my-notes")
    assert any(name.endswith(".parquet") for name in files) and "README.md" in files
    assert not any("key" in name or "safetensors" in name for name in files)


def test_a_visitors_files_go_when_he_does(visit):
    tab = visit()
    button(tab, "A table of notes").click()
    sync_api.expect(tab.get_by_label("Column of texts")).to_have_value("text")
    button(tab, "Protect").click()
    tab.get_by_text("Row 1 of 920").first.wait_for()
    with tab.expect_download() as event:
        tab.get_by_text("Data", exact=True).locator("visible=true").first.click()
    file = Path(re.search(r"file=(.*)", event.value.url)[1])
    assert file.is_file() and "sessions" in file.parts
    tab.close()
    for _ in range(50):
        if not file.parent.exists():
            break
        time.sleep(0.2)
    assert not file.parent.exists()
