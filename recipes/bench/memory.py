"""The most memory that a process has held, as its own."""

from __future__ import annotations

import re
from pathlib import Path


def peak() -> float:
    """Megabytes that this process had in memory at most.

    `getrusage` tells that of the process that started it too, if it was larger: Linux keeps it through an `exec`.
    """
    return int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))[0]) / 1024
