#!/usr/bin/env bash
# Python 3.11, multiprocessing with the start method "spawn", the module resource, Linux 6. A process of 500 MB starts one
# that holds almost nothing.
#
# Expected: ru_maxrss of getrusage(RUSAGE_SELF) is the most that the new process held, for it is a new program.
# Happens: it is what the process held that started it. Linux keeps that number through an exec, in which all memory goes.
# So "each measurement in a process of its own" tells nothing of what is smaller. VmHWM in /proc/self/status begins anew.
# Seen: "started with 500 MB: ru_maxrss over 500 MB, VmHWM below 100 MB; started with 0 MB: both below 100 MB".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/measure.py" <<'PYTHON'
import multiprocessing
import re
import resource
import sys


def tell(queue):
    status = open("/proc/self/status").read()
    queue.put((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, int(re.search(r"VmHWM:\s+(\d+)", status)[1]) // 1024))


if __name__ == "__main__":
    held = bytearray(int(sys.argv[1]) * 2**20)
    for i in range(0, len(held), 4096):
        held[i] = 1
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=tell, args=(queue,))
    process.start()
    usage, own = queue.get()
    process.join()
    print(f"started with {sys.argv[1]} MB: ru_maxrss {'over 500' if usage > 500 else 'below 100' if usage < 100 else usage} MB, "
          f"VmHWM {'below 100' if own < 100 else own} MB")
PYTHON
python3 "$folder/measure.py" 500 | tee "$folder/said"
python3 "$folder/measure.py" 0 | tee -a "$folder/said"
grep -qx "started with 500 MB: ru_maxrss over 500 MB, VmHWM below 100 MB" "$folder/said"
grep -qx "started with 0 MB: ru_maxrss below 100 MB, VmHWM below 100 MB" "$folder/said"
