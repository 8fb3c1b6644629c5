"""The report as a person uses it, in a real headless Chromium: it draws, answers to the mouse, and fetches nothing."""

import base64
import io

import numpy as np
import pytest
from frames import frames_of
from matplotlib.image import imread
from report_reader import Reader

from hullscout import Campaign
from hullscout.campaign import Beliefs
from hullscout.figures.phase_diagram import drawn_energies, intervals_of
from hullscout.figures.prototypes import space_group
from hullscout.figures.report import read_report, write_report


@pytest.fixture(scope="module")
def opened(browser, report):
    reader = Reader(browser, report)
    yield reader
    reader.page.close()


@pytest.fixture
def reader(opened):
    """The page, open since the first test and put back as it was then."""
    opened.page.evaluate(
        """async () => {
            play(false);
            viewer.close();
            byId("find").value = "";
            byId("which").value = "all";
            filterRows();
            sortBy(AT_FIRST, false);
            await showMoment(LAST);
        }"""
    )
    opened.page.mouse.move(0, 0)
    return opened


def test_it_opens_without_errors_and_fetches_nothing_but_itself(reader, report):
    assert reader.errors == []
    assert [url for url in reader.requests if not url.startswith("data:")] == [report.as_uri()]
    assert (
        "probability that it is wrong by more than 1\N{NO-BREAK SPACE}meV/atom"
        in reader.page.locator("#summary").text_content()
    )


@pytest.mark.parametrize(("width", "shape"), [(1400, 1 / 0.55), (400, 1 / 1.25)])
def test_until_the_diagram_is_drawn_a_picture_of_it_is_seen(browser, report, reader, width, shape):
    context = browser.new_context(java_script_enabled=False, viewport={"width": width, "height": 900})
    page = context.new_page()
    page.goto(report.as_uri())
    picture = page.locator("#diagram img")
    assert picture.is_visible()
    box, room = picture.bounding_box(), page.locator("#diagram").bounding_box()
    assert box == room
    assert picture.get_attribute("alt").startswith("Phase diagram: A hull of ")
    source = page.locator("#diagram source").get_attribute("srcset") if width == 400 else picture.get_attribute("src")
    height, wide = imread(io.BytesIO(base64.b64decode(source.partition(",")[2]))).shape[:2]
    assert wide / height == pytest.approx(shape, rel=0.01)
    context.close()
    assert reader.page.locator("#diagram img").count() == 0


def test_the_mouse_on_a_ground_state_tells_what_is_known_of_it(reader, reported):
    text = reader.hover_label(1)
    assert reported.history.pool.ids[reported.known.hull.indices[1]] in text
    for words in ("formation energy", "meV/atom", "P(on hull)", "on the hull (round"):
        assert words in text


def test_predictions_of_a_finished_campaign_are_seen_with_their_95_percent_intervals(browser, early, tmp_path):
    write_report(tmp_path / "report.html", early)
    reader = Reader(browser, tmp_path / "report.html")
    chosen, half_width = intervals_of(early.belief)
    shown = reader.page.evaluate(
        "diagram._fullData.filter(t => t.name.startsWith('prediction, 95 % interval')).map(t => [t.visible, [...t.error_y.array]])"
    )
    assert len(shown) == 1
    is_visible, bars = shown[0]
    assert is_visible is True
    np.testing.assert_allclose(bars, half_width * 1000, atol=2e-3)
    assert len(reader.trace("prediction, 95 % interval")[0]) == chosen.size > 0
    reader.page.close()


def test_ground_states_are_named_with_their_prototype_where_there_is_room(reader):
    labels = reader.page.evaluate("diagram.layout.annotations.map(label => label.text)")
    assert labels[0] == "Ag<br>fcc"
    assert labels[-1] == "Pd<br>fcc"
    reader.hover_label(0)
    assert "fcc, space group Fm-3m" in reader.hover_label(0)


def test_the_tile_and_the_slider_say_the_same_error_of_the_model(reader):
    said = reader.page.locator("#moment-text").text_content().rpartition("; ")[2]
    assert said.startswith("leave-one-out RMSE of the model ")
    tile = reader.page.locator(".facts div", has_text="leave-one-out RMSE").locator("dd").text_content()
    assert tile.split() == said.removesuffix(".").split()[-2:]


