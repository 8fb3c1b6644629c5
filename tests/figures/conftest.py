"""Small campaigns to draw, run once for all tests of figures and the report."""

import pytest
import ternary
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hullscout.campaign import Beliefs, Setup, read_history, read_origin, run
from hullscout.figures import save_result


@pytest.fixture(scope="session")
def campaign_folder(tmp_path_factory, small_pool):
    """Runs the small campaign in a new folder, with settings replaced and, if wanted, the pool's text changed."""

    def play(*overrides, change=lambda text: text):
        folder = tmp_path_factory.mktemp("campaign")
        (folder / "pool.extxyz").write_text(change(small_pool))
        (folder / "small.toml").write_text('name = "small"\nelements = ["Ag", "Pd"]\npool.path = "pool.extxyz"\n')
        setup = Setup(read_origin(folder / "small.toml", overrides, seed=1))
        save_result(folder / "run", *run(setup, folder / "run"))
        return folder / "run"

    return play


@pytest.fixture(scope="session")
def finished(campaign_folder):
    """A finished replay with the rule that states a probability."""
    return campaign_folder("select.rule=hull-posterior")


@pytest.fixture(scope="session")
def stopped(campaign_folder):
    """A replay that ran out of its budget when it was not yet certain; its name is mathematics to matplotlib."""
    rule = "select={rule = 'hull-posterior', batch = 4, n_start = 10}"
    return campaign_folder(rule, "stop={max_calculations = 20, failure_probability = 0.001}", "name='small $x'")


@pytest.fixture(scope="session")
def at_random(campaign_folder):
    """A replay of the same length with a rule that believes nothing."""
    return campaign_folder("select={rule = 'random'}", "stop.max_calculations=20", "name='small $x'")


@pytest.fixture(scope="session")
def campaign_of(tmp_path_factory):
    """Replays a small pool of these elements until 18 of its energies are known, or 27 of four elements; the folder."""

    def play(*elements):
        folder = tmp_path_factory.mktemp("of-elements")
        file = ternary.campaign_file(folder, elements)
        settings = (
            "select={rule = 'hull-posterior', batch = 4, n_start = 2}",
            f"stop.max_calculations={9 * len(elements) - 9}",
        )
        save_result(folder / "run", *run(Setup(read_origin(file, settings, seed=1)), folder / "run"))
        return folder / "run"

    return play


@pytest.fixture(scope="session")
def of_three(campaign_of):
    """A replay of three elements that ran out of its budget, with two ground states that hold all of them."""
    return campaign_of(*ternary.ELEMENTS)


@pytest.fixture(scope="session")
def of_four(campaign_of):
    """The same of four elements."""
    return campaign_of(*ternary.ELEMENTS, "Pd")


@pytest.fixture(scope="session")
def history(stopped):
    """The history of the replay that ran out of its budget."""
    return read_history(stopped)


@pytest.fixture(scope="session")
def belief(history):
    """What was believed at its end."""
    return Beliefs(history.setup).at(history.now)


@pytest.fixture
def figure():
    """An empty figure of the width of a column."""
    empty = Figure(figsize=(3.4, 3.4), layout="constrained")
    FigureCanvasAgg(empty)
    return empty


@pytest.fixture
def ax(figure):
    """Empty axes, alone in their figure."""
    return figure.add_subplot()
