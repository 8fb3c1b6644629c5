"""Many results in one file: each frame is told by its id, or by its crystal, and none is dropped without a word."""

import json

import pytest
from ase.calculators.emt import EMT
from ase.io import read, write

from hullscout.campaign import Setup
from hullscout.campaign.store import Store
from hullscout.pool import read_frames


def computed(out, ids=None, *, name="id"):
    """Candidates of a campaign with their energies by EMT."""
    pool = Setup.read(out).pool
    images = []
    for candidate in pool if ids is None else map(pool.__getitem__, ids):
        atoms = candidate.to_ase()
        atoms.info = {} if name is None else {name: candidate.id}
        atoms.calc = EMT()
        atoms.get_potential_energy()
        images.append(atoms)
    return images


def answers(out):
    with Store.read(out) as store:
        return store.answers()


def test_every_result_of_a_file_is_told_whether_it_was_asked_for_or_not(hullscout, handoff, tmp_path):
    out, outbox = handoff
    assert hullscout("ask", out, "-n", 4, "--to", outbox)[0] == 0
    images = computed(out)
    write(tmp_path / "results.extxyz", images)
    code, text = hullscout("tell", out, tmp_path / "results.extxyz")
    assert (code, f"{len(images)} new energies" in text) == (0, True), text
    assert set(answers(out)) == {atoms.info["id"] for atoms in images}
    assert "0 new energies" in hullscout("tell", out, tmp_path / "results.extxyz")[1]


def test_names_of_another_source_are_told_by_their_crystals(hullscout, handoff, tmp_path):
    out, outbox = handoff
    assert hullscout("ask", out, "-n", 3, "--to", outbox)[0] == 0
    ids = [json.loads(path.read_text())["id"] for path in sorted(outbox.glob("*/manifest.json"))]
    images = computed(out, ids)
    for place, atoms in enumerate(images):
        atoms.info = {"id": f"mine-{place}"}
    write(tmp_path / "results.extxyz", images)
    assert hullscout("tell", out, tmp_path / "results.extxyz")[0] == 0
    assert set(answers(out)) == set(ids)


def test_one_without_an_energy_is_named_and_the_others_are_told(hullscout, handoff, tmp_path):
    out, outbox = handoff
    assert hullscout("ask", out, "-n", 3, "--to", outbox)[0] == 0
    images = computed(out)[:3]
    lost = images[1].info["id"]
    images[1].calc = None
    write(tmp_path / "results.extxyz", images)
    code, text = hullscout("tell", out, tmp_path / "results.extxyz")
    assert code == 2
    assert f"{lost!r}) states no energy" in text
    assert len(answers(out)) == 2


def test_steps_of_one_relaxation_are_one_result(hullscout, handoff):
    out, outbox = handoff
    assert hullscout("ask", out, "-n", 1, "--to", outbox)[0] == 0
    (folder,) = (path.parent for path in outbox.glob("*/manifest.json"))
    (atoms,) = computed(out, [json.loads((folder / "manifest.json").read_text())["id"]], name=None)
    write(folder / "result.extxyz", [atoms, atoms])
    assert len(read(folder / "result.extxyz", ":")) == len(read_frames(folder / "result.extxyz").frames) == 2
    assert hullscout("tell", out, folder / "result.extxyz")[0] == 0
    assert len(answers(out)) == 1


def test_a_file_of_one_result_is_read_once(hullscout, handoff, monkeypatch):
    out, outbox = handoff
    assert hullscout("ask", out, "-n", 1, "--to", outbox)[0] == 0
    (folder,) = outbox.iterdir()
    (one,) = computed(out, [json.loads((folder / "manifest.json").read_text())["id"]])
    write(folder / "result.extxyz", one)
    monkeypatch.setattr("hullscout.oracle.told_pool.read_pool", lambda _: pytest.fail("it was read as a pool, too"))
    code, text = hullscout("tell", out, folder / "result.extxyz")
    assert (code, "1 new energy" in text) == (0, True), text
