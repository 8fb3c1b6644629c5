"""A finished campaign on a mount that may only be read is looked at by every command, wherever people run them."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import CAMPAIGN

LOOKS = {
    "status": "status got",
    "table": "table got -o {out}/t.extxyz",
    "report": "report got -o {out}/r.html",
    "plot": "plot got -o {out}/p.png",
    "export": "export got --format csv -o {out}/c.csv",
    "entries": "export got --format entries -o {out}/e.json",
    "check": "check pool.extxyz",
    "cite": "cite got",
    "salvage": "salvage got -o {out}/salvaged",
}
REFUSED = {  # what would write there
    "plot": "plot got",
    "report": "report got",
    "export": "export got --format cif",
    "run": "run small.toml --out got",
    "run anew": "run small.toml --out other",
    "plan": "plan small.toml --replicates 1 --out planned",
}
SCRIPT = """
import json, sys
from click.testing import CliRunner
from hullscout.cli import main

for name, words in json.loads(sys.argv[1]).items():
    done = CliRunner().invoke(main, words.split(), catch_exceptions=False)
    print(json.dumps([name, done.exit_code, done.output]))
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory, small_pool, hullscout):
    """A folder with a finished campaign, its file and its pool."""
    place = tmp_path_factory.mktemp("finished")
    (place / "pool.extxyz").write_text(small_pool)
    (place / "small.toml").write_text(f"{CAMPAIGN}\n[stop]\nmax_calculations = 12\n")
    code, output = hullscout("run", place / "small.toml", "--out", place / "got")
    assert code == 0, output
    return place


def on_a_read_only_mount(folder, script):
    """A script of a shell in a folder that is mounted so that it may only be read, also by root; gone with the script."""
    if sys.platform != "linux" or shutil.which("unshare") is None or shutil.which("mount") is None:
        pytest.skip("no mounts of one's own here: needs unshare and mount of Linux")
    mounted = f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder} && cd {folder}"
    who = [] if os.getuid() == 0 else ["--map-root-user"]
    words = ["unshare", "--mount", *who, "bash", "-c"]
    if subprocess.run([*words, mounted], capture_output=True, check=False).returncode:
        pytest.skip("this user may mount nothing here")
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.run(
        [*words, f"{mounted} && ! touch x 2> /dev/null && {script}"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def said(folder, commands, before=""):
    """Exit code and output of each command there, in one process."""
    import json

    quoted = json.dumps(commands).replace("'", "")
    done = on_a_read_only_mount(folder, f"{before} {sys.executable} -c '{SCRIPT}' '{quoted}'")
    assert done.returncode == 0, done.stderr
    return {name: (code, output) for name, code, output in map(json.loads, done.stdout.splitlines())}


def test_every_command_that_looks_does_so_on_a_mount_that_may_only_be_read(finished, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    out = tmp_path / "elsewhere"
    out.mkdir()
    commands = {name: words.format(out=out) for name, words in LOOKS.items()}
    bare = "env -u HOME MPLCONFIGDIR=/nonexistent/mpl"
    for name, (code, output) in said(finished, commands, before=bare).items():
        assert code == 0, (name, output)
        assert "Traceback" not in output
    written = {path.name for path in out.iterdir()}
    assert written == {"t.extxyz", "r.html", "p.png", "c.csv", "e.json", "salvaged"}
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before


def test_what_would_write_there_says_so_in_a_sentence(finished):
    for name, (code, output) in said(finished, REFUSED).items():
        assert code == 2, (name, output)
        error = output[output.index("Error: ") :]
        assert "ead-only file system" in error, (name, output)
        assert error.rstrip().endswith("."), (name, output)


@pytest.mark.parametrize(
    ("environment", "lost"),
    [
        ("LC_ALL=tr_TR.UTF-8 COLUMNS=1", ""),
        ("LC_ALL=tr_TR COLUMNS=5", ""),
        ("LC_ALL=POSIX PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 COLUMNS=10000", ""),
        ("LC_ALL=C PYTHONUTF8=0 COLUMNS=1", "| head -n 1"),
        ("-u HOME -u PATH LANG=nowhere", "| head -c 1"),
        ("COLUMNS=-3 LINES=x TERM=nonsense", ">&- 2>&-"),
    ],
)
def test_looking_goes_on_in_any_locale_and_terminal(finished, environment, lost):
    script = f"set -o pipefail; env {environment} {sys.executable} -m hullscout status got {lost}"
    done = on_a_read_only_mount(finished, script)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert ">&-" in lost or done.stdout
