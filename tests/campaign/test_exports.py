"""What is exported is read back by the libraries that it is for, with the campaign's numbers."""

import csv

import numpy as np
import pytest
from click.testing import CliRunner

from hullscout.campaign import Beliefs, Setup, read_history, read_origin, run
from hullscout.campaign.candidate_rows import candidate_rows
from hullscout.campaign.exports import ExportFormat, computed_entries, export
from hullscout.cli import main
from hullscout.cli.results import EXPORTS
from hullscout.errors import OutputError
from hullscout.figures import save_result
from hullscout.hull import phase_diagram_of
from hullscout.pool import WithoutEnergy, build_pool
from hullscout.pool.formats import read_pool


@pytest.fixture(scope="module")
def folder(tmp_path_factory, small_pool):
    """The small campaign, stopped after 24 calculations."""
    home = tmp_path_factory.mktemp("exported")
    (home / "pool.extxyz").write_text(small_pool)
    (home / "small.toml").write_text(
        'name = "small"\nelements = ["Ag", "Pd"]\npool = {path = "pool.extxyz"}\n'
        "stop = {max_calculations = 24, failure_probability = 0.001}\n"
    )
    save_result(home / "run", *run(Setup(read_origin(home / "small.toml")), home / "run"))
    return home / "run"


@pytest.fixture(scope="module")
def history(folder):
    return read_history(folder)


def test_the_command_line_knows_every_format():
    assert set(ExportFormat) == set(EXPORTS)


def test_pymatgen_finds_the_same_hull_in_the_entries(folder, history, tmp_path):
    from monty.serialization import loadfn

    assert export(folder, tmp_path / "entries.json", ExportFormat.ENTRIES) == 24
    entries = loadfn(tmp_path / "entries.json")
    diagram = phase_diagram_of(entries)
    stable = sorted(diagram.stable_entries, key=lambda entry: entry.data["x"])
    assert [entry.entry_id for entry in stable] == [vertex.id for vertex in history.result.hull]
    for entry in entries:
        assert entry.data["hull_distance_ev_per_atom"] == pytest.approx(diagram.get_e_above_hull(entry), abs=1e-9)
        assert entry.data["formation_energy_ev_per_atom"] == pytest.approx(
            diagram.get_form_energy_per_atom(entry), abs=1e-9
        )
        assert entry.data["status"] == "calculated"
        assert 0 <= entry.data["probability_on_hull"] <= 1
    in_python = phase_diagram_of(computed_entries(history.now))
    assert {entry.entry_id for entry in in_python.stable_entries} == {entry.entry_id for entry in stable}


def test_ase_reads_every_candidate_with_its_energy(folder, history, tmp_path):
    from ase.db import connect

    assert export(folder, tmp_path / "candidates.db", ExportFormat.ASE) == 57
    rows = list(connect(str(tmp_path / "candidates.db")).select())
    assert [row.name for row in rows] == list(history.pool.ids)
    expected = {row.id: row for row in candidate_rows(history.now)}
    for row, candidate in zip(rows, history.pool.candidates, strict=True):
        atoms = row.toatoms()
        np.testing.assert_array_equal(atoms.positions, candidate.positions)
        np.testing.assert_array_equal(atoms.cell.array, candidate.cell)
        assert row.get("energy") == expected[row.name].energy_ev
        assert row.status == expected[row.name].status
    assert sum(row.on_hull for row in rows) == len(history.result.hull)


@pytest.mark.parametrize("name", ["entries.json", "candidates.db"])
def test_entries_and_databases_are_pools_again(folder, history, tmp_path, name):
    chosen = next(each for each in ExportFormat if each.default_name == name)
    export(folder, tmp_path / name, chosen)
    frames = read_pool(tmp_path / name)
    pool = build_pool(frames, ("Ag", "Pd"), without_energy=WithoutEnergy.LEAVE_OUT)
    known = {history.pool.ids[i] for i in history.now.answered}
    assert set(pool.ids) == known
    energies = {frame.id: frame.energy_ev for frame in frames.frames}
    for row in candidate_rows(history.now):
        assert energies.get(row.id) == (None if row.energy_ev is None else pytest.approx(row.energy_ev, rel=1e-12))


