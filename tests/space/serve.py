"""Serves the page in a process of its own, with signing in: `python -m tests.space.serve` prints its address."""

import time

from hf_unlearnable.space import launch

page = launch("127.0.0.1", oauth=True, prevent_thread_lock=True)
print(page.local_url, flush=True)  # noqa: T201
while True:
    time.sleep(60)
