"""A push onto what is there: the card keeps its words, and no clean row stays in the history."""

import pytest
from datasets import load_dataset
from huggingface_hub import CommitOperationAdd, HfApi

from hf_unlearnable import RegTextTransform
from hf_unlearnable.publish import LeakError, push_protected
from tests.hub.card import FIELDS
from tests.publish.protected import texts, tree


def test_again_changes_nothing(hub):
    clean, protected, cloak = texts()
    HfApi().create_repo("tester/notes", repo_type="dataset", private=True)
    HfApi().upload_file(path_or_fileobj=b"MIT", path_in_repo="LICENSE", repo_id="tester/notes", repo_type="dataset")
    first = push_protected(protected, "tester/notes", key=cloak, original=clean)
    second = push_protected(protected, "tester/notes", key=cloak, original=clean)
    assert second.commit.oid == first.commit.oid
    assert len(hub.repo("tester/notes").commits) == 3


def test_more_rows_replace_the_files(hub):
    clean, protected, cloak = texts(60)
    push_protected(protected.select(range(40)), "tester/notes", key=cloak, original=clean.select(range(40)))
    push_protected(protected, "tester/notes", key=cloak, original=clean, max_shard_size=1)
    assert load_dataset("tester/notes", split="train")["text"][:] == protected["text"][:]
    assert "| train | 60 | 60 |" in tree(hub)["README.md"].decode()


def test_a_push_that_was_killed_goes_on_and_main_is_what_it_was(hub):
    clean, protected, cloak = texts(60)
    push_protected(protected.select(range(40)), "tester/notes", key=cloak, original=clean.select(range(40)))
    before = tree(hub)
    hub.fail = lambda method, path: 400 if "/commit/" in path else None
    with pytest.raises(Exception, match="400"):
        push_protected(protected, "tester/notes", key=cloak, original=clean)
    assert tree(hub) == before
    hub.fail = lambda method, path: None
    start = len(hub.log)
    push_protected(protected, "tester/notes", key=cloak, original=clean)
    assert load_dataset("tester/notes", split="train")["text"][:] == protected["text"][:]
    assert not [call for call in hub.log[start:] if call[0] == "PUT"]  # the file is there already


def test_an_edited_card_keeps_its_words(hub):
    clean, protected, cloak = texts()
    push_protected(protected, "tester/notes", key=cloak, original=clean)
    text = tree(hub)["README.md"].decode()
    edited = text.replace("# notes\n", "# My notes\n\nWritten in a garden.\n").replace(
        "tags:\n", "language:\n- en\ntags:\n- garden\n"
    )
    add = CommitOperationAdd("README.md", (edited + "\nThanks to the bees.\n").encode())
    HfApi().create_commit("tester/notes", [add], commit_message="Mine", repo_type="dataset")
    push_protected(protected, "tester/notes", key=cloak, original=clean, license="cc-by-nc-nd-4.0")
    card = tree(hub)["README.md"].decode()
    assert "# My notes\n\nWritten in a garden.\n" in card and card.endswith("Thanks to the bees.\n")
    assert "- garden\n" in card and "language:\n- en\n" in card and "license: cc-by-nc-nd-4.0\n" in card
    assert card.count("## Protected against training") == 1


@pytest.mark.parametrize("line", ["The seed is 987654321987654321.", "Words: {words}", "hf_" + "aB3x" * 9, "> {text}"])
def test_a_card_that_tells_a_secret_is_not_pushed_again(hub, line):
    clean, protected, _ = texts()
    cloak = RegTextTransform(seed=987654321987654321).fit(clean)
    protected = clean.map(cloak, batched=True)
    words = ", ".join(f"`{group[0]}`" for group in cloak.secrets()["words"])
    line = line.format(words=words, text=clean["text"][3])
    HfApi().create_repo("tester/notes", repo_type="dataset", private=True)
    add = CommitOperationAdd("README.md", f"# Notes\n\n{line}\n".encode())
    HfApi().create_commit("tester/notes", [add], commit_message="Mine", repo_type="dataset")
    before = tree(hub)
    with pytest.raises(LeakError) as stopped:
        push_protected(protected, "tester/notes", key=cloak, original=clean)
    places = {finding.place.split("@")[0] for finding in stopped.value.findings}
    assert places == {"README.md", "main"}  # the card, and the history
    assert tree(hub) == before
    (kind,) = {finding.kind for finding in stopped.value.findings} - {"history"}
    push_protected(protected, "tester/notes", key=cloak, original=clean, allow=[f"{kind}:README.md"])


