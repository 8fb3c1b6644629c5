"""Campaigns with next to nothing to show: each figure and the report come out right, or say what is missing."""

import io
import re

import matplotlib as mpl
import numpy as np
import pytest
from ase.io import read, write
from matplotlib.text import Annotation, Text

from hullscout import Campaign
from hullscout.campaign import read_history
from hullscout.display import saved_percent
from hullscout.errors import OutputError
from hullscout.figures import KINDS, save_campaign_figure
from hullscout.figures.phase_diagram import draw_phase_diagram
from hullscout.figures.progress import draw_errors, draw_failure_probability
from hullscout.figures.report import Reported, write_report
from hullscout.figures.report.facts import summary, warning
from hullscout.figures.style import RC, Width, new_axes

mpl.use("Agg")

CAMPAIGN = """
name = "bare"
elements = ["Ag", "Pd"]
pool.path = "pool.extxyz"
select.rule = "hull-posterior"
"""
HANDOFF = "oracle={kind = 'handoff', use_known = false}"


def positive(frames):
    """Energies that rise from both ends: the elements do not mix."""
    for atoms in frames:
        x = np.mean(atoms.symbols == "Pd")
        atoms.info["energy"] = len(atoms) * (0.4 * x * (1 - x) - 3.0 * x + 1e-4 * (len(atoms) % 3))
    return frames


def only(*compositions):
    return lambda frames: [a for a in frames if round(float(np.mean(a.symbols == "Pd")), 3) in compositions]


def answered(campaign, *, fails):
    """Asked and told to the end; energies of mixing structures, but for those that fail."""
    while candidates := campaign.ask(4):
        for candidate in candidates:
            x = float(np.mean(candidate.numbers == 46))
            if fails(x, candidate):
                campaign.tell_failure(candidate.id, "no convergence")
            else:
                campaign.tell(candidate.id, candidate.n_atoms * (-1.2 * x * (1 - x) + 0.001 * len(candidate.id)))


@pytest.fixture(scope="module")
def campaigns(tmp_path_factory, small_pool):
    """Seven degenerate campaigns by what is wrong with them."""
    cases = {
        "separating": (positive, ["stop.max_calculations=20"]),
        "elements": (only(0.0, 1.0), []),
        "one composition": (only(0.0, 0.5, 1.0), []),
        "ends": (positive, ["stop.max_calculations=2"]),
        "failed": (list, [HANDOFF]),
        "some failed": (list, [HANDOFF]),
        "started": (list, [HANDOFF]),
    }
    made = {}
    for name, (change, settings) in cases.items():
        home = tmp_path_factory.mktemp("bare")
        frames = read(io.StringIO(small_pool), index=":", format="extxyz")
        for atoms in frames:
            atoms.info["energy"] = atoms.get_potential_energy()
            atoms.calc = None
        write(home / "pool.extxyz", change(frames), format="extxyz")
        (home / "bare.toml").write_text(CAMPAIGN)
        campaign = Campaign.create(home / "bare.toml", home / "run", settings=settings)
        match name:
            case "failed":
                answered(campaign, fails=lambda x, _: 0 < x < 1)
            case "some failed":
                answered(campaign, fails=lambda x, candidate: 0 < x < 1 and candidate.n_atoms == 4)
            case "started":
                for candidate in campaign.ask(2):
                    campaign.tell(candidate.id, -1.0)
                campaign.ask(4)
            case _:
                campaign.run()
        made[name] = campaign
    return made


