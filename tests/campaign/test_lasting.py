"""Nobody replaces a database, a removed one is noticed, a full disk is no try, and a campaign at rest can be read anywhere."""

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from hullscout.campaign import Store, opening, read_origin
from hullscout.campaign.opening import make
from hullscout.campaign.reserve import RESERVE_BYTES, DiskReserve
from hullscout.campaign.rows import CAMPAIGN
from hullscout.campaign.store import RESERVE
from hullscout.cli import main
from hullscout.errors import StoreError
from hullscout.oracle import Calculated, Failed, FailureReason
from hullscout.oracle.room import speaks_of_room

N_PROCESSES = 4
START = """
import sys, time
from pathlib import Path
from hullscout.campaign import Store, read_origin
from hullscout.errors import StoreError
from hullscout.oracle import Calculated
origin = read_origin(Path(sys.argv[1]))
time.sleep(max(0, float(sys.argv[3]) - time.time()))
for number in range(40):
    try:
        with Store.create_or_resume(Path(sys.argv[2]) / str(number), origin) as store:
            store.save_answer(sys.argv[4], Calculated(energy_ev=1.0), attempt=None)
        print(number)
    except StoreError as error:
        assert "Another process" in str(error), error
"""
MINUS_ONE = Calculated(energy_ev=-1.0)


@pytest.fixture
def origin(live_file):
    return read_origin(live_file)


def run(live_file, out, *settings):
    words = [word for setting in settings for word in ("--set", setting)]
    return CliRunner().invoke(main, ["run", str(live_file), "--out", str(out), *words])


