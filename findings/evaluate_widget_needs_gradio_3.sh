#!/usr/bin/env bash
# evaluate 0.4.6 (the newest), gradio 6.31.0, Python 3.11, Linux. The page that every metric's Space is to start.
#
# Expected: evaluate.utils.launch_gradio_widget(module) starts a page.
# Happens: it raises an AttributeError, for it takes its components from gr.inputs and gr.outputs, which Gradio 4 removed.
# Seen: "AttributeError: module 'gradio' has no attribute 'inputs'".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check evaluate==0.4.6 gradio==6.31.0 2> /dev/null
cd "$folder"
HF_HOME="$folder/hf" HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'PYTHON'
import datasets
import evaluate


class Half(evaluate.Metric):
    def _info(self):
        features = datasets.Features({"predictions": datasets.Value("int64")})
        return evaluate.MetricInfo(description="", citation="", inputs_description="", features=features)

    def _compute(self, predictions):
        return {"half": sum(predictions) / 2}


module = Half()
assert module.compute(predictions=[1, 3]) == {"half": 2.0}
try:
    evaluate.utils.launch_gradio_widget(module)
    said = "started"
except AttributeError as error:
    said = f"{type(error).__name__}: {error}"
print(said)
raise SystemExit(0 if "'inputs'" in said else 1)
PYTHON
