"""`hf-unlearnable publish` and `verify` as a user meets them."""

import pytest
from datasets import DatasetDict, load_dataset

from hf_unlearnable.cli import main
from tests.examples import notes, pictures


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notes(40).to_parquet("notes.parquet")
    assert (
        main(["protect", "regtext", "notes.parquet", "--output", "protected", "--key", "my.key", "--seed", "7"]) == 0
    )
    return tmp_path


def publish(*more, source="protected", repo="me/my-notes"):
    return main(["publish", source, repo, *more])


def test_a_dry_run(here, capsys):
    assert publish("--key", "my.key", "--original", "notes.parquet", "--dry-run", "dry", "--license", "mit") == 0
    out = capsys.readouterr().out
    assert "data/train-00000-of-00001.parquet" in out and "Nothing was uploaded. What would be: dry" in out
    assert load_dataset("dry", split="train")["text"][:] == load_dataset("protected", split="train")["text"][:]
    assert "license: mit\n" in (here / "dry" / "README.md").read_text()
    assert sorted(path.name for path in here.iterdir()) == ["dry", "my.key", "notes.parquet", "protected"]


def test_a_push(here, hub, capsys):
    assert publish("--key", "my.key", "--original", "notes.parquet", repo="tester/my-notes") == 0
    out = capsys.readouterr().out
    commit = hub.repo("tester/my-notes").refs["main"]
    assert f'load_dataset("tester/my-notes", revision="{commit}") gives exactly this.' in out
    assert hub.repo("tester/my-notes").private


def test_a_leak_stops_it_and_is_allowed_by_name(here, hub, capsys):
    leaking = load_dataset("protected", split="train").add_column("before", notes(40)["text"][:])
    leaking.to_parquet("leaking.parquet")
    options = ["--key", "my.key", "--original", "notes.parquet"]
    assert publish(*options, source="leaking.parquet", repo="tester/my-notes") == 1
    error = capsys.readouterr().err
    assert "clean-copy:train/before" in error and "Nothing was uploaded" in error
    assert not hub.repos
    assert (
        publish(*options, "--allow", "clean-copy:train/other", source="leaking.parquet", repo="tester/my-notes") == 1
    )
    assert (
        publish(*options, "--allow", "clean-copy:train/before", source="leaking.parquet", repo="tester/my-notes") == 0
    )


def test_every_leak_has_a_line_of_its_own(here, capsys):
    original = load_dataset("parquet", data_files="notes.parquet", split="train")
    telling = load_dataset("parquet", data_files="protected/train.parquet", split="train")
    telling = telling.add_column("body", original["text"][:]).add_column(
        "from", [str(here / "notes.parquet")] * len(original)
    )
    telling.to_parquet("telling.parquet")
    options = ("--key", "my.key", "--original", "notes.parquet", "--dry-run", "dry")
    assert publish(*options, source="telling.parquet") == 1
    lines = capsys.readouterr().err.strip().splitlines()
    first = lines.index("hf-unlearnable: Nothing was uploaded. The scan found:")
    assert [line.split(",")[0] for line in lines[first + 1 : -1]] == ["  clean-copy:train/body", "  path:train/from"]
    assert lines[-1] == "Put it right, or allow a finding by its name."


def test_sources_of_all_kinds(here, tmp_path, capsys):
    protected = load_dataset("protected", split="train")
    DatasetDict(train=protected.select(range(30)), test=protected.select(range(30, 40))).save_to_disk("disk")
    protected.save_to_disk("one")
    protected.to_csv("notes.csv")
    for i, source in enumerate(["protected", "protected/train.parquet", "disk", "one", "notes.csv"]):
        assert publish("--key", "my.key", "--dry-run", f"dry{i}", source=source) == 0, source
        loaded = load_dataset(f"dry{i}")
        assert [text for part in loaded.values() for text in part["text"]] == protected["text"][:]
    assert set(load_dataset("dry2")) == {"train", "test"}


def test_a_folder_of_photos(here):
    clean = pictures(8)
    for i, row in enumerate(clean):
        folder = here / "photos" / clean.features["label"].int2str(row["label"])
        folder.mkdir(parents=True, exist_ok=True)
        row["image"].save(folder / f"{i}.png")
    assert main(["protect", "texture", "photos", "--output", "safe", "--key", "p.key"]) == 0
    assert publish("--key", "p.key", "--original", "photos", "--dry-run", "dry", source="safe") == 0
    loaded = load_dataset("dry", split="train")
    assert len(loaded) == 8 and loaded.features["label"].names == clean.features["label"].names
    assert b"photos" not in (here / "dry/data/train-00000-of-00001.parquet").read_bytes()


def test_bad_input_is_one_sentence(here, capsys):
    for argv in (
        ["absent", "me/x", "--key", "my.key"],
        ["protected", "me/x/y", "--key", "my.key"],
        ["protected", "me/x"],
        ["protected", "me/x", "--report", "absent", "--dry-run", "dry"],
        ["protected", "me/x", "--key", "absent.key", "--dry-run", "dry"],
    ):
        assert main(["publish", *argv]) == 1
        error = capsys.readouterr().err.strip()
        assert error.splitlines()[-1].startswith("hf-unlearnable: ") and "Traceback" not in error
    assert not (here / "dry").exists()


def test_verify(here, capsys):
    assert main(["verify", "--key", "my.key", "--data", "protected"]) == 0
    assert "40 of 40 rows carry" in capsys.readouterr().out
    assert main(["verify", "--key", "my.key", "--data", "notes.parquet"]) == 1
    assert "no sign of" in capsys.readouterr().out.lower()
