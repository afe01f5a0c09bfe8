#!/usr/bin/env bash
# trafilatura 2.3.1, jusText 3.0.2, lxml 6.1.3, Python 3.11, Linux. Text extraction from HTML, installed by the pip that
# came with Python 3.11.7 (23.2.1), and by pip 25.3.
#
# Expected: both install all that "import trafilatura" needs.
# Happens: jusText asks for the extra "html_clean" of lxml, which lxml 6.1 spells "html-clean". The older pip takes them
# for two names, warns, and leaves lxml_html_clean out; the import then fails. The newer one takes them for the same.
# Seen: "pip 23.2.1: ImportError: lxml.html.clean module is now a separate project" and "pip 25.3: imported".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
for version in 23.2.1 25.3; do
    python3 -m venv "$version"
    "$version/bin/python" -m pip install --quiet --disable-pip-version-check "pip==$version" 2> /dev/null
    "$version/bin/python" -m pip install --quiet --disable-pip-version-check \
        trafilatura==2.3.1 jusText==3.0.2 lxml==6.1.3 2> /dev/null
    "$version/bin/python" - <<'PYTHON' | sed "s/^/pip $version: /" | tee -a said
try:
    import trafilatura
    print("imported")
except ImportError as error:
    print("ImportError:", str(error).split(" lxml_html_clean")[0].rstrip("."))
PYTHON
done
grep -q "^pip 23.2.1: ImportError: lxml.html.clean" said && grep -q "^pip 25.3: imported" said
