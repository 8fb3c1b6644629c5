"""What is exported beside an energy is the structure that has it: EMT at the exported structure gives the exported energy."""

import csv
import json

import numpy as np
import pytest
from ase.calculators.emt import EMT
from ase.db import connect
from ase.io import read
from monty.serialization import loadfn
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from hullscout import Campaign
from hullscout.campaign import CampaignResult, Setup, read_history, read_origin, run
from hullscout.figures import save_result
from hullscout.figures.report import read_report, write_report
from hullscout.oracle import candidate_from_tree
from hullscout.pool import Candidate, Frames, format_frames
from hullscout.pool.formats import read_pool

SAME_EV = 2e-5
"""Files round coordinates; the energies of starts are further off than this by a factor of twenty at least."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four Cu-Au cells, left-handed ones among them, with their cells relaxed by EMT."""
    from ase.build import bulk

    home = tmp_path_factory.mktemp("relaxed")
    copper, gold = bulk("Cu", a=3.5), bulk("Au", a=4.2)
    ordered = bulk("Cu", a=3.7, cubic=True)
    ordered.symbols[0] = "Au"
    layered = bulk("Cu", a=3.9, cubic=True)
    layered.symbols[:2] = "Au"
    for atoms in (copper, layered):
        atoms.set_cell(atoms.cell[[1, 0, 2]])
        assert atoms.cell.handedness == -1
    pool = Frames.of([copper, gold, ordered, layered], ids=["copper", "gold", "ordered", "layered"])
    (home / "pool.extxyz").write_bytes(format_frames(pool.frames))
    (home / "c.toml").write_text(
        'name = "c"\nelements = ["Cu", "Au"]\npool = {path = "pool.extxyz"}\nexecutor = {kind = "in-process"}\n'
        'oracle = {kind = "calculator", calculator = "emt", relax = "cell", max_strain = 1.0}\n'
    )
    save_result(home / "run", *run(Setup(read_origin(home / "c.toml")), home / "run"))
    return home / "run"


@pytest.fixture(scope="module")
def known(folder):
    """Energies in eV per cell, and the starts, by id."""
    campaign = Campaign(folder)
    energies = campaign.candidates()["energy_ev"].to_dict()
    assert len(energies) == 4
    return energies, {candidate.id: candidate for candidate in campaign.pool}


def emt(structure):
    atoms = (
        structure if hasattr(structure, "calc") else structure.to_ase() if isinstance(structure, Candidate) else None
    )
    atoms = (AseAtomsAdaptor.get_atoms(structure) if atoms is None else atoms).copy()
    atoms.calc = EMT()
    return atoms.get_potential_energy()


def exported(hullscout, folder, path, kind, *more):
    code, text = hullscout("export", folder, "--format", kind, "-o", path, *more)
    assert (code, "Wrote" in text) == (0, True)
    return path


def entries_in(path):
    return {entry.entry_id: (entry.structure, entry.energy) for entry in loadfn(path)}


def rows_in(path):
    return {row.name: (row.toatoms(), row.energy) for row in connect(str(path)).select()}


def pool_in(path):
    return {frame.id: (frame.candidate(), frame.energy_ev) for frame in read_pool(path).frames}


@pytest.mark.parametrize(
    ("kind", "name", "reads"),
    [
        ("entries", "e.json", entries_in),
        ("ase", "c.db", rows_in),
        ("entries", "pool.json", pool_in),
        ("ase", "pool.db", pool_in),
    ],
)
def test_emt_gives_the_energy_beside_each_structure_and_not_that_of_its_start(
    hullscout, folder, known, tmp_path, kind, name, reads
):
    energies, starts = known
    by_id = reads(exported(hullscout, folder, tmp_path / name, kind))
    assert by_id.keys() == energies.keys()
    for candidate_id, (structure, energy) in by_id.items():
        assert energy == pytest.approx(energies[candidate_id], abs=1e-9)
        assert emt(structure) == pytest.approx(energy, abs=SAME_EV)
        assert abs(emt(starts[candidate_id]) - energy) > 20 * SAME_EV
    for candidate_id, (structure, _) in reads(
        exported(hullscout, folder, tmp_path / f"s-{name}", kind, "--structures", "start")
    ).items():
        assert emt(structure) == pytest.approx(emt(starts[candidate_id]), abs=SAME_EV)


