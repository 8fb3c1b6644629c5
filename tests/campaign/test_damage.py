"""A database whose bits flip is refused or says what it said: nothing else is taken, and what is sound can be kept."""

import random
import sqlite3
import struct
from contextlib import closing

import pytest
from click.testing import CliRunner

from hullscout.campaign import Setup, Store, read_origin
from hullscout.campaign.additions import Addition
from hullscout.campaign.rows import TABLES
from hullscout.cli import main
from hullscout.errors import HullscoutError, StoreError
from hullscout.oracle import Calculated, Failed, FailureReason
from hullscout.selection import Decision

N_ANYWHERE, N_IN_ROWS = 1000, 500
SAMPLE = 20


@pytest.fixture
def kept(live_file, tmp_path):
    """A folder with rows of every kind."""
    setup = Setup(read_origin(live_file))
    ids, candidates = setup.pool.ids, setup.pool.candidates
    with Store.create_or_resume(tmp_path / "kept", setup.origin) as store:
        for number in range(3):
            chosen = tuple(range(3 * number, 3 * number + 3))
            store.save_decision(number, Decision(chosen=chosen, n_contenders=9, model_errors={"a": 1 / 3}), ids)
            for index in chosen:
                store.save_start(ids[index], 1)
                answer = Calculated(energy_ev=-index / 7, relaxed=candidates[index], note="n" * index, wall_s=index / 3)
                if index % 4 == 3:
                    failed = Failed(reason=FailureReason.RAISED, sentence="no licence", wall_s=0.5)
                    store.save_failed(ids[index], failed, attempt=1, is_final=True)
                else:
                    store.save_answer(ids[index], answer, attempt=1)
        store.save_addition(Addition(n_rounds=3, name="more.extxyz", pool=b"1\n"))
    return tmp_path / "kept"


def said(store, ids):
    """Everything that a store says, as text."""
    index = {candidate_id: place for place, candidate_id in enumerate(ids)}
    relaxed = {name: (one.positions.tolist(), one.cell.tolist()) for name, one in store.relaxed().items()}
    parts = (store.answers(), relaxed, store.failures(), store.attempts(), store.decisions(index), store.origin())
    return repr((*parts, store.origin().pool, store.has_moments, store.additions()[0].pool, store.n_rounds))


def ids_of(folder):
    with closing(sqlite3.connect(folder / "campaign.db")) as connection:
        return [name for (name,) in connection.execute("SELECT id FROM attempts ORDER BY rowid")]


def places_of_rows(content, folder):
    """The bytes of the file in which the values of rows stand, and their checksums."""
    places = []
    with closing(sqlite3.connect(folder / "campaign.db")) as connection:
        for table in TABLES:
            for row in connection.execute(f"SELECT * FROM {table.name}"):  # noqa: S608
                for value in row:
                    raw = struct.pack(">d", value) if isinstance(value, float) else value
                    raw = raw.encode() if isinstance(raw, str) else raw
                    if isinstance(raw, bytes) and len(raw) >= 8 and (start := content.find(raw[:200])) >= 0:
                        places += range(start, start + len(raw[:200]))
    return places


def flipped(kept, n_flips, *, in_rows, seed=0):
    """How many flips of one bit were refused, changed nothing, or something in silence; anything else is raised."""
    rng = random.Random(seed)  # noqa: S311  not for secrets
    database = kept / "campaign.db"
    content = database.read_bytes()
    ids = ids_of(kept)
    with Store.read(kept) as store:
        origin, expected = store.origin(), said(store, ids)
    places = places_of_rows(content, kept) if in_rows else range(len(content))
    counts = {"refused": 0, "same": 0, "silent": []}
    for _ in range(n_flips):
        place, bit = rng.choice(places), rng.randrange(8)
        garbled = bytearray(content)
        garbled[place] ^= 1 << bit
        found = []
        for open_store in (lambda: Store.read(kept), lambda: Store.create_or_resume(kept, origin)):
            database.write_bytes(garbled)
            try:
                with open_store() as store:
                    found.append(said(store, ids) == expected)
            except HullscoutError:
                found.append(None)
        if False in found:
            counts["silent"].append((place, bit))
        else:
            counts["refused" if None in found else "same"] += 1
    database.write_bytes(content)
    return counts


