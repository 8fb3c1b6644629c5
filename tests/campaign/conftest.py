"""Live campaigns: the Cu-Au cells of up to three atoms, computed by EMT."""

import gzip

import pytest
from conftest import ROOT
from frames import frames_of

LIVE = """
name = "live"
elements = ["Cu", "Au"]

[pool]
path = "cells.extxyz"

[oracle]
kind = "calculator"
calculator = "emt"

[executor]
kind = "in-process"

[select]
rule = "random"
"""


@pytest.fixture
def live_file(tmp_path):
    """A live campaign file with its pool of ten cells, without energies, beside it."""
    with gzip.open(ROOT / "campaigns" / "cuau-emt" / "cuau-cells.extxyz.gz", "rt") as file:
        small = [frame for frame in frames_of(file.read()) if int(frame.split(maxsplit=1)[0]) <= 3]
    (tmp_path / "cells.extxyz").write_text("".join(small))
    path = tmp_path / "live.toml"
    path.write_text(LIVE)
    return path


@pytest.fixture
def halves(campaign_file, small_pool, tmp_path):
    """The campaign file with a pool of 35 candidates, and a file with 22 others."""
    frames = frames_of(small_pool)
    is_pure = [frame.count("\nAg ") == 0 or frame.count("\nPd ") == 0 for frame in frames]
    first = [frame for place, frame in enumerate(frames) if is_pure[place] or place % 5 < 3]
    more = [frame for frame in frames if frame not in first]
    campaign_file.with_name("pool.extxyz").write_text("".join(first))
    (tmp_path / "more.extxyz").write_text("".join(more))
    return campaign_file, tmp_path / "more.extxyz"


@pytest.fixture
def handoff(hullscout, live_file, tmp_path):
    """A hand-off campaign of ten Cu-Au cells: its folder and its outbox."""
    text = live_file.read_text().replace('kind = "calculator"\ncalculator = "emt"', 'kind = "handoff"')
    live_file.write_text(text.replace('[executor]\nkind = "in-process"\n', ""))
    code, shown = hullscout("run", live_file, "--out", tmp_path / "out")
    assert code == 0
    assert "hullscout ask" in shown
    return tmp_path / "out", tmp_path / "outbox"
