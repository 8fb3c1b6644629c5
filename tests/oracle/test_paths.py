"""What settings name is found beside the campaign file, wherever calculations run; what a code writes is left alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hullscout.campaign import Setup, load_config, read_origin, run
from hullscout.errors import InvalidCampaignError, OracleError, StoreError
from hullscout.oracle import Beside

CELLS = """1
Lattice="0 1.8 1.8 1.8 0 1.8 1.8 1.8 0" Properties=species:S:1:pos:R:3 id=cu pbc="T T T"
Cu 0 0 0
1
Lattice="0 2 2 2 0 2 2 2 0" Properties=species:S:1:pos:R:3 id=au pbc="T T T"
Au 0 0 0
2
Lattice="2.7 0 0 0 2.7 0 0 0 3.8" Properties=species:S:1:pos:R:3 id=cuau pbc="T T T"
Cu 0 0 0
Au 1.35 1.35 1.9
"""
CAMPAIGN = """
name = "beside"
elements = ["Cu", "Au"]
pool = { path = "cells.extxyz" }
oracle = { kind = "calculator", calculator = "shifted.Shifted", arguments = { shift = "shift.txt" } }
executor = { kind = "in-process" }
"""
SHIFTED = """
from pathlib import Path
from ase.calculators.emt import EMT
from shift_reader import read

class Shifted(EMT):
    def __init__(self, shift):
        super().__init__()
        self.shift = read(shift)

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results["energy"] += self.shift * len(self.atoms)
"""
READER = "from pathlib import Path\nread = lambda path: float(Path(path).read_text())\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A campaign with its own calculator and a file that this reads, both beside it; the current folder is another one."""
    place = tmp_path / "campaign"
    place.mkdir()
    files = {"cells.extxyz": CELLS, "c.toml": CAMPAIGN, "shifted.py": SHIFTED, "shift_reader.py": READER}
    for name, text in {**files, "shift.txt": "1.5"}.items():
        (place / name).write_text(text)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("shifted", "shift_reader"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield place
    for name in ("shifted", "shift_reader", "recipes"):
        sys.modules.pop(name, None)


def energies(out):
    setup = Setup.read(out)
    ledger = setup.read_ledger(out)
    return {name: ledger.energy_ev(name) for name in ledger.pool.ids}


def stop_early(_):
    raise InterruptedError


EXECUTORS = {
    "in-process": "kind=in-process",
    "processes": "kind=processes",
    "custom": "path=concurrent.futures.ThreadPoolExecutor",
    "dask": "kind=dask",
}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_module_and_the_file_it_reads_are_found_beside_the_campaign_wherever_it_is_started(
    folder, hullscout, executor
):
    settings = [
        "--set",
        f"executor.{EXECUTORS[executor]}",
        *(["--set", "executor.kind=custom"] * (executor == "custom")),
    ]
    code, text = hullscout("run", "../campaign/c.toml", "--out", "out", *settings)
    assert code == 0, text
    assert f"oracle.arguments: shift.txt is {folder / 'shift.txt'}, beside the campaign file." in text
    assert energies(Path("out"))["cu"] == pytest.approx(1.5, abs=0.1)


def test_a_campaign_goes_on_from_another_place_and_after_it_was_moved(folder, hullscout, tmp_path, monkeypatch):
    with pytest.raises(InterruptedError, match=r"^$"):
        run(Setup(read_origin(folder / "c.toml")), tmp_path / "out", on_progress=stop_early)
    monkeypatch.chdir("/")
    setup = Setup.read(tmp_path / "out")
    run(setup, tmp_path / "out")  # as in Python, from the folder of the results alone
    whole = energies(tmp_path / "out")
    assert all(value is not None for value in whole.values())
    sys.modules.pop("shifted"), sys.modules.pop("shift_reader")
    (tmp_path / "moved").mkdir()
    folder.rename(tmp_path / "moved" / "campaign")
    assert hullscout("run", tmp_path / "moved" / "campaign" / "c.toml", "--out", tmp_path / "out")[0] == 0
    assert energies(tmp_path / "out") == whole


@pytest.mark.parametrize(("change", "found"), [("2.5", "other content"), (None, "nothing in")])
def test_a_file_that_changed_between_two_energies_is_refused(folder, tmp_path, change, found):
    with pytest.raises(InterruptedError, match=r"^$"):
        run(Setup(read_origin(folder / "c.toml")), tmp_path / "out", on_progress=stop_early)
    (folder / "shift.txt").unlink() if change is None else (folder / "shift.txt").write_text(change)
    with pytest.raises(StoreError, match=rf"expected the file 'shift.txt' .* as it was .* found {found}"):
        run(Setup(read_origin(folder / "c.toml")), tmp_path / "out")
    (folder / "shift.txt").write_text("1.5")
    run(Setup(read_origin(folder / "c.toml")), tmp_path / "out")


@pytest.mark.parametrize("kind", ["made", "calculated"])
def test_a_missing_file_is_said_with_where_files_are_looked_for(folder, tmp_path, kind):
    (folder / "shift.txt").unlink()
    settings = []
    if kind == "calculated":
        (folder / "shifted.py").write_text(
            SHIFTED.replace("= read(shift)", "= 0.0").replace("self.shift *", "read('no') *")
        )
        settings = ["stop.max_calculations=2", "executor.retries=0"]
    with pytest.raises(
        OracleError, match=r"(?s)No such file or directory: .*runs in a folder of its own: .*beside the camp"
    ):
        run(Setup(read_origin(folder / "c.toml", settings)), tmp_path / "out")


def test_files_are_found_in_lists_tables_and_commands_and_nothing_else_is_touched(tmp_path):
    for name in ("CuAu.eam", "Cu", "gpaw.txt", "PBE", "run log.eam"):
        (tmp_path / name).write_text(name)
    for name in ("pseudos", "LDA", "vasp"):
        (tmp_path / name).mkdir()
    given = {
        "potential": "CuAu.eam",
        "files": ["./CuAu.eam", ("CuAu.eam", 3)],
        "nested": {"pseudo_dir": "pseudos", "deep": {"model_path": "../" + tmp_path.name + "/CuAu.eam"}},
        "lmpcmds": ["pair_style eam/alloy", "pair_coeff * * CuAu.eam Cu Au", "read file=CuAu.eam,Cu"],
        "spaced": "run log.eam",
        "txt": "gpaw.txt",
        "directory": "vasp",
        "functional": "LDA",
        "elements": "Cu Au",
        "absolute": str(tmp_path / "CuAu.eam"),
        "missing": "nothing.eam",
        "number": 3,
        "empty": "",
        "long": "x" * 5000,
    }
    beside = Beside(folder=tmp_path)
    found, file = beside.found(given), str(tmp_path / "CuAu.eam")
    changed = {
        "potential": file,
        "files": [file, (file, 3)],
        "nested": {"pseudo_dir": str(tmp_path / "pseudos"), "deep": {"model_path": file}},
        "lmpcmds": ["pair_style eam/alloy", f"pair_coeff * * {file} Cu Au", f"read file={file},Cu"],
        "spaced": str(tmp_path / "run log.eam"),
    }
    assert found == {**given, **changed}
    assert beside.digests().keys() == {"CuAu.eam", "./CuAu.eam", f"../{tmp_path.name}/CuAu.eam", "run log.eam"}


def test_a_file_of_the_home_folder_is_found_by_its_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "Au.upf").write_text("")
    assert Beside(folder=tmp_path / "other").found("~/Au.upf") == str(tmp_path / "Au.upf")


