"""Every kind of figure is drawn from a campaign's folder, finished or not, and shows the campaign's numbers."""

import re
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread
from outside import VolumeAndShare

from hullscout.campaign import Setup, read_history, read_origin, run
from hullscout.cli import main
from hullscout.errors import OutputError
from hullscout.figures import KINDS, Kind, Width, save_campaign_figure, style
from hullscout.figures.parity import draw_calibration, draw_parity, honest_predictions
from hullscout.figures.phase_diagram import draw_hull_distance, intervals_of
from hullscout.figures.progress import draw_errors, draw_failure_probability, draw_progress
from hullscout.figures.representation import draw_panel, draw_representation
from hullscout.representation import Panel

SHOWN = {
    "hull": {"hull found", "true hull", "calculated (20)", "not calculated (37, true energy)"},
    "distance": {"hull found", "tolerance, 1 meV/atom", "calculated (20)", "not calculated (37, true energy)"},
    "progress": {"hull error", "tolerance, 1 meV/atom"},
    "parity": {"predicted as they are", "95 % intervals"},
    "calibration": {"honest model, expected"},
    "learning": {"training structures", "RMSE (meV/atom)"},
    "mbtr": {"Ag-Ag", "Ag-Pd", "Ag-Pd-Ag", "inverse distance (1/Å)", "cosine of the angle"},
}
SHOWN["section"] = SHOWN["hull"]
SHOWN["potentials"] = {"hull found", "true hull", "100 %"}
SHOWN["representation"] = SHOWN["mbtr"]


def line(ax, label):
    (found,) = [line for line in ax.lines if line.get_label().startswith(label)]
    return found.get_xydata()


def colours_in(path):
    """How many pixels of a PNG picture have each colour of the figures."""
    pixels = imread(path)[..., :3].reshape(-1, 3)
    names = ("CALCULATED", "NOT_CALCULATED", "TRUE")
    colours = {name: getattr(style, name) for name in names} | {"found": style.found()}
    return {n: int((np.abs(pixels - to_rgb(colour)).max(axis=1) < 0.01).sum()) for n, colour in colours.items()}


@pytest.mark.parametrize("rule", ["stopped", "at_random"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn_by_the_command_line(request, tmp_path, kind, rule):
    folder, target = request.getfixturevalue(rule), tmp_path / f"{kind}.svg"
    done = CliRunner().invoke(
        main, ["plot", str(folder), "--kind", kind, "-o", str(target), "--width", "column"], catch_exceptions=False
    )
    assert (done.exit_code, done.output) == (0, f"Wrote {target}\n")
    drawn = set(re.findall("<!-- (.*?) -->", target.read_text(encoding="utf-8")))  # matplotlib's note beside each text
    assert drawn >= SHOWN[kind]


def test_a_kind_is_written_into_the_folder_under_its_name(at_random):
    done = CliRunner().invoke(main, ["plot", str(at_random)])
    assert (done.exit_code, done.output) == (0, f"Wrote {at_random / 'hull.png'}\n")
    assert all(n > 100 for n in colours_in(at_random / "hull.png").values())
    save_campaign_figure(at_random, at_random / "progress.png", kind="progress")
    drawn = colours_in(at_random / "progress.png")
    assert drawn["found"] > 1000
    assert drawn["NOT_CALCULATED"] == drawn["TRUE"] == 0


def test_the_table_of_kinds_is_read_without_matplotlib():
    code = "import sys, hullscout.figures as f; print(list(f.KINDS)[0], 'numpy' in sys.modules, 'matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["hull", "False", "False"]


def test_anybodys_function_is_a_kind(stopped, tmp_path, monkeypatch):
    (tmp_path / "counted.py").write_text(
        "def draw(ax, known, tolerance_ev_per_atom):\n    ax.set_title(f'{known.n_answered} {tolerance_ev_per_atom}')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(KINDS, "counted", Kind("counted.draw", "a number", ("known", "tolerance_ev_per_atom")))
    save_campaign_figure(stopped, tmp_path / "counted.svg", kind="counted")
    assert "<!-- 20 0.001 -->" in (tmp_path / "counted.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(("kind", "width", "size"), [
    ("hull", Width.PAGE, (1120, 728)), ("hull", Width.COLUMN, (1020, 1122)), ("parity", Width.PAGE, (1020, 1275)),
])  # fmt: skip
def test_figures_have_the_width_of_a_column_or_the_page(stopped, tmp_path, kind, width, size):
    save_campaign_figure(stopped, tmp_path / "figure.png", kind=kind, width=width)
    height, across = imread(tmp_path / "figure.png").shape[:2]
    assert (across, height) == size


def test_the_learning_curve_of_a_replay_uses_all_candidates(at_random, tmp_path, monkeypatch):
    from hullscout import regression

    seen = []
    plot = regression.plot_learning_curves
    monkeypatch.setattr(
        regression, "plot_learning_curves", lambda curves, *a, **k: seen.extend(curves) or plot(curves, *a, **k)
    )
    save_campaign_figure(at_random, tmp_path / "learning.svg", kind="learning", width=Width.COLUMN)
    assert seen[0].sizes.tolist() == [int(share * 57) for share in (0.1, 0.2, 0.4, 0.8)]
    assert "<!-- small $x: 57 energies," in (tmp_path / "learning.svg").read_text(encoding="utf-8").replace("\\$", "$")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "a.jpg"], "expected a file that ends in .png, .svg, .pdf, .eps, found '.jpg'"),
        (["--kind", "mbtr", "--candidate", "none"], "Expected the id of one of the 57 candidates, found 'none'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(at_random, arguments, message):
    done = CliRunner().invoke(main, ["plot", str(at_random), *arguments])
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())


