"""What a visitor meets first, in a real browser: a finished run, limits, and texts of classes of their own."""

import io

from pyarrow import parquet

from hf_unlearnable.space.example import COMMAND, stored
from tests.space.browser import LOOKS, button, downloaded, expect, fits, serious


def test_proof_starts_with_a_finished_run_that_says_so(visit, shots):
    tab = visit(**LOOKS["phone"])
    tab.get_by_role("tab", name="Proof").click()
    status = tab.locator("#proof-status")
    for said in (
        "A finished run, stored with this page.",
        "At worst, after",
        COMMAND,
        f"version {stored()['version']}",
    ):
        expect(status).to_contain_text(said)
    expect(tab.locator("#proof-chart polyline")).to_have_count(3)
    expect(tab.locator("#proof-figures b")).to_have_count(4)
    expect(button(tab, "Train both")).to_be_enabled()
    fits(tab)
    tab.screenshot(path=shots / "proof-first.png", full_page=True)


def test_limits_are_one_click_away_and_open(visit):
    tab = visit()
    limits = tab.locator("#limits")
    tab.get_by_role("link", name="Limits of each method").click()
    expect(limits.get_by_role("heading", name="Limits")).to_be_in_viewport()
    texture = limits.locator("details", has_text="Texture:")
    expect(texture.locator("dl")).to_be_hidden()
    texture.locator("summary").click()
    expect(texture.locator("dl")).to_contain_text("JPEG")
    expect(tab.get_by_role("link", name="Paper", exact=True)).to_have_attribute(
        "href", "https://arxiv.org/abs/2411.08506"
    )
    assert serious(tab) == []


def test_texts_of_own_classes_come_under_one_key_one_after_another(visit):
    texts = [
        "The train was late again, and the whole platform talked about the new timetable until it came.",
        "Dear Ada, the roof holds, the cat is well, and I have read your book twice since you left us.",
    ]
    tab = visit()
    figures = tab.locator("#text-figures")
    for count, (text, label, others) in enumerate(zip(texts, ("diary", "letters"), ("letters", "diary")), start=1):
        tab.get_by_label("Your text", exact=True).fill(text)
        tab.get_by_label("Its class").fill(label)
        tab.get_by_label("Your other classes").fill(others)
        button(tab, "Protect").click()
        expect(tab.locator("#text-marked")).to_contain_text(text.split()[0])
        expect(figures.locator(".figure").last).to_contain_text(f"{count}text")
    expect(figures).to_contain_text("What this key puts into each class: diary: ")
    rows = parquet.read_table(io.BytesIO(downloaded(tab, "Data")))
    assert rows["label"].to_pylist() == ["diary", "letters"]
    assert all(len(after.split()) > len(text.split()) for after, text in zip(rows["text"].to_pylist(), texts))


def test_a_class_without_a_name_is_refused_in_a_sentence(visit):
    tab = visit()
    tab.get_by_label("Its class").fill(" ")
    button(tab, "Protect").click()
    tab.get_by_text("The class has no name").wait_for()
