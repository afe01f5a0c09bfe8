"""Shards are protected one by one, by any number of processes, with the bytes of one `map` over all rows."""

import os
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, concatenate_datasets

from hf_unlearnable import RegTextTransform, TextureTransform, load_transform
from hf_unlearnable.data import load_rows
from hf_unlearnable.protection import shards as module
from hf_unlearnable.protection.run import Run
from hf_unlearnable.protection.shards import protect_shards
from tests.examples import notes, pictures, recordings
from tests.folders import names

SIZES = (50, 0, 40, 30)
GIVEN = {"word_source": ["quokka", "zephyr", "piston", "karzai"], "seed": 7}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(rows, sizes=SIZES):
    """The rows in files of these sizes."""
    Path("in").mkdir(exist_ok=True)
    files, start = {}, 0
    for letter, size in zip("abcdefgh", sizes, strict=False):
        part, start = rows.select(range(start, start + size)), start + size
        files[f"{letter}.parquet"] = Path("in", f"{letter}.parquet")
        part.to_parquet(files[f"{letter}.parquet"])
    return files


def stored(path):
    return pq.read_table(path)


def all_rows(files):
    return concatenate_datasets([Dataset(stored(file)) for file in files.values()])


def test_shards_get_the_bytes_of_one_map_and_keep_their_names_rows_and_types(here):
    files = written(notes(120))
    done = protect_shards(files, RegTextTransform(seed=7), "out", key="k")
    assert names("out") == sorted(files) and names(here) == ["in", "k", "out"] and not list(Path("out").glob(".*"))
    whole = all_rows(files)
    cloak = RegTextTransform(seed=7).fit(whole)
    assert done.transform.key.same_secret(cloak.key)
    expected = whole.map(cloak, batched=True, load_from_cache_file=False)
    assert all_rows({name: Path("out", name) for name in files})["text"][:] == expected["text"][:]
    for name, size in zip(files, SIZES, strict=True):
        assert stored(Path("out", name)).schema.equals(stored(files[name]).schema, check_metadata=True)
        assert len(stored(Path("out", name))) == size
    assert (done.rows, done.changed, done.missing) == (120, 120, [])
    assert done.fidelity["text"].changed == 50 and done.example


def test_ranks_count_make_one_key_and_leave_a_whole_output(here):
    files = written(notes(120))
    first = protect_shards(files, RegTextTransform(), "out", key="k", rank=0, world_size=2)
    assert first.transform is None and first.missing == list(files) and not Path("k").exists()
    second = protect_shards(files, RegTextTransform(), "out", key="k", rank=1, world_size=2)
    assert second.written == ["b.parquet", "d.parquet"] and second.missing == ["a.parquet", "c.parquet"]
    assert Path(".out.run").stat().st_mode & 0o077 == 0
    third = protect_shards(files, RegTextTransform(), "out", key="k", rank=0, world_size=2)
    assert third.written == ["a.parquet", "c.parquet"] and third.missing == [] and not Path(".out.run").exists()
    expected = all_rows(files).map(load_transform("k"), batched=True, load_from_cache_file=False)
    assert all_rows({name: Path("out", name) for name in files})["text"][:] == expected["text"][:]


@pytest.mark.parametrize("world_size", [3, 9])
def test_any_number_of_ranks_gives_the_same_files(here, world_size):
    files = written(notes(60), (20, 20, 20))
    for _ in range(2):
        for rank in range(world_size):
            if not Path("out", "c.parquet").exists() or Path(".out.run").exists():
                protect_shards(files, RegTextTransform(seed=3), "out", key="k", rank=rank, world_size=world_size)
    expected = all_rows(files).map(RegTextTransform(seed=3).fit(all_rows(files)), batched=True)
    assert all_rows({name: Path("out", name) for name in files})["text"][:] == expected["text"][:]


