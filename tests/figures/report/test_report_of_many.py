"""Of three elements the report has the triangle and the hull in space, of four heights above it; both have sections and tables."""

import json
import re

import numpy as np
import pytest
from report_reader import Reader

from hullscout.display import milli
from hullscout.figures.report import read_report, write_report
from hullscout.selection import ChemicalPotentials


@pytest.fixture(scope="module")
def three(of_three, tmp_path_factory):
    """The report of three elements: what it says, and its page."""
    reported, path = read_report(of_three), tmp_path_factory.mktemp("report") / "three.html"
    write_report(path, reported)
    return reported, path


@pytest.fixture(scope="module")
def four(of_four, tmp_path_factory):
    """The report of four elements."""
    reported, path = read_report(of_four), tmp_path_factory.mktemp("report") / "four.html"
    write_report(path, reported)
    return reported, path


def data_of(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="campaign">(.*?)</script>', text, re.DOTALL)[1])


@pytest.mark.parametrize("kind", ["three", "four"])
def test_planes_of_the_page_give_the_height_of_every_candidate_in_every_round(request, kind):
    reported, path = request.getfixturevalue(kind)
    page = data_of(path)
    fractions = np.array(page["candidates"]["fractions"]).T
    np.testing.assert_allclose(fractions, reported.known.fractions, atol=1e-9)
    assert "x" not in page["candidates"]
    last = np.array(page["moments"][-1]["planes"])
    at_hull = (np.column_stack([fractions, np.ones(len(fractions))]) @ last.T).max(axis=1)
    np.testing.assert_allclose(at_hull, 1000 * reported.known.hull.energy_at(reported.known.fractions), atol=2e-3)
    assert all(moment["planes"] for moment in page["moments"])
    assert all(moment["band"] is None for moment in page["moments"])


def test_tie_lines_and_facets_are_those_of_the_hull_of_each_round(three):
    reported, path = three
    for moment, known in zip(data_of(path)["moments"], reported.history.moments, strict=True):
        assert sorted(moment["hull"]) == sorted(known.hull.indices.tolist())
        assert {i for facet in moment["facets"] for i in facet} == set(moment["hull"])
        assert {i for ends in moment["ties"] for i in ends} == set(moment["hull"])


@pytest.mark.parametrize(("kind", "n_pictures"), [("three", 4), ("four", 6)])
def test_sections_and_potentials_are_in_the_page(request, kind, n_pictures):
    reported, path = request.getfixturevalue(kind)
    text = path.read_text(encoding="utf-8")
    assert len(re.findall(r"<figure><img ", text)) == n_pictures
    assert 'alt="The section from Cu to Ag"' in text
    region = ChemicalPotentials.of(reported.known, reported.belief).regions[-1]
    low, _ = 1000 * region.range_ev_per_atom[region.is_unbounded.argmin()]
    assert milli(low / 1000) in text
    assert "x (Ag)" in text
    assert "x (Au)" in text


def test_two_elements_have_none_of_it(report):
    text = report.read_text(encoding="utf-8")
    assert 'id="solid"' not in text
    assert "Chemical potentials" not in text


@pytest.fixture(scope="module")
def opened(browser, three):
    reader = Reader(browser, three[1])
    yield reader
    reader.page.close()


def test_the_triangle_opens_without_errors_and_fetches_nothing(opened, three):
    assert opened.errors == []
    assert [url for url in opened.requests if not url.startswith("data:")] == [three[1].as_uri()]
    names = opened.page.evaluate("diagram.data.map(t => t.name ?? '').filter(Boolean)")
    assert {name.split(" (")[0] for name in names} >= {"true hull", "hull found", "calculated", "ground states"}
    vertices = opened.page.evaluate("diagram.layout.annotations.map(a => a.text)")
    assert len(vertices) == three[0].known.hull.indices.size
    colours = opened.page.evaluate("diagram.data.find(t => t.name?.startsWith('calculated (')).marker.color")
    assert min(colours) == 0.0


def test_heights_of_the_browser_are_those_of_the_hull(opened, three):
    known = three[0].known
    heights = opened.page.evaluate(
        "candidates.id.map((_, i) => isKnown(candidates.energy[i]) ? heightOf(i, LAST) : null)"
    )
    expected = 1000 * known.hull.distance(known.fractions[known.answered], known.formation_ev_per_atom)
    np.testing.assert_allclose([heights[i] for i in known.answered.tolist()], expected, atol=5e-3)


def test_the_slider_moves_the_triangle_and_the_solid(opened, three):
    opened.page.wait_for_function("solid.isDrawn")
    n_first = len(three[0].history.moments[0].hull.indices)
    opened.page.evaluate("showMoment(0)")
    assert opened.page.evaluate("diagram.data.find(t => t.name?.startsWith('ground states')).x.length") == n_first
    assert opened.page.evaluate("solid.data.find(t => t.name?.startsWith('ground states')).x.length") == n_first
    opened.page.evaluate("showMoment(LAST)")
    assert opened.page.evaluate("solid.data[0].i.length") == len(three[0].known.hull.facets)


def test_the_csv_file_has_a_column_for_each_element_after_the_first(opened, three):
    _, rows = opened.download()
    known = three[0].known
    assert len(rows) == known.n_candidates
    fractions = {row["id"]: [float(row["x_Ag"]), float(row["x_Au"])] for row in rows}
    np.testing.assert_allclose([fractions[one] for one in known.pool.ids], known.fractions, atol=1e-9)
    above = {row["id"]: row["above_hull_mev_per_atom"] for row in rows}
    assert {above[known.pool.ids[i]] for i in known.hull.indices.tolist()} == {"0"}


def test_the_slider_replays_the_heights_of_four_elements(browser, four):
    reported, path = four
    reader = Reader(browser, path)
    assert reader.errors == []
    states = "diagram.data.find(t => t.name?.startsWith('ground states'))"
    for moment in (0, len(reported.history.moments) - 1):
        reader.page.evaluate(f"showMoment({moment})")
        assert reader.page.locator("#moment-text").text_content().startswith("Round ")
        then = reported.history.moments[moment]
        assert sorted(reader.page.evaluate(f"{states}.customdata")) == sorted(then.hull.indices.tolist())
        np.testing.assert_allclose(reader.page.evaluate(f"{states}.y"), 0.0, atol=5e-3)
    known = reported.known
    drawn = reader.page.evaluate("diagram.data.filter(t => /^(calculated|of these)/.test(t.name)).flatMap(t => t.y)")
    heights = 1000 * known.hull.distance(known.fractions[known.answered], known.formation_ev_per_atom)
    np.testing.assert_allclose(np.sort(drawn), np.sort(heights), atol=5e-3)
    assert reader.page.evaluate("campaign.view.columns")[0] == "elements"
    reader.page.close()


def test_a_narrow_screen_is_not_wider_than_it_is(browser, three):
    reader = Reader(browser, three[1], width=400)
    assert reader.page.evaluate("document.documentElement.scrollWidth") == 400
    assert reader.errors == []
    reader.page.close()
