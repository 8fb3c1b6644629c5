"""Every block of the README and of the user guide runs, page by page, in a folder that holds only the campaigns."""

import shutil
import sys
from pathlib import Path

import pytest
from page_blocks import read_blocks, run_page
from results_tree import write_results

from hullscout.pool import FORMATS

ROOT = Path(__file__).parent.parent
PAGES = {page.stem: page for page in (ROOT / "README.md", *sorted((ROOT / ".docs").rglob("*.md")))}
WITH_BLOCKS = [name for name, page in PAGES.items() if read_blocks(page.read_text(encoding="utf-8"))]

WITH_RESULTS = "paper"
"""The page of a reader who brings a tree of VASP results, which stands in its folder as well."""


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.use("Agg")
    monkeypatch.setattr(sys, "path", [*sys.path])
    formats = dict(FORMATS)
    shutil.copytree(ROOT / "campaigns", tmp_path / "campaigns")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    plt.close("all")
    FORMATS.clear()
    FORMATS.update(formats)


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_BLOCKS)
def test_the_blocks_of_a_page_run(name, scratch):
    text = PAGES[name].read_text(encoding="utf-8")
    if name == WITH_RESULTS:
        write_results(scratch / "results", scratch / "campaigns" / "agpd" / "agpd.extxyz.gz", n=150, marks_bad=False)
    assert run_page(text, scratch, name=PAGES[name].name) > 0


def test_few_blocks_are_not_run():
    reasons = [
        (name, block.reason)
        for name in WITH_BLOCKS
        for block in read_blocks(PAGES[name].read_text(encoding="utf-8"))
        if block.reason is not None and not block.reason.endswith(" is not installed")
    ]
    assert reasons == [
        ("README", "continuous integration runs it as it is"),
        ("README", "continuous integration runs it as it is"),
        ("install", "it makes an environment of its own; the same command of the README is run"),
        ("install", "a Dockerfile, for which an image would have to be built"),
        ("install", "a test of its own builds the guide, warnings as errors"),
        ("live_campaign", "it takes up to two hours of one core"),
        ("plans", "some ten minutes of processor time"),
    ]


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("```bash\nhullscout statuss runs\n```", "No such command 'statuss'"),
        ("```bash\necho 1\n```\n\n```text\n2\n```", "the page shows\n2"),
        ("```bash\nfalse; echo 1\n```", "ended with 1"),
        ("```python\nprint(1)\n```\n\n```text\n2\n```", "the page shows\n2"),
        ("```rust\n```", "nothing is known of blocks of 'rust'"),
    ],
)
def test_a_page_that_is_wrong_fails(page, message, scratch):
    with pytest.raises(AssertionError, match=message):
        run_page(page, scratch, name="page.md")


def test_a_campaign_file_that_is_wrong_fails(scratch):
    from hullscout.errors import InvalidCampaignError

    with pytest.raises(InvalidCampaignError, match=r"select\.bach: unknown key"):
        run_page('```toml\nname = "A"\nelements = ["Ag", "Pd"]\nselect.bach = 4\n```', scratch, name="page.md")


def test_what_a_page_shows_may_leave_out_what_differs(scratch):
    page = "```bash\necho took 3 s, hull Ag Pd\n```\n\n```text\ntook ... s, hull Ag Pd\n```"
    assert run_page(page, scratch, name="page.md") == 1
