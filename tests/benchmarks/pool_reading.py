"""What checks cost: reading a pool against an earlier version, as a share of `check`, and their share of a replay.

    git worktree add ../before 2204876
    python tests/benchmarks/pool_reading.py --against ../before

2204876 is the last version before contents of files were held against themselves, rows against checksums, and cells against bounds.
The two versions read in turns, each in a process of its own; what counts is the fastest of all. The share of a replay is that of
what seals, compares and looks after rows and files, and of what is looked at in the pool, in one run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CAMPAIGN = ROOT / "campaigns" / "agpd" / "agpd.toml"
READ = """
import sys, time
from pathlib import Path
from hullscout.campaign import Setup, read_origin
def read():
    began = time.process_time()
    setup = Setup(read_origin(Path(sys.argv[1])))
    assert len(setup.pool) > 100 and setup.table is not None
    return time.process_time() - began
read()
print(min(read() for _ in range(8)))
"""
CHECKS = {
    "hullscout.campaign.rows.Table": ("sealed", "sift"),
    "hullscout.campaign.database.DatabaseStore": ("refuse_removed",),
    "hullscout.campaign.opening": ("_refuse_damaged",),
    "hullscout.pool.axis.CompositionAxis": ("sift",),
    "hullscout.pool.pool": ("find_doubts",),
    "hullscout.contents": ("raw_content",),
}


def reading(checkout: Path) -> float:
    """Seconds that a version takes to read and check the pool of Ag-Pd."""
    words = [sys.executable, "-c", READ, str(CAMPAIGN)]
    done = subprocess.run(
        words,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        cwd=checkout,  # the current folder comes before all others
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def checking() -> float:
    """Seconds that `hullscout check` takes for the pool of Ag-Pd, the imports aside."""
    from click.testing import CliRunner

    from hullscout.cli import main as command

    def check() -> float:
        began = time.process_time()
        assert (
            CliRunner().invoke(command, ["check", str(CAMPAIGN.with_suffix(".extxyz.gz"))]).exit_code == 1
        )  # suspects
        return time.process_time() - began

    check()
    return min(check() for _ in range(2))


def share_of_replay() -> tuple[float, float]:
    """Seconds of a whole replay of Ag-Pd, and of those what is checked takes."""
    from hullscout.campaign import Setup, read_origin, run
    from hullscout.settings import object_at

    spent, depth = 0.0, 0

    def timed(function):
        def call(*args, **kwargs):
            nonlocal spent, depth
            began, depth = time.process_time(), depth + 1
            try:
                return function(*args, **kwargs)
            finally:
                depth -= 1
                spent += 0.0 if depth else time.process_time() - began

        return call

    for place, names in CHECKS.items():
        owner = object_at(place) if place.rpartition(".")[2][0].isupper() else sys.modules[place]
        for name in names:
            setattr(owner, name, timed(getattr(owner, name)))
    Setup(read_origin(CAMPAIGN)).pool  # noqa: B018  compiled kernels are loaded at their first use
    spent = 0.0
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        run(Setup(read_origin(CAMPAIGN)), Path(folder) / "run")
        return time.process_time() - began, spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="Checkout of an earlier version.")
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    if options.against is not None:
        turns = [(reading(options.against), reading(ROOT)) for _ in range(options.turns)]
        before, now = (min(times) for times in zip(*turns, strict=True))
        added, whole = now - before, checking()
        print(
            f"reading Ag-Pd: {1e3 * before:.0f} ms before, {1e3 * now:.0f} ms now; `check` of it {whole:.2f} s", end=""
        )
        print(f", of which what was added {100 * added / whole:.1f} %")
    whole, checks = share_of_replay()
    print(f"replay of Ag-Pd: {whole:.2f} s, of which checks {1e3 * checks:.0f} ms: {100 * checks / whole:.2f} %")


if __name__ == "__main__":
    main()
