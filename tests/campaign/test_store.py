"""Nothing that was committed is lost, nothing of another campaign is overwritten, and damage is named."""

import json
import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest
from sealed import seal

from hullscout.campaign import Setup, Store, read_origin
from hullscout.errors import StoreError
from hullscout.oracle import Calculated
from hullscout.selection import Decision

DECISION = Decision(
    chosen=(1, 0),
    n_contenders=57,
    model_errors={"cap": 0.1 + 0.2},
    threshold_ev_per_atom=1 / 3,
    loner_probability=1 / 30,
)


IDS = ("Pd", "Ag")
MINUS_ONE = Calculated(energy_ev=-1.0)


@pytest.fixture
def origin(campaign_file):
    return read_origin(campaign_file)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out"


def test_what_was_written_is_read_back_to_the_last_bit(origin, folder):
    with Store.create_or_resume(folder, origin) as store:
        store.save_decision(0, DECISION, IDS)
        store.save_answer("Ag", Calculated(energy_ev=-1 / 3), attempt=None)
    with Store.read(folder) as store:
        assert store.decisions({"Pd": 0, "Ag": 1}) == (DECISION,)
        assert store.decisions({"Pd": 7, "Ag": 3}) == (replace(DECISION, chosen=(3, 7)),), "kept by id"
        assert store.answers() == {"Ag": -1 / 3}
        assert store.origin() == origin


def test_a_decision_of_an_earlier_version_is_read_without_what_only_that_knew():
    point = {"representation": "features", "log_lengths": [0.0], "log_weights": [0.0]}
    tree = {**DECISION.to_tree(), "warm_starts": {"cap": point}}
    del tree["loner_probability"]
    assert Decision.from_tree(tree) == replace(DECISION, loner_probability=None)


def test_an_answer_is_seen_by_others_at_once(origin, folder):
    with Store.create_or_resume(folder, origin) as writer:
        writer.save_answer("Ag", MINUS_ONE, attempt=None)
        with Store.read(folder) as reader:
            assert reader.answers() == {"Ag": -1.0}


def test_an_answer_is_never_replaced(origin, folder):
    with Store.create_or_resume(folder, origin) as store:
        store.save_answer("Ag", MINUS_ONE, attempt=None)
        with pytest.raises(StoreError, match="could not be written"):
            store.save_answer("Ag", Calculated(energy_ev=-2.0), attempt=None)
        assert store.answers() == {"Ag": -1.0}


def test_a_second_writer_is_refused_and_a_later_one_is_not(origin, folder):
    with Store.create_or_resume(folder, origin), pytest.raises(StoreError, match="Another process is running"):
        Store.create_or_resume(folder, origin)
    Store.create_or_resume(folder, origin).close()


def test_other_settings_or_another_pool_are_refused_by_name(origin, folder, campaign_file):
    with Store.create_or_resume(folder, origin) as store:
        store.save_answer("Ag", Calculated(energy_ev=-1.0), attempt=None)
    with pytest.raises(StoreError, match=r"seed: 1 before, 2 now\n"):
        Store.create_or_resume(folder, read_origin(campaign_file, ["select.batch=5"], seed=2))
    pool = campaign_file.with_name("pool.extxyz")
    pool.write_text(pool.read_text().replace("energy=0.0", "energy=0.1", 1))
    with pytest.raises(StoreError, match=r"pool file .*pool.extxyz: other content"):
        Store.create_or_resume(folder, read_origin(campaign_file))


def test_a_folder_with_results_but_no_database_is_left_alone(origin, folder):
    folder.mkdir()
    (folder / "result.json").write_text("precious")
    with pytest.raises(StoreError, match=r"holds result.json but no campaign.db"):
        Store.create_or_resume(folder, origin)
    assert (folder / "result.json").read_text() == "precious"


def test_an_output_folder_that_is_a_file_is_refused(origin, folder):
    folder.write_text("")
    with pytest.raises(StoreError, match=r"cannot be made: .*Choose another --out"):
        Store.create_or_resume(folder, origin)


def garble_header(data):
    return b"\0" * 100 + data[100:]


def garble_pages(data):
    return data[:4096] + bytes(255 - byte for byte in data[4096:8192]) + data[8192:]


