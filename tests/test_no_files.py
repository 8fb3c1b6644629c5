"""What stands in the place of a file of ours and is none, or has no end: a sentence with the file, at once, in little memory."""

import gzip
import os
import resource
import shutil
import signal
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import CAMPAIGN

SECONDS, BYTES = 60, 1024**3
THINGS = {
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": lambda path: path.mkdir(),
    "five gigabytes of nothing": lambda path: _sparse(path, 5 * 1024**3),
    "a gzip bomb": lambda path: path.write_bytes(gzip.compress(bytes(200 * 1024**2), compresslevel=1)),
    "latin-1": lambda path: path.write_bytes('name = "Kr\xe4uter"\n{"a": "\xfc"}'.encode("latin-1")),
    "a link loop": lambda path: path.symlink_to(path.name),
    "a link out": lambda path: path.symlink_to("/etc/passwd"),
    "deep brackets": lambda path: path.write_bytes(b"x = " + b"[" * 200_000),
    "digits": lambda path: path.write_bytes(b"x = " + b"9" * 100_000),
}
FILES = {
    "campaign.toml": [("run small.toml", "small.toml"), ("plan small.toml --replicates 1", "small.toml")],
    "result.json": [("status got", "got/result.json"), ("report got -o x.html", "got/result.json")],
    "campaign.db": [("status got", "got/campaign.db"), ("run small.toml --out got", "got/campaign.db"),
                    ("salvage got -o other", "got/campaign.db")],
    "log": [("status got", "got/campaign.db-wal"), ("run small.toml --out got", "got/campaign.db-wal")],
    "journal": [("status got", "got/campaign.db-journal"), ("run small.toml --out got", "got/campaign.db-journal")],
    "lock": [("run small.toml --out got", "got/campaign.lock")],
    "reserve": [("run small.toml --out got", "got/.campaign.reserve")],
    "plan.db": [("plan small.toml --replicates 1 --out got2", "got2/plan.db")],
    "plan.lock": [("plan small.toml --replicates 1 --out got2", "got2/plan.lock")],
    "manifest.json": [("tell asked out/Ag", "out/Ag/manifest.json"), ("ask asked --again --to out", "out/Ag/manifest.json")],
    "vasprun.xml": [("tell asked out/Ag", "out/Ag/vasprun.xml")],
    "pool": [("check pool.extxyz", "pool.extxyz"), ("run small.toml", "pool.extxyz")],
    "FAILED": [("tell asked out/Ag", "out/Ag/FAILED")],
    "table": [("tell asked told.csv", "told.csv")],
}  # fmt: skip
ENDLESS = {"a pipe", "a device", "a folder", "a link loop", "a link out"}
TAKEN = {  # what is no fault there
    "log": set(THINGS) - ENDLESS,
    "journal": set(THINGS) - ENDLESS,
    "lock": set(THINGS) - ENDLESS,
    "plan.lock": set(THINGS) - ENDLESS,
    "reserve": set(THINGS),  # made anew
    "FAILED": set(THINGS) - ENDLESS,  # the first words count
    "manifest.json": {"a folder"},  # then the name of the folder tells
}


def _sparse(path, size):
    with path.open("wb") as stream:
        stream.truncate(size)


@contextmanager
def bounded():
    """An end of what hangs, and of what takes memory without end."""

    def late(*_):
        raise AssertionError("it hangs")

    before, (soft, hard) = signal.signal(signal.SIGALRM, late), resource.getrlimit(resource.RLIMIT_AS)
    there = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (there + BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def made(tmp_path_factory, small_pool, hullscout):
    """A finished campaign, a hand-off that asked for all of the first round, and an empty folder of a plan."""
    place = tmp_path_factory.mktemp("made")
    (place / "pool.extxyz").write_text(small_pool)
    (place / "small.toml").write_text(
        CAMPAIGN.replace('rule = "threshold"', 'rule = "random"') + "[stop]\nmax_calculations = 8\n"
    )
    before = Path.cwd()
    os.chdir(place)
    try:
        assert hullscout("run", "small.toml", "--out", "got")[0] == 0
        asked = ("--set", "oracle.kind=handoff", "--set", "oracle.use_known=false", "--out", "asked")
        assert hullscout("run", "small.toml", *asked)[0] == 0
        assert hullscout("ask", "asked", "-n", "1", "--to", "out")[0] == 0
    finally:
        os.chdir(before)
    (place / "out" / "Ag" / "FAILED").write_text("It did not converge.")
    (place / "got2").mkdir()
    return place


@pytest.mark.parametrize("thing", list(THINGS))
@pytest.mark.parametrize("kind", list(FILES))
def test_what_is_no_file_is_told_with_its_name(kind, thing, made, tmp_path, monkeypatch, hullscout):
    for number, (command, name) in enumerate(FILES[kind]):
        place = tmp_path / str(number)
        shutil.copytree(made, place)
        monkeypatch.chdir(place)
        path = place / name
        path.unlink(missing_ok=True)
        if kind == "vasprun.xml":
            (place / "out" / "Ag" / "FAILED").unlink()
        THINGS[thing](path)
        with bounded():
            code, output = hullscout(*command.split())
        if thing in TAKEN.get(kind, ()):
            assert code in {0, 2}, output
            continue
        assert code == 2, output
        assert (Path(name).parent if thing == "a folder" or "ask " in command else Path(name)).name in output, output
        assert any(line.endswith(".") for line in output.splitlines()), output
