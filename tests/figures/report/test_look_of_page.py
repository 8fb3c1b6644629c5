"""The page in the dark, on a narrow screen, and what its pictures and files say: the same as the figures and the exports."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from ase.io import read
from report_reader import Reader

from hullscout.figures.hulls import draw_hull
from hullscout.figures.report import read_report, write_report

# Of a colour `rgb(r, g, b)`: the lightness from 0 to 1, as it weighs in contrasts.
LIGHTNESS = """text => {
    const [r, g, b] = text.match(/\\d+/g).slice(0, 3).map(part => (part / 255) ** 2.2);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}"""


@pytest.fixture
def opened(browser):
    """Opens pages, and closes them at the end."""
    readers = []

    def open_page(path, **options):
        readers.append(Reader(browser, path, **options))
        return readers[-1]

    yield open_page
    for reader in readers:
        assert reader.errors == []
        reader.page.close()


@pytest.fixture(scope="module")
def three(of_three, tmp_path_factory):
    """A report of three elements, and its page."""
    reported, path = read_report(of_three), tmp_path_factory.mktemp("look") / "three.html"
    write_report(path, reported)
    return reported, path


def contrast(reader, selector, style="color"):
    """The contrast of what an element is written or drawn in with the page below it."""
    own, page = reader.page.evaluate(
        f"""([selector, style]) => {{
            const lightness = {LIGHTNESS};
            const of = (node, name) => lightness(getComputedStyle(node)[name]);
            return [of(document.querySelector(selector), style), of(document.body, "backgroundColor")];
        }}""",
        [selector, style],
    )
    return (max(own, page) + 0.05) / (min(own, page) + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_diagrams_and_tables_can_be_read_in_the_light_and_in_the_dark(opened, report, scheme):
    reader = opened(report, scheme=scheme)
    is_dark = reader.page.evaluate(f"({LIGHTNESS})(getComputedStyle(document.body).backgroundColor)") < 0.05
    assert is_dark == (scheme == "dark")
    for selector in ("#summary", ".note", "#rows td", "#heads button", "#find", "a.note"):
        assert contrast(reader, selector) > 4.5
    for selector in (
        "#diagram .xtick text",
        "#diagram .annotation text",
        "#diagram .legendtext",
        "#progress .ytick text",
    ):
        assert contrast(reader, selector, "fill") > 4.5
    for selector in ("#diagram .scatterlayer path.js-line", "#progress .scatterlayer path.js-line"):
        assert contrast(reader, selector, "stroke") > 3


def test_an_open_page_follows_the_scheme_and_is_printed_in_the_light(opened, report):
    reader = opened(report)
    drawn = "() => getComputedStyle(document.querySelector('#diagram .xtick text')).fill"
    dark, light = "rgb(230, 233, 236)", "rgb(27, 31, 36)"
    reader.page.emulate_media(color_scheme="dark")
    reader.page.wait_for_function(f"({drawn})() === {dark!r}")
    reader.page.emulate_media(color_scheme="dark", media="print")
    reader.page.wait_for_function(f"({drawn})() === {light!r}")


@pytest.mark.parametrize("which", ["two", "three"])
def test_on_a_narrow_screen_labels_stand_inside_and_on_nothing(opened, report, three, which):
    reader = opened(report if which == "two" else three[1], width=400)
    assert reader.page.evaluate("document.documentElement.scrollWidth") == 400
    boxes = """selector => [...document.querySelectorAll(selector)].map(node => {
        const { left, right, top, bottom } = node.getBoundingClientRect();
        return [left, right, top, bottom];
    })"""
    labels = reader.page.evaluate(boxes, "#diagram .annotation-text-g")
    assert len(labels) > 3
    (area,) = reader.page.evaluate(boxes, "#diagram .nsewdrag")
    ticks = reader.page.evaluate(boxes, "#diagram .xtick text, #diagram .ytick text")
    for place, (left, right, top, bottom) in enumerate(labels):
        assert area[0] <= left < right <= area[1]
        assert area[2] <= top < bottom <= area[3]
        for others in (labels[:place], ticks):
            assert not [o for o in others if left < o[1] and o[0] < right and top < o[3] and o[2] < bottom]
    titles = reader.page.evaluate(boxes, "#progress .annotation-text-g")
    marks = reader.page.evaluate(boxes, "#progress .ytick text")
    assert len(titles) >= 3
    assert not [t for t in titles for o in marks if t[0] < o[1] and o[0] < t[1] and t[2] < o[3] and o[2] < t[3]]


@pytest.mark.parametrize("which", ["two", "three"])
@pytest.mark.parametrize("width", [1400, 400])
def test_buttons_stand_above_their_diagrams(opened, report, three, which, width):
    reader = opened(report if which == "two" else three[1], width=width)
    for name in ("diagram", "progress", *(["solid"] if which == "three" else [])):
        plot = reader.page.locator(f"#{name}").bounding_box()
        bar = reader.page.locator(f"#{name} .modebar").bounding_box()
        assert bar["y"] + bar["height"] <= plot["y"]
        assert reader.page.locator(f"#{name} .modebar-btn").first.is_visible()
        over = reader.page.locator(f"#{name}").evaluate("e => e.previousElementSibling.getBoundingClientRect().bottom")
        assert bar["y"] >= over


@pytest.mark.parametrize("which", ["two", "three"])
def test_the_legend_names_only_what_is_drawn_in_the_round_shown(opened, report, three, which):
    reader = opened(report if which == "two" else three[1])
    for moment in ("0", "LAST"):
        reader.page.evaluate(f"showMoment({moment})")
        entries = reader.page.locator("#diagram .legendtext").all_text_contents()
        assert len(entries) > 3
        assert not [entry for entry in entries if entry.endswith("(0)")]
    reader.page.evaluate("showMoment(0)")
    unseen = reader.page.evaluate("diagram.data.filter(t => t.name?.endsWith('(0)')).map(t => t.name)")
    assert unseen
    assert not {*unseen} & {*reader.page.locator("#diagram .legendtext").all_text_contents()}


def test_the_error_of_the_hull_is_on_a_logarithmic_axis_with_the_tolerance_drawn(opened, report, reported):
    reader = opened(report)
    axis = reader.page.evaluate("(({ type, ticktext }) => ({ type, ticktext }))(progress._fullLayout.yaxis)")
    assert axis["type"] == "log"
    assert axis["ticktext"][0] == "0"
    line = reader.page.evaluate("progress._fullLayout.shapes.find(s => s.yref === 'y')")
    assert (line["y0"], line["y1"]) == (1, 1)
    assert line["label"]["text"] == "tolerance, 1\N{NO-BREAK SPACE}meV/atom"
    drawn, said = reader.page.evaluate("(t => [[...t.y], [...t.customdata]])(progress.data[0])")
    errors = [1000 * then.hull_error_ev_per_atom for then in reported.history.moments]
    np.testing.assert_allclose(said, errors, atol=6e-4)
    assert all(y == pytest.approx(error, abs=6e-4) for y, error in zip(drawn, said, strict=True) if error > 0)
    assert said[-1] == 0
    assert 0 < drawn[-1] < min(error for error in said if error > 0)


@pytest.mark.parametrize("width", [1400, 400])
def test_labels_of_lines_stand_at_the_right_end_and_cover_no_data(opened, report, width):
    reader = opened(report, width=width)
    boxes = """selector => [...document.querySelectorAll(selector)].map(node => {
        const { left, right, top, bottom } = node.getBoundingClientRect();
        return [left, right, top, bottom];
    })"""
    labels = reader.page.evaluate(boxes, "#progress .shapelayer text")
    points = reader.page.evaluate(boxes, "#progress .scatterlayer .point")
    (right,) = {round(box[1]) for box in reader.page.evaluate(boxes, "#progress .nsewdrag")}
    assert len(labels) == 2
    for label in labels:
        assert -1 < right - label[1] < 8
        assert not [
            p for p in points if label[0] < p[1] and p[0] < label[1] and label[2] + 2 < p[3] and p[2] < label[3] - 2
        ]


def counts(names):
    """The number in brackets by the name before it."""
    found = (re.fullmatch(r"([^(,]+)[^(]*\((\d+)[^)]*\)", name) for name in names)
    return {one[1].strip(): int(one[2]) for one in found if one}


@pytest.mark.parametrize("which", ["two", "failed", "three"])
def test_the_page_counts_as_the_figure_does(opened, with_failure, early, three, which, ax, tmp_path):
    reported = {"two": early, "failed": with_failure[0], "three": three[0]}[which]
    write_report(tmp_path / "page.html", reported)
    reader = opened(tmp_path / "page.html")
    on_page = counts(reader.page.evaluate("diagram.data.map(t => t.name ?? '')"))
    draw_hull(ax, reported.known, belief=reported.belief)
    in_figure = counts([text.get_text() for legend in ax.figure.legends for text in legend.get_texts()])
    shared = {name for name in in_figure if name in on_page}
    assert shared >= {"calculated", "not calculated"} | ({"failed"} if which == "failed" else set())
    assert {name: on_page[name] for name in shared} == {name: in_figure[name] for name in shared}
    assert on_page["calculated"] == reported.known.n_answered
    assert on_page["of these in this round"] < on_page["calculated"]


def test_each_structure_is_downloaded_as_the_cif_file_that_the_export_writes(opened, report, reported):
    reader = opened(report)
    known = reported.known
    vertex = int(known.hull.indices[1])
    candidate = known.pool.candidates[vertex]
    reader.page.locator("#find").fill(candidate.id)
    with reader.page.expect_download() as waiting:
        reader.page.locator("#rows button.cif").first.click()
    assert waiting.value.suggested_filename == f"{candidate.formula}-{candidate.id}.cif"
    text = waiting.value.path().read_text(encoding="utf-8")
    assert text.startswith(f"# {candidate.id}\n")
    atoms = read(io.StringIO(text), format="cif")
    assert atoms.get_chemical_formula() == candidate.to_ase().get_chemical_formula()
    assert atoms.get_volume() == pytest.approx(abs(np.linalg.det(candidate.cell)), rel=1e-6)
    reader.page.locator(f"button[data-structure='{vertex}']").first.click()
    with reader.page.expect_download() as waiting:
        reader.page.locator("#cif").click()
    assert waiting.value.path().read_text(encoding="utf-8") == text
    assert [url for url in reader.requests if not url.startswith(("data:", "blob:"))] == [report.as_uri()]


def test_cif_files_are_of_the_relaxed_structures(reported, tmp_path):
    index = int(reported.known.answered[0])
    start = reported.known.pool.candidates[index]
    relaxed = {index: replace(start, cell=1.1 * start.cell, positions=1.1 * start.positions)}
    history = replace(reported.history, relaxed=relaxed)
    write_report(tmp_path / "page.html", replace(reported, history=history))
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    (volume,) = re.findall(rf'"cifs":\{{.*?"{index}":"# [^"]*?_cell_volume +([\d.]+)', text)
    assert float(volume) == pytest.approx(1.1**3 * abs(np.linalg.det(start.cell)), rel=1e-6)
