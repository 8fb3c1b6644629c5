"""The phase diagram shows every candidate, both hulls and every vertex by name, and no label covers another."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from hullscout.campaign import runner
from hullscout.campaign.standing import Standing
from hullscout.campaign.state import State
from hullscout.figures.phase_diagram import draw_phase_diagram, mathtext_formula, save_phase_diagram
from hullscout.selection.interface import RoundRecord

ROOTS = ("campaigns/agpd/agpd.toml", "campaigns/agpt-unep/agpt-unep.toml")


def standing_of(campaign_file, n_known, *, has_reference=True):
    """A campaign in which the pure elements and `n_known` random structures are known."""
    origin = runner.read_origin(campaign_file)
    pool, oracle = runner.open_pool(origin)
    random = np.random.default_rng(0).permutation(len(pool.ids))[:n_known].tolist()
    known = list(dict.fromkeys([*itertools.chain(*pool.end_members), *random]))
    ids = [pool.ids[i] for i in known]
    state = State(
        pool,
        rounds=[RoundRecord(round=0, chosen=tuple(ids), n_contenders=len(pool.ids))],
        energies_ev={candidate_id: oracle.lookup(candidate_id) for candidate_id in ids},
    )
    return Standing.of(
        state, name="test", reference_ev_per_atom=oracle.energies_ev_per_atom() if has_reference else None
    )


def drawn(standing):
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    return draw_phase_diagram(figure.add_subplot(), standing)


@pytest.mark.parametrize("n_known", [0, 20, 300])
def test_every_candidate_is_drawn_once_and_every_vertex_is_named(campaign_file, n_known):
    standing = standing_of(campaign_file, n_known)
    ax = drawn(standing)
    triangles, circles, found, true = (line.get_xydata() for line in ax.lines[:4])
    assert len(triangles) + len(circles) == standing.n_candidates
    np.testing.assert_allclose(found[:, 1], standing.found_hull.energy_ev_per_atom * 1000)
    np.testing.assert_allclose(true[:, 1], standing.true_hull.energy_ev_per_atom * 1000)
    texts = {text.get_text() for text in ax.texts}
    assert {mathtext_formula(formula) for formula in standing.hull_formulas} <= texts
    assert "meV/atom" in ax.get_ylabel()
    assert "atomic fraction" in ax.get_xlabel()


def test_without_reference_energies_only_what_is_known_is_drawn(campaign_file):
    ax = drawn(standing_of(campaign_file, 20, has_reference=False))
    assert [line.get_label() for line in ax.lines[:2]] == [
        f"calculated ({len(ax.lines[0].get_xydata())})",
        "hull found",
    ]


@pytest.mark.parametrize("campaign", ROOTS)
@pytest.mark.parametrize("n_known", [30, 300, 600])
def test_no_label_covers_another(request, campaign, n_known):
    standing = standing_of(request.config.rootpath / campaign, n_known)
    ax = drawn(standing)
    renderer = ax.figure.canvas.get_renderer()
    ax.figure.draw_without_rendering()
    boxes = [
        text.get_window_extent(renderer) for text in ax.texts if isinstance(text, Annotation) and text.get_text() != ""
    ]
    labels = [
        text.get_tightbbox(renderer)
        for text in ax.texts
        if text.get_text() in map(mathtext_formula, standing.hull_formulas)
    ]
    assert len(labels) == len(standing.hull_formulas)
    assert len(boxes) >= len(labels)
    from matplotlib.text import Text

    bare = [Text.get_window_extent(text, renderer) for text in ax.texts]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(bare, 2))


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_figure_is_saved_whole_in_the_format_of_its_name(campaign_file, tmp_path, suffix):
    save_phase_diagram(tmp_path / f"hull{suffix}", standing_of(campaign_file, 20))
    head = (tmp_path / f"hull{suffix}").read_bytes()[:5]
    assert head == {".png": b"\x89PNG\r", ".svg": b"<?xml", ".pdf": b"%PDF-"}[suffix]
    assert [path.name for path in tmp_path.glob("*hull*")] == [f"hull{suffix}"]
