"""Ask, tell, fail, retry, kill, resume, add and other settings in any order: a campaign always is what a simple model says.

The model is a dictionary of energies, one of failures, and what was handed out. What is asked for is held against a campaign in
memory that is never interrupted. A kill leaves the files as they are before or after one of the commits of a call, or before the
database goes to rest; killed processes are those of `test_every_write.py` and `test_chaos.py`.
"""

import gzip
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from unittest import mock
from zlib import crc32

import pytest
from ase import Atoms
from click.testing import CliRunner
from conftest import ROOT
from frames import frames_of
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from hullscout import Campaign
from hullscout.campaign import Setup, Store, create, read_origin
from hullscout.campaign.database import DatabaseStore
from hullscout.campaign.founding import KnownAnswer
from hullscout.cli import main
from hullscout.errors import InvalidSettingError, OracleError, ProtocolError, StoreError
from hullscout.oracle import Failed, FailureReason

N_LONG = int(os.environ.get("HULLSCOUT_EXAMPLES", "250"))
IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  a folder of its own in it
CAMPAIGN = """
name = "any order"
elements = ["Cu", "Au"]
seed = 3

[pool]
path = "cells.extxyz"

[select]
rule = "{rule}"

[oracle]
kind = "handoff"
"""
ADDED = [
    Atoms(symbols, [[0, 0, 0], [0, 0, 2.0 + size]], cell=[4 + size, 4, 4 + size], pbc=True, info={"id": f"more-{size}"})
    for size, symbols in enumerate(("CuAu", "Cu2", "CuAu", "Au2"), start=1)
]
SETTINGS = ("seed=4", "select.rule=greedy")
LIMITS = ("stop.max_calculations=3", "stop.max_calculations=6", "stop.hull_tolerance=0.1")
picks = st.integers(0, 30)
kills = st.none() | st.integers(0, 6)


class KilledError(BaseException):
    """A process ends here."""