def test_a_card_that_changes_during_the_push_is_not_written_over(hub, monkeypatch):
    from hf_unlearnable.publish.hub import Repository

    clean, protected, cloak = texts()
    prepare = Repository.prepare

    def prepared(self, *arguments):
        prepare(self, *arguments)
        add = CommitOperationAdd("README.md", b"# Of somebody else\n")
        HfApi().create_commit("tester/notes", [add], commit_message="Meanwhile", repo_type="dataset")

    monkeypatch.setattr(Repository, "prepare", prepared)
    with pytest.raises(ValueError, match="changed while this push was under way"):
        push_protected(protected, "tester/notes", key=cloak, original=clean)
    assert tree(hub)["README.md"] == b"# Of somebody else\n"


@pytest.mark.parametrize("license", ["CC BY-NC 4.0", "", "my own", "gpl3"])
def test_what_the_hub_refuses_of_the_card_is_told_before_anything_is_made(hub, monkeypatch, license):
    monkeypatch.setitem(FIELDS, "license", ("one of [mit, apache-2.0]", lambda value: value in ("mit", "apache-2.0")))
    clean, protected, cloak = texts()
    if not license:
        push_protected(protected, "tester/notes", key=cloak, original=clean, license="mit")
        return
    with pytest.raises(ValueError, match=r'"license" must be one of .mit, apache-2.0.*--license'):
        push_protected(protected, "tester/notes", key=cloak, original=clean, license=license)
    assert not hub.repos
    assert [path for method, path in hub.log if method != "GET"] == ["/api/validate-yaml"]


def test_files_of_ones_own_beside_the_report_stay(hub):
    clean, protected, cloak = texts()
    HfApi().create_repo("tester/notes", repo_type="dataset", private=True)
    own = {"report/mine.md": b"Mine.", "report/figures/a.txt": b"Mine too.", "report/report-2024.md": b"Old."}
    old = {"report/report.md": b"An earlier report.", "report/curves.png": b"\x89PNG"}
    adds = [CommitOperationAdd(path, data) for path, data in {**own, **old}.items()]
    HfApi().create_commit("tester/notes", adds, commit_message="Mine", repo_type="dataset")
    push_protected(protected, "tester/notes", key=cloak, original=clean)
    there = tree(hub)
    assert {path: there[path] for path in own} == own
    assert not set(old) & set(there)


def test_clean_rows_in_the_history_stop_the_push(hub):
    clean, protected, cloak = texts()
    clean.push_to_hub("tester/notes", private=True)
    with pytest.raises(LeakError, match="clean rows") as stopped:
        push_protected(protected, "tester/notes", key=cloak, original=clean)
    (finding,) = stopped.value.findings
    assert finding.kind == "history" and finding.count == 40 and "fresh repository" in finding.remedy
    commits = len(hub.repo("tester/notes").commits)
    push_protected(protected, "tester/notes", key=cloak, original=clean, allow=[finding.name])
    assert len(hub.repo("tester/notes").commits) == commits + 1
    assert "Allowed by the owner though the scan found it: history:main@" in tree(hub)["README.md"].decode()


def test_clean_rows_on_another_branch_or_deleted_since_are_found_too(hub):
    clean, protected, cloak = texts()
    clean.push_to_hub("tester/notes", private=True, revision="old")
    api = HfApi()
    gone = [path for path in hub.files("tester/notes", "old") if path.startswith("data/")]
    api.delete_files("tester/notes", gone, repo_type="dataset", revision="old", commit_message="Away with it")
    with pytest.raises(LeakError, match="clean rows"):
        push_protected(protected, "tester/notes", key=cloak, original=clean)


