"""The phase diagram shows every candidate, both hulls and every vertex by name, and no label covers another."""

import dataclasses
import itertools

import numpy as np
import pytest
from hullscout.campaign.standing import Standing
from hullscout.campaign.state import State
from hullscout.selection.interface import RoundRecord
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from hullscout.campaign import runner
from hullscout.campaign.history import Forecaster, read_history
from hullscout.figures.phase_diagram import draw_phase_diagram, intervals_of, save_phase_diagram
from hullscout.figures.style import Width, mathtext_formula

ROOTS = ("campaigns/agpd/agpd.toml", "campaigns/agpt-unep/agpt-unep.toml")


def standing_of(campaign_file, n_known, *, has_reference=True, seed=0):
    """A campaign in which the pure elements and `n_known` random structures are known."""
    origin = runner.read_origin(campaign_file)
    pool, oracle = runner.open_pool(origin)
    random = np.random.default_rng(seed).permutation(len(pool.ids))[:n_known].tolist()
    known = list(
        dict.fromkeys([*np.flatnonzero(pool.x == 0.0).tolist(), *np.flatnonzero(pool.x == 1.0).tolist(), *random])
    )
    ids = [pool.ids[i] for i in known]
    state = State(
        pool,
        rounds=[RoundRecord(round=0, chosen=tuple(ids), n_contenders=len(pool.ids))],
        energies_ev={candidate_id: oracle.lookup(candidate_id) for candidate_id in ids},
    )
    return Standing.of(
        state, name="test", reference_ev_per_atom=oracle.energies_ev_per_atom() if has_reference else None
    )


def drawn(standing, *, width=Width.PAGE, **options):
    figure = Figure(figsize=(width.inches, 0.65 * width.inches), layout="constrained")
    FigureCanvasAgg(figure)
    return draw_phase_diagram(figure.add_subplot(), standing, **options)


def by_label(ax):
    """What is drawn, by the first words of its label."""
    return {line.get_label().split(" (")[0]: line.get_xydata() for line in ax.lines}


@pytest.mark.parametrize("n_known", [0, 20, 300])
def test_every_candidate_is_drawn_once_and_every_vertex_is_named(campaign_file, n_known):
    standing = standing_of(campaign_file, n_known)
    ax = drawn(standing)
    lines = by_label(ax)
    n_drawn = len(lines["calculated"]) + len(lines.get("not calculated", ()))
    assert n_drawn == standing.n_candidates
    np.testing.assert_allclose(lines["hull found"][:, 1], standing.found_hull.energy_ev_per_atom * 1000)
    np.testing.assert_allclose(lines["true hull"][:, 1], standing.true_hull.energy_ev_per_atom * 1000)
    named = {text.get_text().split("\n")[0] for text in ax.texts}
    assert {mathtext_formula(formula) for formula in standing.hull_formulas} <= named
    assert "meV/atom" in ax.get_ylabel()
    assert "atomic fraction" in ax.get_xlabel()


def test_vertices_are_named_with_their_prototype_or_else_their_space_group(campaign_file):
    texts = {text.get_text() for text in drawn(standing_of(campaign_file, 300)).texts}
    assert {"Ag\nfcc", "Pd\nfcc", "AgPd\nL1$_{1}$"} <= texts
    assert any(text.startswith("Ag$_{3}$Pd") for text in texts), texts


def test_without_reference_energies_only_what_is_known_is_drawn(campaign_file):
    assert set(by_label(drawn(standing_of(campaign_file, 20, has_reference=False)))) >= {"calculated", "hull found"}
    assert not {"not calculated", "true hull"} & set(
        by_label(drawn(standing_of(campaign_file, 20, has_reference=False)))
    )


def test_candidates_above_the_range_are_counted(request):
    standing = standing_of(request.config.rootpath / ROOTS[1], 60)
    ax = drawn(standing)
    n_above = int((standing.reference_ev_per_atom * 1000 > ax.get_ylim()[1]).sum())
    assert n_above > 10
    assert f"\n{n_above} candidates lie above this range" in ax.get_title()


