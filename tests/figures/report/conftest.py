"""Campaigns to report on, and a browser to read the reports with."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from frames import frames_of

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
def reported(finished):
    """The finished replay, read."""
    return read_report(finished)


@pytest.fixture(scope="session")
def early(stopped):
    """The replay that ran out of its budget, read."""
    return read_report(stopped)


@pytest.fixture(scope="session")
def with_failure(early):
    """The same as if the likeliest of what is not calculated had been asked for in round 2 and failed; and its index."""
    history, unknown = early.history, early.known.unknown
    index = int(unknown[early.belief.probability_on_hull[unknown].argmax()])
    candidate = history.pool.candidates[index]
    failed = FailedCandidate(
        id=candidate.id,
        formula=candidate.formula,
        reason="not-converged",
        sentence="The atoms came not to rest <b>in</b> 200 steps.",
    )
    *decisions, last = history.now.decisions
    assert len(decisions) == 2
    decisions = (*decisions, replace(last, chosen=(*last.chosen, index)))
    now = replace(history.now, decisions=decisions, failed=np.array([index]))
    history = replace(history, failures={index: failed}, moments=(*history.moments[:-1], now))
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
