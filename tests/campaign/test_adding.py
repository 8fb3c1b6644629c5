"""Structures join a campaign that is under way or at its end: committed whole, never twice, and seen by later rounds alone."""

import numpy as np
import pytest
from frames import frames_of
from kept import result_of, rows
from played import POSTERIOR, play

from hullscout import Campaign, Pool
from hullscout.campaign import Beliefs, Setup, Store, growth, read_history, read_origin
from hullscout.errors import InvalidPoolError, StoreError
from hullscout.figures.report import read_report
from hullscout.figures.report.facts import remarks
from hullscout.figures.report.page_data import page_data


def test_a_campaign_at_its_end_goes_on_with_what_is_added_and_states_of_the_whole_pool(halves, hullscout, tmp_path):
    campaign_file, more = halves
    out, settings = tmp_path / "out", [word for text in POSTERIOR for word in ("--set", text)]
    assert hullscout("run", campaign_file, "--out", out, *settings)[0] == 0
    before, n_rounds = result_of(out), rows(out, "SELECT count(*) FROM rounds")[0][0]
    n_first = before["n_candidates"]
    code, text = hullscout("add", out, more)
    n_added = 57 - n_first
    said = f"{n_added} candidates were added after {n_rounds} rounds."
    assert (code, said in text, "The campaign has 57 candidates." in text) == (0, True, True)
    assert "The same `hullscout run` command goes on with them." in text
    code, text = hullscout("status", out)
    assert said in text
    assert (
        "Not finished; the same `hullscout run` command goes on. result.json is of before structures were added."
        in text
    )
    assert "Stated probability of a wrong hull at the end" not in text
    code, text = hullscout("run", campaign_file, "--out", out, *settings)
    assert (code, said in text) == (0, True)
    after = result_of(out)
    assert after["additions"] == [{"n_rounds": n_rounds, "n_added": n_added}]
    assert (after["n_candidates"], after["n_calculations"] >= before["n_calculations"]) == (57, True)
    assert after["failure_probability"] != before["failure_probability"]
    assert "additions" not in before
    assert after["reference"]["within_tolerance"]
    assert said in hullscout("status", out)[1]
    history = read_history(out)
    believed = Beliefs(history.setup).at(history.now)
    assert believed.loner_probability.size == 57
    assert believed.stated_failure_probability == after["failure_probability"]


def test_every_earlier_round_is_seen_as_it_was_decided(halves, tmp_path):
    campaign_file, more = halves
    out = tmp_path / "out"
    play(campaign_file, out, until=18)
    first = read_history(out)
    seen = [
        (known.n_candidates, known.answered.tolist(), known.hull_error_ev_per_atom, known.hull.indices.tolist())
        for known in first.moments
    ]
    beliefs = Beliefs(first.setup)
    stated = [beliefs.at(known).stated_failure_probability for known in first.moments]
    growth.add_file(out, more)
    play(campaign_file, out)
    history = read_history(out)
    n = len(first.moments) - 1  # the last one was not decided yet
    now = [
        (known.n_candidates, known.answered.tolist(), known.hull_error_ev_per_atom, known.hull.indices.tolist())
        for known in history.moments[:n]
    ]
    assert now == seen[:n]
    assert {known.n_candidates for known in history.moments[n:]} == {57}
    beliefs = Beliefs(history.setup)
    assert [beliefs.at(known).stated_failure_probability for known in history.moments[:n]] == stated[:n]
    for known, decision in zip(history.moments[:-1], history.decided[:-1], strict=True):
        assert beliefs.at(known).failure_probability == decision.failure_probability
        assert len(known.cost) == known.n_candidates


def test_the_report_shows_what_was_added_from_its_round_on(halves, tmp_path):
    campaign_file, more = halves
    out = tmp_path / "out"
    play(campaign_file, out, until=18)
    n_first = len(Setup.read(out).pool)
    growth.add_file(out, more)
    n_rounds = rows(out, "SELECT n_rounds FROM additions")[0][0]
    play(campaign_file, out)
    reported = read_report(out)
    page = page_data(reported)
    assert [at["candidates"] for at in page["moments"]] == [
        n_first if at["round"] + 1 < n_rounds else 57 for at in page["moments"]
    ]
    assert [at["trueHull"] is None for at in page["moments"]] == [at["candidates"] == 57 for at in page["moments"]]
    assert len(page["candidates"]["id"]) == 57
    assert f"{57 - n_first} candidates were added after {n_rounds} rounds." in list(remarks(reported))