def test_progress_shows_the_errors_and_what_was_stated(history, ax):
    draw_errors(ax, history)
    expected = [[known.n_answered, 1000 * known.hull_error_ev_per_atom] for known in history.moments]
    np.testing.assert_allclose(line(ax, "hull error"), expected)
    errors = [
        [known.n_answered, 1000 * d.model_error]
        for known, d in zip(history.moments, history.decided[:-1], strict=False)
    ]
    np.testing.assert_allclose(line(ax, "model error"), errors)
    below = draw_failure_probability(Figure().add_subplot(), history)
    stated = [decision.stated_failure_probability for decision in history.decided[:-1]]
    np.testing.assert_allclose(line(below, "stated")[:, 1] / 100, [*stated, history.result.failure_probability])


def test_a_rule_that_states_nothing_gets_no_panel_for_it(at_random, history, figure):
    draw_progress(figure, read_history(at_random))
    assert [ax.get_ylabel() for ax in figure.axes] == ["error (meV/atom)"]
    figure.clear()
    draw_progress(figure, history)
    assert [ax.get_ylabel() for ax in figure.axes] == ["error (meV/atom)", "P(wrong hull) (%)"]


def test_distances_are_those_of_the_hull_and_nothing_calculated_lies_below_it(history, belief, ax):
    known = history.now
    draw_hull_distance(ax, known, belief=belief, tolerance_ev_per_atom=0.001)
    calculated = line(ax, "calculated")
    assert calculated[:, 1].min() == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(np.sort(calculated[np.isin(calculated[:, 0], (0, 1)), 1])[:2], 0, atol=1e-9)
    expected = known.hull.distance(known.x[known.unknown], known.true_formation_ev_per_atom[known.unknown])
    np.testing.assert_allclose(line(ax, "not calculated")[:, 1], 1000 * expected)
    (bars,) = ax.containers
    chosen, half_width = intervals_of(belief)
    ends = np.array([segment[:, 1] for segment in bars.lines[2][0].get_segments()])
    np.testing.assert_allclose(np.diff(ends, axis=1)[:, 0], 2000 * half_width)
    lowest, highest = ax.get_ylim()
    assert lowest < ends.min() < ends.max() < highest
    assert chosen.size == len(ends)


def test_what_is_not_calculated_stands_at_its_predicted_distance_where_no_true_one_is_known(history, belief, ax):
    live = replace(history.now, true_ev_per_atom=None)
    draw_hull_distance(ax, live, belief=belief)
    expected = live.hull.distance(live.x[live.unknown], belief.mean_ev_per_atom[live.unknown])
    np.testing.assert_allclose(line(ax, "predicted")[:, 1], 1000 * expected)
    assert f"predicted ({live.unknown.size})" in ax.get_legend_handles_labels()[1]


