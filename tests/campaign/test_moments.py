"""Magnetic moments reach the calculator, the files that are handed out and what comes back; cells go out right-handed."""

import json
import sqlite3
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write
from pool_writers import vasprun_text
from pymatgen.io.vasp import Incar, Poscar

from hullscout import Campaign
from hullscout.campaign.store import Store
from hullscout.errors import InvalidCampaignError, StoreError
from hullscout.oracle import CalculatorSettings
from hullscout.oracle.calculator import calculate
from hullscout.pool import Candidate, Frames, format_frames

CALCULATOR = """
from ase.calculators.calculator import Calculator, all_changes

class Moments(Calculator):
    \"\"\"The energy is minus the sum of all moments, of atoms in right-handed cells.\"\"\"
    implemented_properties = ["energy"]

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        assert atoms.cell.handedness == 1
        self.results["energy"] = -float(atoms.get_initial_magnetic_moments().sum())
"""
CAMPAIGN = """
name = "magnets"
elements = ["Ni", "Fe"]
pool = {{path = "pool.extxyz"}}
oracle = {{kind = "{kind}"{more}}}
"""


def cell(symbols, moments, *, hand=1):
    """An orthorhombic cell of up to four atoms, far from any symmetry, whose vectors are right- or left-handed."""
    places = np.array([[0, 0, 0], [0.5, 0.45, 0.02], [0.52, 0.03, 0.5], [0.04, 0.5, 0.47]])[: len(symbols)]
    vectors = np.array([[3.6, 0.1, 0.2], [0.3, 3.7, 0.1], [0.2, 0.4, 3.9]])
    vectors = vectors if hand == 1 else vectors[[1, 0, 2]]
    return Atoms(symbols, scaled_positions=places, cell=vectors, pbc=True, magmoms=moments)


POOL = {
    "ni": cell(["Ni"] * 4, [0.6, 0.6, 0.6, 0.6]),
    "fe": cell(["Fe"] * 4, None),
    "up": cell(["Fe", "Ni", "Fe", "Ni"], [2.25, 0.5, 2.125, 0.75], hand=-1),
    "apart": cell(["Fe", "Ni", "Fe", "Ni"], [2.25, 0.5, -2.125, -0.75], hand=-1),
}


@pytest.fixture
def magnets(tmp_path, monkeypatch):
    """Write a campaign of four magnetic cells; gives its file."""
    (tmp_path / "magnetic_energies.py").write_text(CALCULATOR)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "magnetic_energies", raising=False)  # that of the test before
    (tmp_path / "pool.extxyz").write_bytes(format_frames(Frames.of(POOL.values(), ids=list(POOL)).frames))

    def file(kind="calculator", more=', calculator = "magnetic_energies.Moments"'):
        path = tmp_path / f"{kind}.toml"
        path.write_text(CAMPAIGN.format(kind=kind, more=more))
        return path

    return file


@pytest.mark.parametrize("executor", ["in-process", "processes"])
def test_the_calculator_starts_from_the_moments_of_the_pool(magnets, tmp_path, executor):
    campaign = Campaign.create(magnets(), tmp_path / "out", settings=[f"executor.kind={executor}"])
    campaign.run(on_note=lambda _: None)
    energies = campaign.candidates()["energy_ev"].to_dict()
    assert energies == pytest.approx({"ni": -2.4, "fe": 0.0, "up": -5.625, "apart": 0.125})


def test_a_rule_gives_moments_to_what_states_none_and_to_nothing_else(magnets, tmp_path):
    file = magnets(more=', calculator = "magnetic_energies.Moments", magmoms = {Fe = 2.5, Ni = 1.0}')
    campaign = Campaign.create(file, tmp_path / "out", settings=["executor.kind=in-process"])
    campaign.run(on_note=lambda _: None)
    energies = campaign.candidates()["energy_ev"].to_dict()
    assert energies == pytest.approx({"ni": -2.4, "fe": -10.0, "up": -5.625, "apart": 0.125})
    assert campaign.pool["fe"].magmoms.tolist() == [2.5] * 4
    bare = Candidate.from_ase(cell(["Fe", "Ni"], None), "bare")
    outcome = calculate(bare, CalculatorSettings(calculator="magnetic_energies.Moments", magmoms={"Fe": 2.5}))
    assert outcome.energy_ev == -2.5


