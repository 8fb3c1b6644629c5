"""What others do to the database of a campaign that runs is noticed: cut off, written to, its descriptors closed, its rows gone."""

import gc
import hashlib
import json
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from hullscout.campaign import read_origin
from hullscout.campaign.reserve import DiskReserve
from hullscout.campaign.rows import ANSWERS
from hullscout.campaign.store import RESERVE, Store
from hullscout.campaign.watched import descriptors_of
from hullscout.errors import StoreError
from hullscout.oracle import Calculated

FIRST, SECOND = "fcc-A1-0001", "fcc-B1-0001"
MINUS_ONE = Calculated(energy_ev=-1.0)


@pytest.fixture
def origin(live_file):
    return read_origin(live_file)


@pytest.mark.parametrize("end", ["", "-wal"])
def test_a_file_that_is_cut_off_is_noticed_at_the_next_write(origin, tmp_path, end):
    out = tmp_path / "out"
    with Store.create_or_resume(out, origin) as store:
        store.save_answer(FIRST, MINUS_ONE, attempt=None)
        os.truncate(out / f"campaign.db{end}", 0)
        with pytest.raises(StoreError, match=rf"campaign.db{end} was cut off, from \d+ to 0 bytes, while"):
            store.save_answer(SECOND, MINUS_ONE, attempt=None)


def test_what_another_process_writes_is_noticed_and_the_answer_is_kept(origin, tmp_path):
    out = tmp_path / "out"
    with Store.create_or_resume(out, origin) as store:
        store.save_answer(FIRST, MINUS_ONE, attempt=None)
        with closing(sqlite3.connect(out / "campaign.db")) as other, other:
            other.execute("DELETE FROM answers")
        with pytest.raises(StoreError, match=r"Another process wrote to .*campaign.db while the campaign was open"):
            store.save_answer(SECOND, MINUS_ONE, attempt=None)
        assert store.answers() == {SECOND: -1.0}


def test_those_who_only_read_are_no_others(origin, tmp_path):
    out = tmp_path / "out"
    with Store.create_or_resume(out, origin) as store:
        for name in (FIRST, SECOND):
            with Store.read(out) as reader:
                store.save_answer(name, MINUS_ONE, attempt=None)
                assert name in reader.answers()
        store.refuse_written()


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="the system does not list descriptors")
@pytest.mark.parametrize("is_taken", [False, True])
def test_a_closed_descriptor_ends_it_and_nothing_is_written_to_who_has_its_number(origin, tmp_path, is_taken):
    out = tmp_path / "out"
    files = [*(out / f"campaign.db{end}" for end in ("", "-wal", "-shm")), out / "campaign.lock"]
    store = Store.create_or_resume(out, origin)
    store.save_answer(FIRST, MINUS_ONE, attempt=None)
    numbers = descriptors_of(files)
    assert len(numbers) >= 4
    for number in numbers:
        os.close(number)
    others = [(tmp_path / f"other{n}").open("w+b") for n in range(8 if is_taken else 0)]
    assert not is_taken or {other.fileno() for other in others} & set(numbers)
    with pytest.raises(StoreError, match=r"closed files of this process that were not its own.*processes"):
        store.save_answer(SECOND, MINUS_ONE, attempt=None)
    with pytest.raises(StoreError, match="closed files of this process"):
        store.refuse_removed()
    store.close()
    del store
    gc.collect()
    assert all((tmp_path / f"other{n}").read_bytes() == b"" for n in range(len(others)))
    for other in others:
        with suppress(OSError):  # SQLite closed its number
            other.close()
    with Store.read(out) as reader:
        assert reader.answers() == {FIRST: -1.0}


def test_a_campaign_that_does_not_find_its_answers_again_does_not_speak_of_success(
    live_file, hullscout, tmp_path, monkeypatch
):
    out, close = tmp_path / "out", Store.close

    def lost_after(store):
        is_the_writer = store._lock is not None
        close(store)
        if is_the_writer:
            with closing(sqlite3.connect(out / "campaign.db")) as other, other:
                other.execute("DELETE FROM answers WHERE rowid = 3")

    with monkeypatch.context() as patched:
        patched.setattr(Store, "close", lost_after)
        code, said = hullscout("run", live_file, "--out", out)
    assert code == 2
    assert "does not hold 1 of 10 energies that were written to it" in " ".join(said.split())
    assert not (out / "result.json").exists()
    assert hullscout("run", live_file, "--out", out)[0] == 0


RECORDS = {
    "nested": b"[" * 100_000 + b"]" * 100_000,
    "number": b"5",
    "statement without values": b'[["DELETE FROM failures WHERE id = ?"]]',
    "statement that is none": b'[[["a"], ["x"]]]',
    "value that is none": b'[["DELETE FROM failures WHERE id = ?", [{"x": 1}]]]',
    "bytes that are none": b'[["DELETE FROM failures WHERE id = ?", [{"base64": "%%"}]]]',
    "answer removed": json.dumps([[ANSWERS.removal, [FIRST]]]).encode(),
    "row cut off": json.dumps([[ANSWERS.insertion, [FIRST]]]).encode(),
    "row without its checksum": json.dumps([[ANSWERS.insertion, [FIRST, -7.0, None, None, "x"]]]).encode(),
    "no text": b"\xff\xfe",
}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_a_reserve_that_holds_what_no_campaign_kept_is_damaged(origin, tmp_path, record):
    out = tmp_path / "out"
    with Store.create_or_resume(out, origin) as store:
        store.save_answer(FIRST, MINUS_ONE, attempt=None)
    head, digest = b"hullscout-reserve 1 %08d\n" % 1, hashlib.sha256(record).hexdigest().encode()
    (out / RESERVE).write_bytes(head + digest + record + b"\n")
    with pytest.raises(StoreError, match=r"campaign.reserve is damaged: .*Put back a copy of it, or remove it"):
        Store.create_or_resume(out, origin)
    with Store.read(out) as reader:
        assert reader.answers() == {FIRST: -1.0}
    (out / RESERVE).unlink()
    Store.create_or_resume(out, origin).close()


def test_a_reserve_that_a_campaign_kept_is_taken(origin, tmp_path):
    out = tmp_path / "out"
    Store.create_or_resume(out, origin).close()
    row = ANSWERS.sealed({"id": FIRST, "energy_ev": -2.0, "relaxed": None, "note": None})
    assert DiskReserve(out / RESERVE).keep(((ANSWERS.insertion, row),))
    with Store.create_or_resume(out, origin) as store:
        assert store.answers() == {FIRST: -2.0}