def test_options_of_a_cluster_are_relative_to_the_campaign_file_too(folder, tmp_path):
    (folder / "executors.py").write_text(
        "from concurrent.futures import ThreadPoolExecutor\nfrom pathlib import Path\n"
        "def pool(env):\n    assert Path(env).is_absolute() and Path(env).read_text() == '1.5'\n    return ThreadPoolExecutor(1)\n"
    )
    custom = ["executor={kind = 'custom', path = 'executors.pool', options = {env = 'shift.txt'}}"]
    assert run(Setup(read_origin(folder / "c.toml", custom)), tmp_path / "out")[0].n_calculations == 3
    sys.modules.pop("executors")


def test_features_of_ones_own_read_files_beside_the_campaign(folder):
    (folder / "mine.py").write_text(
        "import numpy as np\nfrom pathlib import Path\n"
        "class Mine:\n    def __init__(self, weights='shift.txt'):\n        self.weights = weights\n"
        "    def blocks(self, candidates):\n"
        "        return {'a': np.full((len(candidates), 1), float(Path(self.weights).read_text()))}\n"
    )
    setup = Setup(read_origin(folder / "c.toml", ["representation={kind = 'mine.Mine', weights = 'shift.txt'}"]))
    assert setup.features["a"].tolist() == [[1.5]] * 3
    assert setup.config.representation.weights == "shift.txt"
    sys.modules.pop("mine")


def test_a_module_beside_the_campaign_never_hides_one_of_pythons(folder, tmp_path):
    (folder / "shifted.py").write_text("import colorsys\n" + SHIFTED)  # which nothing has imported before
    for name in ("random.py", "queue.py", "json.py", "ase.py", "colorsys.py"):
        (folder / name).write_text("raise RuntimeError('not this one')\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    words = ["-P", "-c", "from hullscout.cli import main; main()", "run", "c.toml", "--out", str(tmp_path / "out")]
    words += ["--set", "executor.kind=processes"]
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    message = r"has no attribute 'energy'.*random.py goes before what is in .*give your module another name"
    with pytest.raises(InvalidCampaignError, match=message):
        load_config(folder / "c.toml", ["select.rule=random.energy"])


def test_two_campaigns_with_modules_of_one_name_are_not_mixed_up(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for name in ("c.toml", "cells.extxyz", "shift_reader.py", "shift.txt"):
        (other / name).write_text((folder / name).read_text())
    (other / "shifted.py").write_text(SHIFTED.replace("1 *", "2 *"))
    run(Setup(read_origin(folder / "c.toml")), tmp_path / "one")
    with pytest.raises(OracleError, match=r"'shifted' was loaded from .*campaign before, and another lies in .*other"):
        run(Setup(read_origin(other / "c.toml")), tmp_path / "two")


def test_a_folder_of_the_version_before_is_resumed(folder, tmp_path):
    import sqlite3

    run(Setup(read_origin(folder / "c.toml", ["stop.max_calculations=2"])), tmp_path / "out")
    with sqlite3.connect(tmp_path / "out" / "campaign.db") as connection:
        connection.execute("DELETE FROM campaign WHERE key IN ('folder', 'files')")
    connection.close()
    assert Setup.read(tmp_path / "out").origin.folder == ""
    result, _ = run(Setup(read_origin(folder / "c.toml", ["stop.max_calculations=2"])), tmp_path / "out")
    assert json.loads(result.to_json())["n_calculations"] == 2
    assert Path(read_origin(folder / "c.toml").folder) == folder