@pytest.mark.parametrize("in_rows", [False, True], ids=["anywhere", "in rows"])
def test_some_flipped_bits_are_refused_or_change_nothing(kept, in_rows):
    counts = flipped(kept, SAMPLE, in_rows=in_rows, seed=1)
    assert counts["silent"] == []
    assert counts["refused"] == SAMPLE - counts["same"]
    assert counts["refused"] > (SAMPLE - 1 if in_rows else 0)


@pytest.mark.damage
@pytest.mark.parametrize("in_rows", [False, True], ids=["anywhere", "in rows"])
def test_no_flipped_bit_is_silent(kept, in_rows, capsys):
    n_flips = N_IN_ROWS if in_rows else N_ANYWHERE
    counts = flipped(kept, n_flips, in_rows=in_rows)
    with capsys.disabled():
        print(f"\n{n_flips} flips {'in rows' if in_rows else 'anywhere'}: {counts}")  # noqa: T201
    assert counts["silent"] == []
    assert not in_rows or counts["refused"] == n_flips


def garble(folder, statement):
    """Change rows behind the store's back; what stays is their checksum."""
    with closing(sqlite3.connect(folder / "campaign.db")) as connection, connection:
        connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (
            "UPDATE answers SET energy_ev = energy_ev + 1e-9 WHERE energy_ev = (SELECT min(energy_ev) FROM answers)",
            "answers '",
        ),
        ("UPDATE answers SET note = 'other'", "answers '"),
        ("UPDATE failures SET sentence = sentence || '!'", "failures '"),
        ("UPDATE attempts SET is_forgiven = 1", "attempts '"),
        ("UPDATE rounds SET round = 7 WHERE round = 2", "rounds 7"),
        ("DELETE FROM rounds WHERE round = 1", "rounds that do not follow on each other"),
        ("UPDATE campaign SET value = x'00' WHERE key = 'pool_name'", "campaign 'pool_name'"),
        ("UPDATE additions SET n_rounds = 0", "additions 1"),
        ("ALTER TABLE attempts RENAME COLUMN is_forgiven TO forgiven", "its table attempts is not as it was made"),
    ],
)
def test_a_row_that_does_not_fit_its_checksum_is_named(kept, statement, named):
    garble(kept, statement)
    with pytest.raises(StoreError, match=r"campaign.db is damaged .*") as refused, Store.read(kept) as store:
        said(store, ids_of(kept))
    assert named in str(refused.value)
    assert "hullscout salvage" in str(refused.value)


@pytest.fixture
def ended(live_file, tmp_path):
    """The folder of a campaign that has ended."""
    assert CliRunner().invoke(main, ["run", str(live_file), "--out", str(tmp_path / "out")]).exit_code == 0
    return tmp_path / "out"


def test_what_is_sound_is_salvaged_and_the_rest_calculated_again(ended, live_file, tmp_path):
    with Store.read(ended) as store:
        before, rounds = store.answers(), store.n_rounds
    lost, *others = sorted(before)
    garble(ended, f"UPDATE answers SET energy_ev = 1 WHERE id = '{lost}'")  # noqa: S608
    garble(ended, "UPDATE rounds SET record = replace(record, ' ', '  ') WHERE round = 1")
    content = (ended / "campaign.db").read_bytes()
    done = CliRunner().invoke(main, ["salvage", str(ended), "-o", str(tmp_path / "new")])
    assert done.exit_code == 0, done.output
    assert "Kept 9 answers" in done.output
    assert f"Lost: answers '{lost}'" in done.output
    assert "Lost: rounds 1" in done.output
    assert (ended / "campaign.db").read_bytes() == content
    with Store.read(tmp_path / "new") as store:
        assert store.answers() == {name: before[name] for name in others}
        assert store.n_rounds in {rounds, rounds - 1}
    again = CliRunner().invoke(main, ["run", str(live_file), "--out", str(tmp_path / "new")])
    assert again.exit_code == 0, again.output
    with Store.read(tmp_path / "new") as store:
        assert store.answers() == before


