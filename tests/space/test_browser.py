"""Every tab used as a person would use it, in a real browser: on a desktop, on a phone, in the dark."""

import io
import re
import zipfile

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from hf_unlearnable import load_transform
from hf_unlearnable.samples import load_notes
from tests.image.files import file_of
from tests.space.browser import LOOKS, button, downloaded, expect, fits, read, serious, uncovered, upload
from tests.space.files import opened, photo


@pytest.mark.parametrize(
    "look", ["phone", *(pytest.param(look, marks=pytest.mark.slow) for look in ("dark", "desktop"))]
)
def test_all_tabs_are_usable_and_accessible(visit, shots, look):
    tab = visit(**LOOKS[look])
    tab.wait_for_function("document.documentElement.lang == 'en'")
    for name in ("Text", "Image", "Sound", "Proof", "Publish", "Key"):
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
    tab.get_by_label("Its class").fill("my diary")
    tab.get_by_label("Your other classes").fill("letters, recipes")
    button(tab, "Protect").click()
    shown = tab.locator("#text-marked p")
    expect(tab.locator("#text-marked")).to_contain_text("Your text, the changes in red")
    after = read(shown, "script")
    expect(shown.locator("mark")).to_have_count(int(0.1 * len(text.split())))
    words = shown.locator("mark").all_inner_texts()
    assert len(set(words)) == 1
    assert len(after.split()) == len(text.split()) + len(words)
    expect(shown.locator("script, b")).to_have_count(0)
    expect(tab).to_have_title("Unlearnable")
    expect(tab.locator("#text-copy textarea")).to_have_value(re.compile(r"\s+".join(map(re.escape, after.split()))))
    expect(tab.locator("#text-figures b").first).to_have_text(str(len(words)))
    expect(tab.locator("#text-figures")).to_contain_text(f"my diary: {words[0]}; ")
    tab.screenshot(path=shots / "text-protected.png", full_page=True)
    with zipfile.ZipFile(io.BytesIO(downloaded(tab, "Key (secret)"))) as archive:
        archive.extractall(tmp_path)
    cloak = load_transform(next(tmp_path.iterdir()))
    assert (
        cloak.restore({"text": tab.locator("#text-copy textarea").input_value(), "label": "my diary"})["text"] == text
    )
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
    (tmp_path / "holiday.png").write_bytes(file_of(image))
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
    uncovered(tab)
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
    uncovered(tab)  # the example stays in view
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
    assert "&lt;" not in read(tab.get_by_text("holds one class only"), "<img src=x")
    expect(tab).to_have_title("Unlearnable")


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
    expect(tab.locator("#proof-status")).to_contain_text("At worst, by training alone")
    clean, protected, guess = percents(tab, 3)
    assert clean > 75 and protected < clean - 15 and guess == 25
    expect(tab.locator("#proof-chart circle")).to_have_count(10)
    expect(tab.locator("#proof-figures i")).to_have_count(2)  # intervals
    button(tab, "See what is left").click()
    expect(tab.locator("#proof-chart circle")).to_have_count(15)
    expect(button(tab, "Stop")).to_be_disabled()
    expect(tab.locator("#proof-status")).to_contain_text("At worst, after label-word-filter")
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