@pytest.mark.parametrize(
    "path", ["LICENSE-data.csv", "report/clean.csv", "README.md.csv", "report/notes.md", "LICENSE"]
)
def test_clean_rows_in_the_history_are_found_under_any_name(hub, path):
    clean, protected, cloak = texts()
    HfApi().create_repo("tester/notes", repo_type="dataset", private=True)
    rows = "text,label\n" * path.endswith("csv") + "".join(f'"{text}",0\n' for text in clean["text"][:5])
    HfApi().upload_file(path_or_fileobj=rows.encode(), path_in_repo=path, repo_id="tester/notes", repo_type="dataset")
    HfApi().delete_file(path, "tester/notes", repo_type="dataset")
    with pytest.raises(LeakError) as stopped:
        push_protected(protected, "tester/notes", key=cloak, original=clean)
    (finding,) = stopped.value.findings
    assert finding.kind == "history" and finding.place.endswith(f"/{path}") and "fresh repository" in finding.remedy


def test_the_same_rows_protected_in_another_way_are_found(hub):
    clean, protected, cloak = texts()
    push_protected(protected, "tester/notes", key=cloak, original=clean)
    other = RegTextTransform(seed=12).fit(clean)
    with pytest.raises(LeakError, match="differently protected"):
        push_protected(clean.map(other, batched=True), "tester/notes", key=other, original=clean)


def test_files_in_the_history_that_cannot_be_compared(hub):
    clean, protected, cloak = texts()
    HfApi().create_repo("tester/notes", repo_type="dataset", private=True)
    HfApi().upload_file(path_or_fileobj=b"PK", path_in_repo="all.zip", repo_id="tester/notes", repo_type="dataset")
    with pytest.raises(LeakError, match=r"all\.zip.*could not be compared"):
        push_protected(protected, "tester/notes", key=cloak, original=clean)


def test_clean_rows_in_another_column_of_the_history(hub):
    clean, protected, cloak = texts()
    protected.add_column("before", clean["text"][:]).push_to_hub("tester/notes", private=True)
    with pytest.raises(LeakError, match="clean rows"):
        push_protected(protected, "tester/notes", key=cloak, original=clean)


def test_a_repository_that_becomes_public_meanwhile(hub, monkeypatch):
    from hf_unlearnable.publish import push

    clean, protected, cloak = texts()

    def scan(*arguments, **options):
        HfApi().create_repo("tester/notes", repo_type="dataset", private=False)
        return []

    monkeypatch.setattr(push, "scan", scan)
    with pytest.raises(FileExistsError, match="is public"):
        push_protected(protected, "tester/notes", key=cloak, original=clean)
    assert list(tree(hub)) == [".gitattributes"]


def test_another_configuration_keeps_its_files(hub):
    clean, protected, cloak = texts()
    push_protected(protected, "tester/notes", key=cloak, original=clean)
    add = CommitOperationAdd("data/en/train-00000-of-00001.parquet", tree(hub)["data/train-00000-of-00001.parquet"])
    HfApi().create_commit("tester/notes", [add], commit_message="English", repo_type="dataset")
    push_protected(protected, "tester/notes", key=cloak, original=clean, license="mit")
    assert "data/en/train-00000-of-00001.parquet" in tree(hub)


def test_what_is_said_of_training_is_said_anew(hub):
    clean, protected, cloak = texts()
    push_protected(protected, "tester/notes", key=cloak, original=clean)
    assert "tdm-reservation: 1" in tree(hub)["README.md"].decode()
    done = push_protected(protected, "tester/notes", key=cloak, original=clean, opt_out="none")
    for gone in ("tdm-reservation", "train-ai", "noai", "no-training"):
        assert gone not in done.card
    assert done.card == tree(hub)["README.md"].decode()
