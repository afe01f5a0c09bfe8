"""A full disk and a kill, at many points of every command that writes.

After each: the input is what it was; what stands under a final name is whole; the same command, run again without the
disturbance, gives what it gives undisturbed; and no scratch is left.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hf_unlearnable import load_transform
from hf_unlearnable.cli import main
from tests import ROOT
from tests.examples import notes, pictures
from tests.folders import contents

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits and kills are POSIX")

PROTECT = ["--key", "my.key", "--report", "report", "--seed", "7"]
COMMANDS = {
    "csv": ["protect", "regtext", "notes.csv", "--output", "out.csv", *PROTECT],
    "parquet": ["protect", "regtext", "notes.parquet", "--output", "out", *PROTECT],
    "images": ["protect", "texture", "photos", "--output", "out", *PROTECT],
    "attack": [
        "attack", "--clean=notes.parquet", "--protected=protected", "--test=test.parquet", "--report=report",
        "--quick", "--victims", "tfidf_logistic_regression", "--countermeasures", "none", "word-shuffle",
    ],
    "publish": [
        "publish", "protected", "me/notes", "--key", "old.key", "--original", "notes.parquet", "--dry-run", "out",
    ],
    "verify": ["verify", "--key", "old.key", "--data", "protected.csv"],
    "fit": ["fit"],
}  # fmt: skip
FINAL = ("my.key", "report", "out", "out.csv")  # in the order in which a run gives the names
NORMAL = {"csv": (0, 3000), "images": (500, 2000), "attack": (0, 200), "publish": (0, 3000), "verify": (0,),
          "parquet": (1000,), "fit": (0, 9000)}  # fmt: skip
STOPPED = {"verify": 2}  # the exit status of what could not be done; of all others 1
MANY = [0, 1, 100, 700, 2500, 9000, 25_000, 100_000, 300_000]


class Worker:
    """See worker.py."""

    def __init__(self):
        command = [sys.executable, "-m", "tests.interrupted.worker"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
        assert json.loads(self.process.stdout.readline())["ready"]

    def start(self, folder, name, limit=None):
        request = {"folder": str(folder), "command": COMMANDS[name], "limit": limit}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def run(self, folder, name, limit=None):
        self.start(folder, name, limit)
        return json.loads(self.process.stdout.readline())

    def kill(self):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


@pytest.fixture(scope="module")
def worker():
    worker = Worker()
    yield worker
    worker.kill()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    rows = notes(200)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        rows.select(range(120)).to_parquet("notes.parquet")
        rows.select(range(120)).to_csv("notes.csv", index=False)
        rows.select(range(120, 200)).to_parquet("test.parquet")
        for i, (image, label) in enumerate(zip(*pictures(8, height=20, width=24)[:].values())):
            Path(f"photos/{label}").mkdir(parents=True, exist_ok=True)
            image.save(f"photos/{label}/{i}.png")
        source = ["protect", "regtext", "notes.parquet", "--key", "old.key", "--seed", "3", "--output"]
        assert main([*source, "protected"]) == main([*source, "protected.csv"]) == 0
    return folder


@pytest.fixture(scope="module")
def undisturbed(inputs, worker, tmp_path_factory):
    """From a command to what it makes, each run once."""
    made = {}

    def of(name):
        if name not in made:
            folder = shutil.copytree(inputs, tmp_path_factory.mktemp(name) / "run")
            answer = worker.run(folder, name)
            assert answer["code"] == 0, answer
            made[name] = outputs(folder)
            assert scratch(folder) == [] and (made[name] or name == "verify")
        return made[name]

    return of


def outputs(folder):
    """What stands under the final names; of a report of attacks what does not tell the time that it took."""
    found = {}
    for name in FINAL:
        path = folder / name
        if path.exists():
            found |= (
                {name: path.read_bytes()} if path.is_file() else {f"{name}/{k}": v for k, v in contents(path).items()}
            )
    if "report/report.json" in found:
        report = json.loads(found["report/report.json"])
        cells = [{k: v for k, v in cell.items() if k != "seconds"} for cell in report["cells"]]
        found = {"report": json.dumps([report["verdict"], report["table"], report["attacks"], cells])}
    return found


def scratch(folder):
    """Whatever bears the name of a scratch, in the folder or the cache beside it."""
    return [str(path) for path in folder.rglob(".*") if "@" in path.name or path.suffix == ".lock"]


def check_intact(folder, inputs, name, expected):
    """The input is what it was, and what stands under its final name is whole."""
    now = contents(folder)
    assert {path: now.get(path) for path in contents(inputs)} == contents(inputs)
    if (folder / "my.key").exists():
        load_transform(folder / "my.key")
    if name == "attack":
        for path in folder.glob("report/*.json"):
            json.loads(path.read_text())
        for path in folder.glob("report/cells/*.json"):
            assert json.loads(path.read_text())
        return
    made = outputs(folder)
    assert made == {path: data for path, data in expected.items() if path in made}
    tops = [part for part in FINAL if any(path.split("/")[0] == part for path in expected)]
    there = [(folder / part).exists() for part in tops]
    assert there == sorted(there, reverse=True), f"{tops} take their names in this order: {there}"


def check_again(folder, name, worker, expected):
    """Run again undisturbed, the command gives what it always gives, and nothing else is left."""
    if name not in ("attack", "fit", "publish", "verify") and outputs(folder) == expected:  # it was done
        assert worker.run(folder, name)["code"] == 1 and scratch(folder) == []
        return
    if name == "publish" and (folder / "out").exists():
        shutil.rmtree(folder / "out")
    if name != "attack" and (folder / "report").exists():
        shutil.move(folder / "report", folder / "moved")  # the one name that a kill between two may leave
    answer = worker.run(folder, name)
    assert answer["code"] == 0, answer
    assert outputs(folder) == expected
    assert scratch(folder) == []


# ---------------------------------------------------------------------- a full disk
def disk_full(name, limit, inputs, worker, undisturbed, tmp_path):
    expected = undisturbed(name)
    folder = shutil.copytree(inputs, tmp_path / "run")
    answer = worker.run(folder, name, limit)
    assert answer["code"] in (0, STOPPED.get(name, 1)), answer
    if answer["code"] and name != "fit":
        sentence = answer["said"].strip().splitlines()[-1]
        assert sentence.startswith("hf-unlearnable: ") and "Traceback" not in answer["said"], answer
    if answer["code"] == 0:
        assert outputs(folder) == expected
    elif name != "attack":
        assert [path.name for path in folder.iterdir() if path.name in FINAL] == []
    assert scratch(folder) == []
    check_intact(folder, inputs, name, expected)
    check_again(folder, name, worker, expected)
    return answer["code"]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_loses_nothing(name, inputs, worker, undisturbed, tmp_path):
    codes = [disk_full(name, limit, inputs, worker, undisturbed, tmp_path / str(limit)) for limit in NORMAL[name]]
    assert STOPPED.get(name, 1) in codes, "the disk was never full"


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_disk_that_is_full_anywhere_loses_nothing(name, inputs, worker, undisturbed, tmp_path):
    codes = [disk_full(name, limit, inputs, worker, undisturbed, tmp_path / str(limit)) for limit in MANY]
    assert set(codes) == {0, STOPPED.get(name, 1)}


def test_a_full_disk_leaves_the_report_of_before(inputs, worker, undisturbed, tmp_path):
    expected = undisturbed("attack")
    folder = shutil.copytree(inputs, tmp_path / "run")
    assert worker.run(folder, "attack")["code"] == 0
    before = contents(folder / "report")
    for limit in (0, 500):
        assert worker.run(folder, "attack", limit)["code"] == 1
        assert contents(folder / "report") == before
    check_again(folder, "attack", worker, expected)


# ---------------------------------------------------------------------- a kill
def appears(pattern):
    return lambda folder, _: any(folder.glob(pattern))


def after(seconds):
    return lambda _, since: time.monotonic() - since > seconds


KILLS = {
    "csv": {"written": appears(".out.csv.*/out.csv"), "scratch": appears(".out.csv.*"), "key": appears("my.key")},
    "parquet": {"key written": appears(".my.key.*/my.key"), "scratch": appears(".out.*")},
    "images": {"photos": appears(".out.*/out/*/*"), "report": appears(".report.*/report/fidelity.json")},
    "attack": {"the report": appears("report/.new.*"), "a cell": appears("report/cells/*.json")},
    "publish": {"staged": appears(".out.*/out/data/*"), "the card": appears(".out.*/out/README.md")},
    "verify": {"read": appears("cache/*/.*")},
    "fit": {"a round": appears("fit/round-*"), "whole": appears("fit/round-00002/whole")},
}


def killed(name, when, inputs, worker, undisturbed, tmp_path):
    expected = undisturbed(name)
    folder = shutil.copytree(inputs, tmp_path / "run")
    victim = Worker()
    try:
        victim.start(folder, name)
        since = time.monotonic()
        os.set_blocking(victim.process.stdout.fileno(), False)
        done = ""
        while not when(folder, since) and not done:
            assert victim.process.poll() is None, "it died of itself"
            done = victim.process.stdout.readline()
            time.sleep(0.0005)
    finally:
        victim.kill()
    check_intact(folder, inputs, name, expected)
    check_again(folder, name, worker, expected)


@pytest.mark.parametrize(
    ("name", "when"),
    [  # one of each command in the suite; a fit that goes on is tested in tests/image/learning too
        pytest.param(name, when, marks=[pytest.mark.slow] * (number > 0 or name == "fit"))
        for name, points in KILLS.items()
        for number, when in enumerate(points)
    ],
)
def test_a_kill_loses_nothing(name, when, inputs, worker, undisturbed, tmp_path):
    killed(name, KILLS[name][when], inputs, worker, undisturbed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_kill_at_any_time_loses_nothing(name, inputs, worker, undisturbed, tmp_path):
    undisturbed(name)
    folder = shutil.copytree(inputs, tmp_path / "whole")
    since = time.monotonic()
    worker.run(folder, name)
    took = time.monotonic() - since
    for part in range(4):
        killed(name, after(took * (part + 0.5) / 4), inputs, worker, undisturbed, tmp_path / str(part))
