"""A law fitted on times finds the law that made them, wrong times do not move it, and savings differ in core-hours."""

import json
import shutil

import numpy as np
import pytest
from conftest import CAMPAIGN

from hullscout.campaign import Setup, read_origin
from hullscout.errors import InvalidPlanError
from hullscout.planning.core_hours import CostColumn, KPointGrid, MeasuredTimes, PowerLaw, Price, fit_power_law
from hullscout.planning.order import cost_model


def made_times(n=60, *, exponent=2.6, hours=0.03, scatter=0.15, seed=0):
    rng = np.random.default_rng(seed)
    atoms = rng.integers(1, 13, n)
    return atoms, hours * atoms**exponent * np.exp(scatter * rng.standard_normal(n))


def fitted(atoms, hours, **kpoints):
    return fit_power_law(MeasuredTimes(source="", n_atoms=atoms, hours=hours, **kpoints))


@pytest.mark.parametrize("seed", range(5))
def test_the_fit_finds_the_law_within_its_errors(seed):
    atoms, hours = made_times(seed=seed)
    law = fitted(atoms, hours)
    assert abs(law.exponent - 2.6) < 3 * law.exponent_error < 0.4
    at_reference = 0.03 * law.reference_atoms**2.6
    assert abs(np.log(law.hours / at_reference)) < 3 * law.hours_error < 0.2
    assert law.scatter == pytest.approx(0.15, rel=0.4)


def test_a_fifth_of_wrong_times_hardly_moves_the_fit():
    atoms, hours = made_times()
    spoilt = hours.copy()
    spoilt[::5] *= np.random.default_rng(1).choice([0.01, 50.0], 12)
    assert fitted(atoms, spoilt).exponent == pytest.approx(fitted(atoms, hours).exponent, abs=0.25)


def test_errors_of_the_exponent_are_those_seen_over_many_fits():
    fits = [fitted(*made_times(n=30, seed=seed)) for seed in range(60)]
    z = [(fit.exponent - 2.6) / fit.exponent_error for fit in fits]
    assert 0.6 < np.std(z) < 1.5


def test_kpoints_are_divided_out_and_multiplied_in(replay_pool):
    pool = replay_pool.pool
    atoms, hours = made_times()
    kpoints = np.random.default_rng(2).integers(1, 40, atoms.size)
    law = fitted(atoms, hours * kpoints, n_kpoints=kpoints, grid=KPointGrid(spacing=0.3))
    plain = fitted(atoms, hours)
    assert law.exponent == pytest.approx(plain.exponent)
    expected = plain.of(pool) * [KPointGrid(spacing=0.3).of(candidate.cell) for candidate in pool.candidates]
    np.testing.assert_allclose(law.of(pool), expected)
    assert law.relative_error(pool) > 0


def test_a_larger_cell_needs_fewer_kpoints():
    cell = np.diag([3.0, 4.0, 5.0])
    assert KPointGrid(spacing=0.2).of(cell) == 11 * 8 * 7
    assert KPointGrid(spacing=0.2).of(2 * cell) == 6 * 4 * 4
    assert KPointGrid(spacing=100.0).of(cell) == 1


