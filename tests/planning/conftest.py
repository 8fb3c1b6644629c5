"""One plan of a small campaign, made once: three rules, two failure probabilities, four replicates, two workers."""

import pytest
from click.testing import CliRunner
from conftest import CAMPAIGN

from hullscout.cli import main

GRID = ("--grid", "select.rule=hull-posterior,hull-threshold,random", "--grid", "stop.failure_probability=0.5,0.1")


def hullscout(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    return result.exit_code, result.output


@pytest.fixture(scope="session")
def planned(tmp_path_factory, small_pool):
    """The campaign file, the folder of its plan, and what the command printed."""
    folder = tmp_path_factory.mktemp("plan")
    (folder / "pool.extxyz").write_text(small_pool)
    file = folder / "small.toml"
    file.write_text(CAMPAIGN)
    code, text = hullscout("plan", file, "--replicates", 4, "--workers", 2, "--out", folder / "out", *GRID)
    assert code == 0, text
    return file, folder / "out", text
