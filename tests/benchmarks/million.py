"""A million candidates end to end: enumerated, written, opened, represented, and the first rounds of a campaign.

    python tests/benchmarks/million.py                              # fcc Ag-Au-Cu to twelve atoms
    python tests/benchmarks/million.py --max-atoms 10 --rounds 40   # 79 260 candidates, screened as if they were many

Each step is a command as a user types it, in a process of its own: its wall time, processor time and the most memory that it
held (files that are mapped are the system's to take back). What rounds cost shows between two limits of calculations.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

CAMPAIGN = Path(__file__).parents[2] / "campaigns" / "million" / "million.toml"
COMMAND = (
    "import sys; from hullscout.selection import screened; {patch}; from hullscout.cli import main; main(sys.argv[1:])"
)


def own_memory_gib(pid: int) -> float:
    """Memory of a process that is no file's."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    return int(found[1]) / 2**20 if found else 0.0


def timed(name: str, *arguments: object, screened_above: int | None = None) -> None:
    """Run a command and print what it cost."""
    patch = "pass" if screened_above is None else f"screened.SCREENED_ABOVE = {screened_above}"
    began, before, most = time.perf_counter(), os.times(), 0.0
    command = [sys.executable, "-c", COMMAND.format(patch=patch), *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    done = threading.Event()
    while not done.wait(0.5) and process.poll() is None:
        most = max(most, own_memory_gib(process.pid))
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    print(f"{name:28} {time.perf_counter() - began:8.1f} s  {cpu:8.1f} s of processor  {most:5.2f} GiB", flush=True)
    if process.returncode:
        raise SystemExit(f"{name} ended with {process.returncode}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--max-atoms", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--pool", type=Path, help="a pool that was made before")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        pool, campaign = arguments.pool or folder / "pool.parquet", folder / "million.toml"
        if arguments.pool is None:
            atoms = ("--lattice", "fcc", "--max-atoms", arguments.max_atoms)
            timed("enumerate", "enumerate", "Ag", "Au", "Cu", *atoms, "-o", pool)
        print(f"pool: {pool.stat().st_size / 2**20:.0f} MiB")
        campaign.write_text(CAMPAIGN.read_text().replace('"pool.parquet"', f'"{pool.resolve()}"'))
        above = None if arguments.max_atoms == 12 else 0
        run = ("run", campaign, "--out", folder / "out", "--set")
        timed("first decision", *run, "stop.max_calculations=4", screened_above=above)
        for n in (40, 40 + 8 * arguments.rounds):
            timed(f"to {n} calculations", *run, f"stop.max_calculations={n}", screened_above=above)
        timed("status", "status", folder / "out", screened_above=above)
        timed("plot", "plot", folder / "out", screened_above=above)
        timed("report", "report", folder / "out", screened_above=above)
        timed("export", "export", folder / "out", "--format", "csv", screened_above=above)
        kept = (folder / "out" / "pool.kept").stat().st_size / 2**30
        print(f"kept: {kept:.2f} GiB, campaign.db {(folder / 'out' / 'campaign.db').stat().st_size / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
