"""What a live campaign took is read from its folder as it was kept, with the k-points that its calculator was asked for."""

import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.calculator import kpts2sizeandoffsets
from conftest import CAMPAIGN
from sealed import seal

from hullscout.campaign import Setup, read_origin
from hullscout.errors import InvalidPlanError
from hullscout.planning.core_hours import KPointGrid, fit_power_law, joined, read_times
from hullscout.planning.order import cost_model

LIVE = ["--set", "oracle.kind=calculator", "--set", "oracle.calculator=emt", "--set", "executor.kind=in-process"]
LIVE += ["--set", "oracle.use_known=false"]
SHORT = ["--set", "select.rule=random", "--set", "stop.max_calculations=14"]


@pytest.fixture(scope="module")
def live(hullscout, tmp_path_factory, small_pool):
    """The folder of a campaign whose energies ASE's EMT computed, one calculation after the other."""
    folder = tmp_path_factory.mktemp("live")
    (folder / "pool.extxyz").write_text(small_pool)
    (folder / "small.toml").write_text(CAMPAIGN)
    code, text = hullscout("run", folder / "small.toml", "--out", folder / "out", *LIVE, *SHORT)
    assert code == 0, text
    return folder / "out"


def attempts(folder):
    with closing(sqlite3.connect(folder / "campaign.db")) as connection:
        return connection.execute("SELECT id, wall_s FROM attempts").fetchall()


def test_times_are_those_of_the_calculations_done(live):
    found, kept = read_times(live, cores=4), dict(attempts(live))
    pool = Setup(read_origin(live.parent / "small.toml")).pool
    size = {candidate.id: len(candidate.numbers) for candidate in pool.candidates}
    assert len(kept) == 14
    assert sorted(zip(found.n_atoms, found.hours, strict=True)) == [
        (size[i], pytest.approx(4 * kept[i] / 3600)) for i in sorted(kept, key=lambda i: (size[i], kept[i]))
    ]
    assert (found.n_kpoints, found.grid) == (None, None)


def told(hullscout, campaign_file, out, column, *, n=8):
    """A hand-off campaign of which so many structures were asked for and told, with what each row adds to its id and energy."""
    handed = ["--set", "oracle.kind=handoff", "--set", "oracle.use_known=false"]
    assert hullscout("run", campaign_file, "--out", out / "live", *handed)[0] == 0
    code, text = hullscout("ask", out / "live", "-n", n, "--to", out / "outbox")
    assert code == 0, text
    rows = [json.loads(file.read_text()) for file in sorted((out / "outbox").glob("*/manifest.json"))]
    assert len(rows) == n
    lines = [f"{row['id']},{-3.0 * row['n_atoms']:.1f}{column(row['n_atoms'])}" for row in rows]
    (out / "told.csv").write_text("\n".join([f"id,energy_ev{',wall_s' if column(1) else ''}", *lines]) + "\n")
    code, text = hullscout("tell", out / "live", out / "told.csv")
    assert code == 0, text
    return [row["n_atoms"] for row in rows]


def test_times_that_were_told_with_hand_off_results_are_times_too(hullscout, campaign_file, tmp_path):
    sizes = told(hullscout, campaign_file, tmp_path, lambda n_atoms: f",{90.5 * n_atoms**2:.2f}")
    found = read_times(tmp_path / "live", cores=4)
    assert sorted(found.n_atoms) == sorted(sizes)
    assert found.hours == pytest.approx(4 * 90.5 * found.n_atoms**2 / 3600)
    law = cost_model([str(tmp_path / "live")], cores=4)
    assert law.exponent == pytest.approx(2.0)
    assert read_times(tmp_path / "live", grid=KPointGrid(spacing=0.3)).grid == KPointGrid(spacing=0.3)


def test_hand_off_results_without_times_say_so(hullscout, campaign_file, tmp_path):
    told(hullscout, campaign_file, tmp_path, lambda _: "", n=2)
    with pytest.raises(
        InvalidPlanError, match=r"results that were told, found none among 2 energies. Tell .* \(wall_s in a table\)"
    ):
        read_times(tmp_path / "live")


def test_a_law_is_fitted_to_them_and_core_hours_follow(hullscout, live, tmp_path):
    times = read_times(live)
    law = cost_model([str(live)])
    assert law == fit_power_law(times)
    assert cost_model([str(live)], cores=8).hours == pytest.approx(8 * law.hours)
    code, text = hullscout(
        "plan", live.parent / "small.toml", "--replicates", 1, "--core-hours", live, "--out", tmp_path, "--workers", 1
    )  # fmt: skip
    assert code == 0, text
    assert f"Core-hours: {law}." in " ".join(text.split())
    (entry,) = json.loads((tmp_path / "plan.json").read_text())
    pool = Setup(read_origin(live.parent / "small.toml")).pool
    assert entry["cost_core_hours"]["all"] == pytest.approx(law.of(pool).sum())


