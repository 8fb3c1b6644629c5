"""Every notebook runs from top to bottom as it is."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def test_there_are_notebooks():
    assert [path.stem for path in NOTEBOOKS] == ["plan_a_budget"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path):
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(path.parent)}})
    client.execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    printed = "".join(output.get("text", "") for cell in cells for output in cell.outputs)
    assert "--replicates 72 or more" in printed
    assert "right in" in printed
    assert sum("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs) == 2
