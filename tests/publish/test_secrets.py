"""Every planted secret and word of the key is found in what would be published."""

import json
import random
import re
import string

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hf_unlearnable.publish.leaks import scan
from hf_unlearnable.publish.seed import Seed
from hf_unlearnable.publish.spotting import Texts
from tests.publish.staged import HOME, ROWS, known, shape, sparse, stage, texts

pytestmark = pytest.mark.usefixtures("home")


def names(findings):
    return {finding.name for finding in findings}


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
    monkeypatch.setattr("hf_unlearnable.publish.leaks._BATCH_BYTES", chunk)
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


def test_a_seed_in_any_spelling_is_told_by_its_column_as_text_by_text():
    rng = random.Random(0)
    for seed in [2**32 + 5, *(rng.getrandbits(64) | 2**63 for _ in range(12))]:
        spelled = [
            str(seed),
            f"{seed:x}",
            f"{seed:016X}",
            f"{seed:o}",
            f"{seed:b}",
            str(seed - 2**64),
            repr(float(seed)),
        ]
        raw = seed.to_bytes(8, "little")
        spelled += [
            "".join(f"\\x{byte:02x}" for byte in raw),
            ", ".join(f"0x{byte:02x}" for byte in raw),
            raw.hex(":"),
        ]
        spelled += [f"{seed:,}", f"{seed:_}", "-".join(re.findall(".{1,4}", f"{seed:016x}")), f"100x{seed:x}"]
        near = [str(seed + 1), f"{seed:x}"[:-1], f"1{seed}", str(seed)[::-1], " 7 ".join(str(seed)), "", "no digit"]
        texts = [f"In 1999 {one} for 20 of 30" for one in [*spelled, *near]]
        own = Seed(seed)
        found = own.candidates(Texts(pa.array(texts, pa.large_string()))).tolist()
        told = [own.stands_in(text) for text in texts]
        assert [text for text, one, other in zip(texts, told, found, strict=True) if one and not other] == []
        assert sum(told) >= 8 and not any(found[-4:])


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
