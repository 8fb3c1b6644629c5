"""Damaged files are refused, or taken as what they state: a sample of what `fuzz.py` does on demand."""

import fuzz
import numpy as np
import pytest
from click.testing import CliRunner
from fuzz_mutations import mutate
from fuzz_readers import Seen
from stated import Contradiction

from hullscout.errors import HullscoutError

CASES = 50
N_BYTES = 400_000


@pytest.mark.parametrize(
    "name", ["extxyz", "json", "entries", "mp", "jarvis", "atat", "tell-csv", "campaign", "core-hours"]
)
def test_no_damage_is_taken_in_silence_or_ends_in_a_traceback(name):
    counts, faults = fuzz.fuzz(name, range(CASES))
    assert {case: verdict.said for case, verdict in faults.items()} == {}
    assert counts["refused"] > counts.total() // 5
    assert counts.total() == CASES


def test_the_corpus_is_small_and_of_every_format():
    sizes = {name: sum(map(len, sample.files.values())) for name, sample in fuzz.samples().items()}
    assert len(sizes) == 26
    assert sum(sizes.values()) < N_BYTES


def test_the_same_number_gives_the_same_damage():
    name = "tell-csv"
    sample = fuzz.samples()[name]
    assert fuzz.damaged(name, sample, 7) == fuzz.damaged(name, sample, 7)
    assert len({fuzz.damaged(name, sample, case)[0]["results.csv"] for case in range(30)}) > 20


def test_damage_is_done_to_one_file_or_two():
    sample = fuzz.samples()["vasprun"]
    for case in range(40):
        files, said = mutate(np.random.default_rng(case), sample.files)
        changed = [path for path in sample.files if files.get(path) != sample.files[path]]
        assert len(changed) <= 2
        assert any(path in said for path in [*changed, *sample.files])


class Made:
    """A reader that takes what it is told to, beside files that state what they are told to."""

    def __init__(self, takes, states, printed=""):
        self.takes, self.stated_, self.printed = takes, states, printed
        self.sound = Seen([("a", 1.0)], "as ever")

    def taken_of(self, folder, *, is_run):  # noqa: ARG002
        if isinstance(self.takes, Exception):
            raise self.takes
        return Seen(self.takes, self.printed)

    def states(self, files):  # noqa: ARG002
        if isinstance(self.stated_, Exception):
            raise self.stated_
        return self.stated_


@pytest.mark.parametrize(
    ("takes", "states", "printed", "end"),
    [
        (HullscoutError("expected a number"), [], "", "refused"),
        ([("a", 1.0)], Contradiction("two numbers"), "", "same"),
        ([("a", 2.0)], [("a", 2.0)], "", "plausible"),
        ([("a", 2.0)], [("a", 3.0)], "", "SILENT"),
        ([("a", 2.0)], Contradiction("two numbers"), "", "SILENT"),
        ([], Contradiction("two numbers"), "nothing new", "SILENT"),
        ([("a", 2.0)], Contradiction("two numbers"), "a states two energies", "said"),
        (KeyError("energy"), [], "", "traceback"),
        (MemoryError(), [], "", "hang"),
    ],
)
def test_every_end_is_told_from_the_others(tmp_path, takes, states, printed, end):
    assert fuzz.judge(Made(takes, states, printed), {}, tmp_path, case=0).end == end


def test_what_does_not_answer_is_a_hang_and_the_next_case_goes_on(monkeypatch):
    real = fuzz.judge

    def judge(made, files, folder, *, case):
        if case == 1:
            while True:
                pass
        return real(made, files, folder, case=case)

    monkeypatch.setattr(fuzz, "judge", judge)
    monkeypatch.setattr(fuzz, "TIME_S", 1.0)
    counts, faults = fuzz.fuzz("core-hours", range(3))
    assert list(faults) == [1]
    assert faults[1].said == "no answer in 1 s"
    assert counts.total() == 3


def test_a_fault_is_printed_with_how_to_see_it_again_and_is_the_exit_code(monkeypatch):
    monkeypatch.setattr(
        fuzz, "fuzz", lambda _name, cases: (fuzz.Counter({"SILENT": len(cases)}), {3: fuzz.Verdict("SILENT", "two")})
    )
    done = CliRunner().invoke(fuzz.run, ["--format", "core-hours", "--cases", "5"])
    assert done.exit_code == 1
    assert "SILENT: --format core-hours --case 3 (hours.csv: " in done.output
    monkeypatch.setattr(fuzz, "fuzz", lambda _name, cases: (fuzz.Counter({"refused": len(cases)}), {}))
    assert CliRunner().invoke(fuzz.run, ["--format", "core-hours"]).exit_code == 0