def test_a_given_law_is_taken_at_its_word(replay_pool):
    pool = replay_pool.pool
    law = PowerLaw.parse("4:2.5:2")
    np.testing.assert_allclose(law.of(pool), 2.5 * (pool.n_atoms / 4) ** 2)
    assert law.relative_error(pool) == 0.0
    assert PowerLaw.parse("4:2.5") == PowerLaw(hours=2.5, reference_atoms=4.0, exponent=3.0)
    assert str(law) == "2.5 x (atoms / 4)^2.00 core-hours"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("eight", "expected 'column', ATOMS:HOURS"),
        ("8", "expected 'column', ATOMS:HOURS"),
        ("8:0", "above 0"),
        ("nowhere.csv", "cannot be read"),
    ],
)
def test_models_that_are_none_are_refused(text, message):
    with pytest.raises(InvalidPlanError, match=message):
        cost_model([text])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size,time\n1,2\n", "found size, time"),
        ("", "found no calculations"),
        ("atoms,core_hours\n1,2\n2,x\n", "expected a number in every field"),
        ("atoms,core_hours\n1,2\n2\n", "expected a number in every field"),
        ("atoms,core_hours\n" + "1,2\n" * 9, r"at least two sizes; found 9 of 1 size"),
        ("atoms,core_hours\n1,2\n2,3\n", "needs 5 measured times"),
        ("atoms,core_hours\n1,2\n2,-3\n3,1\n4,1\n5,1\n", "core-hours above 0, found -3.0"),
        ("atoms,core_hours,kpoints\n" + "1,2,3\n2,3,3\n" * 5, "times with k-points and no spacing"),
    ],
)
def test_times_that_cannot_be_fitted_are_refused_by_file(tmp_path, text, message):
    file = tmp_path / "times.csv"
    file.write_text(text)
    with pytest.raises(InvalidPlanError, match=f"times.csv.*{message}"):
        cost_model([str(file)])


@pytest.mark.parametrize("text", ["EUR", "0 EUR", "-1 EUR", "2", "nan EUR"])
def test_prices_that_are_none_are_refused(text):
    with pytest.raises(InvalidPlanError, match=r"xpected (a price|NUMBER UNIT)"):
        Price.parse(text)


def test_a_plan_states_core_hours_and_money(hullscout, planned, tmp_path):
    file, out, _ = planned
    times = tmp_path / "times.csv"
    atoms, hours = made_times()
    times.write_text("atoms,core_hours\n" + "".join(f"{a},{h}\n" for a, h in zip(atoms, hours, strict=True)))
    out = shutil.copytree(out, tmp_path / "out")
    code, text = hullscout(
        "plan", file, "--replicates", 4, "--out", out, "--grid", "select.rule=hull-posterior,hull-threshold,random",
        "--grid", "stop.failure_probability=0.5,0.1", "--core-hours", times, "--price", "0.5 EUR",
    )  # fmt: skip
    assert code == 0, text
    entry = json.loads((out / "plan.json").read_text())[1]
    spent, priced = entry["cost_core_hours"], entry["cost_priced"]
    assert 0 < spent["saved_fraction"] < 1
    assert spent["saved_fraction"] != pytest.approx(entry["saved_fraction"]["mean"], abs=1e-3)
    assert spent["mean"] == pytest.approx((1 - spent["saved_fraction"]) * spent["all"])
    assert priced == {"unit": "EUR", **{key: 0.5 * spent[key] for key in ("mean", "p05", "p95", "all")}}
    assert "core-hours" in text
    assert "…" not in text  # nothing is cut off on a terminal of 80 characters


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--price", "1 EUR"], "say by --core-hours what a calculation takes"),
        (["--kpoint-spacing", "0.2"], "--kpoint-spacing belongs to --core-hours"),
        (["--core-hours", "column", "--kpoint-spacing", "0.2"], "the cost column states core-hours already"),
        (["--core-hours", "column"], "the pool states no costs"),
    ],
)
def test_orders_that_contradict_themselves_are_refused(hullscout, campaign_file, tmp_path, arguments, message):
    code, text = hullscout("plan", campaign_file, "--out", tmp_path / "out", "--replicates", 1, *arguments)
    assert (code, message in text) == (2, True), text


def test_a_cost_column_is_read_from_the_pool(tmp_path, small_pool):
    (tmp_path / "pool.extxyz").write_text(small_pool.replace("energy=", "hours=1.5 energy="))
    text = (
        CAMPAIGN.replace('path = "pool.extxyz"', 'path = "pool.extxyz"\ncost = "hours"') + '\n[cost]\nkind = "column"\n'
    )
    (tmp_path / "small.toml").write_text(text)
    pool = Setup(read_origin(tmp_path / "small.toml")).pool
    np.testing.assert_array_equal(CostColumn().of(pool), np.full(57, 1.5))
