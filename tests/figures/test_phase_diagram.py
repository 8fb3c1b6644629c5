"""The phase diagram shows every candidate, both hulls and every vertex by name, and no label covers another."""

import dataclasses
import itertools
from functools import cache
from inspect import signature

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from hullscout import Campaign, Pool
from hullscout.campaign import Setup, read_origin, read_result
from hullscout.cli.hulls import hull
from hullscout.cli.results import plot, report
from hullscout.errors import OutputError
from hullscout.figures import save_campaign_figure, save_result
from hullscout.figures.hulls import draw_hull
from hullscout.figures.look import Look
from hullscout.figures.phase_diagram import draw_phase_diagram, drawn_energies, intervals_of
from hullscout.figures.saving import save_figure
from hullscout.figures.style import Width, mathtext_formula
from hullscout.hull import pure
from hullscout.known_pool import PoolHull
from hullscout.oracle.outcome import Calculated
from hullscout.selection import Decision

ROOTS = ("campaigns/agpd/agpd.toml", "campaigns/agpt-unep/agpt-unep.toml")


@cache
def setup_of(campaign_file):
    return Setup(read_origin(campaign_file))


def known_of(campaign_file, n_known, *, is_replay=True, seed=0):
    """A campaign in which the pure elements and `n_known` random structures are known."""
    setup = setup_of(campaign_file)
    random = np.random.default_rng(seed).permutation(len(setup.pool))[:n_known].tolist()
    chosen = tuple(dict.fromkeys([*np.concatenate(pure(setup.pool.fractions)).tolist(), *random]))
    ledger = setup.ledger()
    ledger.record(Decision(chosen=chosen))
    for candidate_id in ledger.pending:
        ledger.take(candidate_id, Calculated(energy_ev=setup.table.lookup(candidate_id)))
    return ledger.known.with_truth(setup.true_ev_per_atom if is_replay else None)


def drawn(known, *, width=Width.PAGE, **options):
    figure = Figure(figsize=width.size(0.65), layout="constrained")
    FigureCanvasAgg(figure)
    return draw_phase_diagram(figure.add_subplot(), known, **options)


def by_label(ax):
    """What is drawn, by the first words of its label."""
    return {line.get_label().split(" (")[0]: line.get_xydata() for line in ax.lines}


@pytest.mark.parametrize("n_known", [0, 20, 300])
def test_every_candidate_is_drawn_once_and_every_vertex_is_named(campaign_file, n_known):
    known = known_of(campaign_file, n_known)
    ax = drawn(known)
    lines = by_label(ax)
    n_drawn = len(lines["calculated"]) + len(lines.get("not calculated", ()))
    assert n_drawn == known.n_candidates
    np.testing.assert_allclose(lines["hull found"][:, 1], known.hull.energy_ev_per_atom * 1000)
    np.testing.assert_allclose(lines["true hull"][:, 1], known.true_hull.energy_ev_per_atom * 1000)
    named = {text.get_text().split("\n")[0] for text in ax.texts}
    assert {mathtext_formula(formula) for formula in known.hull_formulas} <= named
    assert "meV/atom" in ax.get_ylabel()
    assert "atomic fraction" in ax.get_xlabel()


def test_vertices_are_named_with_their_prototype_or_else_their_space_group(campaign_file):
    texts = {text.get_text() for text in drawn(known_of(campaign_file, 300)).texts}
    assert {"Ag\nfcc", "Pd\nfcc", "AgPd\nL1$_{1}$"} <= texts
    assert any(text.startswith("Ag$_{3}$Pd") for text in texts), texts


def test_in_a_live_campaign_only_what_is_known_is_drawn(campaign_file):
    lines = by_label(drawn(known_of(campaign_file, 20, is_replay=False)))
    assert set(lines) >= {"calculated", "hull found"}
    assert not {"not calculated", "true hull"} & set(lines)


def test_a_candidate_is_drawn_where_it_is_known_to_be_else_where_it_is_believed(history, belief):
    known = history.now
    np.testing.assert_allclose(drawn_energies(known, belief), known.true_formation_ev_per_atom)
    live = dataclasses.replace(known, true_ev_per_atom=None)
    for believed, expected in ((belief, belief.mean_ev_per_atom), (None, np.full(57, np.nan))):
        energies = drawn_energies(live, believed)
        np.testing.assert_array_equal(energies[live.unknown], expected[live.unknown])
        np.testing.assert_array_equal(energies[live.answered], live.formation_ev_per_atom)


