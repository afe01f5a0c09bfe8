#!/usr/bin/env bash
# soundfile 0.14.0 with its libsndfile 1.2.2, numpy 2.4.6, Python 3.11, Linux. The same samples written twice, 1.2 seconds
# apart, as WAV files of integers and of floats.
#
# Expected: the same bytes twice, for both; soundfile.write is given samples, a rate and a format, and no tag.
# Happens: files of 32-bit and 64-bit floats get a chunk "PEAK" with the time of writing, in seconds.
# They differ, and a hash of such a file identifies no recording. Files of integers are equal, and so are RF64 of floats.
# Seen: "PCM_16 equal, PCM_24 equal, FLOAT differs in PEAK + 12, DOUBLE differs in PEAK + 12, RF64 FLOAT equal".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check soundfile==0.14.0 numpy==2.4.6 2> /dev/null
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import io
import time

import numpy as np
import soundfile

samples = np.sin(np.arange(400) / 7) / 2
kinds = [("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "DOUBLE"), ("RF64", "FLOAT")]


def written(kind, subtype):
    file = io.BytesIO()
    soundfile.write(file, samples, 8000, format=kind, subtype=subtype)
    return file.getvalue()


first = [written(*one) for one in kinds]
time.sleep(1.2)
said = []
for (kind, subtype), one in zip(kinds, first):
    other = written(kind, subtype)
    name = subtype if kind == "WAV" else f"{kind} {subtype}"
    places = {i - one.find(b"PEAK") for i in range(len(one)) if one[i] != other[i]}
    inside = places and min(places) >= 12 and max(places) < 16
    said.append(f"{name} " + ("equal" if not places else "differs in PEAK + 12" if inside else "differs elsewhere"))
print(", ".join(said))
wanted = ["PCM_16 equal", "PCM_24 equal", "FLOAT differs in PEAK + 12", "DOUBLE differs in PEAK + 12", "RF64 FLOAT equal"]
raise SystemExit(said != wanted)
PYTHON
