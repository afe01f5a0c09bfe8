"""A process that runs commands for the tests, one per line of its standard input, and can be killed in the middle.

A request is a JSON object: `folder` to run in, `command` (arguments of `hf-unlearnable`, or ["fit"] for a fit with
checkpoints), and `limit`, the largest size of a file in bytes, which stands for a disk that is full.
"""

import contextlib
import io
import json
import os
import resource
import sys
import traceback
from pathlib import Path

from datasets import config

import hf_unlearnable.publish
from hf_unlearnable.cli import main

FILE_SIZE = resource.RLIMIT_FSIZE


def fit():
    """A fit with checkpoints, its key saved."""
    from hf_unlearnable import ErrorMinTransform
    from tests.examples import pictures

    cloak = ErrorMinTransform(seed=4, max_rounds=4, stop_error=None).fit(pictures(12), checkpoint_dir="fit")
    if not Path("my.key").exists():
        cloak.key.save("my.key")
    return 0


def run(request):
    os.chdir(request["folder"])
    config.HF_DATASETS_CACHE = Path(request["folder"], "cache")
    before = resource.getrlimit(FILE_SIZE)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        if request["limit"] is not None:
            resource.setrlimit(FILE_SIZE, (request["limit"], before[1]))
        try:
            code = fit() if request["command"] == ["fit"] else main(request["command"])
        except Exception:  # no sentence, but what a user should not see
            said.write(traceback.format_exc())
            code = 1 if request["command"] == ["fit"] else "traceback"
        finally:
            resource.setrlimit(FILE_SIZE, before)
    return {"code": code, "said": said.getvalue()}


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print(json.dumps({"ready": hf_unlearnable.publish.__name__}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), file=answers, flush=True)
