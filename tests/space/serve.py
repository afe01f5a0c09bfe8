"""Serves the page in a process of its own: `python -m tests.space.serve` prints its address.

`oauth` as an argument has visitors sign in; without it the page is one on its owner's machine.
"""

import sys
import time

from hf_unlearnable.space import launch
from tests.keys import draw_from

draw_from("the page")
page = launch("127.0.0.1", oauth="oauth" in sys.argv, prevent_thread_lock=True)
print(page.local_url, flush=True)  # noqa: T201
while True:
    time.sleep(60)
