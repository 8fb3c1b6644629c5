"""The README keeps what others rely on: the two commands of continuous integration, and links that lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def anchors(page):
    """What a link may name in a page: its headings in lower case, without punctuation, joined by dashes."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("marker", ["run", "test"])
def test_the_blocks_that_continuous_integration_runs_are_there(marker):
    assert re.search(rf"<!-- {marker} -->\n```bash\npython3 -m venv .venv && ", README)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)]+)\)", README))))
def test_links_lead_somewhere(target):
    path, _, anchor = target.partition("#")
    assert (ROOT / path).exists()
    assert not anchor or anchor in anchors(ROOT / path)


def test_every_page_of_the_guide_is_named():
    pages = {page.name for page in (ROOT / ".docs").glob("*.md")} - {"commands.md"}
    assert pages <= set(re.findall(r"\]\(\.docs/([\w.]+)", README))
