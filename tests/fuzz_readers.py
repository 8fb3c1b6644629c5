"""What commands make of files of each kind: the readers that `fuzz.py` gives damaged files to."""

import shutil
import tomllib
import traceback
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import fuzz_stated
import numpy as np
from click.testing import CliRunner
from fuzz_corpus import CAMPAIGN, HANDOFF, outcar_frame, pool_frames
from stated import Contradiction, Stated, expect, number, table

from hullscout.campaign import Setup, Store, load_config, read_origin
from hullscout.cli import main
from hullscout.errors import HullscoutError
from hullscout.planning.core_hours import fit_power_law, read_times
from hullscout.pool.writing import format_frames


class Seen(NamedTuple):
    """What commands made of files: what was taken by id, and what they printed."""

    taken: dict
    printed: str


class Crash(Exception):  # noqa: N818  found, not raised at a user
    """A command ended by an exception that is none of ours."""


def command(*words):
    """A command's exit code and what it printed; a Crash where it would show a traceback."""
    done = CliRunner().invoke(main, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise Crash("".join(traceback.format_exception(done.exception)))
    return done.exit_code, done.output


def write_all(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    folder.joinpath("pool").mkdir(exist_ok=True)


class Files:
    """Files that are read where they stand: what is taken of the sound ones, and what these state."""

    def __init__(self, name, sample, folder):
        self.name, self.sample = name, sample
        write_all(folder, sample.files)
        self.sound = self.taken_of(folder, is_run=True)
        self.stated = self.states(sample.files)


class Pools(Files):
    """A format of pools, through `check` and `run`."""

    def states(self, files):
        return fuzz_stated.POOLS[self.name](files)

    def taken_of(self, folder, *, is_run):
        pool = folder / self.sample.target
        code, printed = command("check", pool, "--all")
        file = folder / "fuzz.toml"
        file.write_text(CAMPAIGN.format(path=self.sample.target, mixed=str(self.sample.is_mixed).lower()))
        setup = Setup(read_origin(file))
        lines = [*setup.pool.report.lines(), *map(str, setup.table.conflicts), *setup.frames.faults]
        taken = [(frame.id, stated_by(frame)) for frame in setup.frames.frames]
        same = hasattr(self, "sound") and not difference(self.sound.taken, taken)
        if is_run or not same:
            ran, shown = command("run", file, "--out", folder / "out")
            printed += shown
            if ran not in {0, 2}:
                raise Crash(f"exit code {ran}: {shown}")
            if ran == 2:
                raise HullscoutError(shown)
        return Seen(taken, "\n".join([f"check ended with {code}", printed, *lines]))


def stated_by(frame):
    """What a frame of ours says."""
    try:
        fractions = frame.positions @ np.linalg.inv(frame.cell)
    except np.linalg.LinAlgError:
        fractions = frame.positions
    return Stated(tuple(frame.numbers.tolist()), frame.cell, fractions, frame.energy_ev)


def difference(one, other):
    """The ids in which two lists of structures differ, each with how."""
    left = [(name.split("#")[0], stated) for name, stated in other]
    found = []
    for name, stated in one:
        plain = name.split("#")[0]
        named = [pair for pair in left if pair[0] == plain]
        same = next((pair for pair in named if not stated.differs(pair[1])), None)
        if same is not None:
            left = [pair for pair in left if pair is not same]
        else:
            how = stated.differs(named[0][1]) if named else "in one of them only"
            found.append((plain, how))
    return found + [(name, "in one of them only") for name, _ in left if name not in dict(found)]


class Tells:
    """Results of a kind, through `tell`."""

    def __init__(self, name, sample, folder):
        self.name, self.sample, self.campaign = name, sample, folder / "handoff"
        frames = pool_frames()
        if name == "tell-OUTCAR":
            frames = (*frames, outcar_frame())
        asked_for = [replace(frame, energy_ev=None) for frame in frames]
        (folder / "pool.extxyz").write_bytes(format_frames(asked_for))
        (folder / "fuzz.toml").write_text(HANDOFF)
        ends = "".join(f"{frame.id},{frame.energy_ev!r}\n" for frame in frames[:2])
        (folder / "ends.csv").write_text(f"id,energy_ev\n{ends}")
        asked = ("ask", self.campaign, "-n", len(frames), "--to", folder / "outbox")
        for words in (
            ("run", folder / "fuzz.toml", "--out", self.campaign),
            asked,
            ("tell", self.campaign, folder / "ends.csv"),
            asked,
        ):
            code, shown = command(*words)
            assert code == 0, shown
        self.known = dict.fromkeys(frame.id for frame in frames[:2])
        write_all(folder, sample.files)
        self.sound = self.taken_of(folder, is_run=False)
        self.stated = self.states(sample.files)

    def states(self, files):
        # A reason is words: whether it failed is what is compared.
        told = dict(fuzz_stated.told(files))
        return [_answer(name, energy) for name, energy in told.items() if name not in self.known]

    def taken_of(self, folder, *, is_run):  # noqa: ARG002  tell is quick
        out = folder / "told"
        shutil.copytree(self.campaign, out)
        code, printed = command("tell", out, folder / self.sample.target)
        with Store.read(out) as store:
            answers, failures = store.answers(), store.failures()
        all_taken = {**answers, **dict.fromkeys(failures)}
        taken = [_answer(name, energy) for name, energy in all_taken.items() if name not in self.known]
        if code == 2 and not taken:
            raise HullscoutError(printed)
        return Seen(taken, printed)


def _answer(name, energy):
    return name, Stated((), np.eye(3), np.zeros((0, 3)), energy)


class CampaignFiles(Files):
    """Campaign files, as they are read; they run where that takes no time."""

    def states(self, files):
        try:
            tree = tomllib.loads(files["campaign.toml"].decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, KeyError) as error:
            raise Contradiction(f"no TOML: {error}") from error
        return sorted(_leaves(tree))

    def taken_of(self, folder, *, is_run):
        file = folder / "campaign.toml"
        config = load_config(file)
        kept = dict(_leaves(config.model_dump(mode="json")))
        with suppress(Contradiction):
            kept = {
                key: value
                for key, value in kept.items()
                if key in dict(self.states({"campaign.toml": file.read_bytes()}))
            }
        if is_run or kept != dict(self.sound.taken):
            code, shown = command("run", file, "--out", folder / "out")
            if code == 2:
                raise HullscoutError(shown)
        return Seen(sorted(kept.items()), "")


def _leaves(tree, prefix=""):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", repr(float(value)) if isinstance(value, int | float) else repr(value)


class CoreHours(Files):
    """Tables of measured times, as `plan` reads them."""

    def states(self, files):
        try:
            rows = table(files["hours.csv"])
        except Exception as error:
            raise Contradiction(f"no table: {error}") from error
        expect(
            rows and {"atoms", "core_hours"} <= set(rows[0]) <= {"atoms", "core_hours", "host"} | {*rows[0]}, "columns"
        )
        pairs = [(number(row["atoms"]), number(row["core_hours"])) for row in rows]
        return [(str(place), pair) for place, pair in enumerate(pairs)]

    def taken_of(self, folder, *, is_run):  # noqa: ARG002
        times = read_times(folder / "hours.csv")
        fit_power_law(times)
        pairs = zip(times.n_atoms.tolist(), times.hours.tolist(), strict=True)
        return Seen([(str(place), pair) for place, pair in enumerate(pairs)], "")


def harness(name, sample, folder):
    """What takes the samples of a format."""
    kinds = {"campaign": CampaignFiles, "core-hours": CoreHours}
    kind = kinds.get(name, Tells if name.startswith("tell-") else Pools)
    made = kind(name, sample, folder)
    apart = differing(made, made.sound.taken, made.stated)
    assert not apart, f"{name}: what is read of the sound file is not what it states: {apart}"
    return made


def differing(made, one, other):
    if isinstance(made, Pools | Tells):
        return difference(one, other)
    return [(str(pair[0]), "another value") for pair in set(one) ^ set(other)]
