"""Let calculators misbehave in workers of a kind, one after the other with a sound one behind each: a line of JSON for each.

python misbehave.py EXECUTOR WAY...
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

from ase.build import bulk
from misbehaving_calculators import WAYS

from hullscout.oracle import (
    Calculated,
    CalculatorSettings,
    DaskSettings,
    InProcessSettings,
    ProcessesSettings,
    open_workers,
    outcome_of,
)
from hullscout.pool import Candidate

LIMIT_S = 6.0
EXECUTORS = {
    "in-process": InProcessSettings(),
    "processes": ProcessesSettings(time_limit_s=LIMIT_S),
    "dask": DaskSettings(time_limit_s=LIMIT_S),
}


def told(outcome):
    if isinstance(outcome, Calculated):
        return {"energy_ev": outcome.energy_ev, "reason": None, "sentence": ""}
    if not hasattr(outcome, "reason"):
        raise outcome
    return {"energy_ev": None, "reason": outcome.reason, "sentence": outcome.sentence}


def main(executor, names):
    atoms = bulk("Cu", "fcc", a=3.7).repeat((1, 1, 2))
    atoms.positions[0] += 0.01
    with open_workers(CalculatorSettings(calculator="emt"), EXECUTORS[executor], folder=Path()) as workers:
        for number, name in enumerate(names):
            settings = {"calculator": "misbehaving_calculators.Misbehaves", "arguments": {"how": name}}
            bad = replace(workers, settings=CalculatorSettings(**settings, relax=WAYS[name][2]))
            candidate = Candidate.from_ase(atoms, f"{name}-{number}")
            outcomes = [told(outcome_of(each.submit(candidate, attempt=1))) for each in (bad, workers)]
            print(json.dumps([name, *outcomes]), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
