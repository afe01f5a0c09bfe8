"""What was hidden in a folder is found, whatever it is and wherever; and what only looks like it is left alone."""

import base64
import functools
import io
import json
import random
import re
import string

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset
from PIL import Image

from hf_unlearnable.image.methods.texture import TextureTransform
from hf_unlearnable.publish.leaks import Finding, scan
from hf_unlearnable.registry import MODALITIES
from hf_unlearnable.samples import load_digits
from hf_unlearnable.text.methods.regtext import RegTextTransform
from tests.contract.sound import wav
from tests.contract.sound.modality import SOUND
from tests.examples import levels, notes, pictures, real

ROWS = 40
HOME = "/home/alice-kowalska"


@pytest.fixture(autouse=True)
def home(monkeypatch):
    monkeypatch.setenv("HOME", HOME)
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


@functools.cache
def texts():
    """Originals, the protected rows, the transform and clean held-out rows."""
    every = notes(300)
    cloak = RegTextTransform(seed=0xC0FFEE1234567 * 3000 + 7).fit(every)
    original = every.select(range(ROWS)).flatten_indices()
    held_out = every.select(range(200, 220)).flatten_indices()
    return original, Dataset.from_dict(original.map(cloak, batched=True)[:], original.features), cloak, held_out


@functools.cache
def photos():
    original = pictures(ROWS, height=20, width=24)
    cloak = TextureTransform(seed=2**63 + 12345).fit(original)
    protected = original.map(cloak, batched=True)
    files = [value["bytes"] for value in original.cast_column("image", datasets.Image(decode=False))["image"]]
    return original, protected, cloak, files


def stage(folder, card="# Notes\n\nA protected dataset.\n", files=(), **splits):
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text(card, encoding="utf-8")
    for name, text in dict(files).items():
        (folder / name).write_text(text, encoding="utf-8")
    for split, dataset in splits.items():
        half = len(dataset) // 2
        dataset.select(range(half)).to_parquet(folder / "data" / f"{split}-00000-of-00002.parquet")
        dataset.select(range(half, len(dataset))).to_parquet(folder / "data" / f"{split}-00001-of-00002.parquet")
    return folder


def known(mode, original, cloak):
    """What the owner gives: the originals, the key, both or nothing."""
    given = {"original": {"train": original}} if mode in ("original", "both") else {}
    return given | ({"key": cloak.key} if mode in ("key", "both") else {})


def names(findings):
    return {finding.name for finding in findings}


def shape(random, values):
    """A column of these values, flat or deep within lists and structs, and the end of its path."""
    return random.choice([
        lambda: (values, ""),
        lambda: ([[value] for value in values], ""),
        lambda: ([{"id": i, "value": value} for i, value in enumerate(values)], ".value"),
        lambda: ([[{"role": "user", "content": value}] for value in values], ".content"),
        lambda: ([{"deep": [{"values": [value, None]}]} for value in values], ".deep.values"),
    ])()  # fmt: skip


def sparse(random, values, filler=None):
    """The values, or only one of them among fillers; and the first row that is left."""
    if random.random() < 0.5:
        return values, 0
    row = random.randrange(len(values))
    return [value if i == row else filler for i, value in enumerate(values)], row


# ---------------------------------------------------------------------------------------------- planted
def token(random):
    def some(count, letters=string.ascii_letters + string.digits):
        return "".join(random.choices(letters, k=count))

    upper = string.ascii_uppercase + string.digits
    return random.choice([
        f"hf_{some(34)}", f"sk-{some(48)}", f"sk-proj-{some(60)}", f"sk-{some(32, '0123456789abcdef')}", f"ghp_{some(36)}",
        f"github_pat_{some(22)}_{some(59)}", f"AKIA{some(16, upper)}", f"AIza{some(35)}", f"xoxb-{some(12, '0123456789')}-{some(24)}",
        f"glpat-{some(20)}", "-----BEGIN RSA PRIVATE KEY-----\nMIIE", "-----BEGIN OPENSSH PRIVATE KEY-----",
    ])  # fmt: skip


def secret_of(kind, random, cloak):
    seed = cloak.key.seed
    if kind == "seed":
        return random.choice([
            str(seed), f"{seed:x}", hex(seed), f"{seed:016X}", f"made with seed={seed}.", f'{{"seed": {seed}}}', f"{seed:020d}"
        ])  # fmt: skip
    if kind == "token":
        one = token(random)
        return random.choice([one, f"Bearer {one}", f"export KEY='{one}'\nrun", f'{{"token": "{one}"}}'])
    place = random.choice([f"{HOME}/data/notes.csv", f"{HOME}/.cache/huggingface/datasets", "/srv/archive-7/clean"])
    return random.choice([place, f"read from {place}", f'{{"source": "{place}"}}', f"file://{place}"])


