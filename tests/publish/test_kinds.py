"""Leaks of every kind are found, beside texts and beside images; what looks like them is not."""

import functools
import gzip
import io
import re
import zipfile

import pytest
from datasets import ClassLabel, Dataset
from PIL import Image

from hf_unlearnable.image.methods.texture import TextureTransform
from hf_unlearnable.publish.leaks import scan
from hf_unlearnable.publish.readings import readings
from hf_unlearnable.text.methods.regtext import RegTextTransform
from tests.examples import levels, notes, pictures
from tests.publish import planted

SEED = 0xC0FFEE1234567 * 3000 + 7
HELLO = "The quick brown fox jumps over the lazy dog."


@functools.cache
def beside(modality):
    """Originals, protected rows, transform."""
    if modality == "text":
        original = notes(40)
        cloak = RegTextTransform(seed=SEED, tokens_per_class=2).fit(original)
        rows = original.select(range(12)).flatten_indices()
    else:
        original = rows = pictures(12, height=20, width=24)
        cloak = TextureTransform(seed=SEED).fit(original)
    return rows, rows.map(cloak, batched=True), cloak


def found_in(folder, modality, dataset, split="train", **given):
    (folder / "data").mkdir(parents=True)
    dataset.to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    return scan(folder, protected_columns=[modality], num_proc=1, **given)


def both_ways(modality):
    original, _, cloak = beside(modality)
    return {"key": {"key": cloak.key}, "both": {"key": cloak.key, "original": {"train": original}}}


def row_of(modality, value, kind="cell"):
    return planted.beside(beside(modality)[1], value, kind)


@pytest.mark.parametrize("modality", ["text", "image"])
@pytest.mark.parametrize("spelling", planted.seeds(SEED))
def test_a_seed_in_any_spelling_is_found(tmp_path, modality, spelling):
    for mode, given in both_ways(modality).items():
        found = found_in(tmp_path / mode, modality, row_of(modality, planted.seeds(SEED)[spelling]), **given)
        assert [(one.name, one.row) for one in found] == [("seed:train/extra", planted.ROW)], mode


@pytest.mark.parametrize("spelling", planted.word_lists(["a", "b"]))
def test_a_list_of_words_in_any_code_is_found(tmp_path, spelling):
    words = [word for group in beside("text")[2].secrets()["words"] for word in group]
    for mode, given in both_ways("text").items():
        found = found_in(tmp_path / mode, "text", row_of("text", planted.word_lists(words)[spelling]), **given)
        assert [(one.name, one.row) for one in found] == [("words:train/extra", planted.ROW)], mode


@pytest.mark.parametrize("where", ["column", "class", "split", "field"])
def test_words_as_names_are_found_and_not_told(tmp_path, where):
    words = [group[0] for group in beside("text")[2].secrets()["words"]]
    for mode, given in both_ways("text").items():
        dataset, split = beside("text")[1], "train"
        if where == "column":
            dataset = dataset.add_column(words[0], [1] * 12)
        elif where == "field":
            dataset = dataset.add_column("extra", [{words[1].upper(): 1, "id": i} for i in range(12)])
        elif where == "class":
            dataset = dataset.cast_column("label", ClassLabel(names=words))
        else:
            split, given = words[0], {"key": given["key"]}
        found = found_in(tmp_path / mode, "text", dataset, split, **given)
        assert "words:names" in {one.name for one in found} and {one.kind for one in found} == {"words"}, mode
        assert not any(set(words) & set(re.findall(r"\w+", str(one).lower())) for one in found)


def test_names_that_the_data_had_before_are_public(tmp_path):
    original, protected, cloak = beside("text")
    word = cloak.secrets()["words"][0][0]
    before, after = (one.add_column(word, [1] * 12) for one in (original, protected))
    assert found_in(tmp_path / "x", "text", after, key=cloak.key, original={"train": before}) == []


@pytest.mark.parametrize("code", planted.texts("a b"))
def test_a_clean_text_in_any_code_is_found(tmp_path, code):
    text = beside("text")[0]["text"][planted.ROW]
    for mode, given in both_ways("text").items():
        found = found_in(tmp_path / mode, "text", row_of("text", planted.texts(text)[code]), **given)
        assert [(one.name, one.row) for one in found] == [("clean-copy:train/extra", planted.ROW)], mode


@pytest.mark.parametrize("code", planted.images(Image.new("RGB", (24, 20))))
def test_a_clean_image_in_any_format_is_found(tmp_path, code):
    kind, value = planted.images(beside("image")[0]["image"][planted.ROW])[code]
    for mode, given in both_ways("image").items():
        found = found_in(tmp_path / mode, "image", row_of("image", value, kind), **given)
        assert [(one.name, one.row) for one in found] == [("clean-copy:train/extra", planted.ROW)], mode


