"""A page that is written again as its campaign goes on loads itself again, and what its reader chose stays."""

import pytest
from report_reader import DRAWN, Reader

from hullscout.figures.report import settle_report, write_report


@pytest.fixture
def reader(browser, early, tmp_path):
    """A page that is followed, with an earlier state of its campaign at first."""
    path = tmp_path / "report.html"
    write_report(path, early, reload_s=60)
    reader = Reader(browser, path)
    yield reader, path
    assert reader.errors == []
    reader.page.close()


def reload_now(page):
    page.evaluate("document.documentElement.dataset.old = 'true'")
    page.evaluate("setTimeout(reloadWhenIdle)")
    page.wait_for_selector(f"{DRAWN}:not([data-old])", state="attached")


def test_slider_ranges_legend_table_and_place_stay_when_the_page_loads_itself_again(reader, early):
    reader, path = reader
    page = reader.page
    page.evaluate("showMoment(1)")
    page.evaluate("Plotly.relayout(diagram, { 'xaxis.range': [0.2, 0.6] })")
    entry = page.evaluate("diagram.data.findIndex(t => t.name.startsWith('calculated ('))")
    page.evaluate("k => Plotly.restyle(diagram, { visible: 'legendonly' }, [k])", entry)
    page.locator("#which").select_option("not calculated")
    page.locator("#heads button").nth(0).click()
    page.locator("#next").click()
    ids = page.locator("#rows td.id").all_text_contents()
    page.evaluate("window.scrollTo(0, 700)")
    write_report(path, early, reload_s=60)
    reload_now(page)
    assert page.locator("#moment").input_value() == "1"
    assert page.evaluate("diagram._fullLayout.xaxis.range") == [0.2, 0.6]
    assert page.evaluate("k => diagram._fullData[k].visible", entry) == "legendonly"
    assert page.locator("#rows td.id").all_text_contents() == ids
    assert page.evaluate("window.scrollY") == 700
    page.evaluate("showMoment(0)")
    assert page.evaluate("diagram._fullLayout.xaxis.range") == [0.2, 0.6]
    assert [url for url in set(reader.requests) if not url.startswith("data:")] == [path.as_uri()]


def test_a_page_at_the_last_round_shows_the_newest_one_after_it(reader, reported):
    reader, path = reader
    before = reader.page.locator("#moment").get_attribute("max")
    write_report(path, reported, reload_s=60)
    reload_now(reader.page)
    after = reader.page.locator("#moment").get_attribute("max")
    assert before != after == str(len(reported.history.moments) - 1)
    assert reader.page.locator("#moment").input_value() == after


def test_it_does_so_every_minute_but_not_while_a_structure_is_looked_at(browser, early, tmp_path):
    path = tmp_path / "report.html"
    write_report(path, early, reload_s=60)
    page = browser.new_page()
    page.clock.install()
    page.goto(path.as_uri())
    page.clock.run_for(2000)
    page.wait_for_selector(DRAWN, state="attached", timeout=120_000)
    assert page.locator(".reloads").is_visible()
    page.evaluate("document.documentElement.dataset.old = 'true'")
    page.evaluate("viewer.showModal()")
    page.clock.run_for(61_000)
    assert page.evaluate("document.documentElement.dataset.old") == "true"
    page.evaluate("viewer.close()")
    settle_report(path)
    page.clock.run_for(61_000)
    page.wait_for_selector("html:not([data-old])", state="attached", timeout=120_000)
    assert page.locator(".reloads").is_hidden()
    page.close()


def test_a_settled_page_is_the_same_but_for_that(early, tmp_path):
    plain, followed = tmp_path / "plain.html", tmp_path / "followed.html"
    write_report(plain, early)
    write_report(followed, early, reload_s=60)
    settle_report(plain)
    settle_report(followed)
    text, settled = plain.read_text(encoding="utf-8"), followed.read_text(encoding="utf-8")
    start, _, end = settled.partition('<p class="note reloads">')
    assert start + end.partition("</p>")[2] == text
    settle_report(tmp_path / "none.html")
    assert not (tmp_path / "none.html").exists()