def test_what_is_known_keeps_its_place_and_what_is_added_is_looked_up_in_the_added_pool(halves, tmp_path):
    campaign_file, more = halves
    play(campaign_file, tmp_path / "out", until=18)
    before = Setup.read(tmp_path / "out")
    growth.add_file(tmp_path / "out", more)
    after = Setup.read(tmp_path / "out")
    n = len(before.pool)
    assert after.pool.ids[:n] == before.pool.ids
    assert list(after.pool.ids[n:]) == sorted(after.pool.ids[n:])
    whole = Setup(read_origin(campaign_file)).origin.pool.decode() + more.read_text()
    stated = {}
    for frame in frames_of(whole):
        comment = frame.split("\n")[1]
        stated[comment.split("id=")[1].split()[0]] = float(comment.split("energy=")[1].split()[0])
    assert {i: after.table.lookup(i) for i in after.pool.ids} == stated
    assert sum("were added after " in line for line in after.pool.report.lines()) == 1
    assert after.cost.size == 57


def test_the_same_bytes_come_of_it_however_often_it_is_resumed(halves, tmp_path):
    campaign_file, more = halves
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for out in (whole, cut):
        play(campaign_file, out, until=18)
        growth.add_file(out, more)
    result, _ = play(campaign_file, whole)
    for until in (19, 22, 25, None):
        again = play(campaign_file, cut, until=until)
    assert rows(cut, "SELECT record FROM rounds") == rows(whole, "SELECT record FROM rounds")
    assert (again[0].hull, again[0].failure_probability) == (result.hull, result.failure_probability)


def test_told_twice_nothing_is_added(halves, tmp_path):
    campaign_file, more = halves
    out = tmp_path / "out"
    play(campaign_file, out, until=18)
    assert len(growth.add_file(out, more).ids) > 20
    before = rows(out, "SELECT * FROM additions")
    again = growth.add_file(out, more)
    assert (again.ids, len(again.twins), again.n_candidates) == ((), 57 - len(Setup.read(out).pools[0]), 57)
    assert again.sentences[:2] == ("Nothing was added.", "The campaign has 57 candidates.")
    own = growth.add_file(out, campaign_file.with_name("pool.extxyz"))
    assert own.ids == ()
    assert rows(out, "SELECT * FROM additions") == before


def test_twins_are_said_and_not_added_whatever_their_cell_and_id(halves, tmp_path):
    from ase.build import make_supercell

    campaign_file, _ = halves
    play(campaign_file, tmp_path / "out", until=18)
    campaign = Campaign(tmp_path / "out")
    known = campaign.pool.candidates[5]
    double = make_supercell(known.to_ase(), [[2, 0, 0], [0, 1, 0], [0, 0, 1]])
    double.info = {"id": "double", "energy": 2 * campaign._setup.table.lookup(known.id) + 0.5}
    squeezed = known.to_ase()
    squeezed.set_cell(squeezed.cell * 0.97, scale_atoms=True)
    squeezed.info = {"energy": -3.0}
    same = squeezed.copy()
    same.info = {"id": "same", "energy": -3.0}
    added = campaign.add([double, squeezed, same])
    assert added.ids == ("added1-000002",)
    assert added.twins == {"double": known.id, "same": "added1-000002"}
    assert f"Known crystals, not added again: double = {known.id}, same = added1-000002." in added.sentences
    assert any("meV/atom higher; that of" in sentence for sentence in added.sentences)
    assert campaign.pool.ids[-1] == "added1-000002"
    again = squeezed.copy()
    again.set_cell(again.cell * 0.97, scale_atoms=True)
    assert campaign.add([again]).ids == ("added2-000001",)


def test_frames_without_ids_are_given_ones_that_the_pool_has_not(halves, tmp_path):
    import re

    campaign_file, more = halves
    pool = campaign_file.with_name("pool.extxyz")
    for path in (pool, more):
        path.write_text(re.sub(r" id=\S+", "", path.read_text()))
    play(campaign_file, tmp_path / "out", until=18)
    added = growth.add_file(tmp_path / "out", more)
    assert added.ids[0] == "added1-000001"
    assert Setup.read(tmp_path / "out").pool.ids[0] == "frame-000001"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("Pd ", "Pt "), "foreign element Pt"),
        (lambda text: text.replace("energy=", "energie="), None),
        (lambda text: text + text, "is repeated"),
        (lambda _: "no frames", "more.extxyz"),
        (lambda text: text.replace("energy=-", "energy=-8e9 was=-"), "expected at most"),
    ],
)
def test_what_no_campaign_can_use_is_refused_and_nothing_is_added(halves, tmp_path, change, message):
    campaign_file, more = halves
    play(campaign_file, tmp_path / "out", until=18)
    more.write_text(change(more.read_text()))
    if message is None:
        added = growth.add_file(tmp_path / "out", more)
        assert (added.ids, len(added.left_out) > 20) == ((), True)
        assert any(sentence.startswith("Left out, since they have no energy: ") for sentence in added.sentences)
    else:
        with pytest.raises(InvalidPoolError, match=message):
            growth.add_file(tmp_path / "out", more)
    assert Setup.read(tmp_path / "out").origin.additions == ()