@pytest.mark.parametrize("number", range(70))
def test_a_planted_secret_is_found(tmp_path, number):
    rng = random.Random(number)
    kind = ("seed", "token", "path")[number % 3]
    original, protected, cloak, held_out = texts()
    secret, card, files, place = secret_of(kind, rng, cloak), "# Notes\n", {}, None
    where = rng.choice(["column", "column", "column", "own", "card", "file", "name", "schema", "split"])
    row = None
    if where == "column":
        values, row = sparse(rng, [f"{secret}" for _ in range(ROWS)], filler="nothing to see")
        column, end = shape(rng, values)
        protected, place = protected.add_column("extra", column), f"train/extra{end}"
    elif where == "own":
        row = rng.randrange(ROWS)
        changed = list(protected["text"])
        changed[row] += f" {secret}"
        protected = protected.remove_columns("text").add_column("text", changed)
        place = "train/text"
    elif where == "card":
        card, place = f"# Notes\n\nSome words, then {secret} and more.\n", "README.md"
    elif where == "file":
        files, place = {"report.json": json.dumps({"about": [secret]})}, "report.json"
    elif where == "split":
        values, row = sparse(rng, [secret] * len(held_out), filler="no")
        held_out, place = held_out.add_column("note", values), "test/note"
    splits = {"train": protected, "test": held_out} if where == "split" else {"train": protected}
    folder = stage(tmp_path / "staged", card, files, **splits)
    path = folder / "data" / "train-00001-of-00002.parquet"
    if where == "name":
        if kind == "seed":
            secret = str(cloak.key.seed)
        elif kind == "token":
            secret = "hf_" + "aB3" * 12
        else:
            secret = None
        if secret:
            (folder / f"notes-{secret}.txt").write_text("notes")
            place = "notes-<hidden>.txt (its name)"
        else:  # a path cannot be in a name
            where = "schema"
            secret = f"{HOME}/x"
    if where == "schema":
        table = pq.read_table(path)
        meta = {**(table.schema.metadata or {}), b"info": json.dumps({"x": secret}).encode()}
        pq.write_table(table.replace_schema_metadata(meta), path)
        place = "data/train-00001-of-00002.parquet (schema)"
    given = known(rng.choice(["key", "both"]), original, cloak)
    findings = scan(folder, protected_columns=["text"], sources=["/srv/archive-7/clean"], **given)
    assert f"{kind}:{place}" in names(findings)
    (found,) = [finding for finding in findings if finding.name == f"{kind}:{place}"]
    assert found.row == row
    assert secret not in str(found) and found.what and found.remedy


