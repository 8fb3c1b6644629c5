"""Every notebook runs from top to bottom as it is, and shows what its text speaks of."""

import ast
import base64
import importlib
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
# By notebook: how many figures it draws, and what it prints (regular expressions).
SHOWS = {
    "live_campaign": (
        5,
        [
            r"fcc-A3B2-0007 \(Cu3Au2\): It relaxed into another structure",
            r"[1-9]\d* of \d+ s went into calculations",
            "1[0-9] calculations, same hull",
            r"AlLi +B32 +-181\.4 meV/atom",
            r"same hull: True\nhull error 0\.00 meV/atom",
        ],
    ),
    "plan_a_budget": (
        2,
        [
            "--replicates 72 or more",
            r"core-hours, fitted on 14 times \(exponent",
            "right in",
            r"Cu-Au \(EMT\): \d+ of 57 calculations, 90 % interval",
        ],
    ),
    "potential_as_prior": (
        1,
        [
            r"4\d of 554 calculated, hull error 0\.00 meV/atom",
            r"The model starts from prior times 1\.\d\d \(fitted\) now",
            r"AgPt +fcc-2-000 +4\d\.\d meV/atom above, 2\d below it",
            r"Cu +11\.81 A3/atom as given, 11\.56 as handed out",
            "Relaxed into another structure that is no candidate, .*: fcc-A2B2-0003, fcc-A3B2-0007",
        ],
    ),
    "replay_ag_pd": (
        6,
        [
            r"last seen wrong by more than 1 meV/atom after \d+ calculations",
            "stopped after [5-9][0-9] of 625",
            "wrong by more than 1 meV/atom is .* below the accepted 5 %",
        ],
    ),
    "replay_cu_ag_au": (
        3,
        [
            r"stopped after 1\d\d of 1079",
            r"hull found: 0\.\d\d meV/atom above the true one",
            r"fractions of Au Cu\n( +\w+ \d\.\d{3}\n){3}",
        ],
    ),
    "representation": (
        4,
        [
            r"turned +largest relative change [0-9]e-1[3-6]",
            r"pairs +perfect crystal, atom moved +slope 2\.00",
            r"angles +perfect crystal, atom moved +slope 2\.00",
            r"pairs +distorted crystal, atom moved +slope 1\.0",
            r"angles +distorted crystal, atom moved +slope 1\.0",
            r"distorted +21 of 24",
            r"perfect +0 of 24",
            r"PCA: [12][0-9] of 516",
        ],
    ),
}


def test_each_notebook_is_checked():
    assert [path.stem for path in NOTEBOOKS] == sorted(SHOWS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_imports_what_a_room_offers_and_nothing_from_inside_it(path):
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    imported = [node for node in ast.walk(ast.parse("\n".join(cells))) if isinstance(node, ast.Import | ast.ImportFrom)]
    ours = [node for node in imported if ast.unparse(node).split()[1].split(".")[0] == "hullscout"]
    assert ours
    for node in ours:
        assert isinstance(node, ast.ImportFrom)
        assert node.module.count(".") <= 1, node.module
        assert {alias.name for alias in node.names} <= set(importlib.import_module(node.module).__all__)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, monkeypatch):
    monkeypatch.delenv("MPLBACKEND", raising=False)  # or a notebook's kernel would not show its figures
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(path.parent)}})
    client.execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    outputs = [output for cell in cells for output in cell.outputs]
    printed = "".join(output.get("text", "") for output in outputs)
    n_figures, texts = SHOWS[path.stem]
    for text in texts:
        assert re.search(text, printed), text
    assert sum("image/png" in output.get("data", {}) for output in outputs) == n_figures


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs_are_whole_small_and_name_no_folder_of_this_machine(path):
    notebook = nbformat.read(path, as_version=4)
    assert path.stat().st_size < 300_000
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        assert cell.execution_count
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr"
            shown = {kind: value for kind, value in output.get("data", {}).items() if kind != "image/png"}
            for text in (output.get("text", ""), *map(str, shown.values())):
                assert not re.search(r"(^|[\s'\"(])/(tmp|home|root|Users)/", text), text
            if "image/png" in output.get("data", {}):
                assert base64.b64decode(output["data"]["image/png"]).startswith(b"\x89PNG")
