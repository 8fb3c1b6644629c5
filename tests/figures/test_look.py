"""A figure looks as a paper wants it: size, title, legend, limits and units, and text that stays text."""

import re
import struct

import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write


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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--size", "wide"), "expected WIDTHxHEIGHT"),
        (("--size", "0x2"), "Expected a size above 0"),
        (("--dpi", "0"), "dots per inch, found 0"),
        (("--ylim", "2:1"), "limits of y that ascend, found 2 to 1"),
    ],
)
def test_a_look_that_cannot_be_is_refused(words, message, hullscout, pool):
    code, text = hullscout("hull", pool, "-o", pool.with_name("no.png"), *words)
    assert (code, message in text) == (2, True), text
    assert not pool.with_name("no.png").exists()
