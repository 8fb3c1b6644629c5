"""`status` tells where each ground state is stable, of any number of elements; Python has the same table."""

import pytest

from hullscout import Campaign


@pytest.mark.parametrize("kind", ["of_three", "of_four", "at_random"])
def test_status_has_a_row_for_every_ground_state(request, hullscout, kind, monkeypatch):
    folder = request.getfixturevalue(kind)
    monkeypatch.setenv("COLUMNS", "300")
    code, said = hullscout("status", folder)
    _, _, table = said.partition("Chemical potentials at which each ground state is stable")
    potentials = Campaign(folder).chemical_potentials()
    assert code == 0
    assert all(f"\u03bc({symbol})" in table for symbol in potentials.elements)
    rows = [line for line in table.splitlines() if line.startswith("\u2502")]
    assert len(rows) == len(potentials.regions) > 2
    for region, row in zip(potentials.regions, rows, strict=True):
        assert region.id in row
        assert region.formula in row
    assert ("P(on hull)" in table) == (kind != "at_random")  # the rule random believes nothing
