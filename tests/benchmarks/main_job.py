"""What the main job costs: CPU seconds of a search with kernels that are compiled and that are kept, and of every later look.

    python tests/benchmarks/main_job.py                                   # Ag-Pd, 625 candidates; some minutes
    python tests/benchmarks/main_job.py --candidates 625,10000            # and a made up pool of 10 000
    python tests/benchmarks/main_job.py --against ../before               # beside another checkout, in turns
    python tests/benchmarks/main_job.py --dscribe-python PATH             # and beside DScribe, as in mbtr_vs_dscribe.py

Each command is a process of its own; printed are the CPU seconds of that process and its children, which other processes of the
machine change little, the median of `--times`. The cold run begins with an empty folder for compiled kernels and stands for a fresh
install. Larger pools are random decorations of cells of eight atoms with energies of no alloy; their search is ended after
40 calculations. Phases are measured inside one warm process. At the end stands what a fit takes beside scikit-learn
(`regression_speed.py`).
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
PHASES = """
import sys, time
from pathlib import Path
began = time.process_time()
def phase(name):
    global began
    print(name, time.process_time() - began)
    began = time.process_time()
from hullscout import campaign
from hullscout.figures import save_result
phase("imports")
setup = campaign.Setup(campaign.read_origin(Path(sys.argv[1]), tuple(sys.argv[3:])))
setup.pool
phase("pool")
setup.features
phase("features")
result, known = campaign.run(setup, Path(sys.argv[2]))
phase("rounds and result")
save_result(Path(sys.argv[2]), result, known)
phase("figure")
"""
LOOKS = ("status", "plot", "report", "table -o {out}/t.extxyz --force", "export --format csv --force")


def cpu_s(checkout: Path, words: list[str], kernels: Path) -> tuple[float, str]:
    """CPU seconds of a process of Python in a checkout, with compiled kernels in a folder, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(checkout), "NUMBA_CACHE_DIR": str(kernels)}
    place = kernels.parent  # the current folder would stand before the checkout
    done = subprocess.run(
        [sys.executable, *words], env=environment, cwd=place, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{words}: {done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def made_up(folder: Path, n: int) -> Path:
    """A campaign file of n candidates."""
    from ase.build import bulk

    rng, lines = np.random.default_rng(0), []
    for place in range(n):
        site = bulk("Ag", a=4.0).repeat((2, 2, 2))
        site.positions += rng.uniform(-0.1, 0.1, (8, 3))
        gold = rng.permutation(8) < (0, 8, 1, 2, 3, 4, 5, 6, 7)[place % 9]
        x = gold.mean()
        vectors = " ".join(f"{number:.8f}" for number in np.asarray(site.cell).ravel())
        energy = 8 * (-2.8 - 0.6 * x - 0.2 * x * (1 - x) + (abs(rng.normal(0.0, 0.05)) if 0 < x < 1 else 0.0))
        said = f"id={place} energy={energy:.6f}"
        lines += ["8", f'Lattice="{vectors}" Properties=species:S:1:pos:R:3 pbc="T T T" {said}']
        for is_gold, (a, b, c) in zip(gold, site.positions, strict=True):
            lines.append(f"{'Pd' if is_gold else 'Ag'} {a:.8f} {b:.8f} {c:.8f}")
    (folder / f"{n}.extxyz").write_text("\n".join(lines) + "\n", encoding="utf-8")
    campaign = folder / f"{n}.toml"
    text = f'name = "{n}"\nelements = ["Ag", "Pd"]\n\n[pool]\npath = "{n}.extxyz"\n\n[stop]\nmax_calculations = 40\n'
    campaign.write_text(text, encoding="utf-8")
    return campaign


def measured(checkout: Path, campaign: Path, scratch: Path, turn: int) -> dict[str, float]:
    """CPU seconds by what was done."""
    place = Path(tempfile.mkdtemp(dir=scratch))
    kernels, out = place / "kernels", place / "out"
    found = {}
    command = ["-m", "hullscout"]
    run = [*command, "run", str(campaign), "--out"]
    found["run, kernels compiled"] = cpu_s(checkout, [*run, str(out)], kernels)[0]
    found["run, kernels kept"] = cpu_s(checkout, [*run, str(place / "warm")], kernels)[0]
    phases = cpu_s(checkout, ["-c", PHASES, str(campaign), str(place / "phases")], kernels)[1]
    for line in phases.splitlines():
        name, seconds = line.rsplit(" ", 1)
        found[f"  {name}"] = float(seconds)
    found["run again, at its end"] = cpu_s(checkout, [*run, str(out)], kernels)[0]
    for look in LOOKS:
        name, *options = look.format(out=place).split()
        cpu_s(checkout, [*command, name, str(out), *options], kernels)  # what only this compiles
        found[look.split(" -")[0]] = cpu_s(checkout, [*command, name, str(out), *options], kernels)[0]
    print(f"turn {turn + 1} of {checkout.name}, {campaign.stem}: done", file=sys.stderr, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", default="625", help="numbers of candidates, separated by commas; 625 is Ag-Pd")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--dscribe-python", help="Python of an environment with DScribe; see mbtr_vs_dscribe.py")
    parser.add_argument("--against", type=Path, help="another checkout, measured in the same turns")
    given = parser.parse_args()
    checkouts = [ROOT, *([given.against.resolve()] if given.against else [])]
    with tempfile.TemporaryDirectory() as scratch:
        for n in map(int, given.candidates.split(",")):
            campaign = ROOT / "campaigns" / "agpd" / "agpd.toml" if n == 625 else made_up(Path(scratch), n)
            found = [[measured(one, campaign, Path(scratch), turn) for one in checkouts] for turn in range(given.times)]
            print(f"\n{n} candidates, CPU seconds{''.join(f'{one.name:>14}' for one in checkouts)}         ratio")
            for name in found[0][0]:
                medians = [statistics.median(turn[place][name] for turn in found) for place in range(len(checkouts))]
                ratio = f"{medians[1] / medians[0]:14.1f}" if len(medians) > 1 else ""
                print(f"{name:<{len(str(n)) + 25}}" + "".join(f"{value:14.2f}" for value in medians) + ratio)
    compared = [["regression_speed.py", "--only-ratio"]]
    if given.dscribe_python:
        compared.append(["mbtr_vs_dscribe.py", "--dscribe-python", given.dscribe_python])
    for script, *options in compared:
        print(flush=True)
        subprocess.run([sys.executable, str(Path(__file__).with_name(script)), *options], check=True)


if __name__ == "__main__":
    main()
