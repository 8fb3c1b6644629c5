"""Data flows one way, imports are light, and no test holds an assertion that cannot fail."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "hullscout"

# Room -> rooms that it may import from. Inside a room everything goes.
ALLOWED = {
    "errors": set(),
    "settings": set(),
    "display": set(),
    "files": {"errors"},
    "hull": {"errors", "display", "files"},
    "neighbors": set(),
    "mbtr": {"errors", "display", "files", "settings", "neighbors"},
    "regression": {"errors", "display", "files"},
    "pool": {"errors", "display", "files", "neighbors"},
    "oracle": {"errors", "display", "files", "settings", "neighbors", "pool"},
    "selection": {"errors", "display", "files", "settings", "hull", "regression"},
    "campaign": {
        "errors",
        "display",
        "files",
        "settings",
        "hull",
        "mbtr",
        "regression",
        "pool",
        "oracle",
        "selection",
        "figures",
    },
    "planning": {
        "errors",
        "display",
        "files",
        "settings",
        "hull",
        "mbtr",
        "regression",
        "pool",
        "oracle",
        "selection",
        "campaign",
    },
    "figures": {
        "errors",
        "display",
        "files",
        "hull",
        "mbtr",
        "regression",
        "pool",
        "selection",
        "campaign",
        "planning",
    },
    "terminal": {"errors", "display", "files", "campaign", "inspection", "planning", "pool"},
    "inspection": {"errors", "display", "files", "neighbors", "mbtr", "regression", "pool", "oracle"},
    "cli": {
        "errors",
        "display",
        "files",
        "campaign",
        "figures",
        "inspection",
        "planning",
        "pool",
        "terminal",
    },
}
HEAVY = ("ase", "jinja2", "matplotlib", "numba", "numpy", "plotly", "pydantic", "pymatgen", "rich", "scipy", "sklearn")


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [
                f"{node.module}.{alias.name}" if node.module == "hullscout" else node.module for alias in node.names
            ]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        rooms.update(name.split(".")[1] for name in names if name.startswith("hullscout."))
    return rooms - {"__version__"}


def test_every_room_is_on_the_map():
    assert {room_of(path) for path in PACKAGE.rglob("*.py")} - {"__init__", "__main__"} == set(ALLOWED)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_point_one_way(path):
    room = room_of(path)
    if room not in {"__init__", "__main__"}:
        assert imported_rooms(path) - {room} <= ALLOWED[room]


@pytest.mark.parametrize("module", ["hullscout", "hullscout.cli"])
def test_importing_the_face_loads_nothing_heavy(module):
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def assertions_that_cannot_fail(source: str) -> list[int]:
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assert):
            always_true = isinstance(node.test, ast.GeneratorExp | ast.ListComp | ast.IfExp | ast.JoinedStr)
            always_true |= isinstance(node.test, ast.List | ast.Tuple | ast.Dict | ast.Set | ast.Constant)
            lines.extend([node.lineno] * always_true)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Compare):
            lines.append(node.lineno)
    return lines


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: path.name)
def test_assertions_can_fail(path):
    assert assertions_that_cannot_fail(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "assert (x for x in y)",
        "assert [x for x in y]",
        "assert [1]",
        "assert a if b else c",
        "assert (a, 'b')",
        "a == b",
    ],
)
def test_the_check_of_assertions_finds_them(line):
    assert assertions_that_cannot_fail(line) == [1]
