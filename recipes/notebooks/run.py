# /// script
# dependencies = ["hf-unlearnable[attack,image]", "ipykernel", "nbclient"]
# ///
"""Runs the notebooks of this folder and stores what they print and draw.

    python recipes/notebooks/run.py

Run it after a change that their outputs show (`make notebooks`); a test compares the stored outputs with fresh ones.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def executed(path: Path, folder: Path) -> Any:
    """A notebook with the outputs of a fresh run.

    Args:
        path: The notebook.
        folder: Where it runs: its files go there.

    Returns:
        The notebook without anything that differs from run to run by itself, such as times.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell raised an error.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=1200, record_timing=False, resources={"metadata": {"path": str(folder)}}
    ).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":  # what the kernel says of its own installation stays out
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def main() -> None:
    """Runs all notebooks, each in a folder of its own, and replaces them."""
    import nbformat

    for path in sorted(FOLDER.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            notebook = executed(path, Path(folder))
        nbformat.write(notebook, path)
        print(path.name)


if __name__ == "__main__":
    main()