def test_failed_tries_belong_to_the_candidate_that_has_an_energy_in_the_end(live, tmp_path):
    with (
        closing(sqlite3.connect(live / "campaign.db")) as source,
        closing(sqlite3.connect(tmp_path / "campaign.db")) as copy,
    ):
        source.backup(copy)
    before, (first, seconds), (lost, _) = read_times(live), *attempts(live)[:2]
    with closing(sqlite3.connect(tmp_path / "campaign.db")) as connection, connection:
        add = "INSERT INTO attempts SELECT id, 2, began, ended, 7200, 'raised', sentence, is_forgiven, checksum "
        connection.execute(f"{add} FROM attempts WHERE id = ?", (first,))
        connection.execute("DELETE FROM answers WHERE id = ?", (lost,))
        connection.execute("UPDATE attempts SET reason = 'raised' WHERE id = ?", (lost,))
    seal(tmp_path)
    after = read_times(tmp_path)
    assert len(after.hours) == len(before.hours) - 1
    assert after.hours.max() == pytest.approx(2 + seconds / 3600)


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ({"density": 3.5}, {"density": 3.5}),
        ({"density": 2.0, "even": True}, {"density": 2.0, "even": True}),
        ({"density": 2.0, "even": False, "gamma": True}, {"density": 2.0, "even": False}),
    ],
)
def test_k_points_are_counted_as_ase_chooses_them(arguments, asked):
    for atoms in (bulk("Pd"), bulk("Pd", cubic=True) * (1, 2, 3), bulk("Ti") * (2, 1, 1)):
        size, _ = kpts2sizeandoffsets(**asked, atoms=atoms)
        assert KPointGrid.asked_by({"kpts": arguments}).of(atoms.cell[:]) == np.prod(size)


def test_settings_that_tell_no_spacing_leave_k_points_out():
    assert KPointGrid.asked_by({}) is None
    assert KPointGrid.asked_by({"kpts": [4, 4, 4]}) is None
    assert KPointGrid.asked_by({"kpts": {"size": [4, 4, 4], "gamma": True}}) is None
    assert KPointGrid.asked_by({"kpts": 2.5}) == KPointGrid(spacing=0.4)
    assert KPointGrid.asked_by({"kspacing": 0.2}) == KPointGrid(spacing=0.2)


def test_k_points_of_the_settings_are_divided_out(hullscout, live, tmp_path):
    dense = [*LIVE, *SHORT, "--set", "oracle.arguments={kpts = {density = 3.5}}"]
    code, text = hullscout("run", live.parent / "small.toml", "--out", tmp_path, *dense)
    assert code == 0, text
    found = read_times(tmp_path)
    assert found.grid == KPointGrid(spacing=1 / 3.5)
    assert len(set(found.n_kpoints)) > 3
    law = cost_model([str(tmp_path)])
    assert law == fit_power_law(found)
    assert "per k-point (k-points 0.2857/A apart)" in str(law)
    with pytest.raises(InvalidPlanError, match=r"expected the k-points 0.2857/A apart of the calculations"):
        cost_model([str(tmp_path)], kpoint_spacing=0.2)
    with pytest.raises(InvalidPlanError, match=r"same rule for k-points, found none in .* and k-points 0.2857/A apart"):
        cost_model([str(live), str(tmp_path)])


def test_a_spacing_that_the_settings_do_not_tell_may_be_given(live):
    found = read_times(live, grid=KPointGrid(spacing=0.3))
    assert len(set(found.n_kpoints)) > 3
    assert cost_model([str(live)], kpoint_spacing=0.3).grid == found.grid


def test_times_of_several_folders_and_files_are_fitted_together(live, tmp_path):
    file = tmp_path / "times.csv"
    file.write_text("atoms,core_hours\n4,0.5\n8,2\n")
    together = joined([read_times(live), read_times(file)])
    assert together.n_atoms.size == 16
    assert cost_model([str(live), str(file)]).n_times == 16


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        (["8:12", "column"], {}, "expected one model, or several folders or .csv files"),
        (
            ["8:12"],
            {"cores": 4},
            "--cores 4: this is for the seconds that a live campaign keeps; 8:12 states core-hours",
        ),
        ([], {"cores": 4}, "--cores belongs to --core-hours"),
        (["8:12"], {"kpoint_spacing": 0.0}, "a spacing of k-points above 0, found 0"),
        (["nowhere"], {}, "or the folder of a live campaign"),
    ],
)
def test_models_in_conflict_are_refused(texts, options, message):
    with pytest.raises(InvalidPlanError, match=message):
        cost_model(texts, **options)


def test_folders_without_times_are_refused(hullscout, live, tmp_path, campaign_file):
    code, text = hullscout("plan", campaign_file, "--core-hours", tmp_path, "--out", tmp_path / "plan")
    assert (code, "There is no campaign in" in text) == (2, True), text
    assert hullscout("run", campaign_file, "--out", tmp_path / "table")[0] == 0
    code, text = hullscout("plan", campaign_file, "--core-hours", tmp_path / "table", "--out", tmp_path / "plan")
    assert (code, "found oracle.kind = 'table', which keeps no times" in text) == (2, True), text
    few = ["--set", "stop.max_calculations=3"]
    assert hullscout("run", live.parent / "small.toml", "--out", tmp_path / "few", *LIVE, *SHORT[:2], *few)[0] == 0
    code, text = hullscout("plan", campaign_file, "--core-hours", tmp_path / "few", "--out", tmp_path / "plan")
    assert (code, "A law needs 5 measured times or more" in text) == (2, True), text
    assert not (tmp_path / "plan").exists()