def test_predictions_leave_out_the_energy_of_the_candidate_itself(history):
    belief = Beliefs(history.setup).at(history.now)
    rows = candidate_rows(history.now, belief=belief)
    known = history.now.answered.tolist()
    predicted = np.array([row.predicted_formation_energy_ev_per_atom for row in rows])
    std = np.array([row.predicted_std_ev_per_atom for row in rows])
    np.testing.assert_array_equal(predicted[known], belief.left_out_mean_ev_per_atom)
    np.testing.assert_array_equal(std[known], belief.left_out_std_ev_per_atom)
    others = history.now.unknown
    np.testing.assert_array_equal(predicted[others], belief.mean_ev_per_atom[others])


def test_the_table_holds_every_candidate(folder, history, tmp_path):
    assert export(folder, tmp_path / "candidates.csv", ExportFormat.CSV) == 57
    with (tmp_path / "candidates.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["id"] for row in rows] == list(history.pool.ids)
    assert sum(row["status"] == "calculated" for row in rows) == 24
    hull = [row for row in rows if row["on_hull"] == "1"]
    assert {row["id"] for row in hull} == {vertex.id for vertex in history.result.hull}
    assert all(float(row["hull_distance_ev_per_atom"]) == pytest.approx(0, abs=1e-9) for row in hull)
    unknown = [row for row in rows if row["status"] == "unknown"]
    assert all(row["energy_ev"] == row["round"] == "" for row in unknown)
    assert all(float(row["predicted_std_ev_per_atom"]) > 0 for row in unknown)


@pytest.mark.parametrize("chosen", [ExportFormat.CIF, ExportFormat.POSCAR])
def test_structures_of_the_hull_are_the_same_crystals(folder, history, tmp_path, chosen):
    from pymatgen.analysis.structure_matcher import StructureMatcher
    from pymatgen.core import Structure

    vertices = history.now.hull.indices.tolist()
    assert export(folder, tmp_path / "hull", chosen) == len(vertices)
    files = sorted((tmp_path / "hull").iterdir())
    assert len(files) == len(vertices)
    for file, index in zip(files, vertices, strict=True):
        text = file.read_text()
        assert history.pool.ids[index] in text.splitlines()[0]
        read = Structure.from_str(text, fmt=chosen.value)
        assert StructureMatcher(scale=False, primitive_cell=False).fit(
            read, history.pool.candidates[index].to_pymatgen()
        )


def test_nothing_is_replaced_unless_asked_for(folder, tmp_path):
    (tmp_path / "a.csv").write_text("mine")
    with pytest.raises(OutputError, match="is there already and was not changed"):
        export(folder, tmp_path / "a.csv", ExportFormat.CSV)
    assert (tmp_path / "a.csv").read_text() == "mine"
    assert export(folder, tmp_path / "a.csv", ExportFormat.CSV, replace=True) == 57
    export(folder, tmp_path / "hull", ExportFormat.CIF)
    assert export(folder, tmp_path / "hull", ExportFormat.CIF, replace=True) > 2


def test_a_folder_with_other_files_is_never_replaced(folder, tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.tex").write_text("mine")
    for chosen, what in ((ExportFormat.CIF, "a folder of .cif files only"), (ExportFormat.CSV, "a file")):
        with pytest.raises(OutputError, match=f"expected {what} to replace, found another folder"):
            export(folder, tmp_path / "work", chosen, replace=True)
    assert (tmp_path / "work" / "thesis.tex").read_text() == "mine"


def test_the_command_writes_into_the_folder_and_refuses_in_words(folder, tmp_path):
    done = CliRunner().invoke(main, ["export", str(folder), "--format", "cif"])
    assert done.output == f"Wrote {len(list((folder / 'cif').iterdir()))} structures to {folder / 'cif'}\n"
    missing = CliRunner().invoke(
        main, ["export", str(tmp_path / "none"), "--format", "csv", "-o", str(tmp_path / "a.csv")]
    )
    assert missing.exit_code == 2
    assert "There is no campaign in" in missing.output
    missing = CliRunner().invoke(main, ["export", str(tmp_path / "none"), "--format", "csv"])
    assert (missing.exit_code, f"There is no campaign in {tmp_path / 'none'}" in missing.output) == (2, True)