def test_many_processes_that_start_one_campaign_lose_no_answer(live_file, tmp_path):
    import time

    begin = time.time() + 8
    started = [
        subprocess.Popen(
            [sys.executable, "-c", START, str(live_file), str(tmp_path / "outs"), str(begin), f"p{number}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(N_PROCESSES)
    ]
    committed = {}
    for number, process in enumerate(started):
        said, _ = process.communicate()
        assert process.returncode == 0
        for folder in said.split():
            committed.setdefault(folder, set()).add(f"p{number}")
    assert len(committed) == 40
    for folder, names in committed.items():
        with Store.read(tmp_path / "outs" / folder) as store:
            assert store.answers().keys() == names


def test_a_database_that_another_process_made_meanwhile_is_left_as_it_is(origin, tmp_path):
    with Store.create_or_resume(tmp_path / "out", origin) as store:
        store.save_answer("fcc-A1-0001", MINUS_ONE, attempt=None)
    content = (tmp_path / "out" / "campaign.db").read_bytes()
    with pytest.raises(StoreError, match=r"Another process made .*campaign.db meanwhile; it was left as it is"):
        make(tmp_path / "out" / "campaign.db", {CAMPAIGN: []})
    assert (tmp_path / "out" / "campaign.db").read_bytes() == content
    assert sorted(path.name for path in (tmp_path / "out").glob(".*")) == []


def test_a_file_system_without_links_does_as_well_and_replaces_nothing(origin, tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with Store.create_or_resume(tmp_path / "out", origin) as store:
        store.save_answer("fcc-A1-0001", MINUS_ONE, attempt=None)
    with pytest.raises(StoreError, match="Another process made"):
        make(tmp_path / "out" / "campaign.db", {CAMPAIGN: []})
    with Store.read(tmp_path / "out") as store:
        assert store.answers() == {"fcc-A1-0001": -1.0}


def remove_folder(out):
    shutil.rmtree(out)


def remove_database(out):
    for path in out.glob("campaign.db*"):
        path.unlink()


def remove_log(out):
    (out / "campaign.db-wal").unlink()


def remove_lock(out):
    (out / "campaign.lock").unlink()


def replace_database(out):
    shutil.copy(out / "campaign.db", out / "copy")
    (out / "copy").replace(out / "campaign.db")


def replace_folder(out):
    out.rename(out.with_name("elsewhere"))
    shutil.copytree(out.with_name("elsewhere"), out)


@pytest.mark.parametrize(
    ("remove", "said"),
    [
        (remove_folder, "The folder .*out was removed"),
        (remove_database, "campaign.db was removed"),
        (remove_log, "campaign.db-wal was removed"),
        (remove_lock, "campaign.lock was removed"),
        (replace_database, "campaign.db was replaced by another"),
        (replace_folder, "campaign.db was replaced by another"),
    ],
)
def test_what_is_removed_or_replaced_under_a_campaign_is_noticed_at_the_next_write(origin, tmp_path, remove, said):
    out = tmp_path / "out"
    with Store.create_or_resume(out, origin) as store:
        store.save_start("fcc-A1-0001", 1)
        remove(out)
        with pytest.raises(StoreError, match=f"{said} while the campaign was open. Nothing new is begun"):
            store.save_answer("fcc-A1-0001", MINUS_ONE, attempt=1)
        with pytest.raises(StoreError, match=said):
            store.save_start("fcc-B1-0001", 1)
        with pytest.raises(StoreError, match=said):
            store.refuse_removed()


def test_a_campaign_whose_database_is_removed_at_its_last_answer_does_not_speak_of_success(
    live_file, tmp_path, monkeypatch
):
    save = Store.save_answer

    def removed_after(self, *arguments, **attempt):
        save(self, *arguments, **attempt)
        if len(self.answers()) == 10:
            remove_database(tmp_path / "out")

    monkeypatch.setattr(Store, "save_answer", removed_after)
    done = run(live_file, tmp_path / "out")
    assert done.exit_code == 2
    assert "campaign.db was removed while the campaign was open" in done.output
    assert "Wrote" not in done.output


def test_a_closing_store_leaves_the_files_of_one_that_replaced_it_alone(origin, tmp_path):
    out = tmp_path / "out"
    store = Store.create_or_resume(out, origin)
    remove_folder(out)
    with Store.create_or_resume(out, origin) as other:
        other.save_answer("fcc-A1-0001", MINUS_ONE, attempt=None)
        store.close()
        assert (out / RESERVE).exists()
        assert (out / "campaign.db-wal").exists()
    with Store.read(out) as reader:
        assert reader.answers() == {"fcc-A1-0001": -1.0}


def test_an_answer_that_is_there_is_of_another_process_and_the_disk_has_nothing_to_do_with_it(origin, tmp_path):
    with Store.create_or_resume(tmp_path / "out", origin) as store:
        store.save_answer("fcc-A1-0001", MINUS_ONE, attempt=None)
        with pytest.raises(StoreError, match="another process writes this campaign") as refused:
            store.save_answer("fcc-A1-0001", MINUS_ONE, attempt=None)
    assert "room" not in str(refused.value)


@pytest.mark.parametrize("energy", [float("nan"), float("inf"), 1j, "1"])
def test_what_cannot_be_kept_is_told(origin, tmp_path, energy):
    with Store.create_or_resume(tmp_path / "out", origin) as store:
        with pytest.raises(StoreError, match="could not be written: it cannot keep a value"):
            store.save_answer("fcc-A1-0001", Calculated(energy_ev=energy), attempt=None)
        with pytest.raises(StoreError, match=r"it cannot keep a value .*surrogates not allowed"):
            store.save_start("\udcff", 1)
        assert store.answers() == {}


def test_a_campaign_at_rest_is_one_file(live_file, tmp_path):
    assert run(live_file, tmp_path / "out").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").glob("*campaign*")) in (
        ["campaign.db"],
        ["campaign.db", "campaign.lock"],
    )
    assert (tmp_path / "out" / "campaign.db").read_bytes()[18:20] == b"\1\1"


def test_a_reader_that_stays_does_not_hinder_the_writer_nor_its_end(origin, tmp_path):
    with Store.create_or_resume(tmp_path / "out", origin) as store:
        reader = Store.read(tmp_path / "out")
        store.save_answer("fcc-A1-0001", MINUS_ONE, attempt=None)
        assert reader.answers() == {"fcc-A1-0001": -1.0}
    assert reader.answers() == {"fcc-A1-0001": -1.0}
    reader.close()
    with Store.create_or_resume(tmp_path / "out", origin) as store:
        assert store.answers() == {"fcc-A1-0001": -1.0}


AS_NOBODY = """
import os, sys
from pathlib import Path
from hullscout.campaign import Setup, Store
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
assert not os.access(sys.argv[1], os.W_OK)
with Store.read(Path(sys.argv[1])) as store:
    print(store.answers(), store.origin().config.name)
"""


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="rights are other ones here")
@pytest.mark.parametrize("was_wal", [False, True], ids=["of this version", "of an earlier one"])
def test_a_campaign_in_a_folder_that_may_only_be_read_is_read(origin, was_wal):
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "out"
        with Store.create_or_resume(out, origin) as store:
            store.save_answer("fcc-A1-0001", MINUS_ONE, attempt=None)
        if was_wal:
            with closing(sqlite3.connect(out / "campaign.db")) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
        Path(place).chmod(0o755)
        out.chmod(0o555)
        try:
            done = subprocess.run(
                [sys.executable, "-c", AS_NOBODY, str(out)], capture_output=True, text=True, check=False
            )
        finally:
            out.chmod(0o755)
    if "ModuleNotFoundError" in done.stderr or ("PermissionError" in done.stderr and sys.prefix in done.stderr):
        pytest.skip("another user may not read this installation")
    assert done.stdout == "{'fcc-A1-0001': -1.0} live\n", done.stderr


def wrapped():
    error = RuntimeError("the code ended")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    return error


@pytest.mark.parametrize(
    ("error", "is_of_room"),
    [
        (OSError(errno.ENOSPC, "x"), True),
        (OSError(errno.EDQUOT, "x"), True),
        (wrapped(), True),
        (ExceptionGroup("both", [ValueError("no"), OSError(errno.ENOSPC, "x")]), True),
        (RuntimeError("pw.x: write failed: No space left on device"), False),
        (sqlite3.OperationalError("database or disk is full"), False),
        (OSError(errno.ENOENT, "x"), False),
        (RuntimeError("no licence"), False),
    ],
)
def test_an_exception_speaks_of_a_full_disk_or_not(error, is_of_room):
    assert speaks_of_room(error) is is_of_room


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_text_speaks_of_a_full_disk_where_nothing_more_can_be_written(number, monkeypatch):
    def full(**_):
        raise OSError(number, "x")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    assert speaks_of_room(RuntimeError("pw.x: write failed: No space left on device"))
    assert not speaks_of_room(RuntimeError("pw.x: no licence"))


@pytest.mark.parametrize("executor", ["in-process", "processes"])
def test_a_calculation_that_finds_no_room_is_no_try_and_the_same_command_goes_on(live_file, tmp_path, executor):
    settings = (
        "oracle.calculator=faulty_calculators.FindsNoRoom",
        f"oracle.arguments={{full = '{tmp_path / 'full'}'}}",
        "executor.retries=0",
        f"executor.kind={executor}",
    )
    (tmp_path / "full").touch()
    done = run(live_file, tmp_path / "out", *settings)
    assert done.exit_code == 2
    assert "A disk is full. fcc-" in done.output
    assert "Free some room and run the same command again" in done.output
    with Store.read(tmp_path / "out") as store:
        assert store.failures() == {}
    (tmp_path / "full").unlink()
    done = run(live_file, tmp_path / "out", *settings)
    assert done.exit_code == 0, done.output
    assert "failed" not in done.output
    with Store.read(tmp_path / "out") as store:
        assert (len(store.answers()), store.failures()) == (10, {})


def test_a_failure_on_a_disk_without_room_is_no_try(live_file, tmp_path, monkeypatch):
    from hullscout.oracle import room

    usage = shutil.disk_usage
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: usage(path)._replace(free=RESERVE_BYTES - 1))
    done = run(live_file, tmp_path / "out", "oracle.calculator=faulty_calculators.Raises", "executor.retries=0")
    assert (done.exit_code, "A disk is full." in done.output) == (2, True)
    with Store.read(tmp_path / "out") as store:
        assert store.failures() == {}


