"""The widget of the metric: paste answers, read how much of the protection is left.

`evaluate.utils.launch_gradio_widget` does not run with Gradio 4 and later, so this page is our own.
"""

from pathlib import Path

import evaluate
import gradio as gr

COLUMNS = ["references", "predictions", "clean_predictions", "dropped_predictions"]
EXAMPLE = [[i % 4, (i * i) % 3, i % 4, 0] for i in range(40)]
MODULE = evaluate.load(str(Path(__file__).with_name("unlearnability.py")))


def compute(rows: list[list[str]]) -> dict:
    """The measures of a table of answers.

    Args:
        rows: A row per test row: class indices in the order of `COLUMNS`.

    Raises:
        gr.Error: A cell is no class index, or the answers tell nothing; the message says which and why.
    """
    filled = [row for row in rows if any(str(cell).strip() for cell in row)]
    try:
        table = [[int(cell) for cell in row] for row in filled]
        return MODULE.compute(**{name: [row[i] for row in table] for i, name in enumerate(COLUMNS)})
    except ValueError as error:
        raise gr.Error(f"Not computed: {error}") from None


def page() -> gr.Blocks:
    """The page: a table of answers, a button and what was found."""
    with gr.Blocks(title="Unlearnability") as blocks:
        gr.Markdown(
            "# How much protection is left\n\nPaste one row per clean test row: its true class, and the classes that "
            "three models answered. They were trained on the protected rows, on the clean rows, and without the "
            "protected rows. **1** means that the protected rows taught nothing, **0** that they taught all."
        )
        rows = gr.Dataframe(EXAMPLE, headers=COLUMNS, type="array", column_count=4, max_height=320, label="Answers")
        button = gr.Button("Compute", variant="primary")
        found = gr.JSON(label="Measures")
        button.click(compute, rows, found, api_name="compute")
        gr.Markdown('In Python, `evaluate.load("OWNER/unlearnability")` takes the answers after countermeasures too.')
    return blocks


if __name__ == "__main__":
    page().launch()
