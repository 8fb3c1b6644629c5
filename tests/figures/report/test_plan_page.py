"""The page of a plan on a narrow screen and in the dark: nothing is cut off, and all can be read."""

import base64
import io

import pytest
from matplotlib.image import imread

GRID = (
    "--grid",
    "stop.failure_probability=0.1,0.05",
    "--replicates",
    2,
    "--workers",
    1,
    "--set",
    "select.rule=hull-posterior",
)


@pytest.fixture
def page(hullscout, campaign_file, tmp_path, browser, request):
    """A plan's page, opened in a width and a scheme."""
    code, text = hullscout("plan", campaign_file, *GRID, "--out", tmp_path / "plan")
    assert code == 0, text
    width, scheme = request.param
    opened = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    opened.goto((tmp_path / "plan" / "plan.html").as_uri())
    yield opened
    opened.close()


@pytest.mark.parametrize("page", [(400, "dark"), (1400, "light")], indirect=True)
def test_tables_scroll_pictures_suit_the_width_and_colours_the_scheme(page):
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    inside = page.evaluate(
        "[...document.body.querySelectorAll('h1, h2, p, img')].map(e => e.getBoundingClientRect()).map(b => [b.left, b.right])"
    )
    assert all(left >= 0 and right <= width for left, right in inside)
    for table in page.locator(".wide").all():
        goes_on = table.evaluate("e => e.scrollWidth > e.clientWidth")
        assert goes_on == (width == 400)
        assert table.evaluate("e => getComputedStyle(e).overflowX") == "auto"
    assert page.locator(".aside").first.is_visible() == (width == 400)
    options = page.locator("span.whole", has_text="--replicates")
    assert options.count() >= 1
    assert options.first.evaluate("e => e.getClientRects().length") == 1
    assert options.first.evaluate("e => getComputedStyle(e).whiteSpace").startswith("nowrap")
    shapes = []
    for picture in page.locator("img").all():
        content = imread(io.BytesIO(base64.b64decode(picture.evaluate("e => e.currentSrc").partition(",")[2])))
        shapes.append(content.shape[1] / picture.bounding_box()["width"])
        assert ("invert" in picture.evaluate("e => getComputedStyle(e).filter")) == (width == 400)
    assert len(shapes) == 2
    # Text of 7 points is no less than 8 pixels high: of a figure of so many dots per inch not more than so many to a pixel.
    assert max(shapes) < 160 * 7 / 72 / 8