def test_lattices_have_markers_of_their_own(request):
    standing = standing_of(request.config.rootpath / ROOTS[1], 60)
    lines = by_label(drawn(standing, has_lattices=True))
    for lattice in ("fcc", "bcc", "hcp", "other"):
        assert len(lines[f"{lattice}, not calculated"]) > 20
    n_drawn = sum(len(points) for label, points in lines.items() if "calculated" in label)
    assert n_drawn == standing.n_candidates


@pytest.mark.parametrize("width", Width)
@pytest.mark.parametrize("campaign", ROOTS)
@pytest.mark.parametrize(("n_known", "seed"), [(15, 0), (30, 1), (60, 2), (300, 0), (600, 0)])
def test_no_label_covers_another(request, campaign, n_known, seed, width):
    standing = standing_of(request.config.rootpath / campaign, n_known, seed=seed)
    ax = drawn(standing, width=width)
    renderer = ax.figure.canvas.get_renderer()
    ax.figure.draw_without_rendering()
    labels = [text for text in ax.texts if isinstance(text, Annotation)]
    assert len(labels) == len(standing.hull_formulas)
    boxes = [Text.get_window_extent(text, renderer) for text in labels]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_beliefs_are_drawn_as_they_are_computed(campaign_file, tmp_path):
    origin = runner.read_origin(campaign_file, ("select={rule = 'hull-posterior'}", "stop.max_calculations=20"))
    pool, oracle = runner.open_pool(origin)
    runner.run(origin, tmp_path / "run", pool=pool, oracle=oracle)
    history = read_history(tmp_path / "run")
    outlook = Forecaster(history).at(history.now)
    ax = drawn(history.now.standing, outlook=outlook)
    (shown,) = [c for c in ax.collections if c.get_label() == "prediction, 95 % interval"]
    unknown = history.now.standing.unknown
    likely = unknown[outlook.probability_on_hull[unknown] >= 0.005]
    assert 0 < likely.size <= 40
    np.testing.assert_allclose(np.sort(shown.get_offsets()[:, 1]), np.sort(outlook.mean_ev_per_atom[likely] * 1000))
    np.testing.assert_allclose(np.sort(shown.get_array()), np.sort(outlook.probability_on_hull[likely] * 100))
    (band,) = [c for c in ax.collections if c.get_label() == "95 % band of the hull"]
    low, high = outlook.hull.band_ev_per_atom(np.array([0.5]), (0.025, 0.975))[:, 0] * 1000
    at_half = [y for x, y in band.get_paths()[0].vertices if x == 0.5]
    assert min(at_half) == pytest.approx(low)
    assert max(at_half) == pytest.approx(high)


def test_the_title_counts_intervals_that_leave_the_range(campaign_file, tmp_path):
    origin = runner.read_origin(campaign_file, ("select={rule = 'hull-posterior'}", "stop.max_calculations=8"))
    pool, oracle = runner.open_pool(origin)
    runner.run(origin, tmp_path / "run", pool=pool, oracle=oracle)
    history = read_history(tmp_path / "run")
    standing, outlook = history.now.standing, Forecaster(history).at(history.now)
    outlook = dataclasses.replace(outlook, std_ev_per_atom=20 * outlook.std_ev_per_atom)
    ax = drawn(standing, outlook=outlook)
    chosen, half_width = intervals_of(standing, outlook)
    ends = 1000 * (outlook.mean_ev_per_atom[chosen] + half_width * np.array([[-1], [1]]))
    bottom, top = ax.get_ylim()
    n_cut = int(((ends[0] < bottom) | (ends[1] > top)).sum())
    assert n_cut > 1
    assert f"{n_cut} intervals leave" in ax.get_title()
    hulls = (standing.found_hull, standing.true_hull)
    assert bottom > 2.2 * min(1000 * hull.energy_ev_per_atom.min() for hull in hulls)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_figure_is_saved_whole_in_the_format_of_its_name(campaign_file, tmp_path, suffix):
    for name in ("hull", "again"):
        save_phase_diagram(tmp_path / f"{name}{suffix}", standing_of(campaign_file, 20))
    written = (tmp_path / f"hull{suffix}").read_bytes()
    assert written[:5] == {".png": b"\x89PNG\r", ".svg": b"<?xml", ".pdf": b"%PDF-"}[suffix]
    assert written == (tmp_path / f"again{suffix}").read_bytes()
    assert sorted(path.name for path in tmp_path.glob("*hull*")) == [f"hull{suffix}"]
