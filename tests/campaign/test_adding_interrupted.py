"""Adding that is cut off, by a kill or by what fails, leaves all of what was added or nothing."""

import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT
from kept import rows
from played import play

from hullscout.campaign import Setup, Store, growth
from hullscout.errors import StoreError

KILLED = """
import sqlite3, sys, time
from hullscout.campaign import growth
from hullscout.campaign.store import Store
write = Store._write
def slow(self, *statements):
    print("about to commit", flush=True)
    time.sleep(float(sys.argv[3]))
    write(self, *statements)
    print("committed", flush=True)
    time.sleep(60)
Store._write = slow
from pathlib import Path
growth.add_file(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("at", ["about to commit", "committed"])
def test_a_kill_at_any_moment_leaves_all_of_it_or_nothing(halves, tmp_path, at):
    campaign_file, more = halves
    out = tmp_path / "out"
    play(campaign_file, out, until=18)
    answers = rows(out, "SELECT * FROM answers")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    wait = "60" if at == "about to commit" else "0"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(out), str(more), wait], stdout=subprocess.PIPE, text=True, env=environment
    )
    deadline = time.monotonic() + 120
    while process.stdout.readline().strip() != at and time.monotonic() < deadline:
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert rows(out, "SELECT * FROM answers") == answers
    n_kept = len(Setup.read(out).origin.additions)
    assert n_kept == (at == "committed")
    assert len(growth.add_file(out, more).ids) == (0 if n_kept else 57 - len(Setup.read(out).pools[0]))
    assert play(campaign_file, out)[0].n_candidates == 57


def test_a_transaction_that_breaks_off_adds_nothing(halves, tmp_path, monkeypatch):
    campaign_file, more = halves
    out = tmp_path / "out"
    play(campaign_file, out, until=18)
    write = Store._write
    monkeypatch.setattr(Store, "_write", lambda self, *all_of_it: write(self, *all_of_it, ("INSERT INTO nonsense", ())))
    with pytest.raises(StoreError, match="could not be written"):
        growth.add_file(out, more)
    monkeypatch.undo()
    assert rows(out, "SELECT * FROM additions") == []
    assert Setup.read(out).origin.additions == ()