def test_a_sound_campaign_is_salvaged_whole_and_no_campaign_is_written_over(ended, tmp_path):
    done = CliRunner().invoke(main, ["salvage", str(ended), "-o", str(tmp_path / "new")])
    assert "Nothing was lost." in done.output
    for table in TABLES:
        query = f"SELECT * FROM {table.name} ORDER BY rowid"  # noqa: S608
        found = [closing(sqlite3.connect(folder / "campaign.db")) for folder in (ended, tmp_path / "new")]
        with found[0] as one, found[1] as other:
            rows = [sorted(connection.execute(query).fetchall()) for connection in (one, other)]
        assert rows[0] == rows[1]
    again = CliRunner().invoke(main, ["salvage", str(ended), "-o", str(tmp_path / "new")])
    assert (again.exit_code, "holds a campaign already" in again.output) == (2, True)


def test_where_the_pool_is_lost_the_energies_are_kept_as_a_table(ended, tmp_path):
    garble(ended, "UPDATE campaign SET value = x'00' WHERE key = 'pool'")
    done = CliRunner().invoke(main, ["salvage", str(ended), "-o", str(tmp_path / "new")])
    assert done.exit_code == 0, done.output
    assert "No campaign can be made of what is left. Wrote 10 energies to answers.csv." in done.output
    with Store.read(ended) as store:
        answers = store.answers()
    lines = (tmp_path / "new" / "answers.csv").read_text().splitlines()[1:]
    assert {line.split(",")[0]: float(line.split(",")[1]) for line in lines} == answers


def test_where_nothing_can_be_salvaged_another_remedy_is_told(ended, tmp_path):
    (ended / "campaign.db").write_bytes(b"no database" * 1000)
    done = CliRunner().invoke(main, ["salvage", str(ended), "-o", str(tmp_path / "new")])
    assert (done.exit_code, done.output.count("Nothing can be salvaged: ")) == (2, 1)
    assert ("run the campaign again with another --out." in done.output, "hullscout salvage" in done.output) == (
        True,
        False,
    )
    assert not (tmp_path / "new").exists()


def unsealed(folder):
    """A database as earlier versions made it: without checksums."""
    with closing(sqlite3.connect(folder / "campaign.db")) as connection, connection:
        for table in TABLES:
            connection.execute(f"ALTER TABLE {table.name} DROP COLUMN checksum")
        connection.execute("DROP TABLE additions")
        connection.execute("UPDATE campaign SET value = x'33' WHERE key = 'schema'")


def test_a_database_of_an_earlier_version_is_read_and_sealed_when_it_is_opened_for_writing(ended):
    with Store.read(ended) as store:
        origin, before, tried = store.origin(), store.answers(), store.attempts()
    unsealed(ended)
    content = (ended / "campaign.db").read_bytes()
    with Store.read(ended) as store:
        assert (store.origin(), store.answers(), store.attempts()) == (origin, before, tried)
    assert (ended / "campaign.db").read_bytes() == content
    Store.create_or_resume(ended, origin).close()
    with Store.read(ended) as store:
        assert (store.origin(), store.answers(), store.attempts()) == (origin, before, tried)
    garble(ended, "UPDATE answers SET energy_ev = energy_ev + 1")
    with (
        pytest.raises(StoreError, match="rows that do not fit their checksums or types: answers"),
        Store.read(ended) as store,
    ):
        store.answers()


def test_a_wrong_type_or_text_in_a_database_of_an_earlier_version_is_damage(ended):
    unsealed(ended)
    garble(ended, "UPDATE attempts SET began = 'yesterday'")
    with pytest.raises(StoreError, match=r"is damaged .*attempts '"), Store.read(ended) as store:
        store.attempts()
    garble(ended, "UPDATE answers SET id = CAST(x'ff' AS TEXT) WHERE rowid = 1")
    with pytest.raises(StoreError, match=r"is damaged .*answers '"), Store.read(ended) as store:
        store.answers()
