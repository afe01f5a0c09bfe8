"""The package from outside: what importing loads, what it needs, what it names."""

import ast
import inspect
import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import hf_unlearnable
from hf_unlearnable.registry import METHODS, method_class
from tests import ROOT

HEAVY = ["torch", "transformers", "sklearn", "polars", "gradio", "datasets", "matplotlib"]


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_import_and_help_load_nothing_heavy():
    code = (
        "import sys, json, contextlib, io, hf_unlearnable, hf_unlearnable.cli as cli\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): cli.main(['--help'])\n"
        f"print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    )
    assert json.loads(run_python(code)) == []


def test_naming_a_transform_loads_no_framework_and_no_engine():
    code = (
        "import sys, json; from hf_unlearnable import RegTextTransform; RegTextTransform()\n"
        f"print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    )
    assert json.loads(run_python(code)) == []


def test_every_public_name_is_there():
    for name in hf_unlearnable.__all__:
        assert getattr(hf_unlearnable, name) is not None
    with pytest.raises(AttributeError, match="Nope"):
        hf_unlearnable.Nope  # noqa: B018


@pytest.mark.parametrize("name", METHODS)
def test_registered_methods_agree_with_their_name(name):
    assert method_class(name).method == name


@pytest.mark.parametrize("name", METHODS)
def test_the_page_of_a_method_says_all_that_a_user_must_know(name):
    page = method_class(name).described()
    assert {"Idea", "Secret", "Cost", "Breaks", "Prefer", "Example"} <= set(page)
    assert ("Paper" in page) or page["Ours"].startswith("There is no paper")
    assert 20 < len(page["summary"]) <= 115 and page["summary"].endswith(".")
    assert f"{method_class(name).__name__}(" in page["Example"]
    compile(page["Example"], name, "exec")
    own = inspect.cleandoc(method_class(name).__doc__)
    assert all(f"\n{header}:\n" in own for header in ("Secret", "Cost", "Breaks", "Prefer", "Example"))


def test_unknown_method():
    with pytest.raises(ValueError, match="no method 'nope'. Methods: regtext"):
        method_class("nope")


def test_a_missing_extra_is_named_with_its_install_line():
    code = (
        "import sys\n"
        "for name in ('sklearn', 'torch'): sys.modules[name] = None\n"
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda n, *a: None if n in ('sklearn', 'torch') else find(n, *a)\n"
        "import hf_unlearnable.cli as cli; sys.exit(cli.main(['demo']))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert 'pip install "hf-unlearnable[attack]"' in result.stderr
    assert "Traceback" not in result.stderr


def test_module_runs_the_command_line():
    run = subprocess.run([sys.executable, "-m", "hf_unlearnable", "list"], capture_output=True, text=True, check=True)
    assert all(name in run.stdout for name in METHODS)
    wrong = subprocess.run([sys.executable, "-m", "hf_unlearnable", "protect", "none"], capture_output=True, text=True)
    assert wrong.returncode == 2 and "usage: hf-unlearnable" in wrong.stderr


def test_every_file_of_the_package_is_installed_with_it():
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    package = Path(hf_unlearnable.__file__).parent
    there = {file.relative_to(package) for file in package.rglob("*.*") if file.is_file()}
    others = {file for file in there if file.suffix not in (".py", ".pyc", ".pyi")}
    assert len(others) > 8
    assert not [file for file in others if not any(map(file.match, project["package-data"]["hf_unlearnable"]))]


def test_everything_that_is_imported_is_declared():
    """In `pyproject.toml`; `spaces` is on a hosted Space only, and `resemblyzer` installs without what it asks for."""
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["dependencies"] + [line for extra in project["optional-dependencies"].values() for line in extra]
    imported = set()
    for file in Path(hf_unlearnable.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(node.module.partition(".")[0])
    foreign = imported - set(sys.stdlib_module_names) - {"hf_unlearnable", "resemblyzer", "spaces"}
    declared = {re.match(r"[\w.-]+", line)[0].lower().replace("_", "-") for line in lines}
    owners = packages_distributions()
    missing = [
        name for name in sorted(foreign)
        if not {owner.lower().replace("_", "-") for owner in owners.get(name, [name])} & declared
    ]  # fmt: skip
    assert len(foreign) > 15
    assert not missing
