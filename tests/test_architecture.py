"""Data flows one way, nothing goes round in circles, imports are light, and every room says what it offers."""

import ast
import importlib
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import hullscout

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "hullscout"
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 400

# Room -> rooms that it may import from. Inside a room everything goes that is no circle.
BASE = {"citations", "contents", "display", "errors", "files", "settings", "writing"}
ALLOWED = {
    "citations": set(),
    "compiling": set(),
    "contents": {"errors"},
    "display": set(),
    "ending": set(),
    "errors": set(),
    "lattice": {"compiling", "errors"},
    "neighbor_kernels": {"compiling"},
    "neighbors": {"errors", "lattice", "neighbor_kernels"},
    "files": {"contents", "errors"},
    "settings": {"errors"},
    "writing": {"errors"},
    "hull": {"errors", "hull_kernels"},
    "hull_kernels": {"compiling"},
    "mbtr": {"compiling", "errors", "lattice", "neighbors"},
    "regression": {"compiling", "display", "errors"},
    "pool": {
        "contents",
        "display",
        "errors",
        "files",
        "lattice",
        "neighbors",
        "regression",
        "representation",
        "writing",
    },
    "representation": {"citations", "display", "errors", "lattice", "mbtr", "neighbors", "settings"},
    "oracle": {
        "contents",
        "display",
        "ending",
        "errors",
        "files",
        "lattice",
        "neighbors",
        "pool",
        "settings",
        "writing",
    },
    "selection": {
        "compiling",
        "citations",
        "display",
        "errors",
        "hull",
        "hull_kernels",
        "pool",
        "regression",
        "settings",
    },
    "campaign": BASE | {"hull", "oracle", "pool", "regression", "representation", "selection"},
    "planning": BASE | {"campaign", "hull", "oracle", "pool", "regression", "representation", "selection"},
    "figures": BASE
    | {"campaign", "hull", "lattice", "neighbors", "planning", "pool", "regression", "representation", "selection"},
    "api": BASE | {"campaign", "figures", "hull", "oracle", "planning", "pool", "representation", "selection"},
    "examples": {"errors", "writing"},
    "known_pool": BASE | {"campaign", "figures", "hull", "oracle", "pool", "selection"},
    "warming": {"campaign", "mbtr", "neighbor_kernels", "neighbors", "regression", "selection"},
    "cli": BASE
    | {"campaign", "ending", "examples", "figures", "known_pool", "oracle", "planning", "pool", "selection", "warming"},
}
# What a room loads of the others when it is used by itself.
ALONE = {
    "hull": {"errors"},
    "mbtr": {"compiling", "errors", "lattice", "neighbor_kernels", "neighbors"},
    "regression": {"compiling", "display", "errors"},
    "selection": {"compiling", "citations", "display", "errors", "hull", "regression", "settings"},
}
HEAVY = ("ase", "jinja2", "matplotlib", "numba", "numpy", "plotly", "pydantic", "pymatgen", "rich", "scipy", "sklearn")


def module_of(path):
    parts = ["hullscout", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def room_of(module):
    return module.split(".")[1] if "." in module else "hullscout"


def imported_modules(path, known=MODULES):
    """Modules of the package that a file imports anywhere: at its top, in functions, and for types only."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            names.update(whole if whole in known else node.module for whole in inside.values())
    return {name for name in names if name in known}


def circles(graph):
    """Sets of nodes that reach each other."""

    def reached(start):
        seen, todo = set(), [start]
        while todo:
            new = graph[todo.pop()] - seen
            seen |= new
            todo.extend(new)
        return seen

    within = {node: reached(node) for node in graph}
    return {frozenset(n for n in within[node] if node in within[n]) for node in graph if node in within[node]}


def test_every_room_is_on_the_map():
    assert {room_of(module) for module in MODULES} - {"hullscout", "__main__"} == set(ALLOWED)


def test_the_map_itself_points_one_way():
    order = list(TopologicalSorter(ALLOWED).static_order())
    assert order.index("campaign") < order.index("figures") < order.index("cli")
    assert "figures" not in ALLOWED["campaign"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_point_one_way(path):
    room = room_of(module_of(path))
    rooms = {room_of(module) for module in imported_modules(path)} - {room, "hullscout"}
    if room not in {"hullscout", "__main__"}:
        assert rooms <= ALLOWED[room]


def test_no_modules_import_each_other_in_a_circle():
    graph = {module: imported_modules(path) - {module} for module, path in MODULES.items()}
    assert sum(map(len, graph.values())) > 300
    assert [sorted(circle) for circle in circles(graph)] == []


def test_a_circle_is_found_wherever_the_import_stands(tmp_path):
    lines = {
        "p.a": "def f():\n    from p.b import g",
        "p.b": "if TYPE_CHECKING:\n    import p.c",
        "p.c": "from p import a, d",
        "p.d": "import os",
    }
    for name, text in lines.items():
        (tmp_path / name).write_text(text)
    graph = {name: imported_modules(tmp_path / name, lines) for name in lines}
    assert circles(graph) == {frozenset({"p.a", "p.b", "p.c"})}


@pytest.mark.parametrize("room", sorted(ALONE))
def test_a_service_loads_no_other_room(room):
    code = f"import sys, hullscout.{room}; print([name for name in sys.modules if name.startswith('hullscout.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {room_of(module) for module in ast.literal_eval(done.stdout)} - {room} <= ALONE[room]


@pytest.mark.parametrize("module", ["hullscout", "hullscout.cli"])
def test_importing_the_face_loads_nothing_heavy(module):
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_campaign_is_opened_without_what_only_a_fit_needs():
    """What looks at a folder waits for all that is imported: see `status`."""
    slow = ("ase", "matplotlib", "numba", "pandas", "scipy.linalg", "scipy.spatial", "scipy.special", "sklearn")
    code = f"import sys, hullscout.campaign, hullscout.cli; print([name for name in {slow!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_face_shows_what_it_offers_and_nothing_else():
    assert dir(hullscout) == sorted(hullscout.__all__)
    for name in hullscout.__all__:
        assert getattr(hullscout, name).__class__ is not type(ast), f"{name} is a module"
    with pytest.raises(AttributeError, match="has no attribute 'Campaigns'"):
        _ = hullscout.Campaigns


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("__init__.py")), ids=lambda path: path.parent.name)
def test_a_room_says_what_it_is_and_offers(path):
    room = importlib.import_module(module_of(path))
    assert len(room.__doc__) > 40
    assert room.__all__
    assert len(set(room.__all__)) == len(room.__all__)
    for name in room.__all__:
        assert getattr(room, name) is not None, name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_are_short_and_name_bounds_in_one_way(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    assert re.findall(r"\b_?(?:MOST|LEAST|FEWEST)_\w*", text) == [], "bounds are named MAX_ and MIN_"
