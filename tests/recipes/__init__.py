"""Tests of the scripts; each script finds what stands beside it."""

import sys

from tests import ROOT

sys.path += [str(ROOT / "recipes"), str(ROOT / "recipes/bench")]
