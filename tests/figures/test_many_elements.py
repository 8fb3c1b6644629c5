"""Of three elements the triangle shows every ground state and tie line, sections look like two; of four there are sections."""

import itertools
import re

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Annotation, Text

from hullscout.campaign import Beliefs, read_history
from hullscout.cli import main
from hullscout.errors import OutputError
from hullscout.figures import KINDS, save_campaign_figure, style
from hullscout.figures.hulls import draw_hull
from hullscout.figures.phase_diagram import draw_hull_distance, draw_section, drawn_energies, intervals_of
from hullscout.figures.sections import Section
from hullscout.figures.style import Width
from hullscout.figures.ternary import CORNERS, in_triangle, tie_lines
from hullscout.hull import lower_hull, pure

TRIANGLE = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]


@pytest.fixture(scope="module")
def three(of_three):
    """What is known of three elements, and what is believed."""
    history = read_history(of_three)
    return history.now, Beliefs(history.setup).at(history.now)


@pytest.fixture(scope="module")
def four(of_four):
    """The same of four."""
    history = read_history(of_four)
    return history.now, Beliefs(history.setup).at(history.now)


def drawn(draw, known, *, width=Width.PAGE, **options):
    figure = Figure(figsize=width.size(1.2 if width is Width.COLUMN else 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    return draw(figure.add_subplot(), known, **options)


def points_of(ax, label):
    """Points of what has a label that begins so."""
    (line,) = [line for line in ax.lines if line.get_label().startswith(label)]
    return line.get_xydata()


def boxes(ax):
    """The boxes of the names of vertices, in pixels."""
    renderer = ax.figure.canvas.get_renderer()
    ax.figure.draw_without_rendering()
    return [Text.get_window_extent(text, renderer) for text in ax.texts if isinstance(text, Annotation)]


def test_compositions_divide_the_triangle_as_their_fractions_do():
    np.testing.assert_allclose(in_triangle(np.array(TRIANGLE)), CORNERS)
    np.testing.assert_allclose(
        in_triangle(np.array([[0.25, 0.25]]))[0], 0.5 * CORNERS[0] + 0.25 * CORNERS[1:].sum(axis=0)
    )


def test_tie_lines_are_the_edges_of_the_facets_and_none_across_a_plane():
    inside = lower_hull([*TRIANGLE, [1 / 3, 1 / 3]], [0, 0, 0, -0.1])
    assert tie_lines(inside).tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    # Two edges' compounds and an end make four phases in one plane.
    plane = lower_hull([*TRIANGLE, [0.5, 0.0], [0.5, 0.5]], [0, 0, 0, -0.2, -0.2])
    assert [0, 3] in tie_lines(plane).tolist()
    assert len(plane.facets) == 3
    assert len(tie_lines(plane)) == 6
    assert {tuple(ends) for ends in tie_lines(plane).tolist()} == {(0, 2), (0, 3), (1, 3), (1, 4), (2, 4), (3, 4)}


@pytest.mark.parametrize("width", Width)
def test_the_triangle_shows_every_candidate_and_names_every_vertex(three, width):
    known, belief = three
    ax = drawn(draw_hull, known, belief=belief, width=width)
    offsets = np.vstack([collection.get_offsets() for collection in ax.collections[:2]])
    assert len(offsets) == known.n_candidates
    at = {tuple(point) for point in np.round(in_triangle(known.fractions), 9).tolist()}
    assert {tuple(point) for point in np.round(offsets, 9).tolist()} == at
    shown = np.concatenate([collection.get_array() for collection in ax.collections[:2]])
    heights = 1000 * known.hull.distance(known.fractions, drawn_energies(known, belief))
    np.testing.assert_allclose(np.sort(shown), np.sort(heights), atol=1e-9)
    names = {text.get_text().split("\n")[0] for text in ax.texts if isinstance(text, Annotation)}
    assert names == {style.mathtext_formula(formula) for formula in known.hull_formulas}
    lines = [line for line in ax.lines if line.get_color() == style.found() and len(line.get_xdata()) == 2]
    assert len(lines) == len(tie_lines(known.hull))
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes(ax), 2))
    frame = ax.figure.bbox
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 for box in boxes(ax))


def test_what_may_be_on_the_hull_is_marked_by_its_probability(three):
    known, belief = three
    ax = drawn(draw_hull, known, belief=belief)
    chosen, _ = intervals_of(belief)
    (marked,) = [
        each
        for each in ax.collections
        if len(each.get_sizes()) == chosen.size and not each.get_label().startswith("P(")
    ]
    order = np.argsort(belief.probability_on_hull[chosen])
    assert (np.diff(marked.get_sizes()[order]) >= 0).all()
    np.testing.assert_allclose(marked.get_offsets(), in_triangle(known.fractions[chosen]))
    assert len(drawn(draw_hull, known).collections) == 2


def test_a_section_between_elements_is_the_phase_diagram_of_these(three):
    known, _ = three
    section = Section.between(known, "Cu", "Au")
    assert {known.pool.candidates[i].formula for i in section.candidates.tolist()} <= {
        "Cu",
        "Au",
        "CuAu",
        "Cu3Au",
        "CuAu3",
    }
    those = section.candidates[np.isin(section.candidates, known.answered)]
    x = known.fractions[those, 1]
    energies = drawn_energies(known, None)[those]
    binary = lower_hull(x, energies)
    at, hull = section.hull_line(known.hull)
    np.testing.assert_allclose(hull, binary.energy_at(at), atol=1e-9)
    np.testing.assert_allclose(at, binary.x, atol=1e-9)
    np.testing.assert_allclose(section.vertices(known.hull)[0], binary.x, atol=1e-9)