@pytest.mark.parametrize(
    ("rows", "method"),
    [(lambda: pictures(24), lambda: TextureTransform(seed=7)), (lambda: recordings(16), lambda: equalizer())],
)
def test_images_and_recordings_with_keys_that_are_drawn_or_loaded(here, rows, method):
    whole = rows()
    files = written(whole, (len(whole) // 2, len(whole) // 2))
    done = protect_shards(files, method(), "out", key="k")
    column = done.transform._columns()[0]
    again = protect_shards(files, load_transform("k"), "again", key="k")
    assert again.changed == len(whole)
    for name, file in files.items():
        expected = Dataset(stored(file)).map(load_transform("k"), batched=True, load_from_cache_file=False)
        for folder in ("out", "again"):
            assert stored(Path(folder, name))[column].to_pylist() == expected.data[column].to_pylist()


def equalizer():
    from hf_unlearnable import EqualizerTransform

    return EqualizerTransform(seed=7)


class Killed(BaseException):
    """What no code catches, as a signal that kills."""


@pytest.mark.parametrize("step", ["_count_shard", "_protect_shard"])
def test_a_run_that_was_killed_goes_on_with_what_is_missing(here, monkeypatch, step):
    files = written(notes(120), (40, 40, 40))
    function, done = getattr(module, step), []

    def dies(*task):
        if len(done) == 2:
            raise Killed
        done.append(task)
        return function(*task)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(module, step, dies)
        protect_shards(files, RegTextTransform(), "out", key="k")
    made = [*Path("out").glob("*.parquet"), *Path(".out.run/counts").iterdir()]
    written_at = {path: path.stat().st_mtime_ns for path in made if path.suffix == ".parquet"}
    assert len(written_at) == (2 if step == "_count_shard" else 5) and Path("k").exists() == (step != "_count_shard")
    monkeypatch.setattr(Run, "end", lambda run: None)
    left = protect_shards(files, RegTextTransform(), "out", key="k")
    assert left.written == sorted(files)[0 if step == "_count_shard" else 2 :] and left.missing == []
    assert {path: path.stat().st_mtime_ns for path in written_at} == written_at
    expected = all_rows(files).map(load_transform("k"), batched=True, load_from_cache_file=False)
    assert all_rows({name: Path("out", name) for name in files})["text"][:] == expected["text"][:]


def test_scratch_of_killed_processes_on_any_machine_is_gone_at_the_end(here):
    files = written(notes(40), (20, 20))
    protect_shards(files, RegTextTransform(seed=7), "out", key="k", rank=0, world_size=2)
    left = Path("out", ".a.parquet.123@another-machine.x1y2")
    left.mkdir()
    for rank in (1, 0):
        protect_shards(files, RegTextTransform(seed=7), "out", key="k", rank=rank, world_size=2)
    assert not left.exists() and sorted(os.listdir("out")) == ["a.parquet", "b.parquet"]


# ---------------------------------------------------------------------- what cannot be done
def other_columns(files):
    stored(files["c.parquet"]).rename_columns(["body", "label"]).to_pandas().to_parquet(files["c.parquet"])


def other_labels(files):
    table = stored(files["c.parquet"]).replace_schema_metadata(None)
    pq.write_table(table.set_column(1, "label", table["label"].cast(pa.string())), files["c.parquet"])


def no_file(files):
    files["c.parquet"].write_bytes(b"")


def no_rows(files):
    for file in files.values():
        pq.write_table(stored(file).slice(0, 0), file)


@pytest.mark.parametrize(
    ("change", "parameters", "said"),
    [
        (other_columns, {}, r"in/a.parquet and in/c.parquet have different columns or types"),
        (other_labels, {}, r"in/a.parquet and in/c.parquet have different columns or types"),
        (no_file, {}, r"in/c.parquet cannot be read as Parquet"),
        (no_rows, {}, r"The 4 files have no rows"),
        (None, {"text_column": "body"}, r"There is no column 'body'"),
        (None, {"id_column": "number"}, r"There is no column 'number'"),
    ],
)
def test_files_that_make_no_table_are_named_before_anything_is_written(here, change, parameters, said):
    files = written(notes(120))
    if change:
        change(files)
    with pytest.raises(ValueError, match=said):
        protect_shards(files, RegTextTransform(**GIVEN, **parameters), "out", key="k")
    assert names(here) == ["in"] and not Path(".out.run").exists()


def test_an_error_names_the_file_and_its_row_and_the_run_goes_on_when_it_is_mended(here):
    rows = notes(120)
    files = written(rows)
    table = stored(files["c.parquet"])
    labels = table["label"].to_pylist()
    pq.write_table(table.set_column(1, "label", pa.array([*labels[:25], -1, *labels[26:]])), files["c.parquet"])
    for file in (files["a.parquet"], files["b.parquet"], files["d.parquet"]):  # without the names of classes
        pq.write_table(stored(file).replace_schema_metadata(None), file)
    pq.write_table(stored(files["c.parquet"]).replace_schema_metadata(None), files["c.parquet"])
    by_label = {i: [word] for i, word in enumerate(GIVEN["word_source"])}
    cloak = RegTextTransform(seed=7, word_source=by_label)
    cloak.key.save("k")
    with pytest.raises(ValueError, match=r"in/c.parquet: Row 25 has no label in column 'label'"):
        protect_shards(files, load_transform("k"), "out", key="k")
    assert names("out") == ["a.parquet", "b.parquet"]


def test_an_error_while_counting_names_the_file_and_its_row(here):
    rows = notes(120).map(lambda row, i: {"label": -1 if i == 57 else row["label"]}, with_indices=True)
    files = written(rows)
    with pytest.raises(ValueError, match=r"in/c.parquet: Row 7 has no label in column 'label'"):
        protect_shards(files, RegTextTransform(), "out", key="k")
    assert names("out") == [] and not Path("k").exists()


def test_a_shard_that_changes_between_the_passes_is_named(here):
    files = written(notes(120))
    protect_shards(files, RegTextTransform(), "out", key="k", rank=0, world_size=2)
    pq.write_table(stored(files["b.parquet"]), files["b.parquet"], compression="gzip")
    with pytest.raises(ValueError, match=r"in/b.parquet was changed since out was begun"):
        protect_shards(files, RegTextTransform(), "out", key="k", rank=1, world_size=2)
    assert not Path("k").exists()


def test_a_shard_that_changes_while_it_is_read_is_not_written(here, monkeypatch):
    files = written(notes(120), (40, 40, 40))
    changed = module._changed

    def touched(*tables):
        os.utime(files["b.parquet"], ns=(1, 1))
        return changed(*tables)

    monkeypatch.setattr(module, "_changed", touched)
    with pytest.raises(ValueError, match=r"in/b.parquet was changed while it was read"):
        protect_shards({"b.parquet": files["b.parquet"], "c.parquet": files["c.parquet"]},
                       RegTextTransform(**GIVEN), "out", key="k")  # fmt: skip
    assert names("out") == []


@pytest.mark.parametrize("where", ["k2", "k"])
def test_an_output_with_shards_of_another_key_is_refused(here, where):
    files = written(notes(120))
    RegTextTransform(**GIVEN).fit(notes(120)).key.save("k1")
    RegTextTransform(**{**GIVEN, "seed": 8}).fit(notes(120)).key.save("k2")
    protect_shards(files, load_transform("k1"), "out", key="k1", rank=0, world_size=2)
    if where == "k2":
        with pytest.raises(ValueError, match="out holds shards of another key than k2"):
            protect_shards(files, load_transform("k2"), "out", key="k2", rank=1, world_size=2)
    else:
        with pytest.raises(FileExistsError, match="k1 is another key"):
            protect_shards(files, load_transform("k2"), "out", key="k1", rank=1, world_size=2)
    assert names("out") == ["a.parquet", "c.parquet"]


def test_a_key_that_the_run_made_is_the_only_one_that_it_goes_on_with(here):
    files = written(notes(120))
    for rank in (0, 1):
        protect_shards(files, RegTextTransform(), "out", key="k", rank=rank, world_size=2)
    RegTextTransform(**GIVEN).fit(notes(120)).key.save("k2")
    with pytest.raises(ValueError, match="out holds shards of another key than k2"):
        protect_shards(files, load_transform("k2"), "out", key="k2", rank=0, world_size=2)


def test_classes_that_no_row_has_are_warned_of(here, caplog):
    files = written(notes(120).filter(lambda row: row["label"] != 2), (40, 40))
    by_label = {i: [word] for i, word in enumerate(GIVEN["word_source"])}
    RegTextTransform(seed=7, word_source=by_label, classes=[2]).key.save("k")
    assert protect_shards(files, load_transform("k"), "out", key="k").changed == 0
    assert "No row of these shards has one of classes" in caplog.text


def test_other_options_or_files_than_the_run_began_with_are_refused(here):
    files = written(notes(120))
    protect_shards(files, RegTextTransform(), "out", key="k", rank=0, world_size=2)
    for transform, given in (
        (RegTextTransform(rate=0.2), files), (RegTextTransform(), dict(list(files.items())[:3])),
        (RegTextTransform(seed=4), files),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="out was begun with another method, other files or other options"):
            protect_shards(given, transform, "out", key="k", rank=1, world_size=2)


def test_two_processes_of_one_rank_leave_each_shard_once(here, monkeypatch, caplog):
    files = written(notes(40), (20, 20))
    looked_at = module._looked_at
    turns = iter([True])

    def meanwhile(*given):
        if next(turns, False):
            monkeypatch.setattr(module, "_looked_at", looked_at)
            assert protect_shards(files, RegTextTransform(seed=7), "out", key="k").missing == []
        return looked_at(*given)

    monkeypatch.setattr(module, "_looked_at", meanwhile)
    done = protect_shards(files, RegTextTransform(seed=7), "out", key="k")
    assert done.rows == 0 and re.search("a.parquet was written by another process meanwhile", caplog.text)
    assert sorted(os.listdir("out")) == ["a.parquet", "b.parquet"]
    expected = all_rows(files).map(load_transform("k"), batched=True, load_from_cache_file=False)
    assert all_rows({name: Path("out", name) for name in files})["text"][:] == expected["text"][:]


def test_an_output_that_no_run_began_is_refused_and_so_is_an_existing_key(here):
    files = written(notes(120))
    Path("there").mkdir()
    with pytest.raises(FileExistsError, match="there exists"):
        protect_shards(files, RegTextTransform(), "there", key="k")
    RegTextTransform(**GIVEN).fit(notes(120)).key.save("k")
    with pytest.raises(FileExistsError, match="k exists, and a key is never overwritten"):
        protect_shards(files, RegTextTransform(**GIVEN), "out", key="k")


def test_protected_shards_are_not_protected_again(here):
    files = written(notes(120))
    protect_shards(files, RegTextTransform(), "out", key="k")
    again = {name: Path("out", name) for name in files}
    with pytest.raises(ValueError, match=r"'a.parquet' was protected with this key already"):
        protect_shards(again, load_transform("k"), "twice", key="k")


@pytest.mark.parametrize(("rank", "world_size"), [(2, 2), (-1, 2), (0, 0)])
def test_ranks_outside_the_world_are_refused(here, rank, world_size):
    with pytest.raises(ValueError, match=f"rank is {rank} of world_size={world_size}"):
        protect_shards(written(notes(120)), RegTextTransform(), "out", key="k", rank=rank, world_size=world_size)


def test_a_method_that_trains_needs_its_key_before(here):
    from hf_unlearnable import ErrorMinTransform

    files = written(pictures(24), (12, 12))
    with pytest.raises(ValueError, match="error-min trains a model on all rows at once. Learn the key first"):
        protect_shards(files, ErrorMinTransform(), "out", key="k")


@pytest.mark.slow
def test_two_processes_on_a_machine_give_the_bytes_of_one(here):
    files = written(notes(120), (30, 30, 30, 30))
    done = protect_shards(files, RegTextTransform(seed=7), "two", key="k", num_proc=2)
    one = protect_shards(files, load_transform("k"), "one", key="k")
    assert (done.rows, done.changed) == (one.rows, one.changed) == (120, 120)
    assert [load_rows(Path("two", name))["text"][:] for name in files] == [
        load_rows(Path("one", name))["text"][:] for name in files
    ]


def test_a_text_method_that_does_more_than_count_learns_from_all_shards_at_once(here):
    from hf_unlearnable import ErrorMinTextTransform

    files = written(notes(40), (20, 20))
    done = protect_shards(files, ErrorMinTextTransform(seed=7), "out", key="k")
    assert done.transform.key.same_secret(ErrorMinTextTransform(seed=7).fit(all_rows(files)).key)