@pytest.mark.parametrize(
    ("magmoms", "fault"),
    [
        ("{Co = 1.7}", r"oracle\.magmoms: expected moments of Ni and Fe, found one of 'Co'"),
        ("{Fe = nan}", r"oracle\.magmoms\.Fe: expected a finite number, found nan"),
        ("{Fe = 222}", r"oracle\.magmoms: expected moments of at most 100 Bohr magnetons; found {'Fe': 222"),
        ("{Fe = 'up'}", r"oracle\.magmoms\.Fe: expected a valid number, found 'up'"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(magnets, tmp_path, magmoms, fault):
    file = magnets(more=f', calculator = "emt", magmoms = {magmoms}')
    with pytest.raises(InvalidCampaignError, match=fault):
        Campaign.create(file, tmp_path / "out")


def test_orderings_are_said_to_be_alike_to_the_model(hullscout, magnets, tmp_path):
    text = hullscout("run", magnets(), "--out", tmp_path / "out", "--set", "executor.kind=in-process")[1]
    assert "3 of 4 structures state magnetic moments; the other 1 state none" in text
    assert "1 crystal occurs in several magnetic orderings" in text
    by_hand = hullscout("run", magnets("handoff", ""), "--out", tmp_path / "hand")[1]
    assert "3 of 4 structures state magnetic moments" in by_hand


def handed_out(hullscout, magnets, tmp_path):
    assert hullscout("run", magnets("handoff", ""), "--out", tmp_path / "out")[0] == 0
    assert hullscout("ask", tmp_path / "out", "-n", 4, "--to", tmp_path / "box")[0] == 0
    return tmp_path / "box"


def test_files_that_are_handed_out_hold_the_moments_atom_by_atom(hullscout, magnets, tmp_path):
    box = handed_out(hullscout, magnets, tmp_path)
    for name in ("up", "apart"):
        start, folder = POOL[name], box / name
        extxyz, poscar = read(folder / "structure.extxyz"), Poscar.from_file(folder / "POSCAR").structure
        assert extxyz.get_initial_magnetic_moments().tolist() == start.get_initial_magnetic_moments().tolist()
        incar = Incar.from_file(folder / "INCAR.magmom")
        assert incar["ISPIN"] == 2
        assert list(poscar.composition.get_el_amt_dict()) == ["Fe", "Ni"]
        for site, moment in zip(poscar, incar["MAGMOM"], strict=True):
            (atom,) = np.flatnonzero(np.abs(start.positions - site.coords).max(axis=1) < 1e-9)
            assert (start.symbols[atom], start.get_initial_magnetic_moments()[atom]) == (site.specie.symbol, moment)
        manifest = json.loads((folder / "manifest.json").read_text())
        assert "INCAR.magmom in the order of POSCAR; structure.cif holds none" in manifest["magnetic_moments"]
    assert not (box / "fe" / "INCAR.magmom").exists()
    assert "magnetic_moments" not in json.loads((box / "fe" / "manifest.json").read_text())


def test_what_is_handed_out_is_right_handed_with_every_distance_as_it_was(hullscout, magnets, tmp_path):
    box = handed_out(hullscout, magnets, tmp_path)
    start = POOL["up"]
    order = np.argsort(start.symbols, kind="stable")
    for file, atoms in (("POSCAR", start[order]), ("structure.cif", start), ("structure.extxyz", start)):
        written = read(box / "up" / file)
        assert (file, written.cell.handedness) == (file, 1)
        np.testing.assert_allclose(
            written.get_all_distances(mic=True), atoms.get_all_distances(mic=True), atol=1e-6, err_msg=file
        )
    again = hullscout("ask", tmp_path / "out", "--again", "-n", 4, "--to", tmp_path / "box")
    assert (again[0], read(box / "up" / "POSCAR").cell.handedness) == (0, 1)


def relaxed_from(folder):
    """What a code makes of a POSCAR: a cell 2 % longer, atoms in its order."""
    atoms = read(folder / "POSCAR")
    atoms.set_cell(atoms.cell * 1.02, scale_atoms=True)
    return atoms


@pytest.mark.parametrize("kind", ["vasprun", "extxyz", "same"])
def test_the_result_of_a_left_handed_structure_is_known_and_its_moments_stay_with_their_atoms(
    hullscout, magnets, tmp_path, kind
):
    box = handed_out(hullscout, magnets, tmp_path)
    atoms = relaxed_from(box / "up") if kind != "same" else read(box / "up" / "POSCAR")
    if kind == "extxyz":
        atoms.info["energy"] = -12.5
        write(box / "up" / "result.extxyz", atoms[[3, 1, 0, 2]])
    else:
        frame = Frames.of([Candidate.from_ase(atoms, "up")]).frames[0]
        object.__setattr__(frame, "energy_ev", -12.5)
        (box / "up" / "vasprun.xml").write_text(vasprun_text(frame))
    code, text = hullscout("tell", tmp_path / "out", box / "up")
    assert (code, "1 new energy, 0 new failures" in text) == (0, True)
    with Store.read(tmp_path / "out") as store:
        relaxed = store.relaxed().get("up")
        assert store.answers() == {"up": -12.5}
    if kind == "same":
        assert relaxed is None
        return
    start = POOL["up"]
    assert relaxed.volume_a3_per_atom == pytest.approx(start.get_volume() / 4 * 1.02**3, rel=1e-6)
    for place in range(4):
        moved = np.linalg.norm(relaxed.positions[place] / 1.02 - start.positions, axis=1)
        atom = int(np.argmin(moved))
        assert moved[atom] < 1e-6
        assert relaxed.magmoms[place] == start.get_initial_magnetic_moments()[atom]


def forget_moments(folder):
    """Make a campaign look as one of a version that read no moments."""
    with sqlite3.connect(folder / "campaign.db") as database:
        database.execute("DELETE FROM campaign WHERE key = 'has_moments'")


def test_a_campaign_that_left_moments_out_is_read_and_not_gone_on_with(hullscout, magnets, tmp_path):
    out = tmp_path / "out"
    box = handed_out(hullscout, magnets, tmp_path)
    forget_moments(out)
    code, text = hullscout("ask", out, "--to", box)
    assert (code, "left out the magnetic moments of its pool" in text) == (2, True)
    assert hullscout("status", out)[0] == 0
    with pytest.raises(StoreError, match="Choose another --out to calculate with them"):
        Campaign(out).ask()


def test_an_old_campaign_without_moments_goes_on_as_ever(hullscout, live_file, tmp_path):
    out, settings = tmp_path / "out", ("--set", "stop.max_calculations=3")
    assert hullscout("run", live_file, "--out", out, *settings)[0] == 0
    forget_moments(out)
    assert hullscout("run", live_file, "--out", out, *settings)[0] == 0
