"""Every test is in one part of the suite, and `make`, the workflow and `pyproject.toml` name the same parts."""

import re
import sys

import pytest
import yaml

from tests import ROOT
from tests.conftest import PARTS


def test_every_test_is_in_exactly_one_part(request):
    for item in request.session.items:
        assert len({mark.name for mark in item.iter_markers()} & set(PARTS)) == 1, item.nodeid
    assert request.node.get_closest_marker("unit"), "what no other part takes is in this one"


def test_make_has_a_target_for_each_part():
    (line,) = re.findall(r"^(test-.*): .*one part", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert line.split() == [f"test-{part}" for part in PARTS]


def test_the_workflow_runs_every_part():
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["part"] == list(PARTS)
    assert "make test-${{ matrix.part }}" in [step.get("run") for step in jobs["test"]["steps"]]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib needs Python 3.11")
def test_every_part_is_a_declared_marker():
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    assert {line.split(":")[0] for line in settings["markers"]} == {"slow", *PARTS}