def test_an_id_of_another_crystal_is_refused(halves, tmp_path):
    campaign_file, more = halves
    play(campaign_file, tmp_path / "out", until=18)
    taken = Setup.read(tmp_path / "out").pool.ids[9]
    first = frames_of(more.read_text())[0]
    own = first.split("id=")[1].split()[0]
    more.write_text(first.replace(f"id={own}", f"id={taken}"))
    with pytest.raises(
        InvalidPoolError, match=rf"{taken}.*the pool has another crystal of this id: give it another id"
    ):
        growth.add_file(tmp_path / "out", more)


def test_an_energy_that_was_missing_may_come_with_the_structure_again(halves, tmp_path):
    campaign_file, more = halves
    pool, lost = campaign_file.with_name("pool.extxyz"), frames_of(more.read_text())[3]
    own = lost.split("id=")[1].split()[0]
    without = " ".join(word for word in lost.split("\n")[1].split(" ") if not word.startswith("energy="))
    pool.write_text(pool.read_text() + "\n".join([lost.split("\n")[0], without, *lost.split("\n")[2:]]))
    play(campaign_file, tmp_path / "out", until=18)
    assert own in Setup.read(tmp_path / "out").pool.report.left_out
    assert own in growth.add_file(tmp_path / "out", more).ids
    setup = Setup.read(tmp_path / "out")
    assert np.isfinite(setup.table.lookup(own))
    assert len([frame for frame in setup.frames.frames if frame.id == own]) == 1


def test_settings_of_two_kinds_are_refused_between_what_was_there_and_what_comes(halves, tmp_path):
    campaign_file, more = halves
    pool = campaign_file.with_name("pool.extxyz")
    pool.write_text(pool.read_text().replace(" id=", " functional=PBE id="))
    play(campaign_file, tmp_path / "out", until=18)
    more.write_text(more.read_text().replace(" id=", " functional=LDA id="))
    with pytest.raises(InvalidPoolError, match=r"(?s)functional.*LDA"):
        growth.add_file(tmp_path / "out", more)


def test_costs_and_baselines_of_what_is_added_are_those_of_its_columns(halves, tmp_path):
    campaign_file, more = halves
    pool = campaign_file.with_name("pool.extxyz")
    settings = ["cost.kind=column", "pool.cost=hours", "pool.baseline=cheap"]
    pool.write_text(pool.read_text().replace(" id=", " hours=2.0 cheap=-1.0 id="))
    play(campaign_file, tmp_path / "out", *settings, until=18)
    with pytest.raises(InvalidPoolError, match=r"pool\.cost = 'hours': expected it for every candidate"):
        growth.add_file(tmp_path / "out", more)
    more.write_text(more.read_text().replace(" id=", " hours=3.0 cheap=-2.0 id="))
    growth.add_file(tmp_path / "out", more)
    setup = Setup.read(tmp_path / "out")
    assert (set(setup.cost[:20]), set(setup.cost[-20:])) == ({2.0}, {3.0})
    np.testing.assert_allclose(setup.pool.baseline_ev_per_atom[-20:] * setup.pool.n_atoms[-20:], -2.0)
    assert play(campaign_file, tmp_path / "out", *settings)[0].n_candidates == 57


HANDOFF = "oracle={kind = 'handoff', use_known = false}"


def test_a_handoff_goes_on_while_results_are_awaited(halves, hullscout, tmp_path):
    campaign_file, more = halves
    energies = {}
    for frame in frames_of(campaign_file.with_name("pool.extxyz").read_text() + more.read_text()):
        comment = frame.split("\n")[1]
        energies[comment.split("id=")[1].split()[0]] = float(comment.split("energy=")[1].split()[0])
    campaign = Campaign.create(campaign_file, tmp_path / "out", settings=[*POSTERIOR, HANDOFF])
    other = Campaign(tmp_path / "out")
    asked = campaign.ask(9)
    code, text = hullscout("add", tmp_path / "out", more)
    assert (code, "`hullscout ask" in text) == (0, True)
    for candidate in asked:  # by an object that has not seen what was added
        campaign.tell(candidate.id, energies[candidate.id])
    assert len(campaign.pool) == 57
    while asked := other.ask(5):
        for candidate in asked:
            campaign.tell(candidate.id, energies[candidate.id])
    assert other.result.n_candidates == campaign.result.n_candidates == 57
    assert [then.n_added for then in campaign.result.additions] == [57 - len(Setup.read(tmp_path / "out").pools[0])]
    assert campaign.result.sentences[1].endswith("candidates were added after 1 round.")


