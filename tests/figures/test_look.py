"""A figure looks as a paper wants it: size, title, legend, limits and units, and text that stays text."""

import logging
import re
import struct
import warnings

import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import imread

from hullscout import Campaign
from hullscout.errors import FigureWarning, OutputError
from hullscout.figures import save_campaign_figure
from hullscout.figures.legends import legend_below
from hullscout.figures.look import Look
from hullscout.figures.saving import figure_bytes
from hullscout.figures.style import set_title


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Four Cu-Au cells with energies by EMT."""
    cells = []
    for n_gold in (0, 1, 3, 4):
        atoms = bulk("Cu", a=3.61 + 0.12 * n_gold, cubic=True)
        atoms.symbols[:n_gold] = "Au"
        atoms.calc = EMT()
        atoms.info = {"id": f"c{n_gold}", "energy": atoms.get_potential_energy()}
        atoms.calc = None
        cells.append(atoms)
    path = tmp_path_factory.mktemp("look") / "pool.extxyz"
    write(path, cells, format="extxyz")
    return path


def drawn(hullscout, pool, *words):
    target = pool.with_name("figure.svg")
    code, text = hullscout("hull", pool, "-o", target, "--svg-text", *words)
    assert code == 0, text
    svg = target.read_text(encoding="utf-8")
    return svg, re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_text_stays_text_and_title_and_legend_are_as_asked_for(hullscout, pool):
    _, plain = drawn(hullscout, pool)
    assert {"calculated (4)", "hull found", "formation energy (meV/atom)"} <= set(plain)
    assert "Au-Cu: 4 energies" in plain
    _, other = drawn(hullscout, pool, "--title", "mine", "--no-legend")
    assert ("mine" in other, "Au-Cu: 4 energies" in other, "hull found" in other) == (True, False, False)


def test_units_change_labels_and_ticks_together_and_limits_are_in_them(hullscout, pool):
    _, texts = drawn(hullscout, pool, "--ev", "--at-percent", "--ylim", "-0.2:0.1", "--xlim", "0:50")
    assert "formation energy (eV/atom)" in texts
    assert {"0", "50", "\N{MINUS SIGN}0.2", "0.1"} <= set(texts)
    assert "100" not in texts


def test_size_and_dots_are_those_asked_for(hullscout, pool):
    target = pool.with_name("figure.png")
    assert hullscout("hull", pool, "-o", target, "--size", "3x2", "--dpi", 200)[0] == 0
    assert struct.unpack(">II", target.read_bytes()[16:24]) == (600, 400)


def test_a_style_sheet_by_its_name_and_by_its_file_restyles_a_figure(hullscout, pool):
    sheet = pool.with_name("mine.mplstyle")
    sheet.write_text("axes.labelcolor: ff00ff\nxtick.color: 00ff00\n")
    plain, _ = drawn(hullscout, pool)
    svg, _ = drawn(hullscout, pool, "--style", "dark_background", "--style", sheet)
    assert ("#ff00ff" in plain, "#00ff00" in plain) == (False, False)
    assert ("#ff00ff" in svg, "#00ff00" in svg) == (True, True)
    assert hullscout("hull", pool, "-o", pool.with_name("dark.png"), "--style", "dark_background")[0] == 0
    pixels = imread(pool.with_name("dark.png"))[..., :3]
    assert pixels[0, 0].max() == 0
    assert (pixels.min(axis=2) == 1).sum() > 1000  # the hull, as the text


def test_a_dictionary_restyles_what_the_legend_names_and_its_mark_there(hullscout, pool):
    plain, _ = drawn(hullscout, pool)
    svg, texts = drawn(hullscout, pool, "--restyle", "calculated:color=#123456,markersize=9")
    assert (plain.count("#123456"), svg.count("#123456") >= 2) == (0, True)
    assert "calculated (4)" in texts
    figure = Figure()
    ax = figure.add_subplot()
    ax.errorbar([0, 1], [0, 1], [0.1, 0.2], label="bars (2)")
    ax.legend()
    look = Look(sheets=({"axes.grid": True},), restyled={"bars": {"color": "#123456"}})
    look.apply(figure)
    assert look.rc["axes.grid"] is True
    (bars,) = ax.containers
    assert {to_hex(line.get_color()) for line in (bars.lines[0], ax.lines[0])} == {"#123456"}
    with pytest.raises(OutputError, match=r"a dictionary: expected settings of .*axes\.gird.* Near: axes\.grid"):
        Look(sheets=({"axes.gird": True},))


@pytest.mark.parametrize("name", ["calculated", "calculated, fcc", "'calculated, fcc'", '"calculated, fcc"'])
def test_one_name_restyles_the_series_of_all_lattices_and_a_whole_name_one(name, hullscout, pool):
    svg, texts = drawn(hullscout, pool, "--lattices", "--restyle", f"{name}:color=#123456,markersize=9")
    assert ("calculated, fcc" in texts, svg.count("#123456") >= 2) == (True, True)
    figure = Figure()
    ax = figure.add_subplot()
    lines = [
        ax.plot([0, 1], [0, 1], label=label)[0]
        for label in ("calculated, bcc", "calculated, hcp (3)", "calculated or so")
    ]
    Look(restyled={"calculated": {"color": "#123456"}, "calculated, hcp": {"color": "#654321"}}).apply(figure)
    assert [to_hex(line.get_color()) for line in lines][:2] == ["#123456", "#654321"]
    assert to_hex(lines[2].get_color()) not in {"#123456", "#654321"}


def test_an_eps_file_is_whole_and_the_same_each_time(hullscout, pool):
    written = []
    for name in ("one.eps", "two.eps"):
        assert hullscout("hull", pool, "-o", pool.with_name(name))[0] == 0
        written.append(pool.with_name(name).read_bytes())
    assert written[0] == written[1]
    assert written[0].startswith(b"%!PS-Adobe-3.0 EPSF-3.0")
    assert b"%%CreationDate" not in written[0]
    assert written[0].rstrip().endswith(b"showpage")


def test_limits_take_out_of_the_legend_what_is_beyond_them(hullscout, pool):
    assert "calculated (4)" in drawn(hullscout, pool)[1]
    _, texts = drawn(hullscout, pool, "--xlim", "0.3:0.7")
    assert ("calculated (4)" in texts, "hull found" in texts) == (False, True)
    said = " ".join(texts)
    assert ("4 candidates lie beside" in said, "vertices of the hull lie outside this range" in said) == (True, True), (
        texts
    )


@pytest.mark.parametrize(
    ("name", "words", "sentence"),
    [
        ("see.eps", (), "EPS knows no transparency: what shines through in other formats is opaque in it."),
        ("see.png", ("--title", "\u94f6"), "The font DejaVu Sans has no sign for \u94f6: boxes stand in place of it."),
        ("see.png", ("--size", "0.5x0.5"), "The figure is too small for all that stands around its axes"),
        ("see.png", ("--style", "font"), "No font is installed that is called Nofont: another one stands in place"),
    ],
)
def test_what_a_file_cannot_show_is_said_once_in_a_plain_sentence(name, words, sentence, hullscout, pool, capfd):
    (pool.parent / "font").write_text("font.family: Nofont\n")
    words = [pool.with_name("font") if word == "font" else word for word in words]
    code, text = hullscout("hull", pool, "-o", pool.with_name(name), *words)
    assert (code, text.count(sentence)) == (0, 1), text
    seen = text + "".join(capfd.readouterr())
    assert not [word for word in ("Warning", "findfont", "PostScript", "saving.py") if word in seen]


def test_what_a_figure_cannot_show_is_a_warning_in_python_where_nobody_listens(stopped, tmp_path):
    with pytest.warns(FigureWarning, match="no sign for \u94f6") as warned:
        save_campaign_figure(stopped, tmp_path / "hull.png", look=Look(title="\u94f6"))
    assert [(one.filename, one.category) for one in warned] == [(__file__, FigureWarning)]
    heard = []
    save_campaign_figure(stopped, tmp_path / "hull.png", look=Look(title="\u94f6"), on_note=heard.append)
    assert len(heard) == 1


def test_what_pictures_of_a_report_cannot_show_is_told_once_for_all_of_them(campaign_folder, hullscout, tmp_path):
    page = tmp_path / "page.html"
    with pytest.warns(FigureWarning, match="no sign for \u94f6"):  # of hull.png
        folder = campaign_folder("name='\u94f6'")
    code, text = hullscout("report", folder, "-o", page)
    assert (code, text.count("has no sign for \u94f6")) == (0, 1)
    with pytest.warns(FigureWarning, match="no sign for \u94f6") as warned:
        Campaign(folder).write_report(page)
    assert len(warned) == 1


def test_what_matplotlib_says_beyond_that_goes_where_it_always_goes(caplog):
    def draw(_):
        logging.getLogger("matplotlib.elsewhere").warning("something else")
        warnings.warn("and more", UserWarning, stacklevel=1)

    heard = []
    with pytest.warns(UserWarning, match="and more"):
        figure_bytes(draw, suffix=".png", inches=(1, 1), dpi=50, on_note=heard.append)
    assert (heard, caplog.messages) == ([], ["something else"])


def test_limits_from_0_on_are_refused_on_a_logarithmic_axis():
    figure = Figure()
    figure.add_subplot().set_yscale("log")
    with pytest.raises(OutputError, match=r"limits of y above 0, as this axis is logarithmic, found 0 to 10\."):
        Look(y_range=(0.0, 10.0)).apply(figure)
    Look(x_range=(0.0, 10.0), y_range=(0.1, 10.0)).apply(figure)


@pytest.mark.parametrize(
    ("sheet", "message"),
    [
        ("axes.gird: True", "Bad key axes.gird in file"),
        ("just words", "Missing colon in line 1"),
        ("font.size: large", "Could not convert 'large' to float"),
        ("image.cmap: foo", "not a valid value for cmap."),
        ("text.usetex: True\npgf.texsystem: foo", "'foo' is not a valid value for pgf.texsystem"),
    ],
)
def test_a_sheet_that_cannot_be_is_one_short_sentence(sheet, message, hullscout, pool, capfd):
    pool.with_name("wrong").write_text(f"{sheet}\n")
    code, text = hullscout("hull", pool, "-o", pool.with_name("no.png"), "--style", pool.with_name("wrong"))
    (error,) = [line for line in text.splitlines() if line.startswith("Error: ")]
    n_without_path = len(error.replace(str(pool.with_name("wrong")), ""))
    assert (code, message in error, n_without_path < 250) == (2, True, True), text
    assert "matplotlibrc" not in text + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--restyle", "calculated:zorder=abc"), "Expected styles that matplotlib can draw with, found others"),
        (
            ("--restyle", "nothing:color=red"),
            "the name of what is drawn, 'calculated' or 'hull found', found 'nothing'",
        ),
        (("--restyle", "colculated:color=red"), "found 'colculated'. Near: calculated."),
        (("--restyle", "'calculated:color=red"), 'found "\'calculated"'),
        (
            ("--lattices", "--restyle", "bcc:color=red"),
            "'calculated' or 'calculated, fcc' or 'hull found', found 'bcc'",
        ),
        (("--restyle", "calculated:colour=red"), "calculated: expected properties of matplotlib for it"),
    ],
)
def test_a_look_that_cannot_be_drawn_is_refused_before_anything_is_printed(words, message, hullscout, pool):
    code, text = hullscout("hull", pool, "-o", pool.with_name("no.png"), *words)
    assert (code, message in text, "Convex hull" in text) == (2, True, False), text
    assert not pool.with_name("no.png").exists()


def test_titles_and_legends_never_break_a_line_inside_a_word_with_a_hyphen():
    words = "plenty of words of hull-posterior and --replicates-or-more and well-known-ones"
    for place in range(12):
        ax = Figure(figsize=(4.0 + 0.5 * place, 2.0), layout="tight").add_subplot(1, 2, 1)
        ax.plot([0, 1], [0, 1], label=words)
        set_title(ax, words)
        assert ax.title.get_text().split() == words.split()
        legend_below(ax, n_columns=1)
        assert ax.get_legend().get_texts()[0].get_text().split() == words.split()
