"""Exports say of which settings energies are, write cells as asked, and name compositions in the order of the elements."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from click.testing import CliRunner
from pymatgen.analysis.phase_diagram import PDPlotter
from pymatgen.core import Structure

import hullscout
from hullscout.campaign.exports import ExportFormat, export
from hullscout.campaign.structure_text import Cells
from hullscout.cli import main
from hullscout.errors import OutputError
from hullscout.pool import Candidate, read_pool

FCC = 2.02 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
CUBE = 4.04 * np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
STATED = {"functional": "PBE", "encut": 520, "potential_Al": "Al 04Jan2001", "potential_Li": "Li_sv 10Sep2004"}


@pytest.fixture
def folder(tmp_path):
    """A replay of Al-Li: the elements, AlLi3 in a doubled cell a little off its sites, and AlLi."""
    frames = [Atoms("Al", cell=FCC, pbc=True), Atoms("Li", cell=FCC, pbc=True)]
    cube = Atoms("AlLi3", CUBE, cell=np.eye(3) * 4.04, pbc=True).repeat((1, 1, 2))
    cube.positions += np.random.default_rng(0).uniform(-1e-3, 1e-3, cube.positions.shape)
    layered = Atoms("Al2Li2", CUBE, cell=np.eye(3) * 4.04, pbc=True)
    for atoms, energy, name in zip([*frames, cube, layered], [-3.7, -1.9, -20.2, -11.9], "abcd", strict=True):
        atoms.calc = SinglePointCalculator(atoms, energy=energy)
        atoms.info |= {"id": name, **STATED}
    write(tmp_path / "pool.extxyz", [*frames, cube, layered])
    (tmp_path / "alli.toml").write_text(
        'name = "alli"\nelements = ["Al", "Li"]\npool = {path = "pool.extxyz"}\nselect = {rule = "random"}\n'
    )
    hullscout.Campaign.create(tmp_path / "alli.toml", tmp_path / "run").run()
    return tmp_path / "run"


def test_formulas_are_in_the_order_of_the_elements_everywhere(folder, tmp_path):
    campaign = hullscout.Campaign(folder)
    assert campaign.pool.formulas == ("Al", "Li", "AlLi3", "AlLi")
    assert [vertex.formula for vertex in campaign.result.hull] == ["Al", "AlLi", "AlLi3", "Li"]
    assert set(campaign.candidates().formula) == {"Al", "Li", "AlLi3", "AlLi"}
    assert [element.symbol for element in campaign.phase_diagram().elements] == ["Al", "Li"]
    assert [entry.name for entry in campaign.entries()] == ["Al", "Li", "AlLi3", "AlLi"]
    hull = hullscout.Pool.read(tmp_path / "pool.extxyz", ("Al", "Li")).hull()
    for diagram in (campaign.phase_diagram(), hull.phase_diagram()):
        assert {entry.name for entry in diagram.stable_entries} == {"Al", "Li", "AlLi3", "AlLi"}
        figure = PDPlotter(diagram, backend="matplotlib").get_plot().figure
        assert "AlLi$_{3}$" in {text.get_text() for text in figure.axes[0].texts}
        plt.close(figure)
    assert [region.formula for region in campaign.chemical_potentials().regions] == ["Al", "AlLi", "AlLi3", "Li"]
    export(folder, tmp_path / "cif", ExportFormat.CIF)
    assert [file.name for file in sorted((tmp_path / "cif").iterdir())] == [
        "00-Al-a.cif", "01-AlLi-d.cif", "02-AlLi3-c.cif", "03-Li-b.cif",
    ]  # fmt: skip
    shown = CliRunner().invoke(main, ["status", str(folder)]).output
    shown += CliRunner().invoke(main, ["hull", str(tmp_path / "pool.extxyz"), "--elements", "Al,Li"]).output
    shown += campaign._repr_html_() + campaign.write_report().read_text()
    shown = re.sub(r"data_\w+|_chemical_formula_(structural|sum) +('[^']+'|\w+)", "", shown)  # a CIF has pymatgen's
    assert "AlLi3" in shown
    assert not any(other in shown for other in ("Li3Al", "LiAl"))


def test_entries_keep_functional_cutoff_and_potentials_and_read_back_the_same(folder, tmp_path):
    entries = hullscout.Campaign(folder).entries()
    assert {key: str(value) for key, value in entries[2].parameters.items()} == {k: str(v) for k, v in STATED.items()}
    export(folder, tmp_path / "entries.json", ExportFormat.ENTRIES)
    for frame in read_pool(tmp_path / "entries.json").frames:
        assert {key: str(frame.columns[key]) for key in STATED} == {k: str(v) for k, v in STATED.items()}
    hull = hullscout.Pool.read(tmp_path / "pool.extxyz", ("Al", "Li")).hull()
    assert all(entry.parameters["functional"] == "PBE" for entry in hull.entries())
    assert [element.symbol for element in hull.phase_diagram().elements] == ["Al", "Li"]
    to = ["--export", "entries", "--to", str(tmp_path / "again.json")]
    assert CliRunner().invoke(main, ["hull", str(tmp_path / "pool.extxyz"), *to]).exit_code == 0
    assert (tmp_path / "again.json").read_text().count("Li_sv 10Sep2004") == 4


def test_computed_energies_name_their_calculator(tmp_path):
    atoms = [Atoms("Cu", cell=FCC * 0.9, pbc=True), Atoms("Au", cell=FCC, pbc=True)]
    pool = hullscout.Pool.of(atoms, ["Cu", "Au"], ids=["a", "b"])
    oracle = {"kind": "calculator", "calculator": "emt", "arguments": {"asap_cutoff": True}}
    campaign = hullscout.Campaign.of(pool, tmp_path / "run", name="emt", elements=["Cu", "Au"], oracle=oracle)
    campaign.run()
    assert [entry.parameters for entry in campaign.entries()] == [
        {"calculator": "emt", "relax": "none", "asap_cutoff": True}
    ] * 2


@pytest.mark.parametrize(("cell", "n_atoms"), [("given", 8), ("symmetrised", 4), ("primitive", 4), ("conventional", 4)])
def test_cells_are_those_that_were_asked_for(folder, tmp_path, cell, n_atoms):
    arguments = ["export", str(folder), "--format", "cif", "--cell", cell, "-o", str(tmp_path / "cif")]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    text = (tmp_path / "cif" / "02-AlLi3-c.cif").read_text()
    assert len(Structure.from_str(text, fmt="cif")) == n_atoms
    assert text.startswith("# c\n")
    assert ("Pm-3m" in text) == (cell == "symmetrised")
    face_centred = (tmp_path / "cif" / "00-Al-a.cif").read_text()
    assert len(Structure.from_str(face_centred, fmt="cif")) == {"given": 1, "primitive": 1}.get(cell, 4)
    if cell == "symmetrised":  # one atom of each kind of site
        assert sum(line.split()[:1] in (["Al"], ["Li"]) for line in text.splitlines()) == 2


def test_a_poscar_has_standard_cells_and_no_symmetry_and_energies_none_of_them(folder, tmp_path):
    assert export(folder, tmp_path / "poscar", ExportFormat.POSCAR, cells=Cells.PRIMITIVE) == 4
    assert len(Structure.from_file(tmp_path / "poscar" / "02-AlLi3-c.poscar")) == 4
    with pytest.raises(OutputError, match=r"A POSCAR states no symmetry: expected primitive or conventional"):
        export(folder, tmp_path / "other", ExportFormat.POSCAR, cells=Cells.SYMMETRISED)
    with pytest.raises(OutputError, match=r"are for cif and poscar, found primitive for entries, whose energies"):
        export(folder, tmp_path / "other.json", ExportFormat.ENTRIES, cells=Cells.PRIMITIVE)
    assert not (tmp_path / "other").exists()


def test_moments_are_of_the_given_cell_alone():
    from hullscout.campaign.structure_text import cif_text

    iron = Candidate(id="one", numbers=[26], positions=[[0, 0, 0]], cell=FCC, magmoms=[2.0])
    assert "MAGMOM = 2" in cif_text(iron)
    with pytest.raises(OutputError, match=r"'one' has magnetic moments, .* expected cells given, found primitive"):
        cif_text(iron, Cells.PRIMITIVE)
