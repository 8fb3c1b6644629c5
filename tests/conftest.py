"""A small real campaign for every test: the cells of up to five atoms of the committed Ag-Pd pool."""

import one_thread  # noqa: F401  isort: skip
import gzip
from pathlib import Path

import pytest
from click.testing import CliRunner
from frames import frames_of

from hullscout.cli import main

ROOT = Path(__file__).parent.parent
CAMPAIGN = """
name = "small"
elements = ["Ag", "Pd"]
seed = 1

[pool]
path = "pool.extxyz"

[select]
rule = "threshold"
batch = 3
"""


def pytest_collection_modifyitems(items):
    """Tests of one file share its fixtures, so one process runs them; each notebook and each page may go to another."""
    for item in items:
        stands_alone = item.path.stem in {"test_notebooks", "test_guide_blocks"}
        item.add_marker(pytest.mark.xdist_group(item.name if stands_alone else item.path.stem))


@pytest.fixture(scope="session")
def small_pool():
    """Text of the 57 smallest cells of Ag-Pd, energies included."""
    with gzip.open(ROOT / "campaigns" / "agpd" / "agpd.extxyz.gz", "rt") as file:
        return "".join(frame for frame in frames_of(file.read()) if int(frame.split(maxsplit=1)[0]) <= 5)


@pytest.fixture
def campaign_file(tmp_path, small_pool):
    """A campaign file with its pool beside it."""
    (tmp_path / "pool.extxyz").write_text(small_pool)
    path = tmp_path / "small.toml"
    path.write_text(CAMPAIGN)
    return path


@pytest.fixture(scope="session")
def hullscout():
    """Run a command as a person types it, its words as arguments; returns its exit code and what it printed."""

    def run(*words):
        done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
        return done.exit_code, done.output

    return run
