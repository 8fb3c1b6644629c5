"""Whatever a calculator does, it is one failed calculation, the next is as ever, and nothing of it is left 5 s after the end.

`pytest -m misbehaving` tries every way of `misbehaving_calculators` in every place and prints how many; else some are tried.
"""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from fractions import Fraction
from pathlib import Path

import numpy as np
import psutil
import pytest
from conftest import ROOT
from frames import frames_of
from misbehaving_calculators import ENDS, NOT_HERE, WAYS

from hullscout.oracle.outcome import Failed, FailureReason, is_energy, outcome_from_tree, real_number
from hullscout.oracle.worker_process import _last_line

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for what is left in /proc")
DRIVER = Path(__file__).parents[1] / "misbehave.py"
FINE_HERE = [name for name in WAYS if name not in ENDS | NOT_HERE]
QUICK_HERE = [name for name in FINE_HERE if name not in {"text_of_megabytes", "opens_many_files", "leaves_a_thread"}]
SOME = [
    "surrogate_text",
    "system_exit",
    "text_raises",
    "true",
    "one_atom_more",
    "kills_its_parent",
    "fork_of_c_that_returns",
]
SOME += [
    "class_without_a_name",
    "allows_few_files_for_good",
    "leaves_an_audit",
    "writes_everywhere",
    "speaks_for_the_worker",
    "waits_for_a_daemon_that_holds_the_lock",
    "leaves_a_thread_that_exits",
]
CAMPAIGN = """
name = "ends"
elements = ["Cu", "Au"]

[pool]
path = "{root}/campaigns/cuau-emt/cuau-cells.extxyz.gz"

[oracle]
kind = "calculator"
calculator = "misbehaving_calculators.Misbehaves"
arguments = {{ how = "waits_for_a_daemon_that_holds_the_lock" }}

[executor]
{executor}
"""
EXECUTORS = {
    "processes": 'kind = "processes"',
    "dask": 'kind = "dask"',
    "threads": 'kind = "custom"\npath = "concurrent.futures.ThreadPoolExecutor"\noptions = { max_workers = 1 }',
    "pool": 'kind = "custom"\npath = "concurrent.futures.ProcessPoolExecutor"\noptions = { max_workers = 1 }',
}


class Tagged:
    """A process whose descendants are known by a variable of their environment."""

    def __init__(self, command, folder):
        self.tag = uuid.uuid4().hex
        path = os.pathsep.join([str(DRIVER.parent), *(path for path in sys.path if path)])
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "MISBEHAVING": self.tag}
        self.output, self.errors = folder / "output", folder / "errors"
        with self.output.open("w") as output, self.errors.open("w") as errors:
            options = {"cwd": folder, "env": environment, "start_new_session": True, "preexec_fn": _heed_signals}
            self.process = subprocess.Popen([sys.executable, *command], stdout=output, stderr=errors, **options)

    def alive(self):
        """What runs and bears the tag."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                if f"MISBEHAVING={self.tag}".encode() in (place / "environ").read_bytes().split(b"\0"):
                    found.append(psutil.Process(int(place.name)))
            except (OSError, psutil.Error):
                continue
        return found

    def left(self):
        """What still runs 20 s after the end, which is then ended."""
        until = time.monotonic() + 20
        while self.alive() and time.monotonic() < until:
            time.sleep(0.1)
        left = self.alive()
        lines = [" ".join(process.cmdline()) for process in left]
        for process in left:
            process.kill()
        return lines


def _heed_signals():
    """What runs in the background or under nohup ignores these, and so would all that it starts."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def outcomes(folder, executor, names):
    run = Tagged([DRIVER, executor, *names], folder)
    code = run.process.wait()
    assert code == 0, run.errors.read_text(errors="replace")[-2000:]
    said = run.output.read_text(
        errors="replace"
    ).splitlines()  # in this process also what forks write to every descriptor
    lines = [json.loads(line) for line in said if line.startswith("[")]
    assert run.left() == []
    return {name: (bad, good) for name, bad, good in lines}


def refuse_what_is_not_as_expected(found, names):
    assert list(found) == list(names)
    (sound,) = {good["energy_ev"] for _, good in found.values()}
    assert sound == pytest.approx(0.0608, abs=1e-4)
    assert {name: bad["reason"] for name, (bad, _) in found.items()} == {name: WAYS[name][1] for name in names}
    for bad, _ in found.values():
        assert bad["reason"] is not None or bad["energy_ev"] == pytest.approx(sound)
        assert bad["reason"] is None or bad["sentence"].encode()


