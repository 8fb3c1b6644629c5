"""A campaign in a notebook reads what its folder holds, as objects, tables and figures."""

import matplotlib as mpl
import pytest
from matplotlib.axes import Axes

from hullscout.campaign.campaign import Campaign
from hullscout.errors import InvalidCampaignError, InvalidSettingError

mpl.use("Agg")


@pytest.fixture
def run(campaign_file, tmp_path):
    return lambda *settings: Campaign.run(campaign_file, tmp_path / "run", settings=settings)


def test_a_campaign_is_run_and_its_results_are_objects_and_tables(run):
    campaign = run("select={rule = 'hull-posterior'}", "stop.max_calculations=20")
    assert campaign.hull == campaign.result.hull
    candidates = campaign.candidates()
    assert len(candidates) == 57
    assert candidates.status.value_counts()["calculated"] == 20
    assert list(candidates.index[candidates.on_hull == 1]) != []
    assert candidates.loc[[vertex.id for vertex in campaign.hull], "on_hull"].all()
    rounds = campaign.rounds()
    assert rounds.index[-1] == 20
    assert rounds.hull_error_ev_per_atom.iloc[-1] == campaign.result.reference.hull_error_ev_per_atom
    stable = campaign.phase_diagram().stable_entries
    assert {entry.entry_id for entry in stable} == {vertex.id for vertex in campaign.hull}


def test_every_figure_is_drawn_into_axes(run):
    import matplotlib.pyplot as plt

    campaign = run("select={rule = 'hull-posterior'}", "stop.max_calculations=20")
    for name in ("hull", "distance", "errors", "failure_probability", "parity", "calibration"):
        plot = getattr(campaign, f"plot_{name}")
        assert isinstance(plot(), Axes)
        _, ax = plt.subplots(layout="constrained")
        assert plot(ax) is ax
        assert len(ax.lines) > 0
        plt.close("all")


def test_the_page_of_a_notebook_shows_the_hull_and_escapes_names(run):
    campaign = run("name='a <b>'")
    html = campaign._repr_html_()
    assert "a &lt;b&gt;: " in html
    assert all(f"<td>{vertex.formula}</td>" in html for vertex in campaign.hull)
    assert campaign.result.stop_sentence.split(".")[0] in repr(campaign)


def test_with_nothing_left_to_predict_parity_is_refused(run):
    campaign = run("select={rule = 'random', batch = 57}")
    assert campaign.outlook is None
    assert campaign.candidates().probability_on_hull.isna().all()
    with pytest.raises(InvalidSettingError, match="found 57 of 57 known"):
        campaign.plot_parity()


def test_a_campaign_that_hands_structures_out_is_not_run_in_python(campaign_file, tmp_path):
    with pytest.raises(InvalidCampaignError, match='expected "table" or "calculator", found "handoff"'):
        Campaign.run(campaign_file, tmp_path / "run", settings=["oracle={kind = 'handoff'}"])
    assert not (tmp_path / "run").exists()