def test_the_start_stands_beside_the_relaxed_structure_and_each_says_what_it_is(hullscout, folder, known, tmp_path):
    energies, starts = known
    for entry in loadfn(exported(hullscout, folder, tmp_path / "e.json", "entries")):
        assert entry.data["structure"] == "relaxed"
        assert emt(entry.data["start_structure"]) == pytest.approx(emt(starts[entry.entry_id]), abs=SAME_EV)
    path = exported(hullscout, folder, tmp_path / "s.json", "entries", "--structures", "start")
    for entry in loadfn(path):
        assert entry.data["structure"] == "start"
        assert emt(entry.data["relaxed_structure"]) == pytest.approx(entry.energy, abs=SAME_EV)
    for row in connect(str(exported(hullscout, folder, tmp_path / "c.db", "ase"))).select():
        assert row.structure == "relaxed"
        assert candidate_from_tree(row.data["start_structure"]).has_same_atoms(starts[row.name])
        assert row.start_volume_a3_per_atom == pytest.approx(starts[row.name].volume_a3_per_atom)
        assert row.relaxed_volume_a3_per_atom == pytest.approx(row.toatoms().get_volume() / row.natoms)
        assert row.energy == pytest.approx(energies[row.name])


@pytest.mark.parametrize("kind", ["cif", "poscar"])
def test_files_of_the_hull_are_relaxed_and_right_handed_with_starts_in_a_folder(
    hullscout, folder, known, tmp_path, kind
):
    energies, starts = known
    out = exported(hullscout, folder, tmp_path / "hull", kind)
    hull = [vertex.id for vertex in Campaign(folder).hull]
    for place, (files, wanted) in enumerate(
        [(out, energies), (out / "start", {name: emt(start) for name, start in starts.items()})]
    ):
        found = sorted(files.glob(f"*.{kind}"))
        assert [file.stem.rpartition("-")[2] for file in found] == hull, place
        for file, candidate_id in zip(found, hull, strict=True):
            structure = Structure.from_str(file.read_text(), fmt=kind)
            assert emt(structure) == pytest.approx(wanted[candidate_id], abs=SAME_EV)
            if kind == "poscar":
                assert read(file, format="vasp").cell.handedness == 1
    assert hullscout("export", folder, "--format", kind, "-o", out, "--force")[0] == 0
    alone = exported(hullscout, folder, tmp_path / "alone", kind, "--structures", "start")
    assert not (alone / "start").exists()
    (out / "start" / "thesis.tex").write_text("mine")
    assert hullscout("export", folder, "--format", kind, "-o", out, "--force")[0] == 2


def test_the_table_hands_on_relaxed_structures_with_both_volumes(hullscout, folder, known, tmp_path):
    energies, starts = known
    code, text = hullscout("table", folder, "-o", tmp_path / "known.extxyz")
    assert code == 0
    assert "4 structures were relaxed; written are the relaxed ones: --structures start writes those asked for." in text
    for frame in read_pool(tmp_path / "known.extxyz").frames:
        assert emt(frame.candidate()) == pytest.approx(energies[frame.id], abs=SAME_EV)
        assert frame.energy_ev == energies[frame.id]
        assert float(frame.columns["start_volume_a3_per_atom"]) == pytest.approx(starts[frame.id].volume_a3_per_atom)
        relaxed = float(frame.columns["relaxed_volume_a3_per_atom"])
        assert relaxed == pytest.approx(frame.candidate().volume_a3_per_atom, rel=1e-6)
    assert hullscout("table", folder, "-o", tmp_path / "starts.extxyz", "--structures", "start")[0] == 0
    for frame in read_pool(tmp_path / "starts.extxyz").frames:
        np.testing.assert_allclose(frame.cell, starts[frame.id].cell, atol=1e-9)
        assert (frame.energy_ev, frame.columns["structure"]) == (energies[frame.id], "start")


def test_python_and_every_table_of_results_say_both_volumes(hullscout, folder, known, tmp_path):
    energies, starts = known
    campaign = Campaign(folder)
    for candidate_id, start in starts.items():
        relaxed = campaign.relaxed(candidate_id)
        assert emt(relaxed) == pytest.approx(energies[candidate_id], abs=SAME_EV)
        row = campaign.candidates().loc[candidate_id]
        assert row["start_volume_a3_per_atom"] == pytest.approx(start.volume_a3_per_atom)
        assert row["relaxed_volume_a3_per_atom"] == pytest.approx(relaxed.volume_a3_per_atom)
    with pytest.raises(KeyError, match="found 'silver'"):
        campaign.relaxed("silver")
    (first, *_) = campaign.entries("start")
    assert emt(first.structure) == pytest.approx(emt(starts[first.entry_id]), abs=SAME_EV)
    exported(hullscout, folder, tmp_path / "c.csv", "csv")
    with (tmp_path / "c.csv").open(newline="") as stream:
        volumes = {row["id"]: row["relaxed_volume_a3_per_atom"] for row in csv.DictReader(stream)}
    assert {name: float(volume) for name, volume in volumes.items()} == pytest.approx(
        {name: campaign.relaxed(name).volume_a3_per_atom for name in starts}
    )
    text = (folder / "result.json").read_text()
    for vertex in json.loads(text)["hull"]:
        assert vertex["relaxed_volume_a3_per_atom"] == pytest.approx(campaign.relaxed(vertex["id"]).volume_a3_per_atom)
    shown = CampaignResult.from_json(text).hull._repr_html_()
    assert "start → relaxed (Å³/atom)" in shown
    volumes = (starts["copper"].volume_a3_per_atom, campaign.relaxed("copper").volume_a3_per_atom)
    assert " → ".join(f"{volume:.2f}" for volume in volumes) in shown