@pytest.mark.parametrize(
    "damage",
    [lambda _: b"", lambda data: data[: len(data) // 2], garble_header, garble_pages, lambda _: b"no database" * 50],
)
def test_a_damaged_database_is_refused_and_kept(origin, folder, damage):
    Store.create_or_resume(folder, origin).close()
    database = folder / "campaign.db"
    broken = damage(database.read_bytes())
    database.write_bytes(broken)
    for open_store in (lambda: Store.create_or_resume(folder, origin), lambda: Store.read(folder).origin()):
        with pytest.raises(StoreError, match=r"campaign.db is damaged or is no campaign .*Nothing was changed"):
            open_store()
    assert database.read_bytes() == broken


def test_a_database_that_the_machine_does_not_let_open_is_not_called_damaged(origin, folder, monkeypatch):
    Store.create_or_resume(folder, origin).close()
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda _, **options: connect(f"{folder.as_uri()}/no/x.db?mode=ro", **options)
    )
    with pytest.raises(
        StoreError, match=r"could not be opened: unable to open database file.*what was committed is safe"
    ):
        Store.read(folder)


@pytest.mark.parametrize("table", ["rounds", "campaign"])
def test_a_database_with_garbled_content_is_refused(origin, folder, table):
    with Store.create_or_resume(folder, origin) as store:
        store.save_decision(0, DECISION, IDS)
    garbled = {
        "rounds": "UPDATE rounds SET record = '{\"a\": 1'",
        "campaign": "UPDATE campaign SET value = x'00' WHERE key = 'pool'",
    }
    with sqlite3.connect(folder / "campaign.db") as connection:
        connection.execute(garbled[table])
    connection.close()
    with Store.read(folder) as store, pytest.raises(StoreError, match="is damaged"):
        store.decisions({"Ag": 0, "Pd": 1}) if table == "rounds" else store.origin()


def test_another_schema_is_refused(origin, folder):
    Store.create_or_resume(folder, origin).close()
    with sqlite3.connect(folder / "campaign.db") as connection:
        connection.execute("UPDATE campaign SET value = x'3939' WHERE key = 'schema'")
    connection.close()
    seal(folder)
    with pytest.raises(StoreError, match="has schema 99, this version of Hullscout reads 3"):
        Store.create_or_resume(folder, origin)


def test_reading_where_nothing_is_says_so(folder):
    with pytest.raises(StoreError, match=r"no campaign in .*out: expected campaign.db"):
        Store.read(folder)


def test_a_half_made_database_does_not_stand_in_the_way(origin, folder):
    folder.mkdir()
    (folder / ".campaign.db.new").write_bytes(b"half")
    with Store.create_or_resume(folder, origin) as store:
        assert store.answers() == {}
        assert store.origin() == origin
    assert not (folder / ".campaign.db.new").exists()


@pytest.mark.parametrize("how", ["read", "write"])
def test_what_a_killed_process_had_half_written_at_rest_is_taken_back(origin, folder, how):
    with Store.create_or_resume(folder, origin) as store:
        store.save_answer("Ag", MINUS_ONE, attempt=None)
    code = (
        "import os, sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('PRAGMA cache_size = 1')\n"
        "connection.execute('BEGIN')\n"
        "connection.execute('DELETE FROM answers')\n"
        "connection.execute('UPDATE campaign SET value = zeroblob(length(value))')\n"
        "os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code, str(folder / "campaign.db")], check=False)
    assert (folder / "campaign.db-journal").exists()
    (folder / ".campaign.db.0123.new").touch()
    with Store.read(folder) if how == "read" else Store.create_or_resume(folder, origin) as store:
        assert store.answers() == {"Ag": -1.0}
        assert store.origin() == origin
    assert not (folder / "campaign.db-journal").exists()
    if how == "write":
        assert [path.name for path in folder.iterdir() if path.name != "campaign.lock"] == ["campaign.db"]


def test_a_round_of_the_version_before_is_read(origin, folder):
    """It knew no `stop` and no `stated_settleable_probability`."""
    with Store.create_or_resume(folder, origin) as store:
        store.save_decision(0, DECISION, IDS)
    with sqlite3.connect(folder / "campaign.db") as connection:
        ((text,),) = connection.execute("SELECT record FROM rounds").fetchall()
        tree = json.loads(text)
        del tree["stop"], tree["stated_settleable_probability"]
        connection.execute("UPDATE rounds SET record = ?", (json.dumps(tree),))
        (config,) = connection.execute("SELECT value FROM campaign WHERE key = 'config'").fetchone()
        tree = json.loads(config)
        tree["mbtr"] = {key: value for key, value in tree.pop("representation").items() if key != "kind"}
        connection.execute("UPDATE campaign SET value = ? WHERE key = 'config'", (json.dumps(tree).encode(),))
    connection.close()
    seal(folder)
    setup = Setup.read(folder)
    assert setup.config == origin.config
    with Store.read(folder) as store:
        assert store.decisions({"Pd": 0, "Ag": 1}) == (DECISION,)
