"""The recipe for datatrove: two tasks count and protect, with the bytes of `map`."""

from pathlib import Path

import pytest

from hf_unlearnable import load_transform
from hf_unlearnable.data import load_rows
from tests.examples import notes

pytest.importorskip("datatrove", reason="datatrove is not installed")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for i, letter in enumerate("abc"):
        notes(120).select(range(40 * i, 40 * i + 40)).to_parquet(f"in/{letter}.parquet")
    return tmp_path


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_two_tasks_give_the_bytes_of_one_map(here, workers):
    from recipes.datatrove_protect import main

    main(["--input", "in", "--output", "out", "--key", "k", "--tasks", "2", "--workers", str(workers)])
    made = load_rows("out")
    expected = load_rows("in").map(load_transform("k"), batched=True, load_from_cache_file=False)
    assert sorted(zip(made["text"], made["label"], strict=True)) == sorted(
        zip(expected["text"], expected["label"], strict=True)
    )
    assert sorted(path.name for path in Path("k.counts").iterdir()) == ["00000.parquet", "00001.parquet"]
    assert Path("k.counts").stat().st_mode & 0o077 == 0


def test_counts_of_tasks_make_the_key_of_one_fit(here):
    from datatrove.data import Document

    from hf_unlearnable import RegTextTransform
    from recipes.datatrove_protect import CountWords, save_key

    rows = notes(120)
    documents = [Document(row["text"], str(i), metadata={"label": row["label"]}) for i, row in enumerate(rows)]
    for rank in range(2):
        assert list(CountWords("counts", seed=5).run(documents[rank::2], rank)) == documents[rank::2]
    assert list(CountWords("counts", seed=5).run([], 2)) == []
    save_key("counts", "k", seed=5)
    assert load_transform("k").key.same_secret(RegTextTransform(seed=5).fit(rows).key)
