"""Every kind of figure is drawn from a campaign's folder, finished or not, and shows the campaign's numbers."""

import numpy as np
import pytest
from click.testing import CliRunner
from hullscout.cli.results import FIGURES
from hullscout.figures.kinds import Kind, draw_progress, save_campaign_figure
from hullscout.figures.symmetry import PROTOTYPES, Lattice, parent_lattice, prototype, space_group
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hullscout.campaign import runner
from hullscout.campaign.history import Forecaster, read_history
from hullscout.cli import main
from hullscout.errors import OutputError
from hullscout.figures.distance import draw_hull_distance
from hullscout.figures.parity import draw_calibration, draw_parity, honest_predictions
from hullscout.figures.progress import draw_errors, draw_failure_probability
from hullscout.figures.style import Width


@pytest.fixture(scope="module")
def folders(tmp_path_factory, small_pool):
    """Folders of the small campaign under rules with and without a posterior, stopped early."""
    made = {}
    for rule in ("hull-posterior", "random"):
        home = tmp_path_factory.mktemp(rule)
        (home / "pool.extxyz").write_text(small_pool)
        text = f"""
name = "small $x"
elements = ["Ag", "Pd"]
pool = {{path = "pool.extxyz"}}
select = {{rule = "{rule}"}}
stop = {{max_calculations = 24}}
"""
        (home / "small.toml").write_text(text)
        origin = runner.read_origin(home / "small.toml")
        pool, oracle = runner.open_pool(origin)
        result, standing = runner.run(origin, home / "run", pool=pool, oracle=oracle)
        runner.save(home / "run", result, standing)
        made[rule] = home / "run"
    return made


@pytest.fixture(scope="module")
def history(folders):
    return read_history(folders["hull-posterior"])


@pytest.fixture(scope="module")
def outlook(history):
    return Forecaster(history).at(history.now)


@pytest.fixture
def ax():
    figure = Figure(figsize=(3.4, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def line(ax, label):
    (found,) = [line for line in ax.lines if line.get_label().startswith(label)]
    return found.get_xydata()


def test_the_command_line_knows_every_kind():
    assert set(Kind) == set(FIGURES)


@pytest.mark.parametrize("rule", ["hull-posterior", "random"])
@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.LEARNING])
def test_every_kind_is_drawn_by_the_command_line(folders, tmp_path, kind, rule):
    target = tmp_path / f"{kind}.svg"
    done = CliRunner().invoke(
        main, ["plot", str(folders[rule]), "--kind", kind.value, "-o", str(target), "--width", "column"]
    )
    assert done.exit_code == 0, done.output
    assert done.output == f"Wrote {target}\n"
    assert target.read_text().startswith("<?xml")


def test_the_learning_curve_of_a_replay_uses_all_candidates(folders, tmp_path, monkeypatch):
    from hullscout import regression

    seen = []
    plot = regression.plot_learning_curves
    monkeypatch.setattr(
        regression, "plot_learning_curves", lambda curves, *a, **k: seen.extend(curves) or plot(curves, *a, **k)
    )
    save_campaign_figure(folders["random"], tmp_path / "learning.png", kind=Kind.LEARNING, width=Width.COLUMN)
    assert seen[0].sizes.tolist() == [int(share * 57) for share in (0.1, 0.2, 0.4, 0.8)]
    assert (tmp_path / "learning.png").exists()