def test_a_failed_calculation_has_a_marker_and_says_why(browser, with_failure, tmp_path):
    reported, index = with_failure
    write_report(tmp_path / "report.html", reported)
    reader = Reader(browser, tmp_path / "report.html")
    x, _ = reader.trace("failed (1)")
    assert x == pytest.approx([reported.known.pool.x[index]], abs=1e-6)
    told = reader.page.evaluate("diagram.data.find(t => t.name.startsWith('failed')).text[0]")
    assert told.endswith(
        "failed (round 2): not-converged<br>The atoms came not to rest &lt;b&gt;in&lt;/b&gt; 200 steps."
    )
    reader.page.locator("#which").select_option("failed")
    assert [row["id"] for row in reader.download()[1]] == [reported.known.pool.ids[index]]
    assert reader.download()[1][0]["status"] == "failed (round 2): not-converged"
    reader.page.locator("#moment").fill("0")
    reader.page.wait_for_function("document.getElementById('moment-text').textContent.startsWith('Round 0')")
    assert reader.page.evaluate("diagram.data.find(t => t.name.startsWith('failed')).name") == "failed (0)"
    assert reader.errors == []
    reader.page.close()


def test_the_slider_replays_the_campaign(reader, reported):
    n_last = reported.known.n_answered
    first = reported.history.moments[0]
    before = reader.page.locator("#diagram .scatterlayer").inner_html()
    assert len(reader.trace("calculated (")[0]) + len(reader.trace("of these in this round")[0]) == n_last
    reader.page.locator("#moment").fill("0")
    reader.page.wait_for_function("document.getElementById('moment-text').textContent.startsWith('Round 0')")
    assert len(reader.trace("of these in this round")[0]) == first.n_answered
    hull = first.hull
    np.testing.assert_allclose(reader.trace("hull found")[0], hull.x, atol=1e-6)
    energies = drawn_energies(reported.known, None)[hull.indices]
    np.testing.assert_allclose(reader.trace("hull found")[1], energies * 1000, atol=1e-3)
    assert reader.page.locator("#diagram .scatterlayer").inner_html() != before
    band = Beliefs(reported.history.setup).at(first).band_ev_per_atom(np.array([0.5]))[[0, 2], 0] * 1000
    x, y = reader.trace("hull, 95 % band")
    np.testing.assert_allclose([e for at, e in zip(x, y, strict=True) if at == 0.5], band, atol=5.1e-3)
    assert reader.errors == []


def test_playing_runs_from_the_first_round_to_the_last(reader):
    last = reader.page.locator("#moment").get_attribute("max")
    reader.page.locator("#play").click()
    reader.page.wait_for_function("document.getElementById('moment').value === '1'")
    reader.page.wait_for_function(
        f"document.getElementById('play').textContent === 'Play' && document.getElementById('moment').value === '{last}'"
    )
    assert reader.errors == []


def test_an_entry_of_the_legend_switches_its_points_off_in_every_round_until_it_is_clicked_again(reader):
    place = reader.page.evaluate("diagram.data.findIndex(t => t.name.startsWith('calculated ('))")
    entry = reader.page.locator("#diagram .legendtoggle").nth(place)

    def wait_until_shown(is_shown):
        reader.page.wait_for_function(f"diagram._fullData[{place}].visible === {is_shown}")

    entry.click()
    wait_until_shown('"legendonly"')
    reader.page.locator("#moment").fill("0")
    wait_until_shown('"legendonly"')
    reader.page.locator("#on").click()
    wait_until_shown('"legendonly"')
    entry.click()
    wait_until_shown("true")


def test_headings_sort_both_ways_and_keep_what_is_empty_last(reader):
    energy = 3
    head = reader.page.locator("#heads button").nth(energy - 1)
    numbers = []
    for _ in range(2):
        head.click()
        numbers.append([float(text.replace("\N{MINUS SIGN}", "-")) for text in reader.column(energy) if text])
    assert numbers[0] == sorted(numbers[0])
    assert numbers[1] == sorted(numbers[1], reverse=True)
    assert numbers[0] != numbers[1]
    assert reader.page.locator("#heads th").nth(energy - 1).get_attribute("aria-sort") == "descending"


