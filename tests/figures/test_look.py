"""A figure looks as a paper wants it: size, title, legend, limits and units, and text that stays text."""

import re
import struct

import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import imread

from hullscout.errors import OutputError
from hullscout.figures.look import Look


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
    with pytest.raises(OutputError, match=r"Expected settings of matplotlib, found others: .*axes\.gird"):
        Look(sheets=({"axes.gird": True},)).rc  # noqa: B018


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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--size", "wide"), "expected WIDTHxHEIGHT"),
        (("--size", "0x2"), "Expected a size above 0"),
        (("--dpi", "0"), "dots per inch, found 0"),
        (("--ylim", "2:1"), "limits of y that ascend, found 2 to 1"),
        (("--style", "nowhere"), "Expected a file or one of matplotlib's style sheets ("),
        (("--restyle", "calculated"), "expected WHAT:KEY=VALUE, for example calculated:color=black"),
        (("--restyle", "nothing:color=red"), "the name of what is drawn (calculated, hull found), found 'nothing'"),
        (("--restyle", "calculated:colour=red"), "calculated: expected properties of matplotlib for it"),
    ],
)
def test_a_look_that_cannot_be_is_refused(words, message, hullscout, pool):
    code, text = hullscout("hull", pool, "-o", pool.with_name("no.png"), *words)
    assert (code, message in text) == (2, True), text
    assert not pool.with_name("no.png").exists()
