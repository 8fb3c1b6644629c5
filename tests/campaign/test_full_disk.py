"""A disk that fills up costs no answer: what is under way is awaited and kept, and with room again the campaign goes on.

The disk is a small tmpfs in a mount namespace of its own, which takes root or user namespaces.
"""

import re
import shlex
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner
from kept import rows

from hullscout.campaign.reserve import RESERVE_BYTES
from hullscout.campaign.store import RESERVE, Store
from hullscout.cli import main

DISK_KB = 8192
SCRIPT = """
mount -t tmpfs -o size={disk}k tmpfs disk
head -c {ballast}k /dev/zero > disk/ballast
{command} > first.out 2> first.err; echo $? > first.code
mkdir -p disk/out && cp -r disk/out cut
rm disk/ballast
{command} > second.out 2>&1; echo $? > second.code
cp -r disk/out whole
"""

SCRATCH = """
mount -t tmpfs -o size=2048k tmpfs disk
export TMPDIR="$PWD/disk"
{command} > first.out 2>&1; echo $? > first.code
cp -r out cut
touch mended
{command} > second.out 2>&1; echo $? > second.code
"""


def in_a_namespace(script, folder):
    return subprocess.run(
        [str(shutil.which("unshare")), "--map-root-user", "--mount", "sh", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def disk(tmp_path):
    """Where a small disk may be mounted."""
    (tmp_path / "disk").mkdir()
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare here to mount a small disk with")
    tried = in_a_namespace("mount -t tmpfs -o size=64k tmpfs disk", tmp_path)
    if tried.returncode:
        pytest.skip(f"no disk may be mounted here: {tried.stderr.strip()}")
    return tmp_path / "disk"


def run_on_a_full_disk(live_file, disk, *, room_kb, executor):
    """Run a campaign with little room, copy what is there to `cut`, make room, and run it again."""
    command = [sys.executable, "-m", "hullscout", "run", str(live_file), "--out", "disk/out"]
    for setting in (
        "oracle.calculator=faulty_calculators.Logged",
        f"oracle.arguments={{log = '{disk.parent / 'log'}'}}",
        "executor.retries=0",
        *executor,
    ):
        command += ["--set", setting]
    path = shlex.quote(":".join(path for path in sys.path if path))
    script = SCRIPT.format(disk=DISK_KB, ballast=DISK_KB - room_kb, command=f"PYTHONPATH={path} {shlex.join(command)}")
    done = in_a_namespace(script, disk.parent)
    assert done.returncode == 0, done.stderr
    return [(disk.parent / name).read_text() for name in ("first.err", "first.code", "second.out", "second.code")]


@pytest.mark.slow
@pytest.mark.parametrize("room_kb", [1140, 1220])
def test_a_full_disk_loses_no_answer_and_with_room_the_campaign_goes_on(live_file, disk, room_kb):
    executor = ("executor.kind=processes", "executor.workers=2")
    said, code, again, code_again = run_on_a_full_disk(live_file, disk, room_kb=room_kb, executor=executor)
    assert code.strip() == "2", said
    assert (
        "campaign.db is full. Nothing new was begun; what was under way was awaited, and every answer is kept" in said
    )
    assert "Traceback" not in said
    assert code_again.strip() == "0", again
    kept = dict(rows(disk.parent / "cut", "SELECT id, energy_ev FROM answers"))
    answers = dict(rows(disk.parent / "whole", "SELECT id, energy_ev FROM answers"))
    assert len(kept) < len(answers) == 10
    assert kept.items() <= answers.items()
    assert rows(disk.parent / "whole", "SELECT count(*) FROM attempts WHERE attempt > 1") == [(0,)]
    assert len((disk.parent / "log").read_text().splitlines()) == 10, "nothing is calculated twice"
    assert not (disk.parent / "whole" / RESERVE).exists()


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["in-process", "processes"])
@pytest.mark.usefixtures("disk")
def test_a_full_disk_where_calculations_run_is_no_try_of_the_structure(live_file, tmp_path, executor):
    command = [sys.executable, "-m", "hullscout", "run", str(live_file), "--out", "out"]
    for setting in (
        "oracle.calculator=faulty_calculators.FillsDisk",
        f"oracle.arguments={{log = '{tmp_path / 'log'}', mend = '{tmp_path / 'mended'}'}}",
        f"executor.kind={executor}",
        "executor.retries=0",
    ):
        command += ["--set", setting]
    path = shlex.quote(":".join(path for path in sys.path if path))
    done = in_a_namespace(SCRATCH.format(command=f"PYTHONPATH={path} {shlex.join(command)}"), tmp_path)
    assert done.returncode == 0, done.stderr
    said = (tmp_path / "first.out").read_text()
    assert (tmp_path / "first.code").read_text().strip() == "2", said
    assert re.search(r"A disk is full\. .* \(no-room\): OSError: \[Errno 28\]", said)
    assert "Traceback" not in said
    assert (tmp_path / "second.code").read_text().strip() == "0", (tmp_path / "second.out").read_text()
    kept = dict(rows(tmp_path / "cut", "SELECT id, energy_ev FROM answers"))
    assert 2 <= len(kept) < 10
    assert rows(tmp_path / "out", "SELECT count(*) FROM failures") == [(0,)]
    energies = [float(line.split()[1]) for line in (tmp_path / "log").read_text().splitlines()]
    assert all(energies.count(energy) == 1 for energy in kept.values()), "nothing that was answered is calculated again"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("room_kb", "message"),
    [
        (16, "campaign.db could not be made: database or disk is full"),
        (64, "campaign.db could not be opened: disk I/O error"),
        (1000, "There is no room for a campaign in disk/out: No space left on device. 1 MB is kept back"),
    ],
)
def test_a_disk_that_is_full_already_is_a_clear_error_before_any_cost(live_file, disk, room_kb, message):
    said, code, again, code_again = run_on_a_full_disk(live_file, disk, room_kb=room_kb, executor=())
    assert (code.strip(), message in said, "Traceback" in said) == ("2", True, False), said
    assert "damaged" not in said
    assert code_again.strip() == "0", again
    assert len((disk.parent / "log").read_text().splitlines()) == 10