def test_the_report_shows_both_volumes(folder, known, tmp_path):
    write_report(tmp_path / "report.html", read_report(folder))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "volume, start<br>and relaxed" in page
    relaxed = Campaign(folder).relaxed("copper").volume_a3_per_atom
    assert f"{known[1]['copper'].volume_a3_per_atom:.2f}<br>{relaxed:.2f}" in page


def test_a_result_of_an_earlier_version_is_still_read(folder):
    tree = json.loads((folder / "result.json").read_text())
    for vertex in tree["hull"]:
        del vertex["start_volume_a3_per_atom"], vertex["relaxed_volume_a3_per_atom"]
    hull = CampaignResult.from_json(json.dumps(tree)).hull
    assert (hull[0].relaxed_volume_a3_per_atom, hull.is_relaxed) == (None, False)


def test_where_nothing_was_relaxed_the_starts_are_what_the_energies_are_of(hullscout, live_file, tmp_path):
    assert hullscout("run", live_file, "--out", tmp_path / "out", "--set", "stop.max_calculations=4")[0] == 0
    history = read_history(tmp_path / "out")
    assert history.relaxed == {}
    for entry in loadfn(exported(hullscout, tmp_path / "out", tmp_path / "e.json", "entries")):
        assert (entry.data["structure"], "start_structure" in entry.data) == ("start", False)
        assert emt(entry.structure) == pytest.approx(entry.energy, abs=SAME_EV)
    assert Campaign(tmp_path / "out").relaxed(history.pool.ids[0]) is None


@pytest.mark.parametrize("kind", ["cif", "poscar"])
def test_a_left_handed_crystal_is_exported_and_not_its_mirror_image(hullscout, tmp_path, kind):
    """Four atoms far from any symmetry: turned onto the start, those of the file lie on its own; those of an image do not."""
    from hullscout.oracle import change_between

    cell = np.array([[0.3, 4.6, 0.1], [4.0, 0.4, 0.2], [0.5, 0.2, 5.3]])
    places = np.array([[0, 0, 0], [0.5, 0.4, 0.05], [0.6, 0.1, 0.5], [0.05, 0.5, 0.35]])
    chiral = Candidate(
        id="chiral", numbers=[29, 79, 29, 79], positions=places @ cell, cell=cell, magmoms=[1.0, 2.0, 1.0, -2.0]
    )
    ends = [
        Candidate(id=name, numbers=[z], positions=[[0, 0, 0]], cell=np.eye(3) * 2.6)
        for name, z in (("cu", 29), ("au", 79))
    ]
    atoms = [candidate.to_ase() for candidate in (*ends, chiral)]
    for one, energy in zip(atoms, (0.0, 0.0, -1.0), strict=True):
        one.info["energy"] = energy
    Campaign.of(atoms, tmp_path / "run", name="c", elements=("Cu", "Au")).run(on_note=lambda _: None)
    (file,) = exported(hullscout, tmp_path / "run", tmp_path / "out", kind).glob("*chiral*")
    text = file.read_text()
    assert text.splitlines()[0].endswith("chiral  MAGMOM = 2*1.0 2.0 -2.0")
    written = Candidate.from_structure(Structure.from_str(text, fmt=kind), "chiral")
    assert (chiral.handedness, written.handedness) == (-1, 1)
    image = Candidate(id="image", numbers=chiral.numbers, positions=-chiral.positions, cell=chiral.cell)
    for other, is_near in ((written, True), (image, False)):
        fractions = np.linalg.solve(chiral.cell.T, other.positions.T).T if other is image or kind == "poscar" else None
        if fractions is not None:
            apart = (fractions[:, None] - places[None, :] + 0.5) % 1.0 - 0.5
            assert (np.abs(apart).max(axis=2).min(axis=1).max() < 1e-6) == is_near
    assert change_between(chiral, written).displacement < 1e-6
