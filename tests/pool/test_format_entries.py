"""JSON lists of ComputedStructureEntry are read with their corrections."""

from __future__ import annotations

import json
import re

import pytest
from pool_writers import (
    WRITERS,
    to_structure,
)

from hullscout.errors import InvalidPoolError
from hullscout.pool import (
    read_pool,
)
from hullscout.pool.columns import find_setting_conflicts


def test_entries_may_stand_in_a_dictionary(frames, tmp_path):
    path = WRITERS["entries.json"](tmp_path, frames[:3])
    path.write_text(json.dumps({"source": "me", "entries": json.loads(path.read_text())}))
    assert [frame.id for frame in read_pool(path).frames] == [frame.id for frame in frames[:3]]


def test_corrections_of_entries_count(frames, tmp_path):
    path = WRITERS["entries.json"](tmp_path, frames[:3])
    tree = json.loads(path.read_text())
    tree[0]["correction"] = 0.25
    tree[0]["energy_adjustments"] = []
    path.write_text(json.dumps(tree))
    assert read_pool(path).frames[0].energy_ev == pytest.approx(frames[0].energy_ev + 0.25)


def test_a_damaged_archive_is_refused_as_entries(frames, tmp_path):
    path = WRITERS["entries.json.gz"](tmp_path, frames[:3])
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InvalidPoolError, match="the compressed file is truncated or damaged"):
        read_pool(path)


def written(tmp_path, tree):
    path = tmp_path / "data.json"
    path.write_text(json.dumps(tree))
    return path


def document(frame, **fields):
    """A document of the Materials Project's API, with its energy per atom."""
    n = len(frame.numbers)
    fixed = {"material_id": f"mp-{frame.number}", "nsites": n, "energy_per_atom": frame.energy_ev / n}
    return {**fixed, "structure": to_structure(frame).as_dict(), "formation_energy_per_atom": 0.1, **fields}


@pytest.mark.parametrize("wrap", [lambda docs: docs, lambda docs: {"data": docs, "meta": {}}])
def test_documents_of_the_materials_project_state_energies_per_atom(wrap, frames, tmp_path):
    read = read_pool(written(tmp_path, wrap([document(frame) for frame in frames[:4]])))
    assert [frame.id for frame in read.frames] == [f"mp-{frame.number}" for frame in frames[:4]]
    assert [f.energy_ev for f in read.frames] == pytest.approx([frame.energy_ev for frame in frames[:4]])
    assert read.notes == (
        "Energies are `energy_per_atom` of the documents, in eV per atom, times the atoms of the structure.",
    )


def test_documents_of_different_functionals_are_told_apart(frames, tmp_path):
    kinds = ("GGA_GGA+U", "R2SCAN")
    docs = [document(frame, thermo_type=kind) for frame, kind in zip(frames, kinds, strict=False)]
    (conflict,) = find_setting_conflicts(read_pool(written(tmp_path, docs)).frames)
    assert conflict.setting == "functional"


def test_documents_that_hold_an_entry_give_that(frames, tmp_path):
    entry = json.loads(WRITERS["entries.json"](tmp_path, frames[:1]).read_text())[0]
    docs = [
        {"material_id": "mp-7", "energy_type": "GGA", "entries": {"GGA": entry, "R2SCAN": {**entry, "energy": 0.0}}}
    ]
    (frame,) = read_pool(written(tmp_path, docs)).frames
    assert (frame.id, frame.energy_ev) == ("mp-7", pytest.approx(frames[0].energy_ev))


def test_jarvis_states_energies_per_atom_and_atoms_of_its_own(frames, tmp_path):
    listed = []
    for frame in frames[:3]:
        structure = to_structure(frame)
        atoms = {
            "lattice_mat": structure.lattice.matrix.tolist(),
            "coords": structure.frac_coords.tolist(),
            "elements": [site.specie.symbol for site in structure],
            "cartesian": False,
        }
        energy = frame.energy_ev / len(frame.numbers)
        listed.append({"jid": f"JVASP-{frame.number}", "atoms": atoms, "optb88vdw_total_energy": energy, "ehull": "na"})
    read = read_pool(written(tmp_path, listed)).frames
    assert [frame.id for frame in read] == [f"JVASP-{frame.number}" for frame in frames[:3]]
    assert [f.energy_ev for f in read] == pytest.approx([frame.energy_ev for frame in frames[:3]])
    assert read[0].columns["functional"] == "optB88-vdW"


def test_entries_without_an_id_of_their_own_are_named_by_their_data(frames, tmp_path):
    tree = json.loads(WRITERS["entries.json"](tmp_path, frames[:2]).read_text())
    for entry, name in zip(tree, ("agm1", "agm2"), strict=True):
        entry |= {"entry_id": None, "data": {"mat_id": name}}
    assert [frame.id for frame in read_pool(written(tmp_path, {"entries": tree})).frames] == ["agm1", "agm2"]