def test_a_kind_is_written_into_the_folder_under_its_name(folders):
    done = CliRunner().invoke(main, ["plot", str(folders["random"]), "--kind", "progress"])
    assert done.exit_code == 0
    assert (folders["random"] / "progress.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "a.jpg"], "expected a file that ends in .png, .svg, .pdf, found '.jpg'"),
        (["--kind", "mbtr", "--candidate", "none"], "Expected the id of one of the 57 candidates, found 'none'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(folders, arguments, message):
    done = CliRunner().invoke(main, ["plot", str(folders["random"]), *arguments])
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())


def test_progress_shows_the_errors_and_what_was_stated(history, ax):
    draw_errors(ax, history)
    expected = [1000 * moment.standing.hull_error_ev_per_atom for moment in history.moments]
    np.testing.assert_allclose(line(ax, "hull error")[:, 1], expected)
    np.testing.assert_array_equal(line(ax, "hull error")[:, 0], [moment.n_known for moment in history.moments])
    figure = Figure()
    FigureCanvasAgg(figure)
    below = draw_failure_probability(figure.add_subplot(), history)
    stated = [moment.stated_failure_probability for moment in history.moments[:-1]]
    np.testing.assert_allclose(line(below, "stated")[:, 1] / 100, [*stated, history.result.failure_probability])


def test_a_rule_that_states_nothing_gets_no_panel_for_it(folders):
    figure = Figure()
    FigureCanvasAgg(figure)
    draw_progress(figure, read_history(folders["random"]))
    assert len(figure.axes) == 1


def test_the_ends_lie_on_the_hull_and_nothing_calculated_below_it(history, outlook, ax):
    standing = history.now.standing
    draw_hull_distance(ax, standing, outlook=outlook, tolerance_ev_per_atom=0.001)
    calculated = line(ax, "calculated")
    assert calculated[:, 1].min() == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(np.sort(calculated[np.isin(calculated[:, 0], (0, 1)), 1])[:2], 0, atol=1e-9)
    unknown = standing.unknown
    expected = standing.found_hull.distance(standing.pool.x[unknown], standing.reference_ev_per_atom[unknown])
    np.testing.assert_allclose(line(ax, "not calculated")[:, 1], 1000 * expected)


def test_parity_holds_predictions_against_energies_that_they_have_not_seen(history, outlook, ax):
    standing = history.now.standing
    unseen, left_out = honest_predictions(standing, outlook)
    assert (unseen.true.size, left_out.true.size) == (standing.unknown.size, standing.n_known)
    rmse = np.sqrt(np.mean((left_out.mean - left_out.true) ** 2))
    assert rmse == pytest.approx(outlook.model_error_ev_per_atom, rel=1e-9)
    assert (
        np.abs(unseen.true - standing.reference_ev_per_atom[standing.unknown]).max() < 0.001
    )  # all lie far below the cap
    draw_parity(ax, standing, outlook)
    np.testing.assert_allclose(line(ax, "not calculated"), 1000 * np.column_stack([unseen.true, unseen.mean]))


def test_calibration_counts_the_energies_inside(history, outlook, ax):
    draw_calibration(ax, history.now.standing, outlook)
    curve = line(ax, "calculated, left out")
    assert (np.diff(curve[:, 1]) >= 0).all()
    _, left_out = honest_predictions(history.now.standing, outlook)
    from scipy.stats import t as student

    inside = np.abs(left_out.true - left_out.mean) <= left_out.std * student(left_out.degrees_of_freedom).ppf(0.75)
    assert curve[24, 0] == 50
    assert curve[24, 1] == pytest.approx(100 * inside.mean())


@pytest.mark.parametrize("kind", [Kind.PARITY, Kind.CALIBRATION])
def test_with_nothing_left_to_predict_there_is_no_parity(campaign_file, tmp_path, kind):
    origin = runner.read_origin(campaign_file, ("select={rule = 'random', batch = 57}",))
    pool, oracle = runner.open_pool(origin)
    runner.run(origin, tmp_path / "run", pool=pool, oracle=oracle)
    with pytest.raises(OutputError, match=f"{kind}: expected something to predict .* found 57 of 57 known"):
        save_campaign_figure(tmp_path / "run", tmp_path / "figure.png", kind=kind)


def test_prototypes_are_those_of_known_structures():
    from ase.build import bulk
    from ase.spacegroup import crystal

    from hullscout.pool import Candidate

    def named(atoms):
        return prototype(Candidate(id="one", numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell.array))

    layers = bulk("Ag", cubic=True)
    layers.symbols[[z < 0.1 for z in layers.positions[:, 2]]] = "Pd"
    corner = bulk("Ag", cubic=True)
    corner.symbols[0] = "Pd"
    iron = bulk("Fe", cubic=True).repeat(2)
    assert named(corner) == "L1_2"
    assert named(layers) == "L1_0"
    assert named(bulk("CsCl", "cesiumchloride", a=4.1)) == "B2"
    assert named(bulk("NaCl", "rocksalt", a=5.64)) is None
    assert (named(bulk("Ag")), named(iron), named(bulk("Ti"))) == ("fcc", "bcc", "hcp")
    heusler = crystal(
        ["Al", "Fe", "Fe"],
        [(0, 0, 0), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)],
        spacegroup=225,
        cellpar=[5.8] * 3 + [90] * 3,
    )
    assert named(heusler) == "D0_3"
    titanium = crystal(
        ["Ti", "Al", "Al"], [(0, 0, 0), (0, 0, 0.5), (0, 0.5, 0.25)], spacegroup=139, cellpar=[4, 4, 8, 90, 90, 90]
    )
    assert named(titanium) == "D0_22"
    silicide = crystal(["Mo", "Si"], [(0, 0, 0), (0, 0, 1 / 3)], spacegroup=139, cellpar=[3, 3, 9, 90, 90, 90])
    assert named(silicide) == "C11_b"
    tin = crystal(
        ["Ti", "Sn"],
        [(0.8333, 0.6667, 0.25), (1 / 3, 2 / 3, 0.25)],
        spacegroup=194,
        cellpar=[5.9, 5.9, 4.76, 90, 90, 120],
    )
    assert named(tin) == "D0_19"


