"""The page's text: what it says of finished, unfinished and certain campaigns, and that it needs nothing but itself."""

import base64
import hashlib
import itertools
import json
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from click.testing import CliRunner

from hullscout.campaign import Beliefs, read_history
from hullscout.campaign.result import FailedCandidate
from hullscout.citations import citations_of
from hullscout.cli import main
from hullscout.display import milli, percent, unbroken
from hullscout.errors import OutputError, StoreError
from hullscout.figures.phase_diagram import MAX_INTERVALS, MIN_PROBABILITY, intervals_of
from hullscout.figures.report import Reported, read_report, write_report
from hullscout.figures.report.facts import (
    BAND_AT,
    facts,
    failures_by_reason,
    remarks,
    summary,
    warning,
)
from hullscout.figures.report.page import shown_structures, table_row
from hullscout.figures.report.page_data import _band
from hullscout.hull import lower_hull


class Page(HTMLParser):
    """The scripts of a page, its policy, and every address that it names."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.addresses, self.policy, self.texts, self._within = [], [], "", [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self._within = "json" if attributes.get("type") == "application/json" else tag
        self.addresses += [
            value for key, value in attributes.items() if key in ("src", "href", "action", "data", "poster", "srcset")
        ]
        if attributes.get("http-equiv") == "Content-Security-Policy":
            self.policy = attributes["content"]

    def handle_endtag(self, _):
        self._within = ""

    def handle_data(self, data):
        if self._within == "json":
            self.data = json.loads(data)
        elif self._within == "script":
            self.scripts.append(data)
        elif self._within != "style":
            self.texts.append(data)


def written(reported, folder):
    write_report(folder / "report.html", reported)
    return Page((folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(report):
    """The page of the finished replay."""
    return Page(report.read_text(encoding="utf-8"))


@pytest.fixture
def cut(finished, tmp_path):
    """The finished campaign as it was when the answers of its last round were awaited."""
    folder = tmp_path / "cut"
    shutil.copytree(finished, folder)
    (folder / "result.json").unlink()
    with closing(sqlite3.connect(folder / "campaign.db")) as connection, connection:
        (record,) = connection.execute("SELECT record FROM rounds ORDER BY round DESC LIMIT 1").fetchone()
        for candidate_id in json.loads(record)["chosen"]:
            connection.execute("DELETE FROM answers WHERE id = ?", (candidate_id,))
    return folder


def live(reported):
    """The same campaign as if no oracle knew the energies of what was not calculated."""
    moments = tuple(replace(known, true_ev_per_atom=None) for known in reported.history.moments)
    return replace(reported, history=replace(reported.history, moments=moments))


def test_a_finished_campaign_is_told_in_one_sentence(reported):
    result = reported.history.result
    probability = percent(result.failure_probability)
    assert summary(reported) == (
        f"A hull of {len(result.hull)} structures was found with {result.n_calculations} of {result.n_candidates} calculations; "
        f"probability that it is wrong by more than 1 meV/atom: {probability}."
    )
    assert f"Stopped: {result.stop_sentence}" in remarks(reported)
    assert warning(reported) is None


def test_a_rule_without_probability_says_so(hostile, tmp_path):
    reported = read_report(hostile)
    assert "the rule threshold states no probability that it is wrong by more than 1 meV/atom." in summary(reported)
    page = written(reported, tmp_path)
    assert "onHull" not in page.data["candidates"]
    assert "P(on hull)" not in "".join(page.texts)
    assert all(moment["band"] is None for moment in page.data["moments"])


def test_an_unfinished_campaign_says_so_and_what_is_awaited(cut, tmp_path):
    reported = read_report(cut)
    assert summary(reported).startswith(f"So far {reported.known.n_answered} of 57 calculations give a hull of")
    page = written(reported, tmp_path)
    n_pending = len(page.data["candidates"]["pending"])
    assert n_pending > 0
    assert f"{n_pending} structures are asked for and not yet answered." in "".join(page.texts)
    assert all(page.data["candidates"]["energy"][i] is None for i in page.data["candidates"]["pending"])


def test_a_campaign_that_ran_out_of_budget_warns(early):
    assert "ended before the probability of a wrong hull was below the accepted 0.1 %" in warning(early)


def test_the_page_holds_every_candidate_and_every_round(reported, page):
    page, history, known = page.data, reported.history, reported.known
    candidates = page["candidates"]
    assert candidates["id"] == list(history.pool.ids)
    energies = np.array(candidates["energy"], dtype=float)
    np.testing.assert_allclose(energies[known.answered], known.formation_ev_per_atom * 1000, atol=5.1e-4)
    reference = np.array(candidates["reference"], dtype=float)
    np.testing.assert_allclose(
        reference[known.unknown], known.true_formation_ev_per_atom[known.unknown] * 1000, atol=5.1e-4
    )
    assert (np.isnan(energies) != np.isnan(reference)).all()
    np.testing.assert_allclose(candidates["onHull"], reported.belief.probability_on_hull, atol=5.1e-5)
    rounds = np.array(candidates["round"], dtype=float)
    for said, then in zip(page["moments"], history.moments, strict=True):
        assert int((rounds <= said["round"]).sum()) == said["known"] == then.n_answered
        assert said["hull"] == then.hull.indices.tolist()
        assert said["error"] == pytest.approx(then.hull_error_ev_per_atom * 1000, abs=5.1e-4)
    assert page["moments"][-1]["stated"] == history.result.failure_probability
    # Where nothing else lowers the hull, the error falls by what the hull was lowered by at most.
    for before, after in itertools.pairwise(page["moments"]):
        assert before["error"] - after["error"] <= after["lowering"] + 1e-3


def test_each_round_has_the_band_that_was_believed_then(reported, page):
    page, history = page.data, reported.history
    k = len(history.moments) // 2
    low, _, high = 1000 * Beliefs(history.setup).at(history.moments[k]).band_ev_per_atom(BAND_AT)
    np.testing.assert_allclose(page["moments"][k]["band"]["low"], low, atol=5.1e-3)
    np.testing.assert_allclose(page["moments"][k]["band"]["high"], high, atol=5.1e-3)
    assert all(moment["band"] for moment in page["moments"])
    assert page["moments"][0]["band"] != page["moments"][-1]["band"]


def test_of_a_large_pool_only_the_band_of_now_is_computed(reported, monkeypatch):
    monkeypatch.setattr("hullscout.figures.report.facts.MAX_WITH_BANDS", 56)
    *before, now = Reported.of(reported.history).bands
    assert all(band is None for band in before)
    np.testing.assert_array_equal(now, reported.bands[-1])


def test_an_earlier_band_refers_to_the_pure_elements_known_now():
    ends = lower_hull([0.0, 1.0], [0.003, 0.005])
    band = _band(np.vstack([np.full(BAND_AT.size, -0.01), np.zeros(BAND_AT.size)]), ends)
    assert (band["low"][0], band["low"][-1]) == (-7.0, -5.0)
    assert band["high"][60] == 4.0


def test_lattices_are_told_where_they_are_wanted(finished):
    done = CliRunner().invoke(main, ["report", str(finished), "--lattices", "-o", str(finished / "lattices.html")])
    assert done.exit_code == 0, done.output
    page = Page((finished / "lattices.html").read_text(encoding="utf-8"))
    (finished / "lattices.html").unlink()
    assert page.data["candidates"]["lattice"] == ["fcc"] * 57
    assert "Circles: on an fcc lattice" in "".join(page.texts)
    hull = read_history(finished).now.hull.indices.tolist()
    assert [page.data["structures"]["cells"][str(index)]["prototype"] for index in (hull[0], hull[-1])] == [
        "fcc",
        "fcc",
    ]


def test_structures_of_one_energy_are_told(finished):
    history = read_history(finished)
    known, bands = history.now, (None,) * len(history.moments)
    told = Reported(history=history, belief=None, bands=bands, shown=np.arange(known.n_candidates))
    assert not [line for line in remarks(told) if "one energy" in line]
    vertex = int(known.hull.indices[1])
    twin = next(i for i in known.answered.tolist() if known.x[i] == known.x[vertex] and i != vertex)
    energies = known.energies_ev_per_atom.copy()
    energies[known.answered == twin] = energies[known.answered == vertex] + 4e-7
    now = replace(known, energies_ev_per_atom=energies)
    alike = replace(history, moments=(*history.moments[:-1], now))
    (line,) = [line for line in remarks(replace(told, history=alike)) if "one energy" in line]
    first, other = known.pool.ids[vertex], known.pool.ids[twin]
    assert line.startswith(
        f"{other} and {first} have one composition and, to 0.001 meV/atom, one energy; {first} stands"
    )


def test_a_live_campaign_shows_no_energy_that_is_not_known(reported, tmp_path):
    page = written(live(reported), tmp_path)
    assert page.data["candidates"]["reference"] is None
    assert page.data["trueHull"] is None
    assert all(moment["error"] is None for moment in page.data["moments"])
    assert "true hull" not in "".join(page.texts)
    assert "replay" not in "".join(page.texts).replace("slider replays", "")


def test_a_failed_calculation_is_named_with_its_reason_and_counts_as_unknown(with_failure, tmp_path):
    reported, index = with_failure
    page = written(reported, tmp_path)
    failed = {"round": 2, "reason": "not-converged", "sentence": "The atoms came not to rest <b>in</b> 200 steps."}
    assert page.data["candidates"]["failed"] == {str(index): failed}
    assert page.data["candidates"]["energy"][index] is None
    text = "".join(page.texts)
    assert "1 calculation failed and counts as unknown, not as high in energy: not-converged (1)." in text
    assert f"not-converged (1){reported.history.pool.ids[index]}, " in text
    assert failed["sentence"] in text
    assert "failed (round 2): not-converged" in "".join(page.texts)


def test_failures_are_grouped_by_their_reason_the_most_frequent_first(reported):
    one, two, three = reported.known.unknown[:3].tolist()
    late = FailedCandidate(id="a", formula="AgPd", reason="timed-out", sentence="It took an hour.")
    broken = replace(late, id="b", reason="crashed")
    reported = replace(reported, history=replace(reported.history, failures={one: broken, two: late, three: late}))
    assert failures_by_reason(reported) == {"timed-out": [late, late], "crashed": [broken]}
    assert "3 calculations failed and count as unknown, not as high in energy: timed-out (2), crashed (1)." in remarks(
        reported
    )


def test_predictions_are_those_of_the_figure_with_their_95_percent_intervals(early, tmp_path):
    page = written(early, tmp_path)
    chosen, half_width = intervals_of(early.belief)
    assert page.data["candidates"]["contenders"] == chosen.tolist()
    assert chosen.size > 0
    std = np.array(page.data["candidates"]["std"], dtype=float)[chosen]
    np.testing.assert_allclose(std * page.data["halfWidthPerStd"], half_width * 1000, atol=2e-3)
    assert page.data["halfWidthPerStd"] > 1.95
    text = "".join(page.texts)
    assert f"with a probability of at least {unbroken(percent(MIN_PROBABILITY))}, at most {MAX_INTERVALS}" in text
    index, half = int(chosen[0]), half_width[0]
    tables, cells = shown_structures(early)
    assert index in tables["likeliest"]
    energy = table_row(early, index, cells[index])["energy"]
    assert energy == f"{milli(early.belief.mean_ev_per_atom[index])} \N{PLUS-MINUS SIGN} {milli(half)}"


def test_the_error_of_the_model_has_one_name_and_one_value(reported, page):
    (fact,) = (fact for fact in facts(reported) if "RMSE" in fact[0])
    error = milli(reported.belief.model_error_ev_per_atom)
    assert fact == ("leave-one-out RMSE of the model", error, "meV/atom")
    assert page.data["modelErrorName"] == "leave-one-out RMSE"
    assert page.data["moments"][-1]["modelError"] == pytest.approx(float(error), abs=0.051)


def test_an_error_on_a_held_out_half_is_named_so_with_the_calculations_before_it(campaign_folder):
    reported = read_report(campaign_folder("select.rule=threshold", "select.held_out=half"))
    ((name, value, unit),) = (fact for fact in facts(reported) if "RMSE" in fact[0])
    *_, (error, then) = (
        (error, then)
        for error, then in zip(reported.model_errors_ev_per_atom, reported.history.moments, strict=True)
        if error is not None
    )
    assert (name, value) == ("RMSE on a held-out half of the model", milli(error))
    after = "" if then.n_answered == reported.known.n_answered else f", after {then.n_answered} calculations"
    assert unit == f"meV/atom{after}"


def test_numbers_stay_with_their_units(page):
    about = [text for text in page.texts if "stop.hull_tolerance" not in text]
    found = [text for text in about if re.search(r"\d (%|meV)", text)]
    assert found == []
    assert any("1\N{NO-BREAK SPACE}meV/atom: " in text for text in page.texts)


def test_the_page_names_no_address_outside_itself_but_those_of_the_papers_to_cite(page, reported):
    config = reported.history.config
    cited = citations_of((*config.representation.citations, *config.select.citations))
    assert len(page.addresses) > 5
    named = [address for address in page.addresses if not address.startswith("data:")]
    assert named == [f"https://doi.org/{citation.doi}" for citation in cited if citation.doi]
    assert page.policy.startswith("default-src 'none'; ")
    assert "http" not in page.policy


def test_the_policy_of_the_page_admits_its_own_scripts_and_no_other(page):
    hashes = {
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in page.scripts
    }
    allowed = re.search("script-src ([^;]*)", page.policy)[1].split()
    assert set(allowed) == hashes | {"'unsafe-eval'"}
    assert len(page.scripts) == 9


def test_names_from_files_are_no_html(hostile, tmp_path):
    page = written(read_report(hostile), tmp_path)
    assert len(page.scripts) == 9
    assert "x" not in page.addresses
    assert page.data["candidates"]["id"][0].startswith("<script>")
    assert "{{ 7 * 6 }}" in "".join(page.texts)


def test_the_same_campaign_gives_the_same_bytes(finished, report, tmp_path):
    write_report(tmp_path / "again.html", read_report(finished))
    assert (tmp_path / "again.html").read_bytes() == report.read_bytes()


def test_the_command_writes_the_page_whole_beside_the_campaign(finished):
    (finished / "report.html").unlink(missing_ok=True)
    done = CliRunner().invoke(main, ["report", str(finished)], catch_exceptions=False)
    assert (done.exit_code, done.output) == (0, f"Wrote {finished / 'report.html'}\n")
    assert (finished / "report.html").read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert [path.name for path in finished.glob("*report*")] == ["report.html"]


def test_a_folder_without_a_campaign_is_refused(tmp_path):
    with pytest.raises(StoreError, match="There is no campaign in"):
        read_report(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"), [("page.pdf", r"expected a file that ends in \.html"), ("no/page.html", "cannot be written")]
)
def test_a_page_that_cannot_be_written_is_a_clear_error(reported, tmp_path, name, message):
    with pytest.raises(OutputError, match=message):
        write_report(tmp_path / name, reported)