def test_parity_holds_predictions_against_energies_that_they_have_not_seen(history, belief, ax):
    known = history.now
    unseen, left_out = honest_predictions(belief)
    assert (unseen.true.size, left_out.true.size) == (known.unknown.size, known.n_answered)
    rmse = np.sqrt(np.mean((left_out.mean - left_out.true) ** 2))
    assert rmse == pytest.approx(belief.model_error_ev_per_atom, rel=1e-9)
    # All lie far below the cap.
    np.testing.assert_allclose(unseen.true, known.true_formation_ev_per_atom[known.unknown], atol=0.001)
    draw_parity(ax, belief)
    np.testing.assert_allclose(line(ax, "not calculated"), 1000 * np.column_stack([unseen.true, unseen.mean]))
    assert f"RMSE {1000 * rmse:.3g} meV/atom" in ax.get_legend_handles_labels()[1][1]


def test_calibration_counts_the_energies_inside(belief, ax):
    draw_calibration(ax, belief)
    curve = line(ax, "calculated, left out")
    assert (np.diff(curve[:, 1]) >= 0).all()
    _, left_out = honest_predictions(belief)
    from scipy.stats import t as student

    inside = np.abs(left_out.true - left_out.mean) <= left_out.std * student(belief.degrees_of_freedom).ppf(0.75)
    assert curve[24, 0] == 50
    assert curve[24, 1] == pytest.approx(100 * inside.mean())


@pytest.mark.parametrize("kind", ["parity", "calibration"])
def test_with_nothing_left_to_predict_there_is_no_parity(campaign_file, tmp_path, kind):
    setup = Setup(read_origin(campaign_file, ("select={rule = 'random', batch = 57}",)))
    run(setup, tmp_path / "run")
    with pytest.raises(OutputError, match=f"{kind}: expected something to predict .* found 57 of 57 known"):
        save_campaign_figure(tmp_path / "run", tmp_path / "figure.png", kind=kind)


def test_a_representation_of_any_number_of_panels_is_drawn(history, figure):
    candidate = history.pool.candidates[5]
    for n, shape in ((1, (1, 1)), (3, (2, 2))):
        figure.clear()
        figure.set_size_inches(7.0, 3.0)
        draw_representation(figure, _Represented([_panel(str(k)) for k in range(n)]), candidate)
        assert [ax.get_ylabel() for ax in figure.axes] == [str(k) for k in range(n)]
        assert figure.axes[0].get_subplotspec().get_gridspec().get_geometry() == shape
        assert figure.get_figheight() == 3.0 * shape[0]


def test_a_block_of_one_feature_is_a_point(history, ax):
    candidate = history.pool.candidates[5]
    from hullscout.representation import REPRESENTATIONS

    volume, _ = REPRESENTATIONS.build({"kind": "outside.VolumeAndShare"}).for_elements(("Ag", "Pd")).panels(candidate)
    draw_panel(ax, volume)
    expected = VolumeAndShare(("Ag", "Pd")).blocks([candidate])["volume"][0, 0]
    np.testing.assert_allclose(line(ax, "volume"), [[0.0, expected]])
    assert ax.lines[0].get_marker() == "o"


def test_curves_that_are_zero_are_left_out(ax):
    x = np.linspace(0, 1, 5)
    draw_panel(ax, Panel(x=x, curves={"a": x, "b": 1e-4 * x, "c": -x}, x_label="x", y_label="y"))
    assert [line.get_label() for line in ax.lines if not line.get_label().startswith("_")] == ["a", "c"]


def _panel(label):
    x = np.linspace(0, 1, 5)
    return Panel(x=x, curves={label: x}, x_label="x", y_label=label)


class _Represented:
    """A history of which nothing but the panels of a candidate is asked."""

    def __init__(self, panels):
        self.setup = self.representation = self
        self.panels = lambda _: panels
        self.pool = SimpleNamespace(elements=("Ag", "Pd"))


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("cite",),
        ("plot", "-o", "here/hull.svg"),
        ("report", "-o", "here/report.html"),
        ("export", "--format", "csv", "-o", "here/all.csv"),
    ],
)
def test_a_command_that_looks_reads_once_what_the_campaign_works_with(words, stopped, hullscout, monkeypatch, tmp_path):
    opened, read = [], Setup.read.__func__
    monkeypatch.setattr(Setup, "read", classmethod(lambda cls, folder: opened.append(folder) or read(cls, folder)))
    command, *options = (word.replace("here", str(tmp_path)) for word in words)
    code, text = hullscout(command, stopped, *options)
    assert (code, opened) == (0, [stopped]), text
