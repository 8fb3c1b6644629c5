"""Settings are compared by what they mean: differences that may be meant are said, those that cannot be are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pool_writers import make, vasprun_text

from hullscout.pool import read_pool
from hullscout.pool.columns import find_setting_conflicts, mesh_of_points, setting_notes
from hullscout.pool.frames import Frame


def frame(number, z=47, energy=-1.0, **columns):
    return Frame(
        number=number,
        id=f"c{number}",
        numbers=np.array([z]),
        positions=np.zeros((1, 3)),
        cell=4.0 * np.eye(3),
        pbc=(True, True, True),
        energy_ev=energy,
        columns=columns,
    )


def said(*stated, z=(47, 47, 47)):
    frames = [frame(n, z[n - 1], **columns) for n, columns in enumerate(stated, start=1)]
    return [str(conflict) for conflict in find_setting_conflicts(frames)], list(setting_notes(frames))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"functional": "PBE"}, {"xc": "GGA_PE"}),
        ({"functional": "pbe"}, {"run_type": "GGA"}),
        ({"functional": "SLA  PW   PBE  PBE"}, {"functional": "GGA_X_PBE+GGA_C_PBE"}),
        ({"functional": "PS"}, {"functional": "pbesol"}),
        ({"functional": "GGA_U"}, {"functional": "PBE+U"}),
        ({"functional": "R2SCAN"}, {"functional": "r2scan"}),
        ({"prec": "Accurate"}, {"prec": "accura"}),
        ({"ispin": 2}, {"nspin": "2.0"}),
        ({"spin_polarized": "True"}, {"spinpol": "T"}),
        ({"ispin": 1}, {"spin_polarised": "False"}),
        ({"ismear": 1}, {"smearing": "Methfessel-Paxton"}),
        ({"smearing": "mv"}, {"smearing": "Marzari-Vanderbilt"}),
        ({"lsorbit": "F"}, {"spin_orbit": "none"}),
        ({"ivdw": 0}, {"dispersion": "none"}),
        ({"lreal": "Auto"}, {"lreal": ".TRUE."}),
        ({"kpts": "[4, 4, 4]"}, {"kpoints": "6 6 6"}),
        ({"functional": "PBE", "xc": "pbe"}, {"functional": "GGA"}),
    ],
)
def test_one_meaning_under_two_names_is_one(one, other):
    conflicts, notes = said(one, other)
    assert conflicts == []
    assert [note for note in notes if "differently" in note] == []


@pytest.mark.parametrize(
    ("one", "other", "named"),
    [
        ({"functional": "PBE"}, {"functional": "PBE+U"}, "functional: PBE (1: c1); PBE+U (1: c2)"),
        ({"functional": "revPBE"}, {"functional": "RPBE"}, "functional: "),
        ({"spin_orbit": "spin-orbit"}, {"spin_orbit": "none"}, "spin-orbit coupling: spin-orbit (1: c1); none (1: c2)"),
        ({"total_charge": 0}, {"tot_charge": 1}, "charge of the cell (e): 0 (1: c1); 1 (1: c2)"),
        ({"pstress": 0}, {"pstress": 500}, "pressure (kbar): "),
        ({"level_of_theory": "PBE"}, {"xc": "r2SCAN"}, "functional: PBE (1: c1); r2SCAN (1: c2)"),
        ({"spin_orbit_coupling": "T"}, {"soc": "F"}, "spin-orbit coupling: T (1: c1); F (1: c2)"),
        ({"dispersion": "none"}, {"vdw_corr": "dft-d3"}, "dispersion: none (1: c1); dft-d3 (1: c2)"),
        ({"prec": "Low"}, {"prec": "Normal"}, "precision (PREC): "),
        ({"sigma": 0.1}, {"sigma": 2.0}, "width of the smearing (eV): "),
        ({"ecutrho": 240}, {"ecutrho": 480}, "cutoff of the density (Ry): "),
        ({"charge": "0"}, {"charge": "1"}, "charge of the cell (e): "),
        ({"external_pressure": 0}, {"target_pressure": 20}, "pressure: "),
        ({"theory": "PBE"}, {"method": "SCAN"}, "method: PBE (1: c1); SCAN (1: c2)"),
        ({"kpts": "8 8 8"}, {"k_mesh": "1x1x1"}, "coarsest k-point spacing (1/A): "),
        ({"is_hubbard": 1.0}, {"ldau": "False"}, "+U: "),
        ({"metagga": "--"}, {"metagga": "R2SCAN"}, "metaGGA: "),
        ({"i_constrained_m": 0}, {"i_constrained_m": 1}, "constrained moments"),
        ({"energy_cutoff": 400}, {"ENMAX": 520}, "cutoff (eV): "),
        ({"functional": "PBE", "xc": "SCAN"}, {"functional": "PBE", "xc": "PBE"}, "functional: PBE and SCAN"),
    ],
)
def test_what_cannot_be_meant_is_a_conflict(one, other, named):
    conflicts, _ = said(one, other)
    assert len(conflicts) == 1
    assert conflicts[0].startswith(named)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"prec": "Normal"}, {"prec": "Accurate"}),
        ({"lreal": "Auto"}, {"lreal": "F"}),
        ({"smearing": "-5"}, {"smearing": "1"}),
        ({"sigma": 0.05}, {"sigma": 0.2}),
        ({"degauss": 0.01}, {"degauss": 0.02}),
        ({"code_version": "5.4.4"}, {"code_version": "6.3.0"}),
        ({"pressure": 0}, {"pressure": 200}),
        ({"method": "enumerated"}, {"method": "PBE"}),
        ({"ldipol": "F"}, {"ldipol": "T"}),
        ({"gga_compat": "T"}, {"gga_compat": "F"}),
    ],
)
def test_what_may_be_meant_is_a_note(one, other):
    conflicts, notes = said(one, other)
    assert conflicts == []
    assert len(notes) == 1
    assert notes[0].startswith("Computed differently, which may be meant: ")


def test_spin_may_be_left_out_where_nothing_is_magnetic():
    """Silver without spin beside nickel with it may be meant, nickel without beside silver with it may not."""
    assert said({"ispin": 1}, {"ispin": 2}, z=(47, 28))[0] == []
    assert said({"ispin": 2}, {"ispin": 1}, z=(47, 28))[0] == ["spin (ISPIN): 2 (1: c1); 1 (1: c2)"]


MAGNETIC = "Computed without spin or with all moments at 0, by what is stated: "


@pytest.mark.parametrize(
    ("columns", "z", "expected"),
    [
        ({"ispin": 1}, (26, 27, 47), "2 of 2 energies of structures with Fe and Co (c1, c2)."),
        ({"nspin": "1"}, (28, 47, 47), "1 of 1 energies of structures with Ni (c1)."),
        ({"spinpol": "F", "ispin": "F"}, (28, 28, 47), "2 of 2 energies of structures with Ni (c1, c2)."),
        ({"ispin": 2}, (26, 27, 28), None),
        ({}, (26, 27, 28), None),
        ({"ispin": 1}, (47, 46, 29), None),
    ],
)
def test_elements_that_order_magnetically_are_pointed_at_once_where_spin_was_left_out(columns, z, expected):
    notes = [note for note in said(columns, columns, columns, z=z)[1] if note.startswith(MAGNETIC)]
    assert len(notes) == (expected is not None)
    if expected is not None:
        assert expected in notes[0]


def test_moments_that_are_all_stated_as_zero_are_pointed_at():
    bare, zero, up = (replace(frame(n, 26), magmoms=moments) for n, moments in enumerate((None, [0.0], [2.2]), 1))
    frames = [replace(one, magmoms=None if one.magmoms is None else np.array(one.magmoms)) for one in (bare, zero, up)]
    (note,) = setting_notes(frames)
    assert note.startswith(f"{MAGNETIC}1 of 3 energies of structures with Fe (c2). The magnetic order of Fe")
    assert setting_notes([replace(one, energy_ev=None) for one in frames]) == ()


def test_what_only_some_state_is_said_by_how_many():
    conflicts, notes = said({"encut": 400, "hubbard_u_Ag": 0}, {}, {"encut": 400}, z=(47, 47, 46))
    assert conflicts == []
    said_of = "Settings that not all energies state, and that were compared for the others only: "
    assert notes == [f"{said_of}cutoff (eV) for 2 of 3; Hubbard U of Ag (eV) for 1 of 2."]


def test_energies_that_are_yet_to_be_computed_state_nothing():
    assert setting_notes([frame(1, encut=400), frame(2, energy=None)]) == ()


@pytest.mark.parametrize("mesh", [(1, 1, 1), (3, 3, 3), (4, 2, 1), (9, 9, 5)])
def test_a_mesh_is_found_from_half_of_its_points(mesh):
    axes = [np.arange(n) / n for n in mesh]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    kept = [point for point in points if tuple(point) <= tuple(-point % 1.0)]
    assert mesh_of_points(kept) == mesh


@pytest.mark.parametrize(
    ("tags", "named"),
    [
        ({"LSORBIT": True}, "spin-orbit coupling"),
        ({"NELECT": 21.0, "valence": 11.0}, "charge of the cell (e)"),
        ({"PSTRESS": 50.0}, "pressure (kbar)"),
        ({"LUSE_VDW": True}, "dispersion"),
        ({"METAGGA": "SCAN"}, "functional"),
        ({"gga": "PS"}, "functional"),
        ({"LHFCALC": True, "AEXX": 0.25}, "functional"),
        ({"mesh": "1 1 1"}, "coarsest k-point spacing (1/A)"),
        ({"PREC": "Low"}, "precision (PREC)"),
        ({"ISMEAR": 0, "SIGMA": 1.5}, "width of the smearing (eV)"),
        ({"gga": "--"}, None),
        ({"ISPIN": 2}, None),
        ({"LREAL": True}, None),
    ],
)
def test_every_setting_of_a_vasprun_that_shifts_energies_is_compared(tags, named, frames, tmp_path):
    plain = {
        "LSORBIT": False, "NELECT": 22.0, "PSTRESS": 0.0, "LUSE_VDW": False, "METAGGA": "--", "PREC": "accura", "ISMEAR": 0,
        "SIGMA": 0.05, "ISPIN": 1, "LREAL": False, "valence": 11.0,
    }  # fmt: skip
    pair = [frame for frame in frames if len(frame.numbers) == 2][:2]
    files = {
        f"{n}/vasprun.xml": vasprun_text(frame, **{**plain, **(tags if n else {})}) for n, frame in enumerate(pair)
    }
    found = find_setting_conflicts(read_pool(make(tmp_path, files)).frames)
    assert [conflict.setting for conflict in found] == ([] if named is None else [named])


def test_of_a_column_with_a_value_for_each_structure_some_are_shown():
    (note,) = said(*({"pressure": n} for n in range(20)), z=[47] * 20)[1]
    assert "; 12 other values" in note
