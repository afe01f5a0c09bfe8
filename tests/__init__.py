"""Tests stand where what they test stands in the package; `contract/`, `interrupted/` and `docs/` are about all of it."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
