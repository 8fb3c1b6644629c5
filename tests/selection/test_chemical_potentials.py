"""Where ground states are stable is what pymatgen's chemical potential diagram says, and intervals are those of the samples."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hullscout.hull import lower_hull, of_all_elements, phase_diagram
from hullscout.selection import ChemicalPotentials
from hullscout.selection.chemical_potentials import corners_of, facet_potentials

SYMBOLS = ("Cu", "Ag", "Au", "Pd")
FAR_EV = -50.0


@settings(deadline=None, max_examples=15)
@given(st.integers(2, 4), st.integers(0, 2**32 - 1))
def test_regions_have_pymatgens_corners(n_elements, seed):
    from pymatgen.analysis.chempot_diagram import ChemicalPotentialDiagram

    random = np.random.default_rng(seed)
    compounds = np.unique(random.integers(0, 3, size=(10, n_elements)), axis=0)
    counts = np.vstack([np.eye(n_elements, dtype=int), compounds[(compounds > 0).sum(axis=1) > 1]])
    n_atoms = counts.sum(axis=1)
    shares = counts / n_atoms[:, None]
    energies = -0.3 * (1 - (shares**2).sum(axis=1)) * (1 + 0.3 * random.random(len(counts)))
    energies += shares @ random.normal(size=n_elements)  # whatever the elements' own energies are
    hull = lower_hull(shares[:, 1:], energies)
    elements = SYMBOLS[:n_elements]
    diagram = phase_diagram(elements, counts.tolist(), energies * n_atoms, [str(i) for i in range(len(counts))])
    entries = diagram.stable_entries
    theirs = ChemicalPotentialDiagram(entries, default_min_limit=FAR_EV, formal_chempots=True)
    order = [[element.symbol for element in theirs.elements].index(symbol) for symbol in elements]
    names = {int(entry.entry_id): entry.reduced_formula for entry in entries}
    for index, corners in zip(hull.indices.tolist(), corners_of(hull), strict=True):
        domain = theirs.domains[names[index]][:, order]
        inside = domain[domain.min(axis=1) > FAR_EV + 1]
        gap = np.abs(corners[:, None, :] - inside[None, :, :]).max(axis=2)
        assert gap.min(axis=0).max() < 1e-8
        assert gap.min(axis=1).max() < 1e-8


def test_nothing_is_lower_than_a_ground_state_in_its_region():
    random = np.random.default_rng(5)
    fractions = np.vstack([np.zeros(3), np.eye(3), random.dirichlet(np.ones(4), size=30)[:, 1:]])
    energies = np.append(np.zeros(4), -random.random(30))
    hull = lower_hull(fractions, energies)
    shares = of_all_elements(hull.fractions)
    for place, corners in enumerate(corners_of(hull)):
        above = hull.energy_ev_per_atom - corners @ shares.T
        np.testing.assert_allclose(above[:, place], 0.0, atol=1e-9)
        assert above.min() > -1e-9
    assert facet_potentials(hull).max() <= 1e-9


def known_of(x, energies):
    """Two elements of which these are known."""
    hull = lower_hull(x, energies)
    names = {name: tuple(f"{first}{i}" for i in range(len(x))) for name, first in (("ids", "c"), ("formulas", "F"))}
    return SimpleNamespace(hull=hull, pool=SimpleNamespace(elements=("Ag", "Pd"), end_names=("Ag", "Pd"), **names))


def test_of_two_elements_regions_are_intervals_that_meet():
    potentials = ChemicalPotentials.of(known_of([0.0, 0.25, 0.5, 1.0], [0.0, -0.1, 0.2, 0.0]))
    first, middle, last = (region.range_ev_per_atom.tolist() for region in potentials.regions)
    assert first == [[0.0, 0.0], [-np.inf, pytest.approx(-0.4)]]
    assert middle == [[pytest.approx(-0.4 / 3), 0.0], [pytest.approx(-0.4), pytest.approx(0.0)]]
    assert last == [[-np.inf, pytest.approx(-0.4 / 3)], [0.0, 0.0]]
    heads, rows = potentials.table()
    assert heads == ("formula", "\u03bc(Ag) (meV/atom)", "\u03bc(Pd) (meV/atom)", "id")
    assert rows[1] == ("F1", "\u2212133.3 to 0.0", "\u2212400.0 to 0.0", "c1")
    assert rows[0][1:3] == ("0.0", "\u2212\u221e to \u2212400.0")
    assert "<td>F1</td>" in potentials._repr_html_()


def test_intervals_are_those_of_the_samples_in_which_a_structure_is_stable():
    known = known_of([0.0, 0.25, 0.5, 1.0], [0.0, -0.1, 0.2, 0.0])
    lower = [lower_hull([0.0, 0.25, 0.5, 1.0], [0.0, -0.1, depth, 0.0]) for depth in (-0.15, -0.4)]
    belief = SimpleNamespace(sampled_hulls=[(known.hull, 70), (lower[0], 20), (lower[1], 10)])
    _, middle, last = ChemicalPotentials.of(known, belief).regions
    assert middle.probability == pytest.approx(0.9)  # the deepest sample takes it off the hull
    assert last.probability == 1.0
    low, high = middle.interval_ev_per_atom
    ends = [facet_potentials(hull)[1] for hull in (known.hull, lower[0])]
    assert sorted([low[0, 0], high[0, 0]]) == pytest.approx(sorted(end[0] for end in ends), abs=1e-9)
    assert low[1, 0] == high[1, 0] == pytest.approx(-0.4)
    assert "90 %" in ChemicalPotentials.of(known, belief).table()[1][1]
