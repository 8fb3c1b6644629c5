"""The fast lower hull is the phase diagram's hull, and its measures have the stated signs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hullscout import hull as hulls
from hullscout.errors import InvalidSettingError
from hullscout.hull import formation_energy, hull_error, lower_hull, phase_diagram

compositions = st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda c: sum(c) > 0)
energies = st.integers(-1000, 1000).map(lambda e: e / 1000)
point_sets = st.lists(st.tuples(compositions, energies), min_size=0, max_size=25)


def with_ends(points):
    points = [((1, 0), -0.0), ((0, 1), -0.0), *points]
    counts = [c for c, _ in points]
    x = np.array([b / (a + b) for a, b in counts])
    return counts, x, np.array([e for _, e in points])


@settings(deadline=None, max_examples=60)
@given(point_sets)
def test_fast_hull_agrees_with_pymatgen(points):
    counts, x, e = with_ends(points)
    hull = lower_hull(x, e)
    diagram = phase_diagram(("Ag", "Pd"), counts, e * [sum(c) for c in counts], [str(i) for i in range(len(e))])
    of_pymatgen = [diagram.get_hull_energy_per_atom(entry.composition) for entry in diagram.all_entries]
    fast = hull.energy_at([entry.composition["Pd"] / entry.composition.num_atoms for entry in diagram.all_entries])
    np.testing.assert_allclose(fast, of_pymatgen, atol=1e-8)
    stable = {round(entry.composition["Pd"] / entry.composition.num_atoms, 9) for entry in diagram.stable_entries}
    assert {round(v, 9) for v in hull.x} <= stable


@given(point_sets)
def test_no_point_lies_below_its_hull_and_slopes_increase(points):
    _, x, e = with_ends(points)
    hull = lower_hull(x, e)
    assert hull.distance(x, e).min() >= -1e-8
    assert (np.diff(np.diff(hull.energy_ev_per_atom) / np.diff(hull.x)) > 0).all()
    np.testing.assert_array_equal(hull.x, x[hull.indices])


@given(point_sets, compositions, st.floats(0, 3))
def test_a_point_above_the_hull_changes_nothing(points, at, height):
    _, x, e = with_ends(points)
    hull = lower_hull(x, e)
    x_new = at[1] / sum(at)
    again = lower_hull(np.append(x, x_new), np.append(e, hull.energy_at(x_new) + height))
    np.testing.assert_array_equal(again.indices, hull.indices)


@given(point_sets, st.randoms(use_true_random=False))
def test_order_of_points_does_not_matter(points, random):
    _, x, e = with_ends(points)
    order = list(range(len(x)))
    random.shuffle(order)
    hull, again = lower_hull(x, e), lower_hull(x[order], e[order])
    np.testing.assert_array_equal(again.x, hull.x)
    np.testing.assert_array_equal(again.energy_ev_per_atom, hull.energy_ev_per_atom)


@given(point_sets, st.floats(-5, 5), st.floats(-5, 5))
def test_a_composition_linear_shift_keeps_the_vertices(points, at_a, at_b):
    _, x, e = with_ends(points)
    shifted = e + (1 - x) * at_a + x * at_b
    back = formation_energy(x, shifted, ends_ev_per_atom=(at_a, at_b))
    np.testing.assert_allclose(back, e, atol=1e-12)
    np.testing.assert_allclose(lower_hull(x, back).energy_at(x), lower_hull(x, e).energy_at(x), atol=1e-8)


def test_a_missed_vertex_is_the_hull_error():
    x = np.array([0, 0.25, 0.5, 0.75, 1])
    e = np.array([0, -0.04, -0.1, -0.06, 0])
    true, found = lower_hull(x, e), lower_hull(x[[0, 1, 3, 4]], e[[0, 1, 3, 4]])
    assert hull_error(found, true) == pytest.approx(0.05)
    assert hull_error(true, true) == 0.0


def test_the_error_counts_only_what_lies_above_the_true_hull():
    true = lower_hull([0, 1], [0, 0])
    assert hull_error(lower_hull([0, 0.5, 1], [0, -0.1, 0]), true) == 0.0


@pytest.mark.parametrize(
    ("x", "e", "message"),
    [
        ([0.0, 1.0], [0.0], "as many energies as compositions"),
        ([], [], "at least one"),
        ([0.0, 1.0], [0.0, np.nan], "finite"),
    ],
)
def test_impossible_points_are_refused(x, e, message):
    with pytest.raises(InvalidSettingError, match=message):
        lower_hull(x, e)


ternary_counts = st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)).filter(lambda c: sum(c) > 0)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(ternary_counts, energies), max_size=25))
def test_the_hull_of_three_elements_agrees_with_pymatgen(points):
    counts = [(1, 0, 0), (0, 1, 0), (0, 0, 1), *(count for count, _ in points)]
    energy = np.array([-1.0, -2.0, -3.0, *(value for _, value in points)])
    n_atoms = np.array([sum(count) for count in counts])
    fractions = np.array(counts)[:, 1:] / n_atoms[:, None]
    hull = lower_hull(fractions, energy)
    diagram = phase_diagram(("Cu", "Ag", "Au"), counts, energy * n_atoms, [str(i) for i in range(energy.size)])
    heights = {entry.entry_id: diagram.get_e_above_hull(entry) for entry in diagram.all_entries}
    np.testing.assert_allclose(
        hull.distance(fractions, energy), [heights[str(i)] for i in range(energy.size)], atol=1e-9
    )
    np.testing.assert_allclose(hull.energy_at(hull.fractions), hull.energy_ev_per_atom, atol=1e-9)


def test_a_ternary_hull_misses_what_a_missed_compound_would_lower_it():
    fractions = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.5, 0.0], [1 / 3, 1 / 3]])
    energy = np.array([0.0, 0.0, 0.0, -0.1, -0.3])
    true, found = lower_hull(fractions, energy), lower_hull(fractions[:4], energy[:4])
    assert hull_error(found, true) == pytest.approx(0.3 - 0.1 * 2 / 3)
    assert (hull_error(true, true), lower_hull(fractions[:3], energy[:3]).facets.tolist()) == (0.0, [[0, 1, 2]])


@pytest.mark.parametrize("x", [-0.01, 1.5, [0.5, 2.0], np.nan])
def test_a_hull_has_no_energy_outside_of_its_compositions(x):
    with pytest.raises(InvalidSettingError, match=r"Expected atomic fractions from 0 to 1, where the hull is, found"):
        lower_hull([0.0, 1.0], [0.0, 0.0]).energy_at(x)


def test_a_hull_of_three_elements_has_no_energy_outside_either():
    hull = lower_hull([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [0.0, 0.0, 0.0])
    with pytest.raises(InvalidSettingError, match=r"found \[0.6, 0.6\], which lie outside"):
        hull.energy_at([[0.2, 0.2], [0.6, 0.6]])
    with pytest.raises(InvalidSettingError, match="which lie outside"):
        hull.energy_at([[0.2, np.nan]])
    with pytest.raises(InvalidSettingError, match=r"Expected compositions \(n, 2\) for a hull of 3 elements"):
        hull.energy_at([[0.2, 0.2, 0.2]])
    with pytest.raises(InvalidSettingError, match=r"Expected compositions \(n, 1\) for a hull of 2 elements"):
        lower_hull([0.0, 1.0], [0.0, 0.0]).energy_at([[0.3, 0.3]])
    with pytest.raises(InvalidSettingError, match="Expected a hull of two elements, found one of 3"):
        _ = hull.x
    with pytest.raises(InvalidSettingError, match="span 2 fractions"):
        lower_hull([[0.0, 0.0], [1.0, 0.0], [0.5, 0.0]], [0.0, 0.0, 0.0])


@pytest.mark.parametrize("is_continuous", [True, False])
def test_the_compiled_chain_of_many_points_is_that_of_few(
    monkeypatch: pytest.MonkeyPatch, *, is_continuous: bool
) -> None:
    rng = np.random.default_rng(4)
    n = hulls.MAX_UNCOMPILED + 1000
    x = rng.uniform(0, 1, n) if is_continuous else rng.integers(0, 60, n) / 60
    energies = np.round(-0.3 * x * (1 - x) + rng.exponential(0.05, n), 6 if is_continuous else 2)
    compiled = lower_hull(x, energies)
    monkeypatch.setattr(hulls, "MAX_UNCOMPILED", n)
    plain = lower_hull(x, energies)
    assert compiled.indices.size > 5
    np.testing.assert_array_equal(compiled.indices, plain.indices)
    assert compiled.energy_ev_per_atom.tobytes() == plain.energy_ev_per_atom.tobytes()
    assert compiled.indices.dtype == plain.indices.dtype
