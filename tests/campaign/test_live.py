"""A live campaign ends in the hull of its calculator wherever that runs; what is paid for is kept, what fails is shown."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from kept import result_of, rows

from hullscout import campaign
from hullscout.campaign.store import Store
from hullscout.errors import OracleError


def with_settings(settings):
    return [word for setting in settings for word in ("--set", setting)]


@pytest.fixture
def run(hullscout):
    def run_with(live_file, out, *settings):
        return hullscout("run", live_file, "--out", out, *with_settings(settings))

    return run_with


def emt_energies(live_file):
    from ase.calculators.emt import EMT
    from ase.io import read

    energies = {}
    for atoms in read(live_file.with_name("cells.extxyz"), ":"):
        atoms.calc = EMT()
        energies[atoms.info["id"]] = atoms.get_potential_energy()
    return energies


EXECUTORS = {
    "in-process": [],
    "processes": ["executor.kind=processes", "executor.workers=2"],
    "rounds": ["executor.kind=processes", "executor.workers=2", "executor.flow=rounds"],
    "custom": [
        "executor.kind=custom",
        "executor.path=concurrent.futures.ThreadPoolExecutor",
        "executor.options={max_workers = 2}",
        "executor.workers=2",
    ],
    "dask": ["executor.kind=dask", "executor.workers=1"],
}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_every_executor_gives_the_energies_of_the_calculator_each_computed_once(run, live_file, tmp_path, executor):
    out = tmp_path / "out"
    if executor == "dask":
        pytest.importorskip("distributed")
    code, text = run(live_file, out, *EXECUTORS[executor])
    assert code == 0, text
    answers = dict(rows(out, "SELECT id, energy_ev FROM answers"))
    assert answers == pytest.approx(emt_energies(live_file), abs=1e-12)
    assert rows(out, "SELECT id, attempt FROM attempts ORDER BY id") == [(i, 1) for i in sorted(answers)]
    assert rows(out, "SELECT count(*) FROM attempts WHERE wall_s > 0 AND ended >= began") == [(len(answers),)]
    tree = json.loads((out / "result.json").read_text())
    assert (tree["n_calculations"], tree["failed"], "reference" in tree) == (10, [], False)
    assert set(tree["timings_s"]) == {"features", "calculations", "total"}
    assert "of worker time" in text


def test_where_calculations_run_may_change_when_a_campaign_is_resumed(run, live_file, tmp_path):
    out = tmp_path / "out"
    run(live_file, out)
    before = result_of(out)
    assert run(live_file, out, *EXECUTORS["processes"])[0] == 0
    assert result_of(out) == before
    code, text = run(live_file, out, "oracle.relax=cell")
    assert (code, "oracle.relax: 'none' before, 'cell-and-positions' now" in text) == (2, True)


def test_whole_rounds_are_as_large_as_there_are_workers_unless_a_batch_is_named(live_file):
    def batch(*settings):
        return campaign.Setup(campaign.read_origin(live_file, ["select.rule=hull-posterior", *settings])).rule.batch

    rounds = ["executor.kind=processes", "executor.workers=3", "executor.flow=rounds"]
    assert batch(*rounds) == 3
    assert batch(*rounds, "select.batch=2") == 2
    assert batch(*rounds[:2]) is None, "a free worker gets the next structure at once"


class Killed(BaseException):
    """Stands for the end of the process: nothing in the package may catch it but the command itself, which says it."""


@pytest.mark.parametrize(("flow", "survived"), [("in-process", 0), ("in-process", 7), ("processes", 5)])
def test_a_live_campaign_cut_after_any_commit_resumes_to_the_same_result(
    run, live_file, tmp_path, monkeypatch, survived, flow
):
    settings = [f"executor.kind={flow}", "select.rule=hull-posterior", "select.n_start=2"]
    settings += ["select.samples=200", "select.batch=2", "stop.failure_probability=0.001"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run(live_file, whole, *settings)[0] == 0
    save, saved = Store.save_answer, []

    def save_and_die(self, candidate_id, answer, *, attempt):
        if len(saved) == survived:
            raise Killed(candidate_id)
        save(self, candidate_id, answer, attempt=attempt)
        saved.append(candidate_id)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "save_answer", save_and_die)
        patch.chdir(tmp_path)  # where it says what was not foreseen
        code, said = run(live_file, cut, *settings)
    assert code in {2, 70}
    assert "Killed: fcc-" in " ".join([said, *(file.read_text() for file in tmp_path.glob("hullscout-error*"))])
    assert rows(cut, "SELECT count(*) FROM answers") == [(survived,)]
    assert run(live_file, cut, *settings)[0] == 0
    assert result_of(cut) == result_of(whole)
    assert rows(cut, "SELECT record FROM rounds") == rows(whole, "SELECT record FROM rounds")
    assert not set(saved) & {i for (i,) in rows(cut, "SELECT id FROM attempts WHERE attempt > 1")}


FAULTS = {
    "hangs past its limit": (
        "Hangs",
        ["executor.time_limit_s=3.0", "executor.retries=0"],
        "timed-out",
        "longer than the limit of 3 s",
        1,
    ),
    "NaN": ("NotANumber", [], "not-finite", "The energy is nan eV.", 1),
    "worker killed": ("Dies", [], "worker-died", "ended by SIGKILL; it said last: out of memory", 2),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_fails_is_tried_again_if_that_may_help_then_shown_and_never_taken_as_high(
    run, hullscout, live_file, tmp_path, fault
):
    name, settings, reason, sentence, n_tries = FAULTS[fault]
    out = tmp_path / "out"
    code, text = run(
        live_file,
        out,
        "oracle.calculator=faulty_calculators.WithoutGold",
        f"oracle.arguments={{fault = '{name}'}}",
        "executor.kind=processes",
        "executor.workers=2",
        "stop.max_calculations=4",
        *settings,
    )
    assert code == 0, text
    result = result_of(out)
    assert [(failed["reason"], sentence in failed["sentence"]) for failed in result["failed"]] == [(reason, True)] * 2
    assert result["n_calculations"] == 2
    assert result["saved_fraction"] == pytest.approx(0.6)
    tries = rows(out, "SELECT count(*) FROM attempts WHERE reason IS NOT NULL GROUP BY id")
    assert tries == [(n_tries,)] * 2
    for shown in (text, hullscout("status", out)[1]):
        assert f"({reason}): " in shown
        assert sentence in shown


def test_a_failed_pure_element_is_a_clear_end_and_can_be_tried_again(run, hullscout, live_file, tmp_path):
    out, mend = tmp_path / "out", tmp_path / "mended"
    settings = [
        "oracle.calculator=faulty_calculators.WithoutGold",
        f"oracle.arguments={{fault = 'Raises', pure = true, mend = '{mend}'}}",
    ]
    for _ in range(2):
        code, text = run(live_file, out, *settings)
        assert code == 2
        assert "There is no hull: the calculation of every structure of pure Au failed." in text
        assert "(raised): RuntimeError: no licence" in text
        assert "--retry-failed" in text
    assert not (out / "result.json").exists()
    mend.touch()
    code, text = hullscout("run", live_file, "--out", out, "--retry-failed", *with_settings(settings))
    assert code == 0, text
    assert result_of(out)["n_calculations"] == 10
    assert rows(out, "SELECT attempt, is_forgiven FROM attempts WHERE id = 'fcc-B1-0001'") == [(1, 1), (2, 1), (3, 0)]


def start(live_file, out, *settings):
    code = "from hullscout.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "run", str(live_file), "--out", str(out), *with_settings(settings)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )


def await_answers(out, n, process):
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if rows(out, "SELECT count(*) FROM answers")[0][0] >= n:
                return
        except sqlite3.OperationalError:
            pass
        time.sleep(0.01)


def test_a_killed_process_takes_its_workers_along_and_computes_nothing_again(run, live_file, tmp_path):
    out, log = tmp_path / "out", tmp_path / "log"
    settings = [
        "oracle.calculator=faulty_calculators.Logged",
        f"oracle.arguments={{log = '{log}', seconds = 0.2}}",
        *EXECUTORS["processes"],
    ]
    process = start(live_file, out, *settings)
    await_answers(out, 3, process)
    code, text = run(live_file, out, *settings)
    assert (code, "Another process is running the campaign" in text) == (2, True)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    kept = dict(rows(out, "SELECT id, energy_ev FROM answers"))
    time.sleep(0.4)
    n_logged = len(log.read_text().splitlines())
    time.sleep(0.4)
    assert len(log.read_text().splitlines()) == n_logged <= len(kept) + 2
    assert run(live_file, out, *settings)[0] == 0
    again = {i for i, attempt in rows(out, "SELECT id, attempt FROM attempts") if attempt > 1}
    assert kept
    assert not again & kept.keys()
    assert dict(rows(out, "SELECT id, energy_ev FROM answers")) == pytest.approx(emt_energies(live_file), abs=1e-12)


def test_workers_that_cannot_make_the_calculator_are_refused_before_any_cost(run, live_file, tmp_path):
    code, text = run(live_file, tmp_path / "out", "oracle.calculator=nonsense", "executor.kind=processes")
    assert code == 2
    assert "oracle.calculator: expected a name that ASE knows" in text
    assert rows(tmp_path / "out", "SELECT count(*) FROM attempts") == [(0,)]


def test_an_executor_that_breaks_loses_no_answer_that_came_before(run, live_file, tmp_path):
    settings = ["executor.kind=custom", "executor.path=broken_executor.BreaksAfterFour"]
    setup = campaign.Setup(campaign.read_origin(live_file, settings))
    with pytest.raises(
        OracleError, match=r"The executor is gone \(BrokenExecutor: node lost\).*run the same command again"
    ):
        campaign.run(setup, tmp_path / "out")
    assert rows(tmp_path / "out", "SELECT count(*) FROM answers") == [(4,)]
    assert run(live_file, tmp_path / "out")[0] == 0


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("oracle.kind=dft", "oracle.kind: expected one of 'table', 'calculator', 'function', 'handoff', found 'dft'."),
        (
            "executor.kind=slurm",
            "executor.kind: expected one of 'in-process', 'processes', 'dask', 'custom', found 'slurm'.",
        ),
        ("oracle.calculator=a b", "oracle.calculator: String should match pattern"),
        (
            "oracle.relaxation=cell",
            "oracle.relaxation: unknown key. Allowed here: kind, use_known, calculator, arguments, relax",
        ),
        ("oracle.arguments={x = nan}", "oracle.arguments: expected finite numbers, strings, booleans"),
        ("executor.time_limit_s=5", "executor.time_limit_s: unknown key. Allowed here: kind, retries, keep_files."),
        ("oracle.fmax=0", "oracle.fmax: expected greater than 0, found 0"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(run, live_file, tmp_path, setting, message):
    code, text = run(live_file, tmp_path / "out", setting)
    assert code == 2
    assert message in text
    assert not (tmp_path / "out").exists()
