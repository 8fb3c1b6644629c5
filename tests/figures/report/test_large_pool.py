"""Of a large pool the page, the figures and the exports show what is known and the lowest of the others, and say so."""

from __future__ import annotations

import csv
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from click.testing import CliRunner
from report_reader import Reader

from hullscout.cli import main
from hullscout.figures.hulls import draw_hull
from hullscout.figures.phase_diagram import draw_hull_distance
from hullscout.figures.report import read_report, write_report
from hullscout.selection import shown_candidates


@pytest.fixture
def large(stopped, monkeypatch):
    """The replay that ran out of its budget, read as if its pool were large, and five of the others were shown."""
    monkeypatch.setattr("hullscout.selection.shown.ALL_SHOWN", 20)
    monkeypatch.setattr("hullscout.selection.shown.N_LOWEST", 5)
    return read_report(stopped)


def test_what_is_known_and_the_lowest_others_are_shown(large):
    known, shown = large.known, large.shown
    assert known.n_candidates > shown.size > known.answered.size
    assert set(known.answered.tolist()) <= set(shown.tolist())
    assert set(np.flatnonzero(large.belief.probability_on_hull).tolist()) <= set(shown.tolist())
    heights = known.hull.distance(known.fractions, known.true_formation_ev_per_atom)
    assert set(known.unknown[np.argsort(heights[known.unknown])[:5]].tolist()) <= set(shown.tolist())


def test_of_a_pool_that_is_not_large_all_are_shown(reported):
    np.testing.assert_array_equal(reported.shown, np.arange(reported.known.n_candidates))


def test_without_energies_of_the_others_only_what_is_known_is_shown(large):
    blind = replace(large.known, true_ev_per_atom=None)
    np.testing.assert_array_equal(shown_candidates(blind), np.sort(blind.answered))


def test_the_page_says_so_and_works_with_what_it_shows(browser, large, tmp_path):
    write_report(tmp_path / "report.html", large)
    reader = Reader(browser, tmp_path / "report.html")
    n = large.known.n_candidates
    assert f"Of {n} candidates these are {large.shown.size}: " in reader.page.locator("body").inner_text()
    assert reader.page.locator("#list").inner_text() == "The lowest candidates"
    rows = reader.download()[1]
    assert {row["id"] for row in rows} == {large.known.pool.ids[index] for index in large.shown}
    x, _ = reader.trace("hull found")
    np.testing.assert_allclose(np.unique(x), np.unique(large.known.hull.x), atol=1e-6)
    reader.page.locator("#which").select_option("hull")
    assert {row["id"] for row in reader.download()[1]} == {large.known.pool.ids[i] for i in large.known.hull.indices}
    text = reader.hover_label(1)
    assert large.known.pool.ids[large.known.hull.indices[1]] in text
    reader.page.locator("#moment").fill("0")
    first = large.history.moments[0]
    reader.page.locator("#which").select_option("all")
    assert f"{first.n_answered} of {n} calculated" in reader.page.locator("#moment-text").text_content()
    reader.page.close()


@pytest.mark.parametrize("draw", [draw_hull, draw_hull_distance])
def test_figures_count_what_they_leave_out(large, draw):
    _, ax = plt.subplots()
    draw(ax, large.known, belief=large.belief)
    n_others = large.known.unknown.size
    n_drawn = large.shown.size - large.known.answered.size
    labels = ax.get_legend_handles_labels()[1]
    assert f"not calculated ({n_drawn} lowest of {n_others}, true energy)" in labels
    line = next(line for line in ax.get_lines() if str(line.get_label()).startswith("not calculated"))
    assert len(line.get_xdata()) == n_drawn
    plt.close("all")


@pytest.mark.parametrize("export_format", ["csv", "ase"])
def test_exports_say_so_too(stopped, large, tmp_path, export_format):
    path = tmp_path / "out"
    done = CliRunner().invoke(main, ["export", str(stopped), "--format", export_format, "-o", str(path)])
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert f"Wrote {large.shown.size} structures" in said
    assert f"Of {large.known.n_candidates} candidates these are {large.shown.size}: all that is known" in said
    if export_format == "csv":
        with path.open(newline="") as stream:
            assert [row["id"] for row in csv.DictReader(stream)] == [large.known.pool.ids[i] for i in large.shown]