def test_names_are_those_of_the_library_of_prototypes():
    from pymatgen.analysis.prototypes import AFLOW_PROTOTYPE_LIBRARY

    from hullscout.pool import Candidate

    elements = {"fcc": "A1", "bcc": "A2", "hcp": "A3"}
    found = set()
    for entry in AFLOW_PROTOTYPE_LIBRARY:
        structure = entry["snl"].structure
        numbers = [site.specie.Z for site in structure]
        name = prototype(
            Candidate(id="one", numbers=numbers, positions=structure.cart_coords, cell=structure.lattice.matrix)
        )
        if name is not None:
            assert elements.get(name, name) == entry["tags"]["strukturbericht"]
            found.add(name)
    assert found == {"fcc", "bcc", "hcp", "L1_1", "L1_2", "D1_a", "B2", "B32", "D0_3", "B_h"}


@pytest.mark.parametrize(("lattice", "a", "sizes"), [("fcc", 4.0, 4), ("bcc", 3.0, 4), ("hcp", 3.0, 2)])
def test_a_prototype_is_told_from_every_other_structure_of_its_lattice(lattice, a, sizes):
    """Among all derivative structures with so many atoms, those of one name are one crystal."""
    from ase.build import bulk
    from icet.tools import enumerate_structures
    from pymatgen.analysis.structure_matcher import StructureMatcher

    from hullscout.pool import Candidate

    parent = bulk("Al", lattice, a=a, **({"c": 1.63 * a} if lattice == "hcp" else {}))
    matcher, found = StructureMatcher(scale=True), {}
    for atoms in enumerate_structures(parent, range(1, sizes + 1), ["Al", "Ti"]):
        cell = Candidate(id="one", numbers=atoms.numbers, positions=atoms.positions, cell=np.asarray(atoms.cell))
        name = prototype(cell)
        if name is not None:
            first = found.setdefault(name, cell.to_pymatgen())
            assert matcher.fit_anonymous(first, cell.to_pymatgen()), name
    expected = {
        name
        for (parent, _, n), name in PROTOTYPES.items()
        if parent.value == lattice and sum(n) <= sizes * (2 if lattice == "hcp" else 1)
    }
    assert set(found) == expected | {lattice}


def test_lattices_and_space_groups_are_those_of_known_structures():
    from ase.build import bulk

    from hullscout.pool import Candidate

    def candidate(atoms):
        return Candidate(id="one", numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell.array)

    salt = candidate(bulk("NaCl", "rocksalt", a=5.64))
    caesium = candidate(bulk("CsCl", "cesiumchloride", a=4.1))
    ordered = bulk("Ag", cubic=True)
    ordered.symbols[0] = "Pd"
    assert (space_group(candidate(ordered)), parent_lattice(candidate(ordered))) == ("Pm-3m", Lattice.FCC)
    assert (space_group(caesium), parent_lattice(caesium)) == ("Pm-3m", Lattice.BCC)
    assert (space_group(salt), parent_lattice(salt)) == ("Fm-3m", Lattice.OTHER)
    assert parent_lattice(candidate(bulk("Ti"))) is Lattice.HCP