def test_structures_are_added_to_a_live_campaign_and_computed(live_file, hullscout, tmp_path):
    pool = live_file.with_name("cells.extxyz")
    frames = frames_of(pool.read_text())
    pool.write_text("".join(frames[:7]))
    (tmp_path / "more.extxyz").write_text("".join(frames[5:]))
    assert hullscout("run", live_file, "--out", tmp_path / "out")[0] == 0
    code, text = hullscout("add", tmp_path / "out", tmp_path / "more.extxyz")
    assert (code, "3 candidates were added" in text) == (0, True), text
    code, text = hullscout("run", live_file, "--out", tmp_path / "out")
    assert code == 0, text
    assert rows(tmp_path / "out", "SELECT count(*), max(attempt) FROM attempts") == [(10, 1)]
    assert result_of(tmp_path / "out")["n_calculations"] == 10


def test_structures_join_before_the_first_round_and_several_times(halves, tmp_path):
    campaign_file, more = halves
    frames = frames_of(more.read_text())
    campaign = Campaign.create(campaign_file, tmp_path / "out", settings=POSTERIOR)
    for place in (0, 1, 2):
        more.write_text("".join(frames[place::3]))
        campaign.add(more)
    assert campaign.run().additions[0].sentence.endswith("were added before the first round.")
    assert (len(campaign.result.additions), campaign.result.n_candidates) == (3, 57)
    assert {known.n_candidates for known in campaign.history.moments} == {57}


def test_a_pool_object_is_added_with_its_columns(halves, tmp_path):
    campaign_file, more = halves
    first = Pool.read(campaign_file.with_name("pool.extxyz"), ("Ag", "Pd"))
    handoff = {"oracle": {"kind": "handoff"}, "cost": {"kind": "column"}}
    given = Pool.of(first.candidates, cost=np.full(len(first), 2.0))
    campaign = Campaign.of(given, tmp_path / "out", name="objects", **handoff)
    text = more.read_text() + campaign_file.with_name("pool.extxyz").read_text()
    (tmp_path / "all.extxyz").write_text(text)
    whole = Pool.read(tmp_path / "all.extxyz", ("Ag", "Pd"))
    added = campaign.add(Pool.of(whole.candidates, cost=np.full(57, 3.0)))
    assert (len(added.twins), len(campaign.pool)) == (len(first), 57)
    assert set(campaign.pool.cost[len(first) :]) == {3.0}


def test_a_probability_that_must_stay_low_starts_anew(halves, tmp_path):
    campaign_file, more = halves
    steady = ["select.steady=0.2"]
    play(campaign_file, tmp_path / "out", *steady)
    growth.add_file(tmp_path / "out", more)
    history = read_history(tmp_path / "out")
    assert Beliefs(history.setup).at(history.now).stated_failure_probability == 1.0
    assert play(campaign_file, tmp_path / "out", *steady)[0].failure_probability < 0.2


def test_a_campaign_that_another_process_runs_is_left_alone(halves, tmp_path):
    campaign_file, more = halves
    setup = Setup(read_origin(campaign_file, POSTERIOR))
    with (
        Store.create_or_resume(tmp_path / "out", setup.origin),
        pytest.raises(StoreError, match=r"End it \(nothing is lost\), add the structures, and run it again"),
    ):
        growth.add_file(tmp_path / "out", more)


def test_where_there_is_no_campaign_or_pool_it_is_said(halves, hullscout, tmp_path):
    campaign_file, more = halves
    code, text = hullscout("add", tmp_path / "nowhere", more)
    assert (code, "There is no campaign in" in text) == (2, True)
    play(campaign_file, tmp_path / "out", until=18)
    code, text = hullscout("add", tmp_path / "out", tmp_path / "none.extxyz")
    assert (code, "There is no" in text) == (2, True)


def test_an_earlier_version_refuses_a_campaign_with_additions(halves, tmp_path):
    """It knows the schemas 3 and 4, and would write rows without checksums."""
    campaign_file, more = halves
    play(campaign_file, tmp_path / "out", until=18)
    growth.add_file(tmp_path / "out", more)
    assert rows(tmp_path / "out", "SELECT value FROM campaign WHERE key = 'schema'") == [(b"5",)]
