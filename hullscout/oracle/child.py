"""A worker process: reads tasks from its standard input, one JSON line each, and answers each with a line.

Started as `python -m hullscout.oracle.child` by `guard.Guard`. Whatever a calculator prints goes into `output.txt` of the task's
own folder. When the input ends (the campaign is gone) it ends at once, also in the
middle of a calculation, with all that it started.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from typing import TextIO

from hullscout.errors import OracleError
from hullscout.oracle.calculator import Task, calculate, make_calculator
from hullscout.oracle.outcome import Calculated, Failed, FailureReason, Outcome, outcome_to_json
from hullscout.oracle.settings import CalculatorSettings

READY = "ready"
OUTPUT = "output.txt"


def main() -> None:
    """Work until the input ends."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        tasks: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(tasks,), daemon=True).start()
        _say(answers, READY)
        while True:
            outcome = _answer(json.loads(tasks.get()))
            _say(answers, outcome_to_json(outcome))


def _answer(message: dict[str, str]) -> Outcome:
    os.chdir(message["folder"])
    output = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    try:
        if "task" in message:
            return calculate(Task.from_json(message["task"]))
        return probe(CalculatorSettings.model_validate_json(message["probe"]))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def probe(settings: CalculatorSettings) -> Outcome:
    """Whether the calculator can be made here: before anything is paid for."""
    try:
        make_calculator(settings)
    except OracleError as error:
        return Failed(reason=FailureReason.RAISED, sentence=str(error))
    return Calculated(energy_ev=0.0)


def _listen(tasks: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        tasks.put(line)
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _say(answers: TextIO, line: str) -> None:
    answers.write(line + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