def test_candidates_above_the_range_are_counted(request):
    known = known_of(request.config.rootpath / ROOTS[1], 60)
    ax = drawn(known)
    n_above = int((known.true_formation_ev_per_atom * 1000 > ax.get_ylim()[1]).sum())
    assert n_above > 10
    assert f"\n{n_above} candidates lie above this range" in ax.get_title()


def test_what_other_limits_cut_off_is_counted_anew_and_no_title_of_ones_own_is_touched(request):
    known = known_of(request.config.rootpath / ROOTS[0], 60)
    ax = drawn(known)
    ax.set(xlim=(0.2, 0.8), ylim=(-40.0, -10.0))
    x, y = known.x, known.true_formation_ev_per_atom * 1000
    inside = (x >= 0.2) & (x <= 0.8)
    said = " ".join(ax.get_title().split())
    for n, where in ((inside & (y > -10), "above"), (inside & (y < -40), "below"), (~inside, "beside")):
        assert f" {n.sum()} candidate{'s lie' if n.sum() != 1 else ' lies'} {where} " in f"{said} ", where
    found = known.hull
    n_outside = int(
        (
            (found.x < 0.2) | (found.x > 0.8) | (found.energy_ev_per_atom < -0.04) | (found.energy_ev_per_atom > -0.01)
        ).sum()
    )
    assert f"{n_outside} vertices of the hull lie outside this range" in said
    ax.set_title("mine")
    ax.set_ylim(-50.0, 0.0)
    assert ax.get_title() == "mine"


def test_lattices_have_markers_of_their_own(request):
    known = known_of(request.config.rootpath / ROOTS[1], 60)
    lines = by_label(drawn(known, lattices=True))
    for lattice in ("fcc", "bcc", "hcp", "other"):
        assert len(lines[f"not calculated, {lattice}"]) > 20
    n_drawn = sum(len(points) for label, points in lines.items() if "calculated" in label)
    assert n_drawn == known.n_candidates


@pytest.mark.parametrize(
    "function",
    [
        Campaign.plot_hull,
        Campaign.plot_section,
        Campaign.write_report,
        Pool.plot_hull,
        PoolHull.plot,
        save_campaign_figure,
        draw_hull,
    ],
)
def test_in_python_lattices_are_asked_for_by_the_name_of_the_option(function):
    options = [option for command in (plot, hull, report) for option in command.params if "--lattices" in option.opts]
    assert len(options) == 3
    assert "lattices" in signature(function).parameters


@pytest.mark.parametrize("width", Width)
@pytest.mark.parametrize("campaign", ROOTS)
@pytest.mark.parametrize(("n_known", "seed"), [(15, 0), (30, 1), (60, 2), (300, 0), (600, 0)])
def test_no_label_covers_another(request, campaign, n_known, seed, width):
    known = known_of(request.config.rootpath / campaign, n_known, seed=seed)
    ax = drawn(known, width=width)
    renderer = ax.figure.canvas.get_renderer()
    ax.figure.draw_without_rendering()
    labels = [text for text in ax.texts if isinstance(text, Annotation)]
    assert len(labels) == len(known.hull_formulas)
    boxes = [Text.get_window_extent(text, renderer) for text in labels]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


@pytest.mark.parametrize("width", Width)
def test_no_label_hides_the_most_probable_candidate_or_a_vertex(history, belief, width):
    """What may be on the hull is believed to lie under a vertex, where the label of that would be."""
    known, mean = history.now, belief.mean_ev_per_atom.copy()
    chosen = int(intervals_of(belief)[0][0])
    mean[chosen] = known.hull.energy_ev_per_atom[np.abs(known.hull.x - known.x[chosen]).argmin()] - 0.006
    ax = drawn(known, belief=dataclasses.replace(belief, mean_ev_per_atom=mean), width=width)
    ax.figure.draw_without_rendering()
    vertices = np.column_stack([known.hull.x, known.hull.energy_ev_per_atom])
    at = ax.transData.transform(np.vstack([[known.x[chosen], mean[chosen]], vertices]) * [1.0, 1000.0])
    renderer = ax.figure.canvas.get_renderer()
    for text in ax.texts:
        assert Text.get_window_extent(text, renderer).padded(3.0).count_contains(at) == 0, text


