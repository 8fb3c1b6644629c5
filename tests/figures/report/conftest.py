"""Campaigns to report on, and a browser to read the reports with."""

import os
import shutil
from dataclasses import replace

import pytest
from frames import frames_of

from hullscout.campaign import runner
from hullscout.campaign.result import FailedCandidate
from hullscout.figures.report import read_report, write_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# No search for updates: the tests' browser asks no network for anything.
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
)


HOSTILE_NAME = '</title><script>document.title = "broken"</script> & $x$ {{ 7 * 6 }}'
HOSTILE = 'id="<script>document.title=1</script></script><img src=x onerror=document.title=2>&amp;,<b>{}</b>"'


@pytest.fixture(scope="session")
def campaign_folder(tmp_path_factory, small_pool):
    """Runs the small campaign in a new folder, with settings replaced and, if wanted, the pool's text changed."""

    def play(*overrides, change=lambda text: text):
        folder = tmp_path_factory.mktemp("campaign")
        (folder / "pool.extxyz").write_text(change(small_pool))
        (folder / "small.toml").write_text('name = "small"\nelements = ["Ag", "Pd"]\npool.path = "pool.extxyz"\n')
        origin = runner.read_origin(folder / "small.toml", overrides, seed=1)
        pool, oracle = runner.open_pool(origin)
        result, standing = runner.run(origin, folder / "run", pool=pool, oracle=oracle)
        runner.save(folder / "run", result, standing)
        return folder / "run"

    return play


@pytest.fixture(scope="session")
def finished(campaign_folder):
    """A finished replay with the rule that states a probability."""
    return campaign_folder("select.rule=hull-posterior")


@pytest.fixture(scope="session")
def reported(finished):
    """The same, read."""
    return read_report(finished)


@pytest.fixture(scope="session")
def early(campaign_folder):
    """A replay that ran out of its budget when it was not yet certain."""
    return read_report(campaign_folder("select.rule=hull-posterior", "stop.max_calculations=20"))


@pytest.fixture(scope="session")
def with_failure(early):
    """The same as if the likeliest of what is not calculated had been asked for in round 2 and failed; and its index."""
    unknown = early.standing.unknown
    index = int(unknown[early.outlook.probability_on_hull[unknown].argmax()])
    candidate = early.history.pool.candidates[index]
    failed = FailedCandidate(
        id=candidate.id,
        formula=candidate.formula,
        reason="not-converged",
        sentence="The atoms came not to rest <b>in</b> 200 steps.",
    )
    asked_in = {**early.history.asked_in, index: 2}
    history = replace(early.history, failures={index: failed}, asked_in=asked_in)
    return replace(early, history=history), index


@pytest.fixture(scope="session")
def report(tmp_path_factory, reported):
    """Its page."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, reported)
    return path


@pytest.fixture(scope="session")
def hostile(campaign_folder):
    """A campaign whose ids and name are written to break out of the page."""

    def rename(text):
        frames = frames_of(text)
        return "".join(
            frame.replace(f" id={frame.split(' id=')[1].split()[0]} ", f" {HOSTILE.format(k)} ")
            for k, frame in enumerate(frames)
        )

    return campaign_folder("select.rule=threshold", f"name='{HOSTILE_NAME}'", change=rename)


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium, the system's."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("No browser: install the package chromium before the tests.")
        pytest.skip(
            "no Chromium on the path: install it (Debian: apt-get install chromium) to test the report in a browser"
        )
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[test]'")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=QUIET)
        yield browser
        browser.close()
