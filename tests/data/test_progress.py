"""Progress bars: one for all files that are written, and as before afterwards."""

import re

import datasets
import pytest

from hf_unlearnable._progress import without_progress_bars
from hf_unlearnable.data import write_rows
from tests.examples import notes


@pytest.fixture
def bars():
    datasets.enable_progress_bars()
    yield
    datasets.enable_progress_bars()


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("files", [2, 5])
def test_shards_are_written_under_one_bar(bars, tmp_path, capsys, ending, files):
    shards = {f"{part}.{ending}": 10 for part in range(files)}
    rows = notes(10 * files)
    capsys.readouterr()
    write_rows(rows, tmp_path / "out", format=ending, shards=shards)
    shown = capsys.readouterr().err
    assert set(re.findall(r"([A-Z][\w ]*):\s+\d+%", shown)) == {"Writing files"} and f"{files}/{files}" in shown
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == sorted(shards)
    assert not datasets.are_progress_bars_disabled()


@pytest.mark.parametrize("shown", [True, False])
def test_bars_are_as_before_also_after_an_error(bars, shown):
    (datasets.enable_progress_bars if shown else datasets.disable_progress_bars)()
    with pytest.raises(KeyError), without_progress_bars():
        assert datasets.are_progress_bars_disabled()
        raise KeyError
    assert datasets.are_progress_bars_disabled() != shown
