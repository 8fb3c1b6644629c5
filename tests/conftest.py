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


STAND_ALONE = ("test_notebooks.py", "test_guide_blocks.py")


def pytest_collection_modifyitems(items):
    """Each notebook and each page takes long: they are begun first."""
    items.sort(key=lambda item: item.path.name not in STAND_ALONE)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Tests of one file share its fixtures, so one process runs them; each notebook and each page may go to another."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file, _, _ = nodeid.partition("::")
            return nodeid if file.endswith(STAND_ALONE) else file

    return ByFile(config, log)


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
