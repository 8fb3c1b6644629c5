"""Kernels are compiled once and kept: beforehand, and where little can be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CAMPAIGN

from hullscout.compiling import own_folder

RUN = """
import sys
from numba.core import event

class Counted(event.Listener):
    def on_start(self, event):
        print("compiled", event.data["dispatcher"].py_func.__qualname__)
    def on_end(self, event):
        pass

event.register("numba:compile", Counted())
from hullscout.cli import main
main(sys.argv[1:])
"""


def done(folder: Path, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN, *map(str, words)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment},
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.slow
def test_after_a_warm_up_a_campaign_compiles_nothing(tmp_path: Path, small_pool: str) -> None:
    kept = {"NUMBA_CACHE_DIR": str(tmp_path / "kernels")}
    first = done(tmp_path, "warm-up", **kept)
    assert first.stdout.count("compiled ") > 10
    assert f"kept in {tmp_path / 'kernels'}" in first.stdout
    (tmp_path / "pool.extxyz").write_text(small_pool)
    (tmp_path / "small.toml").write_text(CAMPAIGN.replace('"threshold"\nbatch = 3', '"hull-posterior"'))
    for words in (("run", "small.toml", "--out", "got"), ("status", "got"), ("export", "got", "--format", "csv")):
        assert "compiled " not in done(tmp_path, *words, **kept).stdout
    assert "compiled " not in done(tmp_path, "warm-up", **kept).stdout


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="folders have no owners here")
def test_kernels_are_kept_among_temporary_files_only_where_nobody_else_could_write(tmp_path: Path) -> None:
    folder = own_folder(tmp_path)
    assert folder == tmp_path / f"hullscout-kernels-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert own_folder(tmp_path) == folder
    folder.chmod(0o770)
    assert own_folder(tmp_path) is None
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    assert own_folder(tmp_path) is None
    folder.unlink()
    folder.write_text("a file")
    assert own_folder(tmp_path) is None
    assert own_folder(tmp_path / "nowhere") is None