def test_whatever_a_calculator_does_in_this_process_the_next_calculation_is_as_ever(tmp_path):
    refuse_what_is_not_as_expected(outcomes(tmp_path, "in-process", QUICK_HERE), QUICK_HERE)


def test_whatever_a_calculator_does_in_a_worker_the_next_calculation_is_as_ever(tmp_path):
    found = outcomes(tmp_path, "processes", SOME)
    refuse_what_is_not_as_expected(found, SOME)
    sentences = {name: bad["sentence"] for name, (bad, _) in found.items()}
    assert sentences["surrogate_text"] == "RuntimeError: caf\\udce9.dat"
    assert sentences["class_without_a_name"] == "NamelessError"
    assert sentences["text_raises"] == "StrRaisesError: (its text cannot be had: ValueError)"
    assert sentences["true"] == "Expected the energy as one real number in eV, found bool True."
    assert "expected one line with the token of this calculation, found '1.0 eV'" in sentences["writes_everywhere"]
    assert "changed the atoms: expected the 2 of 'one_atom_more-4', found Cu3" in sentences["one_atom_more"]


@pytest.mark.misbehaving
@pytest.mark.parametrize("executor", ["in-process", "processes", "dask"])
def test_every_way_in_every_place(tmp_path, capsys, executor):
    names = FINE_HERE if executor == "in-process" else list(WAYS)
    refuse_what_is_not_as_expected(outcomes(tmp_path, executor, names), names)
    with capsys.disabled():
        print(f"\n{executor}: {len(names)} of {len(WAYS)} ways, {len(names)} as expected, 0 processes left")  # noqa: T201


@pytest.mark.misbehaving
@pytest.mark.parametrize("name", sorted(ENDS - NOT_HERE))
def test_what_ends_a_campaign_in_its_own_process_leaves_nothing(tmp_path, name):
    run = Tagged([DRIVER, "in-process", name], tmp_path)
    try:
        run.process.wait(timeout=15)
    except subprocess.TimeoutExpired:  # it hangs, which only another process can end
        run.process.kill()
        run.process.wait()
    assert run.left() == []