def test_what_finds_no_room_in_the_database_is_kept_in_the_reserve_and_goes_there_later(origin, tmp_path):
    out = tmp_path / "out"
    failed = Failed(reason=FailureReason.RAISED, sentence="no licence")
    with Store.create_or_resume(out, origin) as store:
        store.save_start("fcc-A1-0001", 1)
        store.save_start("fcc-B1-0001", 1)
        (n_pages,) = store._connection.execute("PRAGMA page_count").fetchone()
        store._connection.execute(f"PRAGMA max_page_count = {n_pages}")
        note = Calculated(energy_ev=-1 / 3, note="x" * 100_000, wall_s=2.5)
        store.save_answer("fcc-A1-0001", note, attempt=1)
        assert not store.has_room
        store.save_failed("fcc-B1-0001", failed, attempt=1, is_final=True)
        assert store.answers() == {}
        with pytest.raises(StoreError, match=r"is full. Nothing new was begun.*every answer is kept"):
            store.refuse_full()
        assert (out / RESERVE).stat().st_size == RESERVE_BYTES
    content = (out / RESERVE).read_bytes()
    (out / RESERVE).write_bytes(content.replace(b"no licence", b"no licance"))
    with pytest.raises(StoreError, match="is damaged: it holds what found no room on the disk, and 1 of its records"):
        Store.create_or_resume(out, origin)
    (out / RESERVE).write_bytes(content)
    for _ in range(2):
        with Store.create_or_resume(out, origin) as store:
            assert store.answers() == {"fcc-A1-0001": -1 / 3}
            assert store.failures() == {"fcc-B1-0001": failed}
            first, second = store.attempts()
            assert (first.wall_s, first.reason, second.reason) == (2.5, None, "raised")
            (out / RESERVE).write_bytes(content)  # killed after the commit, before it was made anew
        (out / RESERVE).write_bytes(content)


def test_a_reserve_runs_nothing_that_is_not_of_a_store(origin, tmp_path):
    out = tmp_path / "out"
    Store.create_or_resume(out, origin).close()
    assert DiskReserve(out / RESERVE).keep((("DROP TABLE answers", ()),))
    with pytest.raises(StoreError, match="holds something else than sound rows"):
        Store.create_or_resume(out, origin)
    with Store.read(out) as store:
        assert store.answers() == {}
    assert opening.DATABASE == "campaign.db"


def test_a_link_in_the_place_of_the_reserve_is_replaced_and_not_written_through(origin, tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    out = tmp_path / "out"
    with Store.create_or_resume(out, origin):
        pass
    (out / ".campaign.reserve").symlink_to(victim)
    with Store.create_or_resume(out, origin):
        assert not (out / ".campaign.reserve").is_symlink()
    assert victim.read_bytes() == b"mine"
