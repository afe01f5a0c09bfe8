"""What the leak scan says, counts and reads beyond texts and images."""

import base64
import re

import datasets
import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset

from hf_unlearnable.publish.leaks import Finding, scan
from hf_unlearnable.registry import MODALITIES
from hf_unlearnable.text.methods.regtext import RegTextTransform
from tests.contract.sound import wav
from tests.contract.sound.modality import SOUND
from tests.publish.staged import ROWS, photos, stage, texts

pytestmark = pytest.mark.usefixtures("home")


def sound_of(samples, rate=8000):
    return wav.stored(wav.Sound(samples.astype(np.int16)[:, None], rate))["bytes"]


@pytest.mark.parametrize("mode", ["original", "none"])
@pytest.mark.parametrize("where", ["bytes", "base64", "nothing", "order", "within", "recorder", "split"])
def test_a_kind_of_data_of_another_package_is_searched_too(tmp_path, monkeypatch, where, mode):
    """A clean copy of a sound in other columns, splits and the protected file itself: none of the scan knows sounds."""
    monkeypatch.setattr(MODALITIES, "_built_in", {k: v for k, v in MODALITIES._built_in.items() if k != "audio"})
    monkeypatch.setitem(MODALITIES._registered, "sound", SOUND)
    rng = np.random.default_rng(3)
    clean = rng.normal(0, 4000, (12, 500))
    noisy = clean + rng.normal(0, 400, clean.shape)
    given = {name: [sound_of(one) for one in samples] for name, samples in (("clean", clean), ("noisy", noisy))}
    protected, extra, splits = list(given["noisy"]), [None] * 12, {}
    if where == "bytes":
        extra[5] = sound_of(clean[5] // 256 * 256)
    elif where == "base64":
        extra[5] = base64.b64encode(given["clean"][5]).decode()
    elif where == "nothing":
        extra = [sound_of(one) for one in rng.normal(0, 4000, (12, 500))]
    elif where == "order":  # in another row only the very same samples are found, and only with the originals
        extra[5] = sound_of(clean[7], rate=16000)
    elif where == "within":
        protected[5] += b"LIST" + sound_of(clean[5][::4])
    elif where == "recorder":
        extra[5] = sound_of(rng.normal(0, 4000, 500)) + b"bext"
    else:
        splits = {"test": Dataset.from_dict({"sound": [sound_of(clean[5], rate=16000)] * 2})}

    def stored(files):
        features = datasets.Features({"sound": datasets.Audio()})
        rows = pa.array([{"bytes": one, "path": None} for one in files], features["sound"].pa_type)
        return Dataset(pa.table([rows], schema=features.arrow_schema))

    folder = stage(tmp_path / "x", train=stored(protected).add_column("extra", extra), **splits)
    known = {"original": {"train": stored(given["clean"])}} if mode == "original" else {}
    found = [(one.name, one.row, one.count) for one in scan(folder, protected_columns=["sound"], **known)]
    expected = {
        "bytes": [("clean-copy:train/extra", 5, 1)], "base64": [("clean-copy:train/extra", 5, 1)], "nothing": [],
        "order": [("clean-copy:train/extra", 5, 1)] if known else [], "within": [("clean-copy:train/sound", 5, 1)],
        "recorder": [("recorder:train/extra", 5, 1)], "split": [("clean-copy:test/sound", 0, 2)] if known else [],
    }  # fmt: skip
    assert found == expected[where]


def test_the_secrets_of_a_transform_are_shown_by_nothing():
    _, _, cloak, _ = texts()
    secrets = cloak.secrets()
    assert secrets == {"seed": cloak.key.seed, "words": cloak.key.state["words"]}
    assert photos()[2].secrets() == {"seed": 2**63 + 12345, "words": []}
    for shown in (repr(cloak), repr(cloak.key), str(cloak.public_params())):
        assert str(secrets["seed"]) not in shown
        assert not any(re.search(rf"\b{word}\b", shown) for group in secrets["words"] for word in group)
    with pytest.raises(ValueError, match="not fitted"):
        RegTextTransform().secrets()


def test_what_a_finding_says():
    finding = Finding("token", "train/text", 3, 5, "This is an API key.", "Revoke it.")
    assert finding.name == "token:train/text"
    assert str(finding) == "token:train/text, row 3 and 4 more: This is an API key. Revoke it."
    assert str(Finding("seed", "README.md", None, 1, "A.", "B.")) == "seed:README.md: A. B."


def test_rows_are_counted_over_shards_and_threads(tmp_path):
    _, protected, _, _ = texts()
    values = [None] * ROWS
    for row in (15, 25, 39):
        values[row] = "see hf_" + "Ab1" * 12
    folder = stage(tmp_path / "x", train=protected.add_column("extra", values))
    for num_proc in (1, 3):
        (found,) = scan(folder, protected_columns=["text"], num_proc=num_proc)
        assert (found.name, found.row, found.count) == ("token:train/extra", 15, 3)


def test_rows_that_do_not_correspond(tmp_path):
    original, protected, _, _ = texts()
    folder = stage(tmp_path / "x", train=protected)
    with pytest.raises(ValueError, match="Split 'train' has 40 rows and its original has 39"):
        scan(folder, protected_columns=["text"], original={"train": original.select(range(39))})
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        scan(tmp_path / "nowhere", protected_columns=["text"])
