"""Parquet: what is written comes back to the last bit; what cannot be understood is refused, and where it stands is said."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from hullscout.errors import InvalidPoolError
from hullscout.pool import Existing, Frame, build_pool, keep_pool, kept_frames, read_pool, save_frames
from hullscout.pool.pool import WithoutEnergy

CELL = np.diag([3.0, 3.1, 3.2])


def frame(number, **changes):
    stated = {
        "number": number,
        "id": f"a{number}",
        "numbers": np.array([47, 46]),
        "positions": np.array([[0.0, 0.0, 0.0], [1.5, 1.55, 1.6 + 1e-13 * number]]),
        "cell": CELL,
        "pbc": (True, True, True),
        "energy_ev": -1.0 / 3.0,
    }
    return Frame(**{**stated, **changes})


def table(**changes):
    stated = {
        "id": ["a", "b"],
        "numbers": [[47], [46]],
        "positions": [[0.0, 0.0, 0.0]] * 2,
        "cell": [CELL.ravel().tolist()] * 2,
    }
    return {**stated, **changes}


def written(tmp_path, columns):
    parquet.write_table(pa.table(columns), tmp_path / "pool.parquet")
    return tmp_path / "pool.parquet"


def test_what_is_written_comes_back_to_the_last_bit(tmp_path):
    frames = [
        frame(1, columns={"hours": 1.5, "by": "PBE"}),
        frame(2, magmoms=np.array([1.0, -1.0]), energy_ev=None),
        frame(3, magmoms=np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]), columns={"by": "PBE"}),
        frame(4, pbc=(True, True, False), numbers=np.array([46]), positions=np.array([[0.1, 0.2, 0.3]])),
    ]
    save_frames(tmp_path / "pool.parquet", frames)
    read = read_pool(tmp_path / "pool.parquet").frames
    for one, other in zip(frames, read, strict=True):
        assert (one.id, one.number, one.energy_ev, one.pbc) == (other.id, other.number, other.energy_ev, other.pbc)
        assert one.columns == other.columns
        for name in ("numbers", "positions", "cell", "magmoms"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_the_same_frames_give_the_same_bytes_whether_they_come_at_once_or_one_by_one(tmp_path):
    frames = [frame(number) for number in range(1, 40)]
    save_frames(tmp_path / "a.parquet", frames)
    save_frames(tmp_path / "b.parquet", iter(frames), kinds={})
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_campaign_keeps_it_as_it_is(tmp_path):
    save_frames(tmp_path / "pool.parquet", [frame(1), frame(2)])
    kept = keep_pool(tmp_path / "pool.parquet")
    assert kept.content == (tmp_path / "pool.parquet").read_bytes()
    assert [each.id for each in kept_frames(kept.content, path=tmp_path).frames] == ["a1", "a2"]


def test_lists_of_other_widths_and_vacancies_are_understood(tmp_path):
    columns = table(
        numbers=pa.array([[47, 0], [46, 0]], pa.list_(pa.int32(), 2)),
        positions=pa.array([[0.0] * 3 + [1.5] * 3] * 2, pa.large_list(pa.float32())),
        energy=pa.array([1, 2], pa.int64()),
    )
    read = read_pool(written(tmp_path, columns))
    assert [each.numbers.tolist() for each in read.frames] == [[47], [46]]
    assert [each.energy_ev for each in read.frames] == [1.0, 2.0]
    assert "vacancies" in read.notes[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"numbers": [[47, 47], [46]]}, r"row 1 \(id 'a'\): expected numbers of n atoms, .* found 2, 3 and 9"),
        ({"numbers": [None, [46]]}, r"row 1 \(id 'a'\): expected numbers of n atoms, .* found 0"),
        ({"numbers": [[47], [147]]}, r"row 2 \(id 'b'\): .*147"),
        ({"cell": [[1.0] * 8, [1.0] * 9]}, r"row 1 \(id 'a'\): .* 3 and 8"),
        ({"id": ["a", None]}, "expected an id, as others have one"),
        ({"id": ["a\n", "b"]}, "printable characters on one line"),
        ({"magmoms": [[1.0, 2.0], None]}, "one or three moments for each of 1 atoms, found 2"),
        ({"pbc": [[True], None]}, "three truth values, found 1"),
        ({"energy": [float("nan"), 1.0]}, "energy is nan"),
        ({"positions": [[float("inf"), 0.0, 0.0]] * 2}, "expected finite coordinates"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(changes, message, tmp_path):
    with pytest.raises(InvalidPoolError, match=message):
        build_pool(read_pool(written(tmp_path, table(**changes))), ("Ag", "Pd"), without_energy=WithoutEnergy.KEEP)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"structure": ["{}"]}, r"expected the columns id .* found structure"),
        (table(numbers=["Ag", "Pd"]), "found numbers as string"),
        (table(energy=["low", "high"]), "found energy as string"),
        (table(positions=[0.0, 1.0]), "found positions as double"),
    ],
)
def test_a_table_of_something_else_is_refused(columns, message, tmp_path):
    with pytest.raises(InvalidPoolError, match=message):
        read_pool(written(tmp_path, columns))


def test_a_damaged_or_empty_file_is_refused(tmp_path):
    path = tmp_path / "pool.parquet"
    save_frames(path, [frame(1), frame(2)])
    content = path.read_bytes()
    for place in range(4, len(content) - 8, 97):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            read = read_pool(path).frames
        except InvalidPoolError:
            continue
        for one, other in zip(read, [frame(1), frame(2)], strict=True):  # a flip where nothing stands that is read
            np.testing.assert_array_equal(one.positions, other.positions)
            assert (one.id, one.energy_ev) == (other.id, other.energy_ev)
    path.write_bytes(content[:-9])
    with pytest.raises(InvalidPoolError, match="expected a whole Parquet file"):
        read_pool(path)
    save_frames(path, [], existing=Existing.REPLACE)
    with pytest.raises(InvalidPoolError, match="found no rows"):
        read_pool(path)


def test_a_table_of_too_many_bytes_is_refused_before_it_is_read(tmp_path, monkeypatch):
    save_frames(tmp_path / "pool.parquet", [replace(frame(1), id="x" * 200)] * 50)
    monkeypatch.setattr("hullscout.pool.columnar.MAX_BYTES", 1000)
    with pytest.raises(InvalidPoolError, match=r"expected at most .* bytes, found"):
        read_pool(tmp_path / "pool.parquet")
