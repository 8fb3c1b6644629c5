"""Every file of ours is written whole or not at all, through no link, and nothing half made stays."""

import os
import signal
import stat
import subprocess
import sys

import pytest

from hullscout.errors import OutputError
from hullscout.writing import half_made_beside, open_anew, write_whole, written_whole


def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "report.html").symlink_to(tmp_path / "precious")
    (tmp_path / ".report.html.new").symlink_to(tmp_path / "precious")
    write_whole(tmp_path / "report.html", "page", remedy="")
    with open_anew(tmp_path / ".report.html.new") as stream:
        stream.write(b"anew")
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "report.html").is_symlink()
    assert (tmp_path / "report.html").read_text() == "page"


def test_permissions_are_those_that_the_user_gives_new_files(tmp_path):
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "a", "text", remedy="")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


@pytest.mark.parametrize("ending", [KeyboardInterrupt("no"), MemoryError("no"), OSError(28, "no")])
def test_whatever_ends_the_writing_leaves_what_was_there_and_nothing_half_made(tmp_path, ending):
    (tmp_path / "a").write_text("before")

    def write():
        with written_whole(tmp_path / "a", remedy="Free some.") as half_made:
            half_made.write_text("half")
            raise ending

    with pytest.raises((OutputError, KeyboardInterrupt, MemoryError), match="no"):
        write()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "before"


def test_what_a_killed_process_left_goes_with_the_next_writing_and_what_is_under_way_stays(tmp_path):
    code = (
        "import os, pathlib, signal; from hullscout.writing import half_made_beside\n"
        f"with half_made_beside(pathlib.Path({str(tmp_path / 'a')!r})) as half:\n"
        "    half.write_text('x'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    with half_made_beside(tmp_path / "a") as under_way:
        under_way.write_text("mine")
        write_whole(tmp_path / "a", "text", remedy="")
        assert under_way.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_takes_the_place_of_a_folder_and_a_file_never_does(tmp_path):
    (tmp_path / "cif").mkdir()
    (tmp_path / "cif" / "old").write_text("old")
    with pytest.raises(OutputError, match="Is a directory"):
        write_whole(tmp_path / "cif", "text", remedy="")
    assert (tmp_path / "cif" / "old").read_text() == "old"
    with written_whole(tmp_path / "cif", remedy="") as half_made:
        half_made.mkdir()
        (half_made / "new").write_text("new")
    assert [path.name for path in (tmp_path / "cif").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["cif"]


def test_a_pipe_is_no_place_for_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="found a device or a pipe"):
        write_whole(tmp_path / "pipe", "text", remedy="")


def test_names_of_any_length_are_written(tmp_path):
    path = tmp_path / ("é" * 127)
    write_whole(path, "text", remedy="")
    assert path.read_text() == "text"
