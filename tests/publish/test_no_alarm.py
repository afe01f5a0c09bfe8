"""Nothing is found in protected data that holds no leak."""

import base64
import json
import random

import datasets
import pytest
from datasets import Dataset
from PIL import Image

from hf_unlearnable.image.methods.texture import TextureTransform
from hf_unlearnable.publish.leaks import scan
from hf_unlearnable.samples import load_digits
from hf_unlearnable.text.methods.regtext import RegTextTransform
from tests.examples import notes, pictures, real
from tests.image.files import file_of
from tests.publish.staged import ROWS, known, photos, stage, texts

pytestmark = pytest.mark.usefixtures("home")


def tempting(random, protected, original):
    """Columns that look like leaks and are none."""
    hexadecimal = ["".join(random.choices("0123456789abcdef", k=random.choice([16, 32, 40, 64]))) for _ in range(ROWS)]
    words = " ".join(original["text"]).split()
    return {
        "code": ["#!/usr/bin/env python\nimport os\nos.path.join('/etc/hosts', '/home/user/x')\n# see /root/.bashrc"] * ROWS,
        "sha": hexadecimal,
        "number": [str(random.randrange(10**19, 10**20)) for _ in range(ROWS)],
        "big": [random.randrange(2**62) for _ in range(ROWS)],
        "id": list(range(10**6, 10**6 + ROWS)),
        "uid": [f"sk-{random.choice(words).lower()}-{random.choice(words).lower()}-loading-indicator-{i}" for i in range(ROWS)],
        "reply": [random.choice(["Thank you very much for your note!", "ok", "We will print it next week."]) for _ in range(ROWS)],
        "title": [" ".join(text.split()[:4]) for text in original["text"]],
        "summary": [" ".join(random.sample(text.split(), 9)) + " and little else that matters" for text in original["text"]],
        "first": [text[: len(text) // 5] for text in original["text"]],
        "url": [f"https://example.org/home/{i}/tmp/x?token=hf_short&k=sk-1" for i in range(ROWS)],
        "mid": ["/m/01g317", "/people/person/place_of_birth"] * (ROWS // 2),
        "tags": [random.sample(words, 3) for _ in range(ROWS)],
        "score": [random.random() for _ in range(ROWS)],
        "embedding": [[random.random() for _ in range(4)] for _ in range(ROWS)],
        "messages": [[{"role": "user", "content": text}, {"role": "assistant", "content": "Thank you."}] for text in protected["text"]],
        "again": list(protected["text"]),
        "prompt": [f"Which topic is this note about?\n\n{text}\n\nAnswer in a word." for text in protected["text"]],
        "json": [json.dumps({"text": text, "split": "train"}) for text in protected["text"]],
        "empty": [None, "", " "] * (ROWS // 3) + [None] * (ROWS % 3),
        "hash": [base64.b64encode(random.randbytes(48)).decode() for _ in range(ROWS)],
        "bytes": [random.randbytes(64) for _ in range(ROWS)],
        "topic": [["garden", "kitchen", "sky", "workshop"][label] for label in protected["label"]],
        "flag": [random.random() < 0.5 for _ in range(ROWS)],
        "info": [{"n": i, "by": "Ada", "parts": [{"x": "y"}]} for i in range(ROWS)],
    }  # fmt: skip


@pytest.mark.parametrize(
    "number", [pytest.param(number, marks=pytest.mark.slow if number >= 50 else ()) for number in range(150)]
)
def test_nothing_is_found_in_clean_texts(tmp_path, number):
    rng = random.Random(1000 + number)
    original, protected, cloak, held_out = texts()
    mode = rng.choice(["original", "key", "both", "none"])
    left = rng.sample(range(ROWS), rng.choice([0, 0, 5, 20]))  # rows that were not protected
    after = [original["text"][i] if i in left else text for i, text in enumerate(protected["text"])]
    protected = protected.remove_columns("text").add_column("text", after)
    columns = tempting(rng, protected, original)
    for name in rng.sample(sorted(columns), 6):
        protected = protected.add_column(name, columns[name])
    splits = {"test": held_out} if rng.random() < 0.5 else {}
    sample = protected["text"][3].replace("|", " ")
    card = f"---\nlicense: mit\n---\n# Notes\n\nProtected with RegText, `datasets` {datasets.__version__}.\n\n| {sample} | 0 |\n"
    report = {"accuracy": [0.91, 0.4], "seeds": [0, 1, 2], "fingerprint": f"{rng.getrandbits(64):016x}"}
    folder = stage(tmp_path / "x", card, {"report.json": json.dumps(report)}, train=protected, **splits)
    found = scan(folder, protected_columns=["text"], **known(mode, original, cloak))
    assert [str(finding) for finding in found] == [], mode


@pytest.mark.parametrize("number", range(50))
def test_nothing_is_found_beside_clean_images(tmp_path, number):
    rng = random.Random(number)
    original, protected, cloak, files = photos()
    mode = rng.choice(["original", "key", "both", "none"])
    others = pictures(ROWS, seed=number + 20, height=20, width=24)
    stored = [one["bytes"] for one in protected.cast_column("image", datasets.Image(decode=False))["image"]]
    column = rng.choice([
        lambda: [file_of(one) for one in others["image"]],
        lambda: [file_of(one.convert("L").point(lambda level: 255 * (level > 128)).convert("RGB")) for one in others["image"]],  # masks
        lambda: [file_of(Image.new("RGB", (40, 30), (i, 9, 9))) for i in range(ROWS)],
        lambda: stored,
        lambda: [base64.b64encode(one).decode() for one in stored],
        lambda: [rng.randbytes(300) for _ in range(ROWS)],
        lambda: [f"photo of a {name}" for name in protected["label"]],
    ])()  # fmt: skip
    splits = {"test": others} if rng.random() < 0.3 and isinstance(column[0], str) else {}
    if rng.random() < 0.5:
        left = set(rng.sample(range(ROWS), 10))
        kept = [files[i] if i in left else one for i, one in enumerate(stored)]
        if column is not stored and mode in ("original", "both"):
            protected = Dataset.from_dict({"image": kept, "label": protected["label"]}, protected.features)
    folder = stage(tmp_path / "x", train=protected.add_column("extra", column), **splits)
    assert scan(folder, protected_columns=["image"], **known(mode, original, cloak)) == []


@pytest.mark.parametrize("settings", [{}, {"word_source": "regtext"}, {"position": "begin", "tokens_per_class": 5},
                                      {"word_source": "random"}, {"fraction": 0.5}, {"mode": "replace"}])  # fmt: skip
def test_nothing_is_found_in_protected_notes(tmp_path, settings):
    original = notes(900)
    cloak = RegTextTransform(seed=2**50 + 5, **settings).fit(original)
    folder = stage(tmp_path / "x", train=original.map(cloak, batched=True))
    for mode in ("original", "key", "both", "none"):
        found = scan(folder, protected_columns=["text"], **known(mode, original, cloak))
        assert [str(finding) for finding in found] == [], mode


@pytest.mark.parametrize(
    "pools",
    [
        ["clever", "would"],
        ["clever", "would", "angle", "kids"],
        ["clever", "would", "angle", "kids", "spirit", "shore"],
    ],
)
def test_a_short_text_that_holds_a_word_of_its_own_is_no_list(tmp_path, pools):
    short = ["{}", "{} trick", "the {} one", "so {} it is", "not {}"]
    texts = [shape.format(word) for shape in short for word in pools] * 4
    labels = [(i + shift) % len(pools) for shift in range(4) for i in range(len(texts) // 4)]
    original = Dataset.from_dict({"text": texts, "label": labels})
    cloak = RegTextTransform(seed=2**50 + 5, word_source=pools).fit(original)
    protected = original.map(cloak, batched=True)
    assert any(len(set(text.split()) & set(pools)) > 1 for text in protected["text"])
    folder = stage(tmp_path / "x", train=protected)
    assert [str(one) for one in scan(folder, protected_columns=["text"], key=cloak.key)] == []


def test_nothing_is_found_in_protected_digits(tmp_path):
    pytest.importorskip("sklearn")
    original, test = load_digits("train").select(range(400)), load_digits("test").select(range(200))
    cloak = TextureTransform().fit(original)
    folder = stage(tmp_path / "x", train=original.map(cloak, batched=True), test=test)
    for mode in ("original", "key", "both", "none"):
        assert scan(folder, protected_columns=["image"], **known(mode, original, cloak)) == []


def test_nothing_is_found_in_protected_reviews(tmp_path):
    original = real("imdb").select(range(0, 24_000, 12))
    cloak = RegTextTransform().fit(original)
    folder = stage(tmp_path / "x", train=original.map(cloak, batched=True))
    for mode in ("original", "key", "none"):
        assert scan(folder, protected_columns=["text"], **known(mode, original, cloak)) == []


def test_protected_chats(tmp_path):
    """Messages of the assistant are not protected; one that repeats the user's own words cleanly is found."""
    original, _, _, _ = texts()
    chats = [[{"role": "user", "content": text}, {"role": "assistant", "content": f"About {text[:20]}? Thanks."}]
             for text in original["text"]]  # fmt: skip
    chats = Dataset.from_dict({"chat": chats, "label": original["label"]})
    cloak = RegTextTransform(text_column="chat", seed=2**40).fit(chats)
    protected = chats.map(cloak, batched=True)
    for mode in ("original", "key", "both", "none"):
        assert (
            scan(stage(tmp_path / mode, train=protected), protected_columns=["chat"], **known(mode, chats, cloak))
            == []
        )
    leaked = [list(chat) for chat in protected["chat"]]
    leaked[9][1] = {"role": "assistant", "content": original["text"][9]}
    before = [list(chat) for chat in chats["chat"]]
    before[9][1] = leaked[9][1]
    replaced = [
        Dataset.from_dict({"chat": column, "label": chats["label"]}, chats.features) for column in (before, leaked)
    ]
    for mode in ("original", "key"):
        found = scan(
            stage(tmp_path / f"{mode}2", train=replaced[1]),
            protected_columns=["chat"],
            **known(mode, replaced[0], cloak),
        )
        assert [(one.name, one.row) for one in found] == [("clean-copy:train/chat.content", 9)]
