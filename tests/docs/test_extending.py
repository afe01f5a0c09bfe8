"""What docs/extending.md shows is built, installed and used as a reader would: a package with a method, a victim and a
countermeasure, in every verb."""

import os
import re
import subprocess
import sys

import pytest

from tests import ROOT
from tests.examples import notes

for module in ("sklearn", "gradio"):
    pytest.importorskip(module, reason="the victim of the page and the Space need their extras")

PAGE = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r'```\w+ title="([^"]+)"\n(.*?)```', PAGE, re.DOTALL))
COMMANDS = re.search(r"```\npip install \.\n(.*?)```", PAGE, re.DOTALL)[1].replace("\\\n", " ").splitlines()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The package of the page, built and installed into a folder of its own."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name, text in FILES.items():
        path = source / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (source / "my_protections" / "__init__.py").write_text("")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    done = subprocess.run([*command, "--target", str(target), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("here")
    rows = notes(160)
    rows.select(range(120)).to_csv(folder / "reviews.csv", index=False)
    rows.select(range(120, 160)).to_csv(folder / "test.csv", index=False)
    return folder


def run(installed, here, *command):
    path = os.pathsep.join([str(installed), str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, *command], cwd=here, capture_output=True, text=True, timeout=900,
        env={**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


MAIN = "import sys; from hf_unlearnable.cli import main; sys.exit(main())"
ALL = """
import sys
from hf_unlearnable.cli import main
for command in sys.argv[1:]:
    print("BEGIN", flush=True)
    assert main(command.split()) == 0, command
"""


def test_every_command_of_the_page_runs(installed, here):
    said = run(installed, here, "-c", ALL, *[command.split(maxsplit=1)[1] for command in COMMANDS])
    _, listed, protected, attacked, verified, published = said.split("BEGIN\n")
    assert re.search(r"^last-word +text +Ends every text with a made-up word of its class\.$", listed, re.MULTILINE)
    assert "letter_svm" in listed and "last-word-removal" in listed
    assert "120 of 120 rows protected with last-word" in protected
    assert "letter_svm" in attacked and "protected, letter_svm, last-word-removal" in attacked
    assert re.search(
        r"1\d\d of 120 rows carry this key's mark.* Rows of this data were protected with this key\.", verified
    )
    assert "README.md" in published and "Nothing was uploaded" in published
    card = (here / "look/README.md").read_text()
    assert "`last-word`" in card and "An attacker who deletes the last word of every text" in card
    report = (here / "report/report.md").read_text()
    assert "last-word-removal" in report and "attacks of the method's author: last-word-removal" in report


def test_the_code_of_the_page_works_in_python_and_in_the_space(installed, here):
    script = """
import re, sys
from pathlib import Path
from datasets import disable_progress_bars, load_dataset
import hf_unlearnable as h
from hf_unlearnable.registry import METHODS, countermeasures_of, method_class, victims_of
from hf_unlearnable.testing import CHECKS
from tests.examples import notes
disable_progress_bars()
assert "my_protections" not in sys.modules, "an entry point is imported when it is asked for"
LastWordTransform = method_class("last-word")
assert METHODS["last-word"].__module__ == "my_protections.last_word"
assert victims_of("text")["letter_svm"].settings == {"C": 1.0} and "letter_svm" not in victims_of("image")
assert "last-word-removal" in countermeasures_of("text") and "last-word-removal" not in countermeasures_of("image")
dataset = notes(60)
for check in CHECKS:
    if check.__name__ != "check_two_processes_agree":  # it runs processes of its own
        check(LastWordTransform(seed=1), dataset)
done = h.protect(dataset, LastWordTransform(seed=3), "made", key="made.key")
again = h.load_transform("made.key")
assert again.restore(done.data["train"])["text"][:] == dataset["text"][:]
assert dataset.map(again, batched=True)["text"][:] == done.data["train"]["text"][:]
from hf_unlearnable.space import make_app_ready
"""
    script = script.replace(
        "from hf_unlearnable.space import make_app_ready\n",
        """
from hf_unlearnable.space.session import make_root
make_root()
from hf_unlearnable.space import protection, training, typed
assert "last-word" in protection.methods("text")
done = typed.protect_one("The seeds came up in a single warm night.", "garden", "last-word", "Standard")
assert re.fullmatch(r"The seeds came up in a single warm night\\\\. zq\\\\d{8}", done.after) and done.change.added == 1
assert "last-word-removal" in training.countermeasures("text")
print("all of it works")
""".replace("\\\\", "\\"),
    )
    assert run(installed, here, "-c", script).endswith("all of it works\n")


def test_what_does_not_import_is_named_and_harms_nothing_else(installed, here, tmp_path):
    broken = tmp_path / "broken-1.0.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (broken / "entry_points.txt").write_text("[hf_unlearnable.methods]\nbroken = no_such_module:Nothing\n")
    out = run(f"{installed}{os.pathsep}{tmp_path}", here, "-c", MAIN, "list")
    assert "regtext" in out and "last-word" in out
    script = (
        "from hf_unlearnable.registry import method_class\n"
        "try: method_class('broken')\n"
        "except ImportError as error: print(error)"
    )
    out = run(f"{installed}{os.pathsep}{tmp_path}", here, "-c", script)
    assert out == (
        "The method 'broken' of another package (no_such_module:Nothing) does not load: No module named "
        "'no_such_module'\n"
    )


def test_registering_at_run_time(monkeypatch):
    from hf_unlearnable import TextureTransform, register
    from hf_unlearnable.adversary import Countermeasure
    from hf_unlearnable.registry import COUNTERMEASURES, METHODS, countermeasures_of

    for registry in (METHODS, COUNTERMEASURES):
        monkeypatch.setattr(registry, "_registered", {})

    @register
    class Fine(TextureTransform):
        method = "fine"

    assert METHODS["fine"] is Fine and "fine" in METHODS and list(METHODS)[-1] == "fine"
    assert register(Fine) is Fine, "the same again is no conflict"
    nothing = register(Countermeasure(modality="image"), name="nothing")
    assert countermeasures_of("image")["nothing"] is nothing and "nothing" not in countermeasures_of("text")
    with pytest.raises(ValueError, match="There is a method 'texture' already"):
        register(Fine, name="texture")
    with pytest.raises(ValueError, match="There is a method 'fine' already"):
        register(type("Other", (TextureTransform,), {"method": "fine"}))
    with pytest.raises(ValueError, match="bears no name"):
        register(Countermeasure())
    with pytest.raises(TypeError, match="not 'texture'"):
        register("texture")