def test_the_csv_file_holds_what_was_found_in_the_order_shown(reader, reported):
    known = reported.known
    name, rows = reader.download()
    assert name == "small-candidates.csv"
    assert {row["id"] for row in rows} == set(known.pool.ids)
    heights = [float(row["above_hull_mev_per_atom"]) for row in rows if row["above_hull_mev_per_atom"]]
    assert heights == sorted(heights)
    assert {row["id"] for row in rows[: len(heights)]} == {known.pool.ids[i] for i in known.answered}
    assert {row["id"]: row["space_group"] for row in rows} == {c.id: space_group(c) for c in known.pool.candidates}
    told = {
        row["id"]: float(row["formation_energy_mev_per_atom"]) for row in rows if row["formation_energy_mev_per_atom"]
    }
    ids = [known.pool.ids[index] for index in known.answered]
    assert set(told) == set(ids)
    np.testing.assert_allclose([told[i] for i in ids], known.formation_ev_per_atom * 1000, atol=1e-3)
    reader.page.locator("#which").select_option("hull")
    assert {row["id"] for row in reader.download()[1]} == {known.pool.ids[i] for i in known.hull.indices}
    reader.page.locator("#which").select_option("all")
    reader.page.locator("#find").fill("agpd3")
    assert {row["formula"] for row in reader.download()[1]} == {"AgPd3"}


def test_a_picture_opens_the_structure_in_three_dimensions(reader):
    reader.page.locator("button[data-structure]").nth(1).click()
    reader.page.wait_for_selector("#structure canvas")
    assert "space group" in reader.page.locator("#viewer-text").text_content()
    assert reader.page.evaluate("document.getElementById('structure').data.map((trace) => trace.type)") == [
        "mesh3d",
        "mesh3d",
        "scatter3d",
    ]
    shades = "document.getElementById('structure').data.map((trace) => new Set(trace.vertexcolor).size)"
    assert min(reader.page.evaluate(shades)[:2]) > 20, "spheres and bonds are shaded"
    reader.page.keyboard.press("Escape")
    reader.page.wait_for_function("!document.getElementById('viewer').open")
    assert reader.errors == []


@pytest.mark.parametrize("width", [1400, 400])
def test_no_width_makes_the_page_scroll_sideways(browser, report, width):
    reader = Reader(browser, report, width=width)
    assert reader.page.evaluate("document.documentElement.scrollWidth") <= width
    box = reader.page.locator("#diagram .nsewdrag").bounding_box()
    assert box["width"] > 0.7 * width * (1320 / 1400 if width > 1320 else 1)
    overflow = reader.page.locator("#candidates .wide").evaluate("e => e.scrollWidth - e.clientWidth")
    assert (overflow > 0) == (width == 400)
    assert reader.page.locator("#candidates .aside").is_visible() == (width == 400)
    reader.page.close()


def test_names_that_are_scripts_are_shown_as_they_are_and_never_run(browser, hostile):
    path = hostile / "report.html"
    reported = read_report(hostile)
    write_report(path, reported)
    reader = Reader(browser, path)
    name, ids = reported.history.config.name, reported.history.pool.ids
    assert reader.page.title() == f"{name}: convex hull"
    assert reader.page.locator("h1").text_content() == name
    assert set(reader.column(1)) < set(ids)
    assert {row["id"] for row in reader.download()[1]} == set(ids)
    reader.page.locator("button[data-structure]").nth(1).click()
    assert ids[reported.known.hull.indices[1]] in reader.page.locator("#viewer-title").text_content()
    reader.page.keyboard.press("Escape")
    assert "<script>document.title=1" in reader.hover_label(1)
    assert reader.page.locator("img[src=x]").count() == 0
    assert reader.page.title() == f"{name}: convex hull"
    assert reader.errors == []
    reader.page.close()


def test_earlier_rounds_show_only_the_candidates_of_then(browser, campaign_file, tmp_path):
    frames = frames_of(campaign_file.with_name("pool.extxyz").read_text())
    is_pure = [" Ag" not in frame.replace("\n", " ") or " Pd" not in frame.replace("\n", " ") for frame in frames]
    first = [frame for place, frame in enumerate(frames) if is_pure[place] or place % 2]
    campaign_file.with_name("pool.extxyz").write_text("".join(first))
    campaign = Campaign.create(campaign_file, tmp_path / "out", settings=["stop.max_calculations=20"])
    campaign.run()
    (tmp_path / "more.extxyz").write_text("".join(frame for frame in frames if frame not in first))
    campaign.add(tmp_path / "more.extxyz")
    reader = Reader(browser, campaign.write_report())
    assert f"20 of {len(frames)} calculated" in reader.page.locator("#moment-text").text_content()
    reader.page.evaluate("showMoment(0)")
    assert f" of {len(first)} calculated" in reader.page.locator("#moment-text").text_content()
    drawn = sum(len(reader.trace(name)[0]) for name in ("not calculated", "calculated (", "of these"))
    assert drawn == len(first)
    assert reader.errors == []
    reader.page.close()
