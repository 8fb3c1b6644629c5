"""A potential as prior of a campaign: computed once, before anything is asked for, kept in its database, the same on resuming."""

import json

import pytest
from kept import rows

from hullscout import Campaign
from hullscout.campaign import Setup, read_origin, run
from hullscout.cli.campaign_output import CampaignProgress
from hullscout.errors import InvalidCampaignError, InvalidPlanError, OracleError, StoreError
from hullscout.planning import ReplayPool

SHORT = [
    "stop.max_calculations=12",
    "executor.kind=in-process",
    "executor.retries=0",
    "select.samples=200",
    "select.batch=4",
]
POTENTIAL = "counting_calculators.Counting"


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log.txt"


@pytest.fixture
def prior(log):
    """Settings of the small campaign with a prior, energies looked up in this process."""

    def settings(**arguments):
        listed = ", ".join(f"{key} = {json.dumps(value)}" for key, value in {"log": str(log), **arguments}.items())
        return [f"prior.calculator={POTENTIAL}", f"prior.arguments={{{listed}}}", "select.rule=hull-posterior", *SHORT]

    return settings


def asked(log):
    return log.read_text().count("asked") if log.exists() else 0


def played(campaign_file, folder, settings, **options):
    return run(Setup(read_origin(campaign_file, settings)), folder, **options)[0]


def decisions(folder):
    return rows(folder, "SELECT record FROM rounds ORDER BY round")


def test_a_campaign_computes_its_prior_once_and_says_of_what_it_is(campaign_file, tmp_path, prior, log):
    folder, notes = tmp_path / "out", []
    done = []
    result = played(
        campaign_file,
        folder,
        prior(),
        on_note=notes.append,
        on_computed=lambda n_done, n: done.append((n_done, n)),
    )
    n = len(Setup.read(folder).pool)
    assert asked(log) == n == 57
    assert done == [(n_done, 57) for n_done in range(58)]
    assert notes[0].startswith(f"Computing 57 energies by {POTENTIAL}")
    assert list(result.baselines) == ["prior"]
    assert f"The model was given energies of cheaper methods: prior ({result.baselines['prior']})." in result.sentences
    assert json.loads(result.to_json())["baselines"] == result.baselines
    again = played(campaign_file, folder, prior())
    assert asked(log) == 57
    assert (again.hull, again.n_calculations) == (result.hull, result.n_calculations)
    assert Setup.read(folder).pool.baseline_ev_per_atom.shape == (57,)


def test_the_line_of_a_run_shows_the_prior_until_it_is_there(campaign_file):
    progress = CampaignProgress(Setup(read_origin(campaign_file, [])))
    task = progress.line.tasks[0]
    progress.update_prior(20, 58)
    assert (task.completed, task.total, task.fields["done"]) == (20, 58, "by the prior")
    progress.update_prior(58, 58)
    assert (task.completed, task.total, task.fields["done"]) == (0, 57, "looked up")
    assert task.description == "computing features"


def test_a_campaign_that_was_ended_while_it_computed_goes_on_and_decides_the_same(campaign_file, tmp_path, prior, log):
    class EndedError(Exception):
        pass

    def end(sentence):
        if sentence.startswith("AgPd"):
            raise EndedError("ended")

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    failing = prior(fails=["Ag2Pd2"])
    played(campaign_file, whole, failing)
    n_whole = asked(log)
    with pytest.raises(EndedError, match="ended"):
        played(campaign_file, cut, failing, on_note=end)
    n_cut = asked(log) - n_whole
    assert 0 < n_cut < 57
    assert not decisions(cut), "nothing is decided before all of it is there"
    assert Setup.read(cut).pool.baseline_ev_per_atom is None
    played(campaign_file, cut, failing)
    assert asked(log) == 2 * n_whole
    assert decisions(cut) == decisions(whole)


def test_a_prior_that_lacks_an_end_or_all_is_refused(campaign_file, tmp_path, prior):
    with pytest.raises(
        InvalidCampaignError, match=r"Counting' gives no energy of pure Pd, .* RuntimeError: no Pd today"
    ):
        played(campaign_file, tmp_path / "a", prior(fails=["Pd", "Pd2", "Pd3", "Pd4", "Pd5"]))
    with pytest.raises(OracleError, match=r"prior\.arguments: .* unexpected keyword argument 'colour'"):
        played(campaign_file, tmp_path / "b", prior(colour=1))
    with pytest.raises(OracleError, match=r"prior\.calculator: expected one of diep"):
        played(campaign_file, tmp_path / "c", ["prior.calculator=dieb"])


