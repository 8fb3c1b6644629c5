"""What every campaign and rule ends in, so that two versions of the code can be held to the same bytes.

    python tests/benchmarks/same_results.py results.json                       # with the code as it was
    python tests/benchmarks/same_results.py results.json --compare   # with the code as it is now; exit code 1 if they differ
    python tests/benchmarks/same_results.py results.json --pools AgPd --rules hull-posterior --compare

Runs the command line on every table of `campaigns/` and of `../shared/data` under every rule, a live campaign (ASE's EMT, in this
process), one that hands out and is told, and a plan. Kept are digests of `result.json` without its `timings_s`, of the exported
table of candidates under `hull-posterior`, and of `plan.json`. Numbers differ in the last bit between machines: hold against
each other what was made on one.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import argparse
import contextlib
import csv
import hashlib
import io
import json
import multiprocessing
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from hullscout.cli import main

ROOT = Path(__file__).parents[2]
RULES = ("hull-posterior", "threshold", "hull-threshold", "greedy", "variance", "random")
TABLES = [path for path in sorted((ROOT / "campaigns").glob("*/*.toml")) if 'kind = "table"' in path.read_text()]
SHARED = sorted((ROOT.parent / "shared" / "data").glob("*/*.toml"))
SETTINGS = {
    "threshold, the paper's scales": (
        "select.rule=threshold",
        'select.transforms=["shrink-positive", "stretch-negative", "standardize"]',
        "select.held_out=half",
    ),
    "costs and a budget": ("cost.kind=atoms", "stop.max_cost=9000"),
    "another kernel": ("regression.kernel=gaussian", "regression.criterion=log-score"),
}
"""Further settings, tried on the first table alone."""


def hullscout(*arguments: object) -> None:
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            main([str(argument) for argument in arguments], standalone_mode=False)
    except SystemExit as error:
        raise RuntimeError(f"{arguments}: {said.getvalue()}") from error


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def ended_in(folder: Path) -> dict[str, str]:
    tree = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    del tree["timings_s"]
    found = {"result": digest(json.dumps(tree, indent=2)), "n_calculations": str(tree["n_calculations"])}
    if tree["rule"] == "hull-posterior":
        hullscout("export", folder, "--format", "csv")
        found["candidates"] = digest((folder / "candidates.csv").read_text(encoding="utf-8"))
    return found


def replay(campaign: Path, settings: tuple[str, ...]) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        hullscout("run", campaign, "--out", folder, *(part for text in settings for part in ("--set", text)))
        return ended_in(folder)


def live() -> dict[str, str]:
    return replay(
        ROOT / "campaigns" / "cuau-emt" / "cuau-emt.toml",
        ("executor.flow=rounds", "stop.max_calculations=60", "seed=1"),
    )


def hand_off() -> dict[str, str]:
    """Al-Li, each answer told from the table by a CSV file."""
    replayed = ROOT / "campaigns" / "alli-gpaw" / "alli-replay.toml"
    with tempfile.TemporaryDirectory() as scratch:
        folder, table, truth = Path(scratch) / "run", Path(scratch) / "told.csv", Path(scratch) / "truth"
        hullscout("run", replayed, "--out", truth, "--set", "select.rule=random")
        hullscout("export", truth, "--format", "csv")
        with (truth / "candidates.csv").open(newline="", encoding="utf-8") as stream:
            energies = {row["id"]: row["energy_ev"] for row in csv.DictReader(stream)}
        campaign = Path(scratch) / "handoff.toml"
        text = replayed.read_text(encoding="utf-8").replace('kind = "table"', 'kind = "handoff"')
        campaign.write_text(text.replace('path = "', f'path = "{replayed.parent}/'), encoding="utf-8")
        hullscout("run", campaign, "--out", folder)
        while not (folder / "result.json").exists():
            outbox = Path(scratch) / "outbox"
            hullscout("ask", folder, "-n", 3, "--to", outbox)
            asked = [json.loads(path.read_text(encoding="utf-8"))["id"] for path in sorted(outbox.glob("*/*.json"))]
            lines = [f"{name},{energies[name]}" for name in sorted(set(asked))]
            table.write_text("\n".join(["id,energy_ev", *lines]) + "\n", encoding="utf-8")
            hullscout("tell", folder, table)
        return ended_in(folder)


def plan() -> dict[str, str]:
    campaign = ROOT / "campaigns" / "alli-gpaw" / "alli-replay.toml"
    with tempfile.TemporaryDirectory() as scratch:
        rules = ",".join(RULES[:-1])
        grid = ("--grid", f"select.rule={rules}", "--grid", "stop.failure_probability=0.2,0.05")
        hullscout("plan", campaign, "--replicates", 4, "--workers", 1, "--out", Path(scratch) / "plan", *grid)
        return {"plan": digest((Path(scratch) / "plan" / "plan.json").read_text(encoding="utf-8"))}


def everything(pools: list[Path], rules: list[str]) -> dict[str, dict[str, str]]:
    """By name, what each ends in; two at a time."""
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as executor:
        futures = {
            f"{path.stem}, {rule}": executor.submit(replay, path, (f"select.rule={rule}",))
            for path in pools
            for rule in rules
        }
        if len(pools) > 1:
            for name, settings in SETTINGS.items():
                futures[f"{TABLES[0].stem}, {name}"] = executor.submit(replay, TABLES[0], settings)
            futures.update({job.__name__: executor.submit(job) for job in (live, hand_off, plan)})
        found = {}
        for name, future in futures.items():
            found[name] = future.result()
            print(name, found[name].get("n_calculations", ""), flush=True)
        return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--compare", action="store_true", help="hold against what the file says, instead of writing it")
    parser.add_argument("--pools", default="", help="names of campaign files, separated by commas")
    parser.add_argument("--rules", default=",".join(RULES))
    given = parser.parse_args()
    wanted = [path for path in (*TABLES, *SHARED) if not given.pools or path.stem in given.pools.split(",")]
    now = everything(wanted, given.rules.split(","))
    if not given.compare:
        given.file.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
        sys.exit(0)
    before = json.loads(given.file.read_text(encoding="utf-8"))
    other = [name for name, found in now.items() if before.get(name) != found]
    print(
        f"{len(now) - len(other)} of {len(now)} are the same.", *(f"Not the same: {name}" for name in other), sep="\n"
    )
    sys.exit(1 if other else 0)
