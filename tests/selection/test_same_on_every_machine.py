"""What is looked up does not depend on the machine: linear algebra rounds otherwise on another processor."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from hullscout.selection.rule import in_order

AG_PD = Path(__file__).parents[2] / "campaigns" / "agpd" / "agpd.toml"
REPLAY = """
import sys
from pathlib import Path
from hullscout.campaign import Setup, read_origin
setup = Setup(read_origin(Path(sys.argv[1])))
engine = setup.engine(setup.ledger())
while ids := engine.ask():
    for candidate_id in ids:
        engine.tell(candidate_id, setup.table.lookup(candidate_id))
print(*engine.ledger.known.answered)
"""


def replayed(kernels):
    """The order of lookups of Ag-Pd, with OpenBLAS's kernels for this kind of processor."""
    environment = {**os.environ, "OPENBLAS_CORETYPE": kernels}
    command = [sys.executable, "-c", REPLAY, AG_PD]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64")
    or not any(library["internal_api"] == "openblas" for library in threadpool_info()),
    reason="needs OpenBLAS on x86-64, whose kernels can be chosen",
)
def test_a_replay_is_the_same_on_an_old_processor():
    """Ag-Pd holds structures that the representation cannot tell apart."""
    assert replayed("Nehalem") == replayed("")


def test_values_that_differ_by_rounding_only_stay_in_order():
    values = np.array([0.3, 0.1 + 0.2, 0.1, -np.inf, np.inf, 1e305, -1e305, 2e305, 0.1 - 1e-13])
    assert in_order(values).tolist() == [3, 6, 2, 8, 0, 1, 5, 7, 4]