class AnyOrder(RuleBasedStateMachine):
    """A hand-off campaign that is driven from Python."""

    @initialize(select=st.sampled_from(["random", "threshold", "hull-threshold"]))
    def begin(self, select):
        self.home = Path(tempfile.mkdtemp(prefix="hullscout-", dir=IN_MEMORY))
        with gzip.open(ROOT / "campaigns" / "cuau-emt" / "cuau-cells.extxyz.gz", "rt") as file:
            frames = [frame for frame in frames_of(file.read()) if int(frame.split(maxsplit=1)[0]) <= 3]
        (self.home / "cells.extxyz").write_text("".join(frames[:8]))
        self.file = self.home / "c.toml"
        self.file.write_text(CAMPAIGN.format(rule=select))
        self.n_lives = 0
        self.folder = self.home / "life0"
        self.campaign = Campaign.create(self.file, self.folder)
        self.ids = list(self.campaign.pool.ids)
        self.energies, self.failures, self.unasked, self.limit = {}, {}, {}, None
        self.handed, self.started, self.tried_in_vain = set(), set(), set()
        self.remember(())
        self.ask(2, None)

    @contextmanager
    def life(self, kill):
        """A call that may be killed at one of its commits; the campaign is opened again where that left it."""
        self.n_commits, self.is_killed, points = 0, False, count()
        write, close, following = DatabaseStore._write, Store.close, self.home / f"life{self.n_lives + 1}"

        def point():
            if not self.is_killed and next(points) == kill:
                shutil.copytree(self.folder, following)
                self.is_killed = True
                raise KilledError

        def write_counted(store, *statements):
            point()
            write(store, *statements)
            self.n_commits += 1
            point()

        def close_late(store):
            try:
                if store._lock is not None:
                    point()
            finally:
                close(store)

        with (
            mock.patch.object(DatabaseStore, "_write", write_counted),
            mock.patch.object(Store, "close", close_late),
            suppress(KilledError),
        ):
            yield
        if self.is_killed:
            self.n_lives += 1
            self.folder = following
            self.campaign = Campaign(following)

    def remember(self, decisions):
        """Begin the campaign in memory anew, where something was taken back or added."""
        setup = Setup.read(self.folder)
        given = dict.fromkeys(self.unasked, "told")
        known = {"energies_ev": self.energies, "given": given, "given_after": self.unasked}
        ledger = setup.ledger(decisions=decisions, failures=self.failures, **known)
        self.shadow = setup.engine(ledger)

    def is_refused(self, call, *arguments, said, error=ProtocolError):
        """See that a call is refused by a sentence and changes nothing."""
        before = self.content()
        with pytest.raises(error, match=rf"(?s)(?:{said}).*[.?]$"):
            call(*arguments)
        assert self.content() == before

    def content(self):
        with Store.read(self.folder) as store:
            return (
                store.origin(),
                store.answers(),
                store.failures(),
                store.attempts(),
                store.n_rounds,
                store.n_additions,
            )

    def is_kept(self, needed):
        """Whether a call that takes so many commits left all that it should."""
        assert self.n_commits <= needed
        assert self.is_killed or self.n_commits == needed
        return self.n_commits == needed

    @rule(n=st.integers(1, 4), kill=kills)
    def ask(self, n, kill):
        ledger, before, refused = self.shadow.ledger, len(self.shadow.ledger.decisions), None
        fresh = [one for one in ledger.pending if one not in self.handed]
        try:
            while len(fresh) < n and (asked := self.shadow.ask_ahead(n - len(fresh))):
                fresh.extend(asked)
        except OracleError as error:
            refused = str(error)
        if self.shadow.stop is not None and not ledger.known.has_hull:
            refused = self.shadow.stop.sentence  # an end without a result
        given = None
        with self.life(kill):
            try:
                given = [one.id for one in self.campaign.ask(n)]
            except OracleError as error:
                assert refused
                assert str(error).startswith(refused)  # noqa: PT017
        n_decided = min(self.n_commits, len(ledger.decisions) - before)
        started = fresh[:n][: self.n_commits - n_decided]
        self.started |= set(started)
        self.handed |= set(started)
        if self.is_killed or refused:
            self.remember(ledger.decisions[: before + n_decided])
        else:
            assert given == started == fresh[:n]
            if self.shadow.stop is not None:
                assert self.campaign.result.n_calculations == len(self.energies) - len(self.unasked)
                assert self.campaign.result.stop_sentence == self.shadow.stop.sentence
                self.remember(ledger.decisions)

    @rule(kill=kills)
    def ask_again(self, kill):
        awaited = self.awaited()
        with self.life(kill):
            assert tuple(one.id for one in self.campaign.ask(again=True)) == awaited
        assert self.is_kept(0)

    @rule(n=st.integers(1, 4))
    def answer_and_ask(self, n):
        for one in self.awaited():
            self.tell_one(one, None)
        self.ask(n, None)

    @rule(pick=picks, kill=kills)
    def tell(self, pick, kill):
        self.tell_one(self.picked(pick), kill)

    def tell_one(self, one, kill):
        energy = self.energies.get(one, crc32(one.encode()) % 1000 / 500 - 1)
        if not self.shadow.ledger.is_asked(one):
            with self.life(kill):
                self.campaign.tell(one, energy)
            if self.is_kept(int(one not in self.energies)) and one not in self.energies:
                self.energies[one] = energy
                self.unasked[one] = len(self.shadow.ledger.decisions)
                self.shadow.ledger.know(one, KnownAnswer(energy_ev=energy, source="told"))
            return
        with self.life(kill):
            self.campaign.tell(one, energy)
        if self.is_taken(one) and one not in self.energies:
            self.energies[one] = energy
            self.failures.pop(one, None)
            self.shadow.tell(one, energy)

    @rule(pick=picks, kill=kills)
    def fail(self, pick, kill):
        one = self.picked(pick)
        if not self.shadow.ledger.is_asked(one) or one in self.energies:
            self.is_refused(
                self.campaign.tell_failure, one, "no licence", said="was never asked for|The energy is kept"
            )
            return
        with self.life(kill):
            self.campaign.tell_failure(one, f"no licence, {self.n_lives}")
        if self.is_taken(one) and one not in self.failures:
            failed = Failed(reason=FailureReason.REPORTED, sentence=f"no licence, {self.n_lives - self.is_killed}")
            self.failures[one] = failed
            self.tried_in_vain.add(one)
            self.shadow.tell_failure(one, failed)

    def is_taken(self, one):
        """Whether what was told of a candidate is kept; what was never handed out is kept as started before."""
        if one in self.energies or one in self.failures:
            is_late = one in self.failures and self.n_commits
            return self.is_kept(0) if not is_late else self.is_kept(1)
        is_new = one not in self.started
        if is_new and self.n_commits:
            self.started.add(one)
            self.handed.add(one)
        return self.is_kept(1 + is_new)

    @rule(kill=kills)
    def retry(self, kill):
        with self.life(kill):
            limits = [] if self.limit is None else [self.limit]
            create(Setup(read_origin(self.file, limits)), self.folder, retry_failed=True)
        is_something = bool(self.failures or self.tried_in_vain)
        if self.is_kept(int(is_something)) and is_something:
            self.handed -= self.tried_in_vain
            self.failures.clear()
            self.tried_in_vain.clear()
            self.remember(self.shadow.ledger.decisions)

    @rule(limit=st.sampled_from(LIMITS), kill=kills)
    def change(self, limit, kill):
        is_other = limit != self.limit
        with self.life(kill):
            self.campaign = Campaign.create(self.file, self.folder, settings=[limit])
        if self.is_kept(int(is_other)) and is_other:
            self.limit = limit
            self.remember(self.shadow.ledger.decisions)

    @rule()
    def resume(self):
        self.campaign = Campaign(self.folder)

    @rule(what=st.sampled_from(["contradict", "other id", "no number", "no type", *SETTINGS]), pick=picks)
    def be_refused(self, what, pick):
        one, tell = self.picked(pick), self.campaign.tell
        if what in SETTINGS and not self.energies:
            return  # it is made anew, see `test_resuming.py`
        if what in SETTINGS:
            self.is_refused(
                lambda: Campaign.create(self.file, self.folder, settings=[what]),
                said="other settings",
                error=StoreError,
            )
        elif what == "contradict" and self.energies:
            one = sorted(self.energies)[pick % len(self.energies)]
            self.is_refused(tell, one, self.energies[one] + 1, said="was told as .* before")
        elif what == "other id":
            self.is_refused(tell, "another one", -1.0, said="is no candidate of this pool; is it another campaign's")
        elif what == "no number":
            self.is_refused(tell, one, float("nan"), said="Expected a finite energy")
        elif what == "no type":
            self.is_refused(lambda: tell(one, True), said="as a number in eV", error=InvalidSettingError)  # noqa: FBT003

    @rule(place=st.integers(0, len(ADDED) - 1), kill=kills)
    def add(self, place, kill):
        given = ADDED[place : place + 2]
        new = [atoms.info["id"] for atoms in given if atoms.info["id"] not in self.ids]
        with self.life(kill):
            assert list(self.campaign.add(given).ids) == new
        if self.is_kept(int(bool(new))) and new:
            self.ids += new
            self.campaign = Campaign(self.folder)
            self.remember(self.shadow.ledger.decisions)

    def picked(self, pick):
        """A candidate; mostly one that was asked for."""
        asked = [one for one in self.ids if self.shadow.ledger.is_asked(one)]
        some = asked if asked and pick % 5 else self.ids
        return some[pick % len(some)]

    def awaited(self):
        return tuple(one for one in self.shadow.ledger.pending if one in self.handed)

    @invariant()
    def all_is_as_the_model_says(self):
        if not hasattr(self, "shadow"):
            return
        with Store.read(self.folder) as store:
            assert store.answers() == self.energies
            assert store.failures() == self.failures
            assert store.decisions({one: place for place, one in enumerate(self.ids)}) == self.shadow.ledger.decisions
        assert list(self.campaign.pool.ids) == self.ids
        assert self.campaign.pending == self.awaited()
        asked = [index for decision in self.shadow.ledger.decisions for index in decision.chosen]
        assert len(asked) == len(set(asked))

    def teardown(self):
        if not hasattr(self, "home"):
            return
        try:
            said = CliRunner().invoke(main, ["status", str(self.folder)], catch_exceptions=False).output
            n_asked, n = len(self.energies) - len(self.unasked), len(self.ids) - len(self.unasked)
            assert f"{n_asked} of {n} candidates calculated" in " ".join(said.split())
            assert f"{len(self.awaited())} asked for and not yet answered" in " ".join(said.split())
        finally:
            shutil.rmtree(self.home)


def driven(n_examples, n_steps, **how):
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    how |= {"deadline": None, "suppress_health_check": checks, "database": None}
    run_state_machine_as_test(AnyOrder, settings=settings(max_examples=n_examples, stateful_step_count=n_steps, **how))


def test_a_campaign_is_what_was_done_to_it():
    driven(12, 20, derandomize=True)


@pytest.mark.chaos
def test_a_campaign_is_what_was_done_to_it_however_long():
    driven(N_LONG, 50)
