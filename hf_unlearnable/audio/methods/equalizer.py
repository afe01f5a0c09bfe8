"""A keyed equaliser for each class."""

from __future__ import annotations
