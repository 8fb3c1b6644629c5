"""Hulls of three to five elements are pymatgen's: energies, distances, decompositions; and degenerate ones are right."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hullscout.errors import InvalidSettingError
from hullscout.hull import hull_error, lower_hull, phase_diagram

SYMBOLS = ("Cu", "Ag", "Au", "Pd", "Pt")
CORNERS = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]


@st.composite
def pools(draw, least=2, most=5):
    """Numbers of atoms of each element, pure ones first, and energies in eV/atom: coarse ones, so that many points are coplanar."""
    n_elements = draw(st.integers(least, most))
    counts = st.tuples(*[st.integers(0, 3)] * n_elements).filter(any)
    step = draw(st.sampled_from([0.001, 0.25]))
    energies = st.integers(-1000, 1000).map(lambda e: step * e) if step < 0.01 else st.integers(-4, 1).map(float)
    points = draw(st.lists(st.tuples(counts, energies), max_size=20))
    pure = [tuple(int(i == j) for j in range(n_elements)) for i in range(n_elements)]
    points = [*((count, -1.0 - i) for i, count in enumerate(pure)), *points]
    counts, energies = np.array([count for count, _ in points]), np.array([energy for _, energy in points])
    return counts, counts[:, 1:] / counts.sum(axis=1, keepdims=True), energies


@settings(deadline=None, max_examples=60)
@given(pools())
def test_energies_and_distances_are_pymatgens(pool):
    counts, fractions, energies = pool
    hull, n_atoms = lower_hull(fractions, energies), counts.sum(axis=1)
    elements = SYMBOLS[: counts.shape[1]]
    diagram = phase_diagram(elements, counts.tolist(), energies * n_atoms, [str(i) for i in range(len(energies))])
    entries = sorted(diagram.all_entries, key=lambda entry: int(entry.entry_id))
    of_pymatgen = [diagram.get_hull_energy_per_atom(entry.composition) for entry in entries]
    np.testing.assert_allclose(hull.energy_at(fractions), of_pymatgen, atol=1e-9)
    heights = [diagram.get_decomp_and_e_above_hull(entry, allow_negative=True)[1] for entry in entries]
    np.testing.assert_allclose(hull.distance(fractions, energies), heights, atol=1e-9)


@settings(deadline=None, max_examples=60)
@given(pools())
def test_decompositions_are_pymatgens(pool):
    """Where facets are coplanar there is a choice between equals: then only what it amounts to is compared."""
    counts, fractions, energies = pool
    hull, n_atoms = lower_hull(fractions, energies), counts.sum(axis=1)
    elements = SYMBOLS[: counts.shape[1]]
    diagram = phase_diagram(elements, counts.tolist(), energies * n_atoms, [str(i) for i in range(len(energies))])
    vertices, amounts = hull.decomposition(fractions)
    np.testing.assert_allclose(amounts.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose((amounts[..., None] * hull.fractions[vertices]).sum(axis=1), fractions, atol=1e-9)
    at_hull = (amounts * hull.energy_ev_per_atom[vertices]).sum(axis=1)
    np.testing.assert_allclose(at_hull, hull.energy_at(fractions), atol=1e-9)
    entries = {int(entry.entry_id): entry for entry in diagram.all_entries}
    for place in range(len(energies)):
        used = set(vertices[place][amounts[place] > 0].tolist())
        touching = np.abs(hull.planes @ np.append(fractions[place], 1.0) - at_hull[place]) < 1e-9
        lowest = (
            hull.energy_ev_per_atom
            - np.column_stack([hull.fractions, np.ones(len(hull.fractions))]) @ (hull.planes[touching][0])
        )
        if (
            not all(used <= set(facet) for facet in hull.facets[touching].tolist())
            or (lowest < 1e-9).sum() > fractions.shape[1] + 1
        ):
            continue
        expected = {
            tuple(np.round([phase.composition.get_atomic_fraction(e) for e in elements[1:]], 9).tolist()): amount
            for phase, amount in diagram.get_decomposition(entries[place].composition).items()
        }
        found = {
            tuple(np.round(hull.fractions[vertex], 9).tolist()): amount
            for vertex, amount in zip(vertices[place].tolist(), amounts[place].tolist(), strict=True)
            if amount > 0
        }
        assert found == pytest.approx(expected, abs=1e-7)


@settings(deadline=None, max_examples=60)
@given(pools(least=3), st.randoms(use_true_random=False))
def test_every_vertex_is_needed_and_the_order_of_points_does_not_matter(pool, random):
    _, fractions, energies = pool
    hull = lower_hull(fractions, energies)
    assert hull.distance(fractions, energies).min() >= -1e-8
    order = list(range(len(energies)))
    random.shuffle(order)
    again = lower_hull(fractions[order], energies[order])
    assert {*map(tuple, again.fractions.tolist())} == {*map(tuple, hull.fractions.tolist())}
    compounds = [i for i in range(len(hull.indices)) if hull.fractions[i].max() < 1 and hull.fractions[i].any()]
    for place in compounds:
        others = np.delete(np.arange(len(hull.indices)), place)
        without = lower_hull(hull.fractions[others], hull.energy_ev_per_atom[others])
        assert without.distance(hull.fractions[[place]], hull.energy_ev_per_atom[place])[0] < -1e-9


@settings(deadline=None, max_examples=40)
@given(pools(least=3, most=4), st.integers(0, 2**32 - 1))
def test_no_composition_has_a_larger_error_than_the_hull_error(pool, seed):
    _, fractions, energies = pool
    n_elements = fractions.shape[1] + 1
    true, found = lower_hull(fractions, energies), lower_hull(fractions[: n_elements + 3], energies[: n_elements + 3])
    anywhere = np.random.default_rng(seed).dirichlet(np.ones(n_elements), size=300)[:, 1:]
    largest = (found.energy_at(anywhere) - true.energy_at(anywhere)).max()
    assert largest <= hull_error(found, true) + 1e-9
    assert hull_error(found, true) == pytest.approx(
        (found.energy_at(fractions) - true.energy_at(fractions)).max(), abs=1e-9
    )


@pytest.mark.parametrize(
    ("points", "energies", "vertices"),
    [
        ([], [], [0, 1, 2]),  # the elements alone
        ([[1 / 3, 1 / 3]], [-0.3], [0, 1, 2, 3]),
        ([[1 / 3, 1 / 3]], [0.3], [0, 1, 2]),
        ([[1 / 3, 1 / 3]], [0.0], [0, 1, 2]),  # in the plane of the elements
        ([[0.5, 0.0], [0.0, 0.5], [0.5, 0.5]], [0.0, 0.0, 0.0], [0, 1, 2]),
        ([[0.5, 0.0], [0.25, 0.0]], [-0.2, -0.1], [0, 1, 2, 3]),  # all on one face, one on a tie line
        ([[0.5, 0.0], [0.5, 0.0], [0.5, 0.0]], [-0.1, -0.2, -0.2], [0, 1, 2, 4]),  # duplicates: the first of the lowest
        ([[0.5, 0.0], [0.0, 0.5], [0.25, 0.25]], [-0.2, -0.2, -0.2], [0, 1, 2, 3, 4]),  # on a tie line inside
        ([[0.5, 0.0], [0.0, 0.5], [0.25, 0.25]], [-0.2, -0.2, -0.2 - 5e-10], [0, 1, 2, 3, 4]),
        ([[0.5, 0.0], [0.0, 0.5], [0.25, 0.25]], [-0.2, -0.2, -0.2 - 5e-9], [0, 1, 2, 3, 4, 5]),
        ([[0.7, 0.3 + 1e-16], [0.3, 0.7 - 1e-16]], [0.1, 1e-8], [0, 1, 2]),  # on an edge within rounding
        ([[0.7, 0.3 + 1e-15], [0.6, 0.4 + 1e-15]], [-0.1, -0.4 / 3], [0, 1, 2, 4]),
        ([[0.2, 0.4 + 1e-17], [0.2, 0.4]], [-0.2, -0.1], [0, 1, 2, 3]),
    ],
)  # fmt: skip
def test_degenerate_hulls_are_right(points, energies, vertices):
    hull = lower_hull([*CORNERS, *points], [0.0, 0.0, 0.0, *energies])
    assert hull.indices.tolist() == vertices
    at = np.array([*CORNERS, *points])
    assert hull.distance(at, [0.0, 0.0, 0.0, *energies]).min() > -2e-9
    areas = np.abs(np.linalg.det(np.column_stack([hull.fractions, np.ones(len(hull.fractions))])[hull.facets]))
    assert areas.sum() == pytest.approx(1.0)  # the facets cover the triangle once
    assert hull.decomposition(at).amounts.min() >= 0


@pytest.mark.parametrize(
    ("fractions", "spans"),
    [
        (
            [[0.0, 0.0], [1.0, 0.0], [0.5, 0.0]],
            "2 fractions, found 3 that do not",
        ),  # all on one face, nothing beside it
        ([[0.3, 0.3]], "2 fractions, found 1 that do not"),
        ([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0]], "3 fractions, found 4 that do not"),
    ],
)
def test_compositions_that_do_not_span_the_fractions_are_refused(fractions, spans):
    with pytest.raises(InvalidSettingError, match=spans):
        lower_hull(fractions, np.zeros(len(fractions)))


def test_energies_of_some_thousand_ev_are_as_exact():
    rng = np.random.default_rng(3)
    fractions = np.vstack([np.zeros(3), np.eye(3), rng.dirichlet(np.ones(4), size=200)[:, 1:]])
    energies = np.append(np.zeros(4), -rng.random(200))
    shift = -9000.0 + fractions @ [4000.0, -700.0, 12.0]
    hull, shifted = lower_hull(fractions, energies), lower_hull(fractions, energies + shift)
    assert shifted.indices.tolist() == hull.indices.tolist()
    np.testing.assert_allclose(
        shifted.distance(fractions, energies + shift), hull.distance(fractions, energies), atol=1e-9
    )


def test_a_hull_of_two_elements_decomposes_too():
    hull = lower_hull([0.0, 0.25, 0.5, 1.0], [0.0, -0.1, -0.1, 0.0])
    vertices, amounts = hull.decomposition([0.1, 0.25, 1.0])
    assert [sorted(zip(*row, strict=True)) for row in zip(vertices.tolist(), np.round(amounts, 9).tolist(), strict=True)] == [
        [(0, 0.6), (1, 0.4)], [(0, 0.0), (1, 1.0)], [(2, 0.0), (3, 1.0)],
    ]  # fmt: skip
    alone = lower_hull([0.5], [-0.1]).decomposition([[0.5]])
    assert (alone.vertices[0, 0], alone.amounts.tolist()) == (0, [[1.0, 0.0]])
    with pytest.raises(InvalidSettingError, match=r"found 1\.2"):
        hull.decomposition([1.2])


def test_many_compositions_are_looked_at_in_parts(monkeypatch):
    hull = lower_hull([*CORNERS, [0.25, 0.25]], [0.0, 0.0, 0.0, -0.1])
    at = np.random.default_rng(0).dirichlet(np.ones(3), size=50)[:, 1:]
    whole = hull.decomposition(at)
    monkeypatch.setattr("hullscout.hull.MAX_WEIGHTS", 40)
    for part, one in zip(hull.decomposition(at), whole, strict=True):
        np.testing.assert_array_equal(part, one)
