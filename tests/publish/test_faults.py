"""Every call of a push fails once, in turn and in every way: the push ends complete, and never half done."""

import copy
import itertools

import pytest
from datasets import load_dataset

from hf_unlearnable import RegTextTransform
from hf_unlearnable.publish import push_protected
from tests.examples import notes
from tests.publish.protected import tree

FAULTS = [500, 409, 412, 429, "drop", "drop-after"]
STATUSES = [400, 403, 404, 500]
CLEAN = notes(40)
CLOAK = RegTextTransform(seed=11).fit(CLEAN)
PROTECTED = CLEAN.map(CLOAK, batched=True)


def in_turn(kinds):
    """All kinds in turn within one test, and each alone over all calls, which takes minutes."""
    return [
        pytest.param(kinds, id="in turn"),
        *[pytest.param([one], id=str(one), marks=pytest.mark.slow) for one in kinds],
    ]


def saved(hub):
    """A function that makes the Hub what it is now, which takes less time than another push."""
    repos, blobs = copy.deepcopy(hub.repos), set((hub.folder / "blobs").iterdir())

    def put_back():
        hub.repos.clear()
        hub.repos.update(copy.deepcopy(repos))
        for blob in set((hub.folder / "blobs").iterdir()) - blobs:
            blob.unlink(missing_ok=True)

    return put_back


def push(rows):
    kept = range(rows)
    return push_protected(PROTECTED.select(kept), "tester/notes", key=CLOAK, original=CLEAN.select(kept), gated="auto")


@pytest.mark.parametrize("faults", in_turn(FAULTS))
@pytest.mark.parametrize(
    "earlier", [pytest.param(False, id="new repository", marks=pytest.mark.slow), pytest.param(True, id="second push")]
)
def test_every_call_fails_once(hub, faults, earlier):
    def failing_at(call):
        seen = []

        def fail(method, path):
            seen.append((method, path))
            return faults[call % len(faults)] if len(seen) == call + 1 else None

        return seen, fail

    if earlier:
        push(20)
    put_back, before = saved(hub), tree(hub) if earlier else None
    commits = len(hub.repo("tester/notes").commits) if earlier else 1
    call, calls = 0, None
    while calls is None or call < calls:
        put_back()
        seen, fail = failing_at(-2 if calls is None else call)
        hub.fail = fail
        push(40)
        hub.fail = lambda method, path: None
        repo = hub.repo("tester/notes")
        assert len(repo.commits) == commits + 1, seen
        assert repo.private and repo.gated == "auto"
        after = tree(hub)
        if calls is None:
            calls, whole = len(seen), after
            assert any("/commit/" in path for _, path in seen)
            continue
        assert after == whole != before, f"call {call}: {seen[call]}"
        call += 1
    assert call >= 12
    assert load_dataset("tester/notes", split="train")["text"][:] == PROTECTED["text"][:]


@pytest.mark.parametrize("statuses", in_turn(STATUSES))
def test_a_call_that_always_fails_leaves_the_repository_as_it_was(hub, statuses):
    push(20)
    put_back, before, start = saved(hub), tree(hub), len(hub.log)
    push(40)
    paths = [path.split("?")[0] for _, path in hub.log[start:]]
    kinds = {
        p
        for p in ("/preupload/", "/objects/batch", "/lfs/", "/validate-yaml", "/commit/", "/refs", "/tree/")
        if any(p in x for x in paths)
    }
    assert len(kinds) == 7
    for kind, status in zip(sorted(kinds), itertools.cycle(statuses)):
        put_back()
        hub.fail = lambda method, path, kind=kind, status=status: status if kind in path else None
        with pytest.raises(Exception) as stopped:
            push(40)
        hub.fail = lambda method, path: None
        assert isinstance(stopped.value, OSError | ValueError) and str(stopped.value)
        assert tree(hub) == before
