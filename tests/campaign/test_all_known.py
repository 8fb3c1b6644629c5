"""A campaign that has nothing left to choose from says how it gets more candidates, and those commands do it."""

import shlex

import pytest
from ase.calculators.emt import EMT
from ase.io import read, write


@pytest.fixture
def known_pool(live_file):
    """Ten cells, all of them with an energy."""
    cells = read(live_file.with_name("cells.extxyz"), ":")
    for atoms in cells:
        atoms.calc = EMT()
        atoms.info["energy"] = atoms.get_potential_energy()
        atoms.calc = None
        atoms.info["id"] = f"mine-{len(atoms)}-{atoms.info['id']}"
    write(live_file.with_name("known.extxyz"), cells, format="extxyz")
    return live_file.with_name("known.extxyz")


def test_where_every_energy_is_known_the_next_step_adds_candidates(hullscout, known_pool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = ("ask", known_pool, "--out", "by hand", "--to", "outbox")
    code, text = hullscout(*asked)
    assert (code, "Stopped: Every candidate's energy is known." in text) == (0, True), text
    said = text[text.index("Next: ") :]
    made, added = (shlex.split(part)[1:] for part in said.split("`")[1::2])
    assert hullscout(*made, "--max-atoms", 4)[0] == 0
    assert hullscout(*added)[0] == 0
    code, text = hullscout("ask", "by hand", "--to", "outbox")
    assert (code, "Handed out 4 structures" in text) == (0, True), text
