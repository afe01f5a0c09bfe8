"""Sessions of the page: apart, private, and gone when they end."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

from hf_unlearnable.key import Key
from hf_unlearnable.space import protection
from hf_unlearnable.space.limits import RefusedError
from hf_unlearnable.space.session import Session, make_root, zip_key
from tests.examples import notes, pictures
from tests.space.files import opened, photo, rows_of


@pytest.fixture
def root(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "served"))
    return tmp_path


def test_a_session_is_apart_from_others_and_goes_altogether(root):
    one, two = Session("one").open(), Session("two").open()
    assert one.served == Session("one").served != two.served and "one" not in str(one.served)
    assert not one.private.is_relative_to(root / "served")
    data = notes(8)
    cloak = protection.transform("regtext", "Standard", min_frequency=1).fit(notes(120))
    one.keep("text", data, data, {"column": "text", "label_column": "label"}, cloak.key)
    upload = root / "served" / "abc" / "mine.csv"
    upload.parent.mkdir()
    upload.write_text("secret")
    outside = root / "outside.csv"
    outside.touch()
    one.uploaded(str(upload), str(outside))
    about, original, _ = one.last()
    assert about["method"] == "regtext" and original[:] == data[:] and original.features == data.features
    with pytest.raises(RefusedError, match="Nothing was protected"):
        two.last()
    flag = one.start_training()
    one.forget()
    assert not one.served.exists() and not one.private.exists() and not upload.exists() and not flag.exists()
    assert two.served.is_dir() and outside.exists()


@pytest.mark.parametrize("came", ["noted by the other", "again, and not noted yet", "again, and noted by the other"])
def test_an_upload_that_another_visitor_has_too_stays_until_that_one_leaves(root, came):
    one, two = Session("one").open(), Session("two").open()
    upload = root / "served" / "abc" / "same.csv"
    upload.parent.mkdir(parents=True)
    upload.write_text("equal files share a path")
    one.uploaded(str(upload))
    if came.startswith("again"):
        os.utime(upload, ns=(upload.stat().st_atime_ns, upload.stat().st_mtime_ns + 10**6))
    if came.endswith("other"):
        two.uploaded(str(upload))
    one.forget()
    assert upload.exists()
    two.uploaded(str(upload))
    two.forget()
    assert not upload.exists()


def test_the_look_before_publishing_is_of_what_was_protected_last(root, tmp_path):
    pytest.importorskip("gradio")
    from hf_unlearnable.space.image import protect_images
    from hf_unlearnable.space.publish import published

    session = Session("one").open()
    rows = rows_of(*(photo(seed) for seed in range(4)), label="a") + rows_of(photo(9), label="b")
    original, protected, _, key = protect_images(rows, "texture", "Standard")
    session.keep("image", original, protected, {"column": "image", "label_column": "label"}, key)
    seen = published(session, "my-pictures", "cc0-1.0", dry_run=tmp_path / "dry")
    assert "texture" in seen.card and "cc0-1.0" in seen.card and str(key.seed) not in seen.card
    (file,) = (tmp_path / "dry").rglob("*.parquet")
    read = Dataset.from_parquet(str(file), cache_dir=str(tmp_path / "cache"))
    assert (np.asarray(read[4]["image"]) == opened(protected[4]["image"]["bytes"])).all() and read[4]["label"] == "b"
    (session.private / "seen").touch()
    session.keep("image", original, protected, {"column": "image", "label_column": "label"}, key)
    assert not (session.private / "seen").exists()  # other data: look again


def test_forgotten_sessions_are_swept(root):
    import os

    old = Session("old").open()
    for folder in (old.served, old.private):
        os.utime(folder, (0, 0))
    Session("new").open()
    assert not old.served.exists() and not old.private.exists()


def test_the_zipped_key_is_the_key(tmp_path):
    key = protection.transform("texture", "Standard", seed=5).fit(pictures(8)).key
    with zipfile.ZipFile(zip_key(key, tmp_path / "k.zip")) as archive:
        archive.extractall(tmp_path)
        assert json.loads(archive.read("k/key.json"))["seed"] == 5
    assert Key.load(tmp_path / "k").state == key.state


def test_the_folders_of_a_process_are_private(monkeypatch):
    import os
    import stat

    for name in ("HF_UNLEARNABLE_SPACE", "GRADIO_TEMP_DIR"):
        monkeypatch.setenv(name, "to be put back")
        monkeypatch.delenv(name)
    make_root()
    folder = Path(os.environ["GRADIO_TEMP_DIR"]).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
