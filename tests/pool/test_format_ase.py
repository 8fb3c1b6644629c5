"""ASE databases are read and never written; others are refused."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from pool_writers import (
    content,
    write_ase,
)

from hullscout.errors import InvalidPoolError
from hullscout.pool import (
    read_pool,
)
from hullscout.pool.checks import find_frame_faults


def test_rows_of_a_database_without_names_of_their_own_are_named_by_number(frames, tmp_path):
    unnamed = [replace(frame, id="same") for frame in frames[:3]]
    read = read_pool(write_ase(tmp_path / "a.db", unnamed))
    assert [f.id for f in read.frames] == ["row-1", "row-2", "row-3"]
    assert any("since the rows 1 and 2 are both 'same': rows are named by their number" in note for note in read.notes)


def test_keys_that_stand_with_another_value_in_the_table_of_keys_are_a_fault(frames, tmp_path):
    named = [replace(frame, columns={"level": 2.5, "source": "a"}) for frame in frames[:4]]
    path = write_ase(tmp_path / "a.db", named)
    assert not read_pool(path).faults
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE text_key_values SET value = ? WHERE key = 'name' AND id = 2", (named[2].id,))
        connection.execute("UPDATE number_key_values SET value = 2.25 WHERE key = 'level' AND id = 4")
        connection.commit()
    read = read_pool(path)
    assert [frame.id for frame in read.frames] == [named[0].id, named[2].id]
    expected = (
        f"row 2: its key 'name' is stated twice: {named[1].id!r}",
        "row 4: its key 'level' is stated twice: 2.5, and 2.25",
    )
    assert [fault[: len(text)] for fault, text in zip(read.faults, expected, strict=True)] == list(expected)


def test_databases_that_are_not_of_ase_are_refused_and_stay_as_they_are(tmp_path):
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (x INTEGER)")
        connection.commit()
    before = content(path)
    with pytest.raises(InvalidPoolError, match="found an SQLite database with the tables mine"):
        read_pool(path)
    assert content(path) == before


def test_an_empty_database_is_refused(tmp_path):
    from ase.db import connect

    for name in ("a.db", "a.json"):
        with connect(str(tmp_path / name), use_lock_file=False) as database:
            database.write(Atoms("Ag"))
        database.delete([1])
        with pytest.raises(InvalidPoolError, match="expected an ASE database with candidates, found no rows"):
            read_pool(tmp_path / name, "ase")


def database(path, rows):
    """Rows of pairs of silver: what the calculator says, and keys."""
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.db import connect

    with connect(str(path), use_lock_file=False) as written:
        for number, (results, parameters, keys, momenta) in enumerate(rows):
            atoms = Atoms("Ag2", positions=[[0, 0, 0], [2, 2, 2.1]], cell=[4, 4, 4 + 0.1 * number], pbc=True)
            atoms.calc = SinglePointCalculator(atoms, energy=-5.0, **results)
            atoms.calc.name, atoms.calc.parameters = "vasp", parameters
            if momenta:
                atoms.set_momenta([[0, 0, momenta], [0, 0, -momenta]])
            written.write(atoms, name=f"ag{number}", **keys)
    return path


@pytest.mark.parametrize(
    ("parameters", "momenta", "message"),
    [
        ({"ibrion": 0, "nsw": 100}, 0.0, "row 1: expected a static run or a relaxation, found molecular dynamics"),
        ({"icharg": 11}, 0.0, "row 1: expected a static run or a relaxation, found a run with a fixed charge density"),
        ({"ibrion": 6, "nsw": 1}, 0.0, "row 1: expected a static run or a relaxation, found vibrations"),
        ({}, 0.4, "row 1: expected a structure at rest, found one of molecular dynamics, with velocities"),
        ({"input_data": {"control": {"calculation": "vc-md"}}}, 0.0, r"molecular dynamics \(calculation = 'vc-md'\)"),
    ],
)
def test_rows_that_are_no_structure_at_rest_are_faults(parameters, momenta, message, tmp_path):
    path = database(tmp_path / "a.db", [({}, parameters, {}, momenta), ({}, {}, {}, 0.0)])
    read = read_pool(path)
    assert len(read.frames) == 1
    (fault,) = read.faults
    assert re.search(message, fault)


@pytest.mark.parametrize("key", ["converged", "relaxed"])
def test_rows_that_say_that_they_did_not_converge_are_faults_of_their_frames(key, tmp_path):
    rows = [({}, {}, {key: flag}, 0.0) for flag in (True, False)]
    frames = read_pool(database(tmp_path / "a.db", rows)).frames
    found = [list(find_frame_faults(frame, ("Ag", "Pd"))) for frame in frames]
    assert found[0] == []
    assert found[1][0].startswith(f"the file says {key} = False: expected a converged calculation")


def test_large_forces_in_a_database_are_pointed_at(tmp_path):
    rows = [({"forces": [[0, 0, force], [0, 0, -force]]}, {}, {}, 0.0) for force in (0.01, 0.7)]
    (note,) = read_pool(database(tmp_path / "a.db", rows)).notes
    assert note.startswith("Forces above 0.1 eV/A: 1 of 2, the largest 0.70 eV/A of ag1.")


def test_the_settings_of_ases_calculators_are_columns(tmp_path):
    parameters = {
        "xc": "PBE", "encut": 400.0, "ispin": 2, "lsorbit": True, "prec": "Accurate", "ismear": 1, "sigma": 0.2, "kpts": (5, 5, 5),
        "pstress": 10.0, "ivdw": 11,
    }  # fmt: skip
    (frame,) = read_pool(database(tmp_path / "a.db", [({}, parameters, {}, 0.0)])).frames
    expected = {
        "functional": "PBE", "cutoff": 400.0, "ispin": 2.0, "spin_orbit": "spin-orbit", "prec": "Accurate", "sigma": 0.2,
        "smearing": "Methfessel-Paxton", "pstress": 10.0, "dispersion": "IVDW 11",
    }  # fmt: skip
    assert {name: frame.columns[name] for name in expected} == expected
    assert frame.columns["k_spacing"] == pytest.approx(2 * 3.141592653589793 / 4 / 5)


def test_a_step_of_molecular_dynamics_in_a_trajectory_is_a_fault(tmp_path):
    images = [bulk("Cu"), bulk("Au"), bulk("Au", a=4.2)]
    for image in images:
        image.calc = SinglePointCalculator(image, energy=-3.7)
    images[1].set_momenta([[0.1, 0.0, 0.0]])
    images[1].calc = SinglePointCalculator(images[1], energy=-3.2)
    write(tmp_path / "images.traj", images)
    found = read_pool(tmp_path / "images.traj")
    assert len(found.frames) == 2
    assert found.faults == ("image 2: expected a structure at rest, found one of molecular dynamics, with velocities",)