def end_by(number, executor, folder):
    (folder / "ends.toml").write_text(CAMPAIGN.format(root=ROOT, executor=EXECUTORS[executor]))
    command = ["-c", "from hullscout.cli import main; main()", "run", "ends.toml", "--out", "out"]
    run = Tagged(command, folder)
    until = time.monotonic() + 120
    while (
        sum("oracle.work " in " ".join(process.cmdline()) for process in run.alive()) < 3
    ):  # watcher, worker and its daemon
        assert run.process.poll() is None, run.errors.read_text()
        assert time.monotonic() < until
        time.sleep(0.2)
    run.process.send_signal(number)
    code = run.process.wait(timeout=30)
    assert run.left() == []
    if number == signal.SIGKILL:
        assert code == -number
    else:
        said = run.errors.read_text()
        assert (code, "Traceback" in said) == (130, False), said
        assert "Interrupted. Every answer so far is kept; run the same command again to go on." in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_campaign_that_is_ended_takes_what_hangs_along(tmp_path, number):
    end_by(number, "processes", tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_from_outside_ends_a_calculation_in_this_process_and_the_campaign(tmp_path, number):
    campaign = CAMPAIGN.format(root=ROOT, executor='kind = "in-process"\nkeep_files = "kept"')
    (tmp_path / "ends.toml").write_text(campaign.replace("waits_for_a_daemon_that_holds_the_lock", "sleeps"))
    run = Tagged(["-c", "from hullscout.cli import main; main()", "run", "ends.toml", "--out", "out"], tmp_path)
    while not list(tmp_path.glob("out/kept/*/begun")):
        assert run.process.poll() is None, run.errors.read_text()
        time.sleep(0.1)
    run.process.send_signal(number)
    assert (run.process.wait(timeout=30), run.left()) == (130, [])
    assert "Interrupted. Every answer so far is kept" in run.errors.read_text()


def may_raise_limits():
    """Whether this user may raise limits that were lowered for good."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff")]
    return bool(int(line.split()[1], 16) & 1 << 24)  # CAP_SYS_RESOURCE


CLOSING = ("closes_everything", "opens_files_instead", "leads_everything_to_nothing")


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("leaves_a_thread_that_does_not_end", 0, "A calculator left the thread Thread-1 (sleep), Thread-"),
        (
            "leaves_work_for_the_end",
            0,
            "A calculator left work for the end of the process, which is not awaited. All else",
        ),
        (
            "leaves_an_audit",
            2,
            "What a calculator left behind in this process ended the command: RuntimeError: audited (",
        ),
        ("leaves_an_exit", 2, "What a calculator left behind in this process ended the command: SystemExit ("),
        *((how, 2, "A calculation closed files of this process that were not its own") for how in CLOSING),
        ("allows_few_files_for_good", 2, "this process that cannot be raised again: RLIMIT_NOFILE to 3. Nothing more"),
        (
            "allows_small_files_for_good",
            2,
            "this process that cannot be raised again: RLIMIT_FSIZE to 10. Nothing more",
        ),
    ],
)
def test_a_command_ends_in_a_sentence_whatever_a_calculator_left_in_its_process(tmp_path, how, code, said):
    if "for_good" in how and may_raise_limits():
        pytest.skip("this user may raise every limit again")
    with gzip.open(ROOT / "campaigns" / "cuau-emt" / "cuau-cells.extxyz.gz", "rt") as file:
        small = [frame for frame in frames_of(file.read()) if int(frame.split(maxsplit=1)[0]) <= 2]
    (tmp_path / "cells.extxyz").write_text("".join(small))
    campaign = CAMPAIGN.replace("{root}/campaigns/cuau-emt/cuau-cells.extxyz.gz", "cells.extxyz")
    campaign = campaign.format(executor='kind = "in-process"').replace("waits_for_a_daemon_that_holds_the_lock", how)
    (tmp_path / "ends.toml").write_text(campaign)
    path = os.pathsep.join([str(DRIVER.parent), *(path for path in sys.path if path)])
    done = subprocess.run(
        [sys.executable, "-c", "from hullscout.cli import main; main()", "run", "ends.toml", "--out", "out"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert (done.returncode, done.stderr.count(said), "Traceback" in done.stderr) == (code, 1, False), done.stderr
    assert (tmp_path / "out" / "result.json").exists() is (code == 0)


@pytest.mark.misbehaving
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda n: n.name)
def test_every_end_of_a_campaign_takes_what_hangs_along_wherever_it_runs(tmp_path, number, executor):
    end_by(number, executor, tmp_path)


def test_a_sentence_stands_on_one_line_however_many_blanks_it_holds():
    blanks = " " * 90_000
    assert Failed(reason=FailureReason.RAISED, sentence=f"a{blanks}b").sentence == f"a{blanks}b"
    assert Failed(reason=FailureReason.RAISED, sentence=f" a{blanks}\r\n \n  b\n").sentence == "a b"


@pytest.mark.parametrize(
    ("given", "number"),
    [
        (np.float32(1.5), 1.5),
        (np.array([2]), 2.0),
        (Fraction(1, 2), 0.5),
        (True, None),
        (np.bool_(1), None),
        ("1.0", None),
        (1 + 0j, None),
        (np.array([1.0, 1.0]), None),
        (np.ma.masked, None),
        (10**400, None),
        (None, None),
    ],
    ids=repr,
)
def test_an_energy_is_one_real_number(given, number):
    assert real_number(given) == number
    assert is_energy(given, 1) is (number is not None)


def test_only_the_end_of_an_output_is_read(tmp_path):
    output = tmp_path / "output.txt"
    with output.open("wb") as file:
        file.truncate(1 << 40)  # a file with a hole
        file.seek(0, os.SEEK_END)
        file.write(b"\nout of m\xe9mory\n\n")
    assert _last_line(output) == "out of m\\xe9mory"
    output.unlink()
    os.mkfifo(output)
    assert _last_line(output) == ""


@pytest.mark.parametrize(
    ("change", "found"),
    [({"energy_ev": True}, "True"), ({"energy_ev": 1}, "1"), ({"wall_s": "1"}, "'1'"), ({"energy_ev": 1e999}, "inf")],
)
def test_an_answer_with_a_value_of_another_kind_is_none(change, found):
    tree = {"energy_ev": 1.0, "relaxed": None, "note": "", "wall_s": 0.1}
    assert outcome_from_tree(tree).energy_ev == 1.0
    with pytest.raises(ValueError, match=f"expected .* found {found}"):
        outcome_from_tree({**tree, **change})
