"""Every block of code of the documentation runs, or where that takes a GPU, hours or a server, its names and options
are those of the code.

A page marks the latter with `<!-- parsed only: REASON -->` above the block. A block of `text` below a block of code is
what that prints.
"""

import ast
import contextlib
import doctest
import importlib.util
import inspect
import io
import re
import shlex
import sys
from pathlib import Path

import datasets
import pytest

from hf_unlearnable.cli import _parser, main
from hf_unlearnable.registry import COUNTERMEASURES, METHODS, VICTIMS, WEAR
from tests import ROOT
from tests.docs.markdown import PAGES, blocks, commands, name_of, read
from tests.examples import notes, pictures, recordings
from tests.hub import Hub

for module in ("torch", "sklearn", "gradio", "trl"):
    pytest.importorskip(module, reason="the documentation shows what the extras bring")

sys.path += [str(ROOT / "recipes"), str(ROOT / "recipes/bench")]  # a script finds what stands beside it
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
EXTRAS = re.findall(r"^(\w+) = \[", PROJECT.split("[project.optional-dependencies]")[1].split("\n[")[0], re.MULTILINE)
TARGETS = " ".join(
    re.findall(r"^([\w -]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
).split()
EXTENDING = ROOT / "docs/extending.md"  # its commands need its package installed: test_extending.py
SHELL = ("", "shell")
DATA = (*SHELL, "python", "text")


class Parsed(Exception):
    """Raised in place of what a script does after it has parsed its options."""


def hub_dataset(name, *args, split=None, streaming=False, **options):
    """Small datasets under the names of the ones that the documentation loads from the Hub."""
    rows = {
        "stanfordnlp/imdb": lambda: notes(120),
        "uoft-cs/cifar10": lambda: pictures().rename_column("image", "img"),
    }
    if name not in rows:
        return datasets.load.load_dataset(name, *args, split=split, streaming=streaming, **options)
    return rows[name]().to_iterable_dataset() if streaming else rows[name]()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the files that the documentation names, small ones, and a Hub that the clients talk to."""
    folder = tmp_path / "here"
    folder.mkdir()
    notes(120).to_parquet(folder / "reviews.parquet")
    notes(120).to_csv(folder / "reviews.csv", index=False)
    notes(160).select(range(120, 160)).to_csv(folder / "new-reviews.csv", index=False)
    notes(160).select(range(120, 160)).to_parquet(folder / "test.parquet")
    recordings(16).to_parquet(folder / "words.parquet")
    (folder / "lecture.wav").write_bytes(recordings(1)[0]["audio"]["bytes"])
    for number, row in enumerate(pictures(8, classes=2)):
        photo = folder / "folder/of/photos" / str(row["label"]) / f"{number}.png"
        photo.parent.mkdir(parents=True, exist_ok=True)
        row["image"].save(photo)
    monkeypatch.setattr("datasets.load_dataset", hub_dataset)
    for registry in (METHODS, VICTIMS, COUNTERMEASURES, WEAR):
        monkeypatch.setattr(registry, "_registered", {})
    with Hub(tmp_path / "hub", users={"hf_test": "me"}) as hub:
        hub.client_settings(monkeypatch)
        monkeypatch.chdir(folder)
        yield folder


def check_command(line):
    """Parses a command line as the program does that it calls."""
    program, *argv = [part for part in shlex.split(line, comments=True) if not re.fullmatch(r"[A-Z_0-9]+=\S+", part)]
    if program == "hf-unlearnable":
        _parser(argv).parse_args(argv)
    elif program == "pip":
        assert argv[0] == "install", line
        for name in argv[1:]:
            found = re.fullmatch(r"\.|(?:hf-unlearnable|\.)(?:\[([\w,]+)\])?", name)
            assert found and set((found[1] or "image").split(",")) <= set(EXTRAS), line
    elif program == "make":
        assert set(argv) <= set(TARGETS), line
    elif program == "python" and argv[0] == "-m":
        assert importlib.util.find_spec(argv[1]) and not argv[2:], line
    elif program == "python":
        check_script(argv[0], argv[1:])
    elif program == "pytest":
        assert (ROOT / argv[0]).is_file(), line
    elif (program, argv[0]) == ("accelerate", "launch"):
        check_script(argv[1], argv[2:])
    elif (program, *argv[:2]) == ("torchrun", "--nproc_per_node", "2"):
        check_script(argv[2], argv[3:])
    else:
        raise AssertionError(f"The test does not know this command: {line}")


def check_script(script, argv):
    """Parses the options of a script of the repository."""
    assert (ROOT / script).is_file(), script
    module = importlib.import_module(script.removesuffix(".py").replace("/", "."))
    source = inspect.getsource(module)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)  # where the configurations lie
        if hasattr(module, "parse"):
            module.parse(argv)
        elif "ArgumentParser" in source:
            parse_args = module.argparse.ArgumentParser.parse_args

            def stop(parser, *args, **options):
                parse_args(parser, *args, **options)
                raise Parsed

            patch.setattr(module.argparse.ArgumentParser, "parse_args", stop)
            patch.setattr(sys, "argv", [script, *argv])
            with pytest.raises(Parsed):
                module.main()
        else:
            assert not argv, f"{script} takes no options"


def check_python(code):
    """Checks that what a block imports from the package is there, and that it takes the named arguments."""
    names = {}
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            names |= {one.asname or one.name: getattr(module, one.name) for one in node.names}
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in names:
            inspect.signature(names[call.func.id]).bind_partial(**{one.arg: None for one in call.keywords})


def run(block, namespace):
    """Runs a block and gives what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        if block.language == "python":
            exec(compile(block.code, "<page>", "exec"), namespace)
        for line in commands(block.code) if block.language in SHELL else []:
            argv = shlex.split(line, comments=True)
            assert argv[0] in ("hf-unlearnable", "pip", "make"), f"Mark what only this repository can run: {line}"
            if argv[0] == "hf-unlearnable":
                assert main(argv[1:]) == 0, line
    return printed.getvalue()


def check_page(text, namespace):
    """Runs all blocks of a page in order."""
    printed = None
    for block in blocks(text):
        if block.language == "text":
            assert printed is not None, f"This follows no code that runs:\n{block.code}"
            flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            assert doctest.OutputChecker().check_output(block.code, printed, flags), f"{block.code}\nis:\n{printed}"
            continue
        printed = None
        for line in commands(block.code) if block.language in SHELL else []:
            check_command(line)
        if block.language == "python":
            check_python(block.code)
        if block.reason is None and block.title is None and block.language in DATA:
            printed = run(block, namespace)


@pytest.mark.parametrize("page", [page for page in PAGES if page != EXTENDING], ids=name_of)
def test_a_page_runs(page, here):
    text = read(page)
    assert text.count("```") == 2 * len(blocks(text)), "a block of this page is not seen by the test"
    check_page(text, {"__name__": "page"})


def test_the_python_of_extending_runs(here, monkeypatch):
    monkeypatch.syspath_prepend(here)
    namespace = {"__name__": "page", "dataset": notes(60)}
    found = [block for block in blocks(read(EXTENDING)) if block.language == "python"]
    for block in [block for block in found if block.title]:
        path = here / block.title
        path.parent.mkdir(exist_ok=True)
        path.write_text(block.code, encoding="utf-8")
        namespace |= vars(importlib.import_module(f"{path.parent.name}.{path.stem}"))
    snippets = [block for block in found if not block.title]
    assert len(snippets) == 3
    for block in snippets:
        run(block, namespace)
    assert METHODS["last-word"] is namespace["LastWordTransform"] and "letter_svm" in VICTIMS
    assert WEAR["ascii-only"].change(["caf\u00e9", "\u00e9"]) == ["caf", None]


@pytest.mark.parametrize(
    "page",
    [
        "```shell\nhf-unlearnable protect regtext reviews.csv --output o --key k --epsilon 1\n```\n",
        "<!-- parsed only: a GPU -->\n```shell\nhf-unlearnable attack --clean a --protected b --tests c --report d\n```\n",
        '```shell\npip install "hf-unlearnable[sound]"\n```\n',
        "```shell\nmake nothing\n```\n",
        "<!-- parsed only: hours -->\n```shell\npython recipes/bench/readers.py --dat x\n```\n",
        "<!-- parsed only: hours -->\n```shell\naccelerate launch recipes/protect_images.py --config none.yaml\n```\n",
        "```shell\npython recipes/protect_text.py --config recipes/configs/imdb_regtext.yaml\n```\n",
        "```shell\nwget https://example.org\n```\n",
        "```shell\nhf-unlearnable verify --key no.key --data reviews.csv\n```\n",
        "```python\nfrom hf_unlearnable import protects\n```\n",
        "<!-- parsed only: a GPU -->\n```python\nfrom hf_unlearnable import protect\nprotect(ds, outputs='x')\n```\n",
        "```python\nassert 1 == 2\n```\n",
        "```python\nprint(2)\n```\n\n```text\n3\n```\n",
        "```text\n3\n```\n",
    ],
    ids=lambda page: page.splitlines()[-2][:40],
)
def test_a_page_that_says_what_is_not_so_fails(page, here):
    with pytest.raises((AssertionError, AttributeError, FileNotFoundError, SystemExit, TypeError)):
        check_page(page, {})


def test_each_fixture_is_named_by_a_page(here):
    shown = "\n".join(map(read, PAGES))
    assert all(path.name in shown for path in Path().iterdir())