def test_a_section_has_a_kink_at_every_tie_line_that_it_crosses(three):
    known, belief = three
    section = Section.between(known, "Ag", "CuAu")
    x, energies = section.hull_line(known.hull)
    middles = 0.5 * (x[1:] + x[:-1])
    at_middles = section.relative(middles, known.hull.energy_at(section.compositions(middles)))
    np.testing.assert_allclose(at_middles, 0.5 * (energies[1:] + energies[:-1]), atol=1e-9)  # straight between kinks
    assert (np.diff(np.diff(energies) / np.diff(x)) > 0).all()
    assert energies[[0, -1]] == pytest.approx(0.0, abs=1e-12)
    ax = drawn(draw_section, known, between=("Ag", "CuAu"), belief=belief)
    np.testing.assert_allclose(points_of(ax, "hull found"), np.column_stack([x, 1000 * energies]))
    assert ax.get_ylabel() == "energy relative to the ends (meV/atom)"
    assert "(CuAu$_{}$".replace("$_{}$", ")") in ax.get_xlabel()
    n_drawn = len(points_of(ax, "calculated")) + len(points_of(ax, "not calculated"))
    assert n_drawn == section.candidates.size


def test_a_section_may_end_at_a_candidate(three):
    known, _ = three
    vertex = int(known.hull.indices[-1])
    named = Section.between(known, "Cu", known.pool.ids[vertex])
    assert named.names == ("Cu", known.pool.candidates[vertex].formula)
    np.testing.assert_allclose(named.ends[1], known.fractions[vertex])
    assert Section.between(known, "Cu", "Ag0.5Au1.5").ends[1].tolist() == [0.25, 0.75]


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("Cu", "Zn", "Expected a formula of Cu, Ag, Au, as CuAg, or the id of a candidate, found 'Zn'"),
        ("Cu", "nothing", "found 'nothing'"),
        ("Cu0", "Cu", "found 'Cu0'"),
        ("CuAu", "Cu2Au2", "two different compositions, found CuAu and Cu2Au2"),
    ],
)
def test_ends_of_a_section_that_are_none_are_refused(three, start, end, message):
    with pytest.raises(OutputError, match=re.escape(message)):
        Section.between(three[0], start, end)


def test_two_elements_have_sections_too(history, belief, ax):
    draw_section(ax, history.now, between=("AgPd", "Ag"), belief=belief)
    assert points_of(ax, "hull found")[[0, -1], 1] == pytest.approx(0.0, abs=1e-9)
    assert ax.get_xlabel().startswith("$x$ in (AgPd)$_{1-x}$Ag$_x$")


def test_distances_of_several_elements_stand_in_a_column_for_each_system(three, four, ax):
    draw_hull_distance(ax, three[0], belief=three[1], tolerance_ev_per_atom=0.001)
    names = [label.get_text() for label in ax.get_xticklabels()]
    assert names == ["elements", "Cu-Ag", "Cu-Au", "Ag-Au", "Cu-Ag-Au"]
    heights = points_of(ax, "calculated")
    assert heights[:, 1].min() == pytest.approx(0.0, abs=1e-9)
    is_element = np.round(heights[:, 0]) == 0
    known = three[0]
    n_pure = sum(np.isin(those, known.answered).sum() for those in pure(known.fractions))
    assert is_element.sum() == n_pure
    other = drawn(draw_hull_distance, four[0])
    assert len(other.get_xticklabels()) == 12


def test_of_four_elements_there_is_no_triangle_and_a_sentence_says_what_there_is(of_four, tmp_path):
    done = CliRunner().invoke(main, ["plot", str(of_four), "-o", str(tmp_path / "hull.png")])
    assert done.exit_code == 2
    said = " ".join(done.output.split())
    assert "expected two or three elements, which a plane has room for, found Cu, Ag, Au, Pd" in said
    assert "--kind section --from Cu --to AgAu, or --kind distance" in said
    assert imread(of_four / "hull.png").shape[2] == 4  # the distances
    target = tmp_path / "section.svg"
    words = ["plot", str(of_four), "--kind", "section", "--from", "CuPd", "--to", "AgAu", "-o", str(target)]
    done = CliRunner().invoke(main, words, catch_exceptions=False)
    assert (done.exit_code, done.output) == (0, f"Wrote {target}\n")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in {"learning", "section"}])
def test_every_kind_is_drawn_of_three_elements(of_three, tmp_path, kind):
    save_campaign_figure(of_three, tmp_path / f"{kind}.png", kind=kind, width=Width.COLUMN)
    assert imread(tmp_path / f"{kind}.png").shape[1] == 1020


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--from", "Cu", "--to", "Au"], "--from and --to are for --kind section, found --kind hull"),
        (["--kind", "section", "--from", "Cu"], "Expected both ends of a section, found one"),
        (["--lattices"], "Markers of lattices are for two elements"),
    ],
)
def test_options_that_fit_nothing_are_refused(of_three, words, message):
    done = CliRunner().invoke(main, ["plot", str(of_three), *words])
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())


def test_a_learning_curve_is_drawn_of_more_than_two_elements(of_four, tmp_path):
    save_campaign_figure(of_four, tmp_path / "learning.png", kind="learning")
    assert np.ptp(imread(tmp_path / "learning.png")) > 0.5