def test_entries_adjusted_by_a_mixing_scheme_are_of_one_hull(frames, tmp_path):
    tree = json.loads(WRITERS["entries.json"](tmp_path, frames[:3]).read_text())
    for entry, kind in zip(tree, ("GGA", "GGA+U", "GGA+U"), strict=True):
        entry["parameters"] = {"run_type": kind, "hubbards": {"Ag": 3.0} if kind == "GGA+U" else {}}
    first, *_ = find_setting_conflicts(read_pool(written(tmp_path, tree)).frames)
    assert first.setting == "functional"
    adjustment = {
        "@module": "pymatgen.entries.computed_entries",
        "@class": "ConstantEnergyAdjustment",
        "value": 0.5,
        "name": "MP2020 GGA/GGA+U mixing correction (Ag)",
    }
    for entry in tree[1:]:
        entry |= {"correction": 0.5, "energy_adjustments": [adjustment]}
    read = read_pool(written(tmp_path, tree))
    assert find_setting_conflicts(read.frames) == ()
    assert read.frames[1].energy_ev == pytest.approx(frames[1].energy_ev + 0.5)
    assert "mixing correction" in read.notes[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"energy_per_atom": None}, "entry 1: expected a total energy .*, found formation energies only"),
        ({"energy_per_atom": "-3"}, "entry 1: expected energy_per_atom as one number in eV per atom, found '-3'"),
        ({"nsites": 77}, "entry 1: expected the 77 atoms of `nsites`, found a structure of "),
        ({"structure": {}}, "entry 1: expected a structure with lattice"),
    ],
)
def test_faulty_documents_are_named_by_their_place(change, message, frames, tmp_path):
    read = read_pool(written(tmp_path, [document(frames[0], **change), document(frames[1])]))
    assert len(read.frames) == 1
    (fault,) = read.faults
    assert re.search(message, fault)


@pytest.mark.parametrize("count", ["nsites", "natoms", "n_atoms"])
def test_an_entry_that_counts_other_atoms_than_its_structure_has_is_a_fault(count, frames, tmp_path):
    tree = json.loads(WRITERS["entries.json"](tmp_path, frames[:2]).read_text())
    tree[0][count], tree[1][count] = len(frames[0].numbers), 77
    (fault,) = read_pool(written(tmp_path, tree)).faults
    assert f"entry 2: expected the 77 atoms of `{count}`, found a structure of {len(frames[1].numbers)}" in fault


def test_entries_of_runs_of_another_kind_are_faults(frames, tmp_path):
    tree = json.loads(WRITERS["entries.json"](tmp_path, frames[:2]).read_text())
    tree[1]["parameters"] = {"incar": {"IBRION": 0, "NSW": 10}}
    read = read_pool(written(tmp_path, tree))
    assert len(read.frames) == 1
    (fault,) = read.faults
    assert "entry 2: expected a static run or a relaxation, found molecular dynamics" in fault


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda entry: entry["structure"]["lattice"]["matrix"][0].__setitem__(1, 2.3), "edges a, b, c of its cell"),
        (lambda entry: entry["structure"]["lattice"].update(volume=99.0), "volume of its cell"),
        (lambda entry: entry["structure"]["sites"][0]["abc"].__setitem__(0, 0.4), "xyz of site 1 of its cell"),
    ],
)
def test_a_crystal_that_is_stated_twice_in_different_ways_is_a_fault(frames, tmp_path, change, said):
    tree = json.loads(WRITERS["entries.json"](tmp_path, frames[:2]).read_text())
    change(tree[1])
    (fault,) = read_pool(written(tmp_path, tree)).faults
    assert fault.startswith("entry 2: expected " + said)


def test_a_cell_of_jarvis_with_other_edges_is_a_fault(tmp_path):
    atoms = {
        "lattice_mat": [[0.0, 2.0, 2.0], [2.0, 0.0, 2.0], [2.0, 2.0, 0.0]],
        "coords": [[0.0, 0.0, 0.0]],
        "elements": ["Ag"],
        "abc": [2.83, 2.83, 2.83],
    }
    wrong = {**atoms, "abc": [2.83, 2.83, 2.9]}
    listed = [{"jid": str(n), "atoms": a, "optb88vdw_total_energy": -1.0} for n, a in enumerate((atoms, wrong))]
    read = read_pool(written(tmp_path, listed))
    assert [frame.id for frame in read.frames] == ["0"]
    assert "entry 2: expected edges `abc` of its cell and fractions, 2.82843" in read.faults[0]


@pytest.mark.parametrize(("per_atom", "is_fault"), [(-9.0, True), (-3.7, False), (-4.2, False)])
def test_an_energy_per_atom_beside_the_energy_has_to_be_the_same(per_atom, is_fault, tmp_path):
    def entry(name, symbol, energy, **more):
        cell = {"matrix": [[0, 1.8, 1.8], [1.8, 0, 1.8], [1.8, 1.8, 0]]}
        sites = [{"species": [{"element": symbol, "occu": 1}], "abc": [0, 0, 0]}]
        return {"entry_id": name, "structure": {"lattice": cell, "sites": sites}, "energy": energy, **more}

    path = tmp_path / "entries.json"
    path.write_text(
        json.dumps([entry("a", "Cu", -3.7, correction=-0.5, energy_per_atom=per_atom), entry("b", "Au", -3.2)])
    )
    found = read_pool(path)
    assert len(found.frames) == (1 if is_fault else 2)
    assert [fault for fault in found.faults if "energy_per_atom to be the energy over 1 atoms" in fault] == [
        *found.faults
    ]
