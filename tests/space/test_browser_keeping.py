"""What was protected leaves the page, in a real browser: it is published, restored and deleted."""

import io
import re
from pathlib import Path

import pytest
from pyarrow import parquet

from hf_unlearnable.samples import load_notes
from tests.space.browser import button, downloaded, eventually, expect, protect_notes, serious, upload
from tests.space.conftest import served


def test_what_was_protected_goes_to_ones_own_account_private(visit, hub, shots):
    tab = visit()
    tab.get_by_role("tab", name="Publish").click()
    button(tab, "Look at what would leave").click()
    tab.get_by_text("Nothing was protected in this session yet").wait_for()
    tab.get_by_role("tab", name="Text").click()
    protect_notes(tab)
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
    protect_notes(tab)
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


@pytest.mark.slow  # starts a page of its own
def test_a_local_page_pushes_with_the_local_token(visit, hub, tmp_path):
    with served(hub, tmp_path, HF_TOKEN="hf_test") as local:
        tab = visit(local.url)
        protect_notes(tab)
        tab.get_by_role("tab", name="Publish").click()
        expect(tab.locator(".notice")).to_contain_text("hf auth login")
        tab.get_by_label("Name of the dataset").fill("from-home")
        button(tab, "Look at what would leave").click()
        tab.get_by_text("These files would leave").wait_for()
        button(tab, "Push it, private").click()
        tab.get_by_text("Pushed, private").wait_for()
        tab.close()
    assert hub.repo("tester/from-home").private and any(".parquet" in name for name in hub.files("tester/from-home"))


def test_a_key_verifies_and_restores_what_was_downloaded(visit, shots, tmp_path):
    tab = visit()
    tab.get_by_role("tab", name="Key", exact=True).click()
    button(tab, "Verify").click()
    tab.get_by_text("Nothing was protected in this session yet").wait_for()
    tab.get_by_role("tab", name="Text", exact=True).click()
    protect_notes(tab)
    for name, file in (("Data", "protected.parquet"), ("Key (secret)", "regtext.key.zip")):
        (tmp_path / file).write_bytes(downloaded(tab, name))
    tab.get_by_role("tab", name="Key", exact=True).click()
    button(tab, "Verify").click()
    expect(tab.locator("#owner-found")).to_contain_text("Rows of this data were protected with this key.")
    tab.screenshot(path=shots / "key-verified.png", full_page=True)

    tab = visit()  # another day: only the downloads are left
    tab.get_by_role("tab", name="Key", exact=True).click()
    expect(button(tab, "Restore")).to_be_visible()
    upload(tab, tmp_path / "protected.parquet", "Protected data: a table")
    button(tab, "Restore").click()
    tab.get_by_text("Give the key too").wait_for()
    upload(tab, tmp_path / "regtext.key.zip", "Its key, the zip")
    button(tab, "Restore").click()
    expect(tab.locator("#owner-found")).to_contain_text("Restored: 920 rows.")
    expect(tab.locator("#owner-found")).to_contain_text(load_notes("train")["text"][0])
    restored = parquet.read_table(io.BytesIO(downloaded(tab, "Restored data")))
    assert restored["text"].to_pylist() == load_notes("train")["text"][:]
    tab.screenshot(path=shots / "key-restored.png", full_page=True)
    assert serious(tab) == []


def test_a_visitors_files_go_when_he_does(visit):
    tab = visit()
    protect_notes(tab)
    with tab.expect_download() as event:
        tab.get_by_text("Data", exact=True).locator("visible=true").first.click()
    file = Path(re.search(r"file=(.*)", event.value.url)[1])
    assert file.is_file() and "sessions" in file.parts
    tab.close()
    eventually(lambda: not file.parent.exists())
