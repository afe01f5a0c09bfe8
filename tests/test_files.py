"""Files for keeps: whole under their names or absent, on the disk, and nothing left of a run that was killed."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import datasets
import pytest

from hf_unlearnable import _files
from hf_unlearnable._files import all_or_nothing, files_into, scratch_folder, whole_or_nothing, write_file
from hf_unlearnable.data import load_rows
from tests.folders import names


@pytest.fixture
def gone():
    """The number of a process that has ended."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_a_file_takes_its_name_when_the_block_ends(tmp_path):
    with whole_or_nothing(tmp_path / "deep" / "a.txt") as scratch:
        scratch.write_text("whole")
        assert not (tmp_path / "deep" / "a.txt").exists()
        (folder,) = names(tmp_path / "deep")
        assert folder.startswith(f".a.txt.{os.getpid()}@") and scratch.parent.stat().st_mode & 0o777 == 0o700
    assert names(tmp_path / "deep") == ["a.txt"] and (tmp_path / "deep" / "a.txt").read_text() == "whole"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError(errno.ENOSPC, "full")])
def test_an_error_leaves_nothing(tmp_path, error):
    with pytest.raises(type(error) if isinstance(error, OSError) else error), whole_or_nothing(tmp_path / "a") as path:
        path.mkdir()
        (path / "half").write_text("h")
        raise error
    assert names(tmp_path) == []


def test_what_is_there_stays_unless_it_is_to_be_replaced(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(FileExistsError, match="a exists. Give another name"), whole_or_nothing(tmp_path / "a"):
        pytest.fail("the work began")
    with pytest.raises(OSError), whole_or_nothing(tmp_path / "a", replace=True) as path:
        path.write_text("half")
        raise OSError
    assert (tmp_path / "a").read_text() == "old"
    write_file(tmp_path / "a", "new é")
    assert (tmp_path / "a").read_bytes() == "new é".encode() and names(tmp_path) == ["a"]


def test_what_another_process_wrote_meanwhile_stays(tmp_path):
    with pytest.raises(FileExistsError), whole_or_nothing(tmp_path / "a") as path:
        path.write_text("mine")
        (tmp_path / "a").write_text("theirs")
    assert (tmp_path / "a").read_text() == "theirs" and names(tmp_path) == ["a"]


@pytest.mark.parametrize("taken", ["key", "report", "output"])
def test_several_take_their_names_together_or_none_does(tmp_path, taken):
    places = [tmp_path / name for name in ("key", "report", "output")]
    with pytest.raises(FileExistsError), all_or_nothing(*places) as scratch:
        for path in scratch:
            path.mkdir()
        (tmp_path / taken).write_text("theirs")
    assert names(tmp_path) == [taken]
    (tmp_path / taken).unlink()
    with all_or_nothing(*places) as scratch:
        for path in scratch:
            path.mkdir()
    assert names(tmp_path) == ["key", "output", "report"]


def test_files_go_into_a_folder_that_holds_others(tmp_path):
    (tmp_path / "report.md").write_text("old")
    (tmp_path / "cells").mkdir()
    with pytest.raises(OSError), files_into(tmp_path) as scratch:
        (scratch / "report.md").write_text("half")
        raise OSError
    assert (tmp_path / "report.md").read_text() == "old" and names(tmp_path) == ["cells", "report.md"]
    with files_into(tmp_path) as scratch:
        (scratch / "report.md").write_text("new")
        (scratch / "grid.png").write_bytes(b"p")
    assert (tmp_path / "report.md").read_text() == "new" and names(tmp_path) == ["cells", "grid.png", "report.md"]


@pytest.mark.skipif(os.name != "posix", reason="whether a process runs is asked on POSIX only")
def test_scratch_of_killed_runs_is_removed_and_no_other(tmp_path, gone):
    host = _files._host()
    stale = [f".a.csv.{gone}@{host}.abc_1234", f".a.csv.{gone}@{host}.zzzz9999"]
    kept = [
        f".a.csv.{os.getpid()}@{host}.abc_1234", f".a.csv.{os.getppid()}@{host}.abc_1234",  # live
        f".a.csv.{gone}@another-{host}.abc_1234",  # of another machine
        f".b.csv.{gone}@{host}.abc_1234", f".aXcsv.{gone}@{host}.abc_1234",  # of other outputs
        f".a.csv.{gone}@{host}.abc_1234.d", ".a.csv.abc_1234", "a.csv.key", f".a.csv.99999999@{host}.abc_1234",
    ]  # fmt: skip
    for name in stale + kept:
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.csv").write_text("half")
    with whole_or_nothing(tmp_path / "a.csv") as path:
        path.write_text("whole")
    assert names(tmp_path) == sorted([*kept, "a.csv"])


@pytest.mark.skipif(os.name != "posix", reason="whether a process runs is asked on POSIX only")
def test_what_a_killed_run_left_in_the_cache_goes_when_any_table_is_read(tmp_path, gone, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    cache = tmp_path / "cache" / "hf-unlearnable-tables"
    left, lives = (cache / f".{'0' * 32}.arrow.{pid}@{_files._host()}.abcd1234" for pid in (gone, os.getpid()))
    left.mkdir(parents=True)
    lives.mkdir()
    (tmp_path / "n.csv").write_text("text,label\na,0\n")
    assert load_rows(tmp_path / "n.csv")[:] == {"text": ["a"], "label": [0]}
    assert [path for path in cache.iterdir() if path.suffix != ".arrow"] == [lives]


@pytest.mark.parametrize("name", ["a" * 240, "导" * 80, "a b[1]*.csv", ".hidden"])
def test_names_of_any_length_and_kind(tmp_path, name, gone, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: gone)
    scratch_folder(tmp_path, name)
    monkeypatch.undo()
    write_file(tmp_path / name, "x")
    assert names(tmp_path) == [name]


def test_all_is_on_the_disk_before_it_takes_its_name(tmp_path, monkeypatch):
    synced, fsync, replace = [], os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.fstat(fd).st_ino), fsync(fd)))
    named = []

    def recorded(path, target):
        named.append((path.stat().st_ino, set(synced)))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", recorded)
    with whole_or_nothing(tmp_path / "out") as scratch:
        (scratch / "sub").mkdir(parents=True)
        for i in range(20):
            (scratch / "sub" / f"{i}").write_text("x")
        inodes = {path.stat().st_ino for path in (scratch, *scratch.rglob("*"))}
    (_, before), after = named[0], set(synced)
    assert before == inodes and after == inodes | {tmp_path.stat().st_ino}


def test_what_is_written_within_a_scratch_is_synced_once(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.fstat(fd).st_ino), fsync(fd)))
    with whole_or_nothing(tmp_path / "out") as scratch:
        scratch.mkdir()
        for name in ("a", "b", "c"):
            write_file(scratch / name, name)
        assert synced == []
    files = [(tmp_path / "out" / name).stat().st_ino for name in ("a", "b", "c")]
    assert sorted(synced) == sorted([*files, (tmp_path / "out").stat().st_ino, tmp_path.stat().st_ino])


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_what_does_not_reach_the_disk_does_not_take_its_name(tmp_path, monkeypatch, code):
    def fail(descriptor):
        raise OSError(code, "no")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no"):
        write_file(tmp_path / "a", "x")
    assert names(tmp_path) == []


def test_a_file_system_that_cannot_sync_folders_is_no_error(tmp_path, monkeypatch):
    fsync = os.fsync

    def files_only(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "no")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", files_only)
    write_file(tmp_path / "a", "x")
    assert (tmp_path / "a").read_text() == "x"
