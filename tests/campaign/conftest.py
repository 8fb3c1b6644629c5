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