def test_beliefs_are_drawn_as_they_are_computed(history, belief):
    ax = drawn(history.now, belief=belief)
    (shown,) = [c for c in ax.collections if c.get_label() == "prediction, 95 % interval"]
    unknown = history.now.unknown
    likely = unknown[belief.probability_on_hull[unknown] >= 0.005]
    assert 0 < likely.size <= 40
    np.testing.assert_allclose(np.sort(shown.get_offsets()[:, 1]), np.sort(belief.mean_ev_per_atom[likely] * 1000))
    np.testing.assert_allclose(np.sort(shown.get_array()), np.sort(belief.probability_on_hull[likely] * 100))
    (band,) = [c for c in ax.collections if c.get_label() == "95 % band of the hull"]
    low, high = belief.band_ev_per_atom(np.array([0.5]), (0.025, 0.975))[:, 0] * 1000
    at_half = [y for x, y in band.get_paths()[0].vertices if x == 0.5]
    assert min(at_half) == pytest.approx(low)
    assert max(at_half) == pytest.approx(high)


@pytest.mark.parametrize(("times", "is_named"), [(1.0, True), (1e-3, False)])
def test_the_legend_names_the_band_where_it_is_seen(history, belief, monkeypatch, times, is_named):
    low, middle, high = belief.band
    narrowed = np.array([middle + times * (low - middle), middle, middle + times * (high - middle)])
    monkeypatch.setitem(belief.__dict__, "band", narrowed)
    ax = drawn(history.now, belief=belief)
    (legend,) = ax.figure.legends
    assert ("95 % band of the hull" in [text.get_text() for text in legend.get_texts()]) is is_named
    Look(x_range=(0.3, 0.7), y_range=(-60.0, -5.0)).apply(ax.figure)  # without (0, 0)
    (legend,) = ax.figure.legends
    assert ("95 % band of the hull" in [text.get_text() for text in legend.get_texts()]) is is_named


def test_the_title_counts_intervals_that_leave_the_range(history, belief):
    wide = dataclasses.replace(belief, std_ev_per_atom=20 * belief.std_ev_per_atom)
    ax = drawn(history.now, belief=wide)
    chosen, half_width = intervals_of(wide)
    ends = 1000 * (wide.mean_ev_per_atom[chosen] + half_width * np.array([[-1], [1]]))
    bottom, top = ax.get_ylim()
    n_cut = int(((ends[0] < bottom) | (ends[1] > top)).sum())
    assert n_cut > 1
    assert f"{n_cut} intervals leave" in ax.get_title()
    hulls = (history.now.hull, history.now.true_hull)
    assert bottom > 2.2 * min(1000 * hull.energy_ev_per_atom.min() for hull in hulls)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_figure_is_saved_whole_in_the_format_of_its_name(history, tmp_path, suffix):
    for name in ("hull", "again"):
        save_figure(tmp_path / f"{name}{suffix}", lambda figure: draw_phase_diagram(figure.add_subplot(), history.now))
    written = (tmp_path / f"hull{suffix}").read_bytes()
    assert written[:5] == {".png": b"\x89PNG\r", ".svg": b"<?xml", ".pdf": b"%PDF-"}[suffix]
    assert written == (tmp_path / f"again{suffix}").read_bytes()
    assert sorted(path.name for path in tmp_path.glob("*hull*")) == [f"hull{suffix}"]


def test_a_result_is_saved_with_its_phase_diagram(stopped, history, tmp_path):
    save_result(tmp_path, history.result, history.now)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hull.png", "names.kept", "result.json"]
    assert (tmp_path / "hull.png").read_bytes() == (stopped / "hull.png").read_bytes()
    assert read_result(tmp_path) == history.result
    with pytest.raises(OutputError, match=r"hull\.png cannot be written: .* Give another file\."):
        save_result(tmp_path / "nowhere", history.result, history.now)


def test_a_legend_counts_what_was_known_beforehand_under_its_name(campaign_file):
    known = known_of(campaign_file, 12)
    n = known.answered.size
    given = dataclasses.replace(known, given=known.answered[:9])
    names = [drawn(each).get_legend_handles_labels()[1] for each in (known, given)]
    assert f"calculated ({n})" in names[0]
    assert f"calculated or known ({n})" in names[1]
