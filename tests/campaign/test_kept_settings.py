"""Settings and times that the files of told results state are kept, and stand in entries and plans."""

import pytest
from campaign.test_ask_results import asked
from results_tree import write_results

from hullscout import Campaign
from hullscout.campaign import read_history
from hullscout.planning.core_hours import read_times
from hullscout.pool import read_pool


@pytest.fixture
def told(hullscout, live_file, tmp_path, monkeypatch):
    """The folder of a campaign that was told six results of VASP, and then two more that it asked for."""
    monkeypatch.chdir(tmp_path)
    write_results(tmp_path / "results", live_file.with_name("cells.extxyz"), n=6, n_bad=0)
    code, text = asked(hullscout)
    assert code == 0, text
    write_results(tmp_path / "all", tmp_path / "cells.extxyz", n=10, n_bad=0)
    for folder in (tmp_path / "outbox").iterdir():
        (tmp_path / "all" / folder.name / "vasprun.xml").rename(folder / "vasprun.xml")
    code, text = hullscout("tell", "runs/Au-Cu", "outbox")
    assert (code, "2 new energies" in text) == (0, True), text
    return tmp_path / "runs" / "Au-Cu"


def test_entries_hold_the_settings_of_told_results_asked_for_or_not(told):
    entries = Campaign(told).entries()
    assert len(entries) == 8
    assert {(entry.parameters["functional"], entry.parameters["cutoff"]) for entry in entries} == {("PBE", 400.0)}
    assert all(any(key.startswith("potential_") for key in entry.parameters) for entry in entries)


def test_settings_are_handed_on_where_a_campaign_is_known_beforehand(told, hullscout, tmp_path):
    text = 'name = "on"\nelements = ["Au", "Cu"]\noracle = {kind = "handoff"}\n'
    (tmp_path / "on.toml").write_text(f'{text}pool = {{path = "cells.extxyz", known = ["{told}"]}}\n')
    assert hullscout("run", tmp_path / "on.toml", "--out", tmp_path / "on")[0] == 0
    about = read_history(tmp_path / "on").about
    assert len(about) == 8
    assert {one.settings["functional"] for one in about.values()} == {"PBE"}


def test_times_of_results_told_unasked_are_kept(hullscout, live_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ids = [frame.id for frame in read_pool(live_file.with_name("cells.extxyz")).frames]
    rows = [f"{name},-0.1,{100 + place}.5" for place, name in enumerate(ids[:6])]
    (tmp_path / "told.csv").write_text("\n".join(["id,energy_ev,wall_s", *rows]) + "\n")
    code, text = hullscout("ask", "told.csv", "--pool", "cells.extxyz", "-n", 1, "--to", "outbox")
    assert (code, "6 of them were never asked for" in text) == (0, True), text
    times = read_times(tmp_path / "runs" / "Au-Cu")
    assert sorted(times.hours * 3600) == pytest.approx([100.5 + place for place in range(6)])


def test_what_is_kept_of_energies_survives_salvage(told, hullscout, tmp_path):
    code, text = hullscout("salvage", told, "-o", tmp_path / "saved")
    assert code == 0, text
    assert read_history(tmp_path / "saved").about == read_history(told).about