def test_what_is_set_of_it_belongs_to_the_campaign(campaign_file, tmp_path, prior):
    played(campaign_file, tmp_path / "out", prior())
    with pytest.raises(StoreError, match=r"prior\.arguments\.scale: None before, 2\.0 now"):
        played(campaign_file, tmp_path / "out", prior(scale=2.0))
    with pytest.raises(InvalidCampaignError, match="prior: arguments are for a calculator; name one"):
        read_origin(campaign_file, ["prior.arguments={a = 1}"])
    with pytest.raises(InvalidCampaignError, match=r"prior\.calculator: expected structures of all elements"):
        read_origin(campaign_file, [*prior(), "pool.references={Ag = -1.0}"])
    with pytest.raises(InvalidCampaignError, match=r"prior\.calculater: unknown key.*Did you mean 'calculator'"):
        read_origin(campaign_file, ["prior.calculater=diep"])


def test_a_plan_does_not_take_it_in_silence(campaign_file, prior):
    with pytest.raises(InvalidPlanError, match=r"a plan computes no prior .* by `hullscout baseline`"):
        ReplayPool.of(Setup(read_origin(campaign_file, prior())))


def test_candidates_that_are_added_get_theirs_and_the_rounds_before_read_as_they_did(
    campaign_file, tmp_path, prior, log, small_pool
):
    from frames import frames_of

    frames = frames_of(small_pool)
    campaign_file.with_name("pool.extxyz").write_text("".join(frames[:40]))
    (tmp_path / "more.extxyz").write_text("".join(frames[40:]))
    folder = tmp_path / "out"
    played(campaign_file, folder, prior())
    before = decisions(folder)
    Campaign(folder).add(tmp_path / "more.extxyz")
    played(campaign_file, folder, prior())
    assert asked(log) == 57
    assert decisions(folder)[: len(before) - 1] == before[:-1]
    assert Setup.read(folder).pool.baseline_ev_per_atom.shape == (57,)


def test_a_handoff_computes_it_when_it_is_made_and_asks_for_nothing_before(
    campaign_file, tmp_path, prior, log, hullscout
):
    out, listed = tmp_path / "out", [word for each in prior() for word in ("--set", each)]
    text = campaign_file.read_text() + '\n[oracle]\nkind = "handoff"\n'
    campaign_file.write_text(text)
    code, said = hullscout("run", campaign_file, "--out", out, *listed)
    assert code == 0, said
    assert asked(log) == 57
    assert hullscout("ask", out, "-n", "3", "--to", tmp_path / "box")[0] == 0
    from hullscout.campaign import handoff
    from hullscout.campaign.store import Store

    cut = tmp_path / "cut"
    Store.create_or_resume(cut, read_origin(campaign_file, prior())).close()
    with pytest.raises(StoreError, match=r"has not computed the energies of its prior .* Run its campaign file first"):
        handoff.ask(cut, n=1, outbox=tmp_path / "box2")


def test_status_says_what_the_model_takes_of_it(campaign_file, tmp_path, hullscout):
    pool = campaign_file.with_name("pool.extxyz")
    emt = tmp_path / "emt.extxyz"
    words = ["--calculator", "ase.calculators.emt.EMT", "-o", emt, "--set", "executor.kind=in-process"]
    code, said = hullscout("baseline", pool, *words)
    assert code == 0, said
    assert 'In a campaign file: [pool] baseline = "emt".' in said
    settings = ["pool.path=emt.extxyz", "pool.baseline=emt", "select.rule=hull-posterior", *SHORT]
    out = tmp_path / "out"
    result = played(campaign_file, out, settings)
    assert result.baselines["emt"].startswith("ase.calculators.emt.EMT of ase ")
    code, said = hullscout("status", out)
    assert code == 0
    said = " ".join(said.split())
    assert "The model starts from emt times" in said or "Of emt the model uses nothing now" in said