@pytest.mark.parametrize("chunk", [1, 2_000, 4 << 20])
def test_rows_are_counted_across_row_groups(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr("hf_unlearnable.publish.leaks._CHUNK_BYTES", chunk)
    monkeypatch.setattr("hf_unlearnable.text.copies._AT_ONCE", chunk)
    original, protected, cloak, _ = texts()
    asides = [f"An aside of no weight, number {i}." for i in range(ROWS)]
    asides[17] = "hf_" + "aB3" * 12
    asides[31] = original["text"][31].upper().replace(" ", "  ")
    (tmp_path / "data").mkdir()
    table = protected.add_column("aside", asides).with_format("arrow")[:]
    pq.write_table(table, tmp_path / "data" / "train-00000-of-00001.parquet", row_group_size=7)
    found = scan(tmp_path, protected_columns=["text"], key=cloak.key, original={"train": original})
    assert {(one.name, one.row, one.count) for one in found} == {
        ("token:train/aside", 17, 1), ("clean-copy:train/aside", 31, 1)
    }  # fmt: skip


@pytest.mark.parametrize("type", ["uint64", "int64", "float64", "list", "struct"])
def test_the_seed_as_a_number(tmp_path, type):
    _, protected, cloak, _ = texts()
    values = np.arange(ROWS).astype(np.uint64 if type != "float64" else float)
    values[23] = cloak.key.seed
    if type == "int64":
        values = values.view(np.int64)
    array = pa.array(values)
    if type == "list":
        array = pa.ListArray.from_arrays(pa.array(range(ROWS + 1), pa.int32()), array)
    if type == "struct":
        array = pa.StructArray.from_arrays([array], ["a"])
    table = protected.data.table.append_column("n", array)
    (tmp_path / "data").mkdir()
    pq.write_table(table, tmp_path / "data" / "train-00000-of-00001.parquet")
    (found,) = scan(tmp_path, protected_columns=["text"], key=cloak.key)
    assert (found.name, found.row, found.count) == (f"seed:train/n{'.a' if type == 'struct' else ''}", 23, 1)


def test_the_seed_as_a_name_of_a_column(tmp_path):
    _, protected, cloak, _ = texts()
    protected = protected.add_column(f"noise_{cloak.key.seed}", [0] * ROWS)
    found = scan(stage(tmp_path / "x", train=protected), protected_columns=["text"], key=cloak.key)
    assert {finding.kind for finding in found} == {"seed"}
    assert not any(str(cloak.key.seed) in str(finding) for finding in found)


@pytest.mark.parametrize("number", range(40))
def test_planted_words_are_found(tmp_path, number):
    rng = random.Random(number)
    original, protected, cloak, _ = texts()
    groups = cloak.secrets()["words"]
    words = [word for group in groups for word in group]
    listing = rng.choice([
        lambda: ", ".join(words), lambda: json.dumps(dict(enumerate(groups))), lambda: repr(words), lambda: "\n".join(words),
        lambda: "; ".join(f"class {i}: {word}" for i, word in enumerate(words)),
        lambda: json.dumps({"rate": 0.1, "text_column": "the text of the note", "labels": [0, 1, 2, 3], "words": groups}),
    ])()  # fmt: skip
    card, files, row = "# Notes\n", {}, None
    where = rng.choice(["list", "cell", "bare", "lists", "card", "file", "one in quotes"])
    if where == "list":
        values, row = sparse(rng, [words] * ROWS)
        protected, place = protected.add_column("extra", values), "train/extra"
    elif where == "lists":
        values = [{"words": groups[label]} for label in protected["label"]]
        protected, place, row = protected.add_column("extra", values), "train/extra.words", 0
    elif where == "bare":
        values = [groups[label][0].upper() for label in protected["label"]]
        values, row = sparse(rng, values, filler="some longer remark here")
        protected, place = protected.add_column("extra", values), "train/extra"
    elif where == "cell":
        values, row = sparse(rng, [listing] * ROWS, filler="some longer remark here")
        column, end = shape(rng, values)
        protected, place = protected.add_column("extra", column), f"train/extra{end}"
    elif where == "card":
        card, place = f"# Notes\n\nThe words: {listing}\n", "README.md"
    elif where == "file":
        files, place = {"words.txt": listing}, "words.txt"
    else:
        card, place = f"# Notes\n\nGarden notes got `{words[0]}` where there was room.\n", "README.md"
    given = known(rng.choice(["key", "both"]), original, cloak)
    found = [
        finding for finding in scan(stage(tmp_path / "x", card, files, train=protected), protected_columns=["text"], **given)
        if finding.kind == "words"
    ]  # fmt: skip
    assert [(finding.place, finding.row) for finding in found] == [(place, row)]
    assert not any(re.search(rf"\b{word}\b", str(finding)) for finding in found for word in words)


def copied(random, text, known=True):
    """A copy of a text; one with words left out can be told from a protected text only if the original is `known`."""
    words = text.split()
    return random.choice([
        lambda: text, lambda: text.upper(), lambda: re.sub(r"[^\w ]", "", text), lambda: "  ".join(words) + "\n",
        lambda: " ".join(word for i, word in enumerate(words) if i % 11 != 10 or not known),
        lambda: f"Here is what the reader wrote to us yesterday: {text} And that was all that he had to say.",
        lambda: json.dumps({"id": 7, "text": text}), lambda: "- " + re.sub(r"[.,] ", "\n- ", text),
        lambda: text.encode(),
    ])  # fmt: skip


@pytest.mark.parametrize("number", range(50))
def test_a_clean_copy_of_a_text_is_found(tmp_path, number):
    rng = random.Random(number)
    original, protected, cloak, held_out = texts()
    words = {word for group in cloak.secrets()["words"] for word in group}
    plain = [i for i, text in enumerate(original["text"]) if not words & set(text.split())]
    mode = rng.choice(["original", "key", "both", "none"])
    where = rng.choice(["column", "column", "split", "order", "rows", "card"]) if mode != "none" else "column"
    card, row, splits = "# Notes\n", None, {}
    if where == "column":
        state = rng.getstate()
        values = []
        for text in original["text"]:  # the same kind of copy for all rows
            rng.setstate(state)
            values.append(copied(rng, text, mode != "none")())
        if isinstance(values[0], bytes) and mode == "none":
            values = [value.decode() for value in values]
        values, row = sparse(rng, values, filler=None)
        column, end = shape(rng, values)
        protected, place = protected.add_column("extra", column), f"train/extra{end}"
    elif where == "split":
        change = rng.choice([str, str.upper, lambda text: re.sub(r"[^\w]+", " ", text)])
        leaked = list(held_out["text"])
        row = rng.randrange(20)
        leaked[row] = change(original["text"][rng.choice(plain)])
        splits, place = {"validation": held_out.remove_columns("text").add_column("text", leaked)}, "validation/text"
    elif where == "order":
        order = list(range(ROWS))[::-1]
        protected = protected.add_column("extra", [original["text"][i].lower() for i in order])
        place, row = "train/extra", 0
    elif where == "rows":  # a row that was left clean, and holds what is protected in another
        a, b = rng.sample(range(ROWS), 2)
        before, after = list(original["text"]), list(protected["text"])
        before[a] = after[a] = before[b]
        original = original.remove_columns("text").add_column("text", before)
        protected = protected.remove_columns("text").add_column("text", after)
        place, row = "train/text", a
    else:
        card, place = f"# Notes\n\n| text | label |\n|---|---|\n| {original['text'][5]} | 0 |\n", "README.md"
    folder = stage(tmp_path / "x", card, train=protected, **splits)
    found = scan(folder, protected_columns=["text"], **known(mode, original, cloak))
    assert [(finding.name, finding.row) for finding in found] == [(f"clean-copy:{place}", row)], (where, mode)


def file_of(image, format="PNG", **options):
    file = io.BytesIO()
    image.convert("RGB").save(file, format=format, **options)
    return file.getvalue()


@pytest.mark.parametrize("number", range(40))
def test_a_clean_copy_of_an_image_is_found(tmp_path, number):
    rng = random.Random(number)
    original, protected, cloak, files = photos()
    opened = [Image.open(io.BytesIO(file)) for file in files]
    change = rng.choice([
        lambda one: file_of(one), lambda one: file_of(one, "JPEG", quality=60), lambda one: file_of(one, "WEBP", quality=70),
        lambda one: file_of(one.resize((16, 14))), lambda one: file_of(one.resize((48, 40)), "JPEG"),
        lambda one: file_of(one.crop((1, 1, 23, 19))), lambda one: file_of(one, "BMP"),
    ])  # fmt: skip
    mode = rng.choice(["original", "both", "key", "none"])
    where = rng.choice(["image", "binary", "base64", "markdown", "split", "order"])
    splits, row = {}, 0
    if where in ("split", "order"):  # there only the very same levels are found, and only with the originals
        mode, change = (
            rng.choice(["original", "both"]),
            rng.choice([file_of, lambda one: file_of(one, "WEBP", lossless=True)]),
        )
    values = [change(one) for one in opened]
    features = datasets.Image()
    if where == "order":
        values = values[1:] + values[:1]
    elif where != "split":
        values, row = sparse(rng, values)
    place = "train/extra"
    if where in ("image", "order"):
        protected = protected.add_column("extra", values).cast_column("extra", features)
    elif where == "binary":
        column, end = shape(rng, values)
        protected, place = protected.add_column("extra", column), f"train/extra{end}"
    elif where == "base64":
        protected = protected.add_column(
            "extra", [None if one is None else base64.b64encode(one).decode() for one in values]
        )
    elif where == "markdown":
        coded = [
            None if one is None else f"![x](data:image/x;base64,{base64.b64encode(one).decode()})" for one in values
        ]
        protected = protected.add_column("extra", coded)
    else:
        other = pictures(20, seed=9, height=20, width=24).cast_column("image", datasets.Image(decode=False))
        leaked = [one["bytes"] for one in other["image"]]
        row = 13
        leaked[row] = values[rng.randrange(ROWS)]
        splits = {"test": Dataset.from_dict({"image": leaked}, datasets.Features({"image": features}))}
        place = "test/image"
    folder = stage(tmp_path / "x", train=protected, **splits)
    found = scan(folder, protected_columns=["image"], **known(mode, original, cloak))
    assert [(finding.name, finding.row) for finding in found] == [(f"clean-copy:{place}", row)], (where, mode)


def with_thumbnail(image, thumbnail):
    """A PNG whose EXIF holds a small image, as cameras write it: a field, then the directory of the small image."""

    def entry(tag, type, value):
        return tag.to_bytes(2, "little") + type.to_bytes(2, "little") + b"\1\0\0\0" + value.to_bytes(4, "little")

    exif = b"II*\0" + (8).to_bytes(4, "little") + b"\1\0" + entry(0x0112, 3, 1) + (26).to_bytes(4, "little")
    exif += b"\2\0" + entry(0x0201, 4, 56) + entry(0x0202, 4, len(thumbnail)) + bytes(4)
    return file_of(image, exif=b"Exif\0\0" + exif + thumbnail)


def test_a_thumbnail_of_the_clean_image_within_the_protected_file(tmp_path):
    original, protected, cloak, files = photos()
    values = [one["bytes"] for one in protected.cast_column("image", datasets.Image(decode=False))["image"]]
    small = file_of(Image.open(io.BytesIO(files[7])).resize((16, 14)), "JPEG")
    values[7] = with_thumbnail(Image.open(io.BytesIO(values[7])), small)
    changed = Dataset.from_dict({"image": values, "label": protected["label"]}, protected.features)
    for mode in ("none", "original"):
        found = scan(
            stage(tmp_path / mode, train=changed), protected_columns=["image"], **known(mode, original, cloak)
        )
        assert [(one.name, one.row, one.count) for one in found] == [("clean-copy:train/image", 7, 1)]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("kind", ["gps", "camera", "serial", "xmp"])
def test_what_a_camera_wrote(tmp_path, kind, format):
    if format == "TIFF" and kind != "camera":
        pytest.skip("Pillow does not write this into a TIFF")
    original, protected, cloak, _ = photos()
    exif = Image.Exif()
    exif[0x0131] = "a program"  # no secret, and without it Pillow leaves out what lies deeper
    if kind == "gps":
        exif.get_ifd(0x8825)[1] = "N"
    elif kind == "serial":
        exif.get_ifd(0x8769)[0xA431] = "12345"
    elif kind == "camera":
        exif[0x010F] = "Maker"
    options = {"exif": exif} if kind != "xmp" else {"xmp": b"<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>"}
    if (kind, format) == ("xmp", "PNG"):
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>")
        options = {"pnginfo": info}
    other = Image.fromarray(levels(1, seed=5)[0])
    values = [None] * ROWS
    values[31] = file_of(other, format, **options)
    staged = protected.add_column("photo", values)
    expected = "gps" if kind == "gps" else "camera"
    for i, dataset in enumerate((staged, staged.cast_column("photo", datasets.Image()))):
        found = scan(
            stage(tmp_path / str(i), train=dataset), protected_columns=["image"], **known("key", original, cloak)
        )
        assert [(one.name, one.row, one.count) for one in found] == [(f"{expected}:train/photo", 31, 1)]


def test_the_path_that_is_stored_with_an_image(tmp_path):
    _, protected, _, _ = photos()
    values = protected.cast_column("image", datasets.Image(decode=False))["image"]
    for path, expected in (("/Users/bo/x.png", 1), ("C:\\photos\\x.png", 1), ("x.png", 0), ("train/x.png", 0)):
        stored = [{"bytes": one["bytes"], "path": path if i == 4 else None} for i, one in enumerate(values)]
        changed = Dataset.from_dict({"image": stored}, datasets.Features({"image": datasets.Image()}))
        found = scan(stage(tmp_path / path.replace("/", "-"), train=changed), protected_columns=["image"])
        assert [(one.name, one.row) for one in found] == [("path:train/image", 4)] * expected


# ---------------------------------------------------------------------------------------------- clean
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


@pytest.mark.parametrize("number", range(150))
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
        lambda: [file_of(one.convert("L").point(lambda level: 255 * (level > 128))) for one in others["image"]],  # masks
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


# ---------------------------------------------------------------------------------------------- other kinds of files
def sound_of(samples, rate=8000):
    return wav.stored(wav.Sound(samples.astype(np.int16)[:, None], rate))["bytes"]


@pytest.mark.parametrize("mode", ["original", "none"])
@pytest.mark.parametrize("where", ["bytes", "base64", "nothing", "order", "within", "recorder", "split"])
def test_a_kind_of_data_of_another_package_is_searched_too(tmp_path, monkeypatch, where, mode):
    """A clean copy of a sound in other columns, splits and the protected file itself: none of the scan knows sounds."""
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


# ---------------------------------------------------------------------------------------------- the rest
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
