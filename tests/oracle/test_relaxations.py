"""Each kind of relaxation moves what its name says, and nothing else: a cell that is off in all three tells them apart."""

import numpy as np
import pytest
from ase.build import bulk
from pydantic import ValidationError

from hullscout.campaign import check_config
from hullscout.errors import InvalidCampaignError
from hullscout.oracle import Calculated, CalculatorSettings
from hullscout.oracle.calculator import calculate
from hullscout.pool import Candidate

MOVES = {
    "positions": {"positions"},
    "volume-only": {"volume"},
    "volume-and-positions": {"positions", "volume"},
    "cell-and-positions": {"positions", "volume", "shape"},
}


def off():
    """Cu3Au that is too large, drawn out along one axis, and with an atom off its site."""
    atoms = bulk("Cu", "fcc", a=3.9, cubic=True)
    atoms.symbols[0] = "Au"
    atoms.set_cell(atoms.cell.array @ np.diag([1.0, 1.0, 1.04]), scale_atoms=True)
    atoms.positions[1] += [0.15, 0.05, 0.0]
    return Candidate.from_ase(atoms, "off")


def fractional(candidate):
    return candidate.positions @ np.linalg.inv(candidate.cell)


@pytest.mark.parametrize("relax", MOVES)
def test_a_relaxation_moves_what_its_name_says_and_nothing_else(relax):
    start = off()
    settings = CalculatorSettings(calculator="emt", relax=relax, fmax=0.005, max_strain=1.0, max_displacement=1.0)
    found = calculate(start, settings)
    assert isinstance(found, Calculated)
    end = found.relaxed
    growth = (end.volume_a3_per_atom / start.volume_a3_per_atom) ** (1 / 3)
    apart = fractional(end) - fractional(start)
    moved = {
        "volume": abs(growth - 1) > 1e-3,
        "shape": np.abs(end.cell - growth * start.cell).max() > 1e-3,
        "positions": np.abs(apart - apart[0]).max() > 1e-3,
    }
    assert {name for name, is_so in moved.items() if is_so} == MOVES[relax]


def test_more_freedom_ends_lower():
    energies = [
        calculate(
            off(), CalculatorSettings(calculator="emt", relax=relax, max_strain=1.0, max_displacement=1.0)
        ).energy_ev
        for relax in ("none", "volume-only", "volume-and-positions", "cell-and-positions")
    ]
    assert energies == sorted(energies, reverse=True)
    assert min(-np.diff(energies)) > 1e-3


def test_a_former_name_is_read_or_refused_by_what_it_was():
    assert CalculatorSettings(calculator="emt", relax="cell").relax == "cell-and-positions"
    with pytest.raises(ValidationError, match=r'"volume-and-positions", which "volume" was before, or "volume-only"'):
        CalculatorSettings(calculator="emt", relax="volume")
    oracle = {"kind": "calculator", "calculator": "emt", "relax": "volume"}
    tree = {"name": "a", "elements": ["Cu", "Au"], "pool": {"path": "p"}, "oracle": oracle}
    assert check_config(tree, source="a folder", is_own=False).oracle.relax == "volume-and-positions"
    with pytest.raises(InvalidCampaignError, match=r"oracle\.relax: expected what is relaxed beside the volume"):
        check_config(tree, source="a file")