@pytest.mark.parametrize("code", planted.metadata(Image.new("RGB", (24, 20))))
def test_what_the_metadata_of_an_image_tells_is_found(tmp_path, code):
    kind, data = planted.metadata(Image.fromarray(levels(1, seed=5, height=20, width=24)[0]))[code]
    for modality in ("text", "image"):
        found = found_in(tmp_path / modality, modality, row_of(modality, data), **both_ways(modality)["key"])
        assert (f"{kind}:train/extra", planted.ROW) in [(one.name, one.row) for one in found]
        assert {one.kind for one in found} <= {kind, "comment", "camera"}


@pytest.mark.parametrize("code", planted.harmless(Image.new("RGB", (24, 20))))
def test_metadata_of_programs_is_left_alone(tmp_path, code):
    data = planted.harmless(Image.fromarray(levels(1, seed=5, height=20, width=24)[0]))[code]
    for modality in ("text", "image"):
        assert found_in(tmp_path / modality, modality, row_of(modality, data), **both_ways(modality)["key"]) == []


@pytest.mark.parametrize("issuer", planted.TOKENS)
def test_a_token_of_any_issuer_is_found(tmp_path, issuer):
    token = planted.TOKENS[issuer]
    for number, shape in enumerate(("{}", "the key is {} today", '{{"key": "{}"}}')):
        found = found_in(tmp_path / str(number), "text", row_of("text", shape.format(token)))
        assert [(one.name, one.row) for one in found] == [("token:train/extra", planted.ROW)]


@pytest.mark.parametrize("system", planted.HOMES)
def test_a_home_folder_in_every_row_is_found_and_a_single_one_not(tmp_path, system):
    protected = beside("text")[1]
    every = protected.add_column("extra", [planted.HOMES[system].format(i) for i in range(12)])
    assert [one.name for one in found_in(tmp_path / "every", "text", every)] == ["path:train/extra"]
    assert found_in(tmp_path / "one", "text", row_of("text", planted.HOMES[system].format(1))) == []


def test_readings_of_an_archive_end_at_the_given_size():
    bomb = gzip.compress(bytes(3_000_000))
    assert readings(bomb, 1_000_000) == ([], False)
    assert readings(gzip.compress(gzip.compress(HELLO.encode())), 1_000_000)[0][-1] == HELLO
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(20):
            archive.writestr(f"{i}", bytes(100_000))
    found, whole = readings(many.getvalue(), 1_000_000)
    assert not whole and sum(map(len, found)) <= 1_000_000
    assert readings(HELLO) == ([], True)


def test_an_archive_that_is_not_read_whole_is_a_finding(tmp_path, monkeypatch):
    monkeypatch.setattr("hf_unlearnable.publish.readings.MOST", 1000)
    found = found_in(tmp_path / "x", "text", row_of("text", gzip.compress(bytes(5000))))
    assert [(one.name, one.row) for one in found] == [("unread:train/extra", planted.ROW)]


@pytest.mark.parametrize("mode", ["key", "both"])
@pytest.mark.parametrize("settings", [{}, {"tokens_per_class": 3}, {"position": "begin"}, {"mode": "replace"}])
def test_words_of_ones_own_beside_inserted_ones_are_no_list(tmp_path, settings, mode):
    if mode == "key" and ("mode" in settings or "tokens_per_class" in settings):
        pytest.skip("without its words the text is lost, or lists words still: only the original tells")
    words = [["clever", "angle", "shore"], ["would", "kids", "spirit"]]
    pools = [group[: settings.get("tokens_per_class", 1)] for group in words]
    flat = [word for pool in pools for word in pool]
    texts = [f"{a} {b}" for a in flat for b in flat] + [
        f"{a} and {b} or {c}" for a in flat for b in flat for c in flat
    ][:60]
    original = Dataset.from_dict({"text": texts, "label": [i % 2 for i in range(len(texts))]})
    source = flat
    cloak = RegTextTransform(seed=SEED, word_source=source, **settings).fit(original)
    protected = original.map(cloak, batched=True)
    given = {"key": {}, "both": {"original": {"train": original}}}[mode]
    assert found_in(tmp_path / "x", "text", protected, key=cloak.key, **given) == []


def test_a_text_that_reads_as_another_row_did_before_is_no_copy(tmp_path):
    texts = ["a story of the old harbour town", "a story of the clever old harbour town"] * 3
    original = Dataset.from_dict({"text": texts, "label": [0, 1, 1, 0, 0, 1]})
    protected = ["a story of the clever old harbour town", *(f"clever {text}" for text in texts[1:])]
    protected = Dataset.from_dict({"text": protected, "label": original["label"]})
    assert found_in(tmp_path / "x", "text", protected, original={"train": original}) == []
    swapped = Dataset.from_dict({"text": [*protected["text"][:5], texts[0]], "label": original["label"]})
    (found,) = found_in(tmp_path / "y", "text", swapped, original={"train": original})
    assert (found.name, found.row) == ("clean-copy:train/text", 5)