def test_a_disk_without_room_for_the_reserve_either_is_a_clear_error_and_what_was_committed_is_kept(
    live_file, tmp_path
):
    out = tmp_path / "out"
    code = (
        "from hullscout.cli import main; from hullscout.campaign import reserve; from hullscout.campaign.store import Store\n"
        "reserve.RESERVE_BYTES = 200\n"
        "save = Store.save_answer\n"
        "def full(self, candidate_id, answer, *, attempt):\n"
        "    if candidate_id == 'fcc-A1B1-0001':\n"
        "        self._connection.execute('PRAGMA max_page_count = 1')\n"
        "        answer = type(answer)(energy_ev=answer.energy_ev, note='x' * 100000)\n"
        "    save(self, candidate_id, answer, attempt=attempt)\n"
        "Store.save_answer = full\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "run", str(live_file), "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "could not be written: database or disk is full. What was committed before is safe" in done.stderr
    assert "Traceback" not in done.stderr
    kept = rows(out, "SELECT count(*) FROM answers")[0][0]
    assert CliRunner().invoke(main, ["run", str(live_file), "--out", str(out)]).exit_code == 0
    assert rows(out, "SELECT count(*) FROM attempts WHERE attempt > 1") == [(1,)]
    assert kept < 10


def test_room_is_kept_back_only_while_a_campaign_is_open(live_file, tmp_path, monkeypatch):
    sizes, save = [], Store.save_answer

    def look(self, *arguments, **attempt):
        sizes.append((tmp_path / "out" / RESERVE).stat().st_size)
        save(self, *arguments, **attempt)

    monkeypatch.setattr(Store, "save_answer", look)
    assert CliRunner().invoke(main, ["run", str(live_file), "--out", str(tmp_path / "out")]).exit_code == 0
    assert sizes == [RESERVE_BYTES] * 10
    assert not (tmp_path / "out" / RESERVE).exists()