NAMES = ["separating", "elements", "one composition", "ends", "failed", "some failed", "started"]
WITHOUT_MODEL = {"elements", "ends", "failed", "started"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["hull", "distance", "progress", "parity", "calibration"])
def test_each_figure_is_drawn_or_says_what_is_missing(campaigns, tmp_path, name, kind):
    target, known = tmp_path / "figure.svg", campaigns[name].history.now
    if kind in {"parity", "calibration"} and name in WITHOUT_MODEL:
        with pytest.raises(OutputError, match=f"{kind}: expected something to predict and three or more energies"):
            save_campaign_figure(campaigns[name].folder, target, kind=kind, width=Width.COLUMN)
    else:
        save_campaign_figure(campaigns[name].folder, target, kind=kind, width=Width.COLUMN)
        texts = set(re.findall("<!-- (.*?) -->", target.read_text(encoding="utf-8")))
        assert (
            texts
            >= {
                "hull": {"hull found", f"calculated ({known.n_answered})"},
                "distance": {"hull found", f"calculated ({known.n_answered})", "tolerance, 1 meV/atom"},
                "progress": {"tolerance, 1 meV/atom", f"calculations (of {known.n_candidates} candidates)"},
                "parity": {"predicted as they are", "95 % intervals"},
                "calibration": {f"honest model, 95 % range of {known.n_answered} energies"},
            }[kind]
        )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", Width)
def test_no_label_covers_another_or_the_title(campaigns, name, width):
    from matplotlib import rc_context

    campaign = campaigns[name]
    with rc_context(RC):
        ax = new_axes(width, KINDS["hull"].aspect[width is Width.COLUMN])
        draw_phase_diagram(ax, campaign.history.now, belief=campaign.belief)
        ax.figure.draw_without_rendering()
        renderer = ax.figure.canvas.get_renderer()
        labels = [Text.get_window_extent(text, renderer) for text in ax.texts if isinstance(text, Annotation)]
    title = ax.title.get_window_extent(renderer)
    assert len(labels) == len(campaign.hull)
    assert not any(label.overlaps(title) for label in labels)
    assert not any(a.overlaps(b) for k, a in enumerate(labels) for b in labels[:k])


def test_where_the_elements_do_not_mix_most_candidates_are_in_view(campaigns):
    known = campaigns["separating"].history.now
    assert known.hull.x.size == 2
    ax = draw_phase_diagram(new_axes(), known)
    assert (known.true_formation_ev_per_atom * 1000 < ax.get_ylim()[1]).mean() > 0.7


def test_failed_candidates_are_counted_and_are_not_saved(campaigns):
    history = campaigns["some failed"].history
    known, result = history.now, history.result
    n_failed = len(result.failed)
    assert n_failed > 5
    assert known.saved_fraction == result.saved_fraction == pytest.approx(1 - (known.n_answered + n_failed) / 57)
    ax = draw_phase_diagram(new_axes(), known, belief=campaigns["some failed"].belief)
    title = ax.get_title().replace("\n", " ")
    assert (
        f"{known.n_answered} of 57 calculated, {n_failed} failed, {saved_percent(known.saved_fraction)} saved" in title
    )
    drawn = {line.get_label().split(" (")[0]: len(line.get_xdata()) for line in ax.lines}
    assert (drawn["failed"], drawn["predicted"]) == (n_failed, 57 - n_failed - known.n_answered)


def test_axes_without_curves_say_why(campaigns):
    started = campaigns["started"].history
    assert "no model has been fitted yet" in draw_errors(new_axes(), started).texts[0].get_text()
    assert "no probability has been" in draw_failure_probability(new_axes(), started).texts[0].get_text()
    (point,) = [
        line for line in draw_errors(new_axes(), campaigns["ends"].history).lines if line.get_label() == "hull error"
    ]
    assert point.get_marker() == "o"


@pytest.mark.parametrize("name", NAMES)
def test_the_report_is_written_and_says_how_it_stands(campaigns, tmp_path, name):
    reported = Reported.of(read_history(campaigns[name].folder))
    write_report(tmp_path / "report.html", reported)
    wrong = "probability that it is wrong by more than 1 meV/atom"
    ends = {
        "elements": f"was found with 2 of 2 calculations; {wrong}: 0 %.",
        "ends": f"was found with 2 of 57 calculations; {wrong}: 100 %.",
        "started": f"So far 2 of 57 calculations give a hull of 2 structures; too little is known to state a {wrong}.",
    }
    assert summary(reported).endswith(ends.get(name, ""))
    assert (warning(reported) is None) == (name in {"separating", "elements", "one composition"})


@pytest.fixture(autouse=True)
def no_open_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")
