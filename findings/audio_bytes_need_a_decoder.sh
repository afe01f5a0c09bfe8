#!/usr/bin/env bash
# datasets 5.2.0, Python 3.11, Linux. A sound that is already the bytes of a WAV file, for a column that says it is not
# to be decoded, Audio(decode=False).
#
# Expected: the bytes are stored as they are, as Image(decode=False) stores those of a PNG file. No decoder is needed.
# Happens: Dataset.from_dict raises an ImportError that asks for torchcodec, before it looks at the value. The same rows
# as an Arrow table of the very same features work, and come back byte for byte.
# Seen: "from_dict: ImportError: To support encoding audio data, please install 'torchcodec'." and "table: 1 row, equal".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check datasets==5.2.0 pyarrow==26.0.1 2> /dev/null
cd "$folder"
HF_HOME="$folder/hf" HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'PYTHON'
import io
import wave

import pyarrow as pa
from datasets import Audio, Dataset, Features

file = io.BytesIO()
with wave.open(file, "wb") as sound:
    sound.setnchannels(1), sound.setsampwidth(2), sound.setframerate(8000), sound.writeframes(bytes(1600))
value = {"bytes": file.getvalue(), "path": None}
features = Features({"audio": Audio(decode=False)})

try:
    Dataset.from_dict({"audio": [value]}, features=features)
    said = "stored"
except ImportError as error:
    said = f"ImportError: {error}"
print("from_dict:", said)

rows = Dataset(pa.table({"audio": [value]}, schema=features.arrow_schema))
same = rows[0]["audio"]["bytes"] == value["bytes"]
print("table:", len(rows), "row,", "equal" if same else "different")
raise SystemExit(0 if "torchcodec" in said and same else 1)
PYTHON
