"""Parquet: pools of a million candidates, a column for each thing that is known of them, written and read some thousands at a time.

A row is a candidate: `id`; `numbers`, its atomic numbers; `positions`, x, y and z of atom after atom in A; `cell`, nine numbers in
A, vector after vector; and where they are stated `energy` in eV per cell, `magmoms` (one number or three an atom) and `pbc` (three
truth values). Whatever else is numbers or words is a column of the pool by its name. Coordinates are kept to the last bit.
"""

from __future__ import annotations

from itertools import chain, islice, starmap
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hullscout.contents import MAX_BYTES, raw_content
from hullscout.display import visible
from hullscout.errors import InvalidPoolError, MissingPackageError, UnsafeFileError
from hullscout.pool.candidate import AtomArrays
from hullscout.pool.frames import VACANCIES, Frame, FrameError, Frames, Gathered, check_id, plain_columns
from hullscout.pool.geometry import numbers_fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

MAGIC = b"PAR1"
SUFFIX = ".parquet"
ROWS_AT_A_TIME = 20_000
MAX_ROWS = 20_000_000
_ATOMS = ("id", "numbers", "positions", "cell")
_OURS = (*_ATOMS, "energy", "magmoms", "pbc")
_PERIODIC = (True, True, True)


def write_columns(path: Path, frames: Iterable[Frame], kinds: Mapping[str, type]) -> None:
    """Write frames to a new Parquet file as they come; the same frames give the same bytes.

    `kinds` are the types, `float` or `str`, of the further columns that they state.
    """
    pa, pq = _arrow()
    further = {name: pa.string() if kind is str else pa.float64() for name, kind in sorted(kinds.items())}
    numbers, lengths = pa.list_(pa.uint8()), pa.list_(pa.float64())
    schema = pa.schema(
        {
            "id": pa.string(),
            "numbers": numbers,
            "positions": lengths,
            "cell": lengths,
            "energy": pa.float64(),
            "magmoms": lengths,
            "pbc": pa.list_(pa.bool_()),
            **further,
        }
    )
    left = iter(frames)
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
        while some := list(islice(left, ROWS_AT_A_TIME)):
            rows: dict[str, list[Any]] = {
                "id": [frame.id for frame in some],
                "numbers": [frame.numbers for frame in some],
                "positions": [frame.positions.ravel() for frame in some],
                "cell": [frame.cell.ravel() for frame in some],
                "energy": [frame.energy_ev for frame in some],
                "magmoms": [None if frame.magmoms is None else frame.magmoms.ravel() for frame in some],
                "pbc": [None if frame.pbc == _PERIODIC else list(frame.pbc) for frame in some],
                **{
                    name: [_as(kind, frame.columns.get(name)) for frame in some] for name, kind in sorted(kinds.items())
                },
            }
            writer.write_table(pa.table(rows, schema=schema))


def _as(kind: type, value: str | float | None) -> Any:
    return None if value is None else kind(value)


def read_columns(content: bytes, *, path: Path) -> Frames:
    """All frames of the content of a Parquet file."""
    pa, pq = _arrow()
    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        meta = file.metadata
        n_bytes = sum(meta.row_group(group).total_byte_size for group in range(meta.num_row_groups))
        if meta.num_rows > MAX_ROWS or n_bytes > MAX_BYTES:
            raise InvalidPoolError(
                f"{path}: expected at most {MAX_ROWS} rows and {MAX_BYTES} bytes, found {meta.num_rows} rows and {n_bytes} "
                "bytes. Split it."
            )
        _refuse_other_tables(path, file.schema_arrow)
        gathered, number = Gathered(path), 0
        stated = [name for name in file.schema_arrow.names if name not in _OURS]
        for batch in file.iter_batches(batch_size=ROWS_AT_A_TIME, use_threads=False):
            for row in _rows(pa, batch, stated):
                number += 1
                try:
                    gathered.frames.append(_frame(gathered, number, row))
                except FrameError as error:
                    gathered.faults.append(visible(f"row {number} (id {row.id!r}): {error}"))
    except (pa.ArrowException, OSError) as error:
        raise InvalidPoolError(
            f"{path}: expected a whole Parquet file, found what cannot be read: {' '.join(str(error).split())[:200]} Write it anew."
        ) from error
    if not gathered.frames and not gathered.faults:
        raise InvalidPoolError(f"{path}: expected candidates, found no rows. Name a pool that holds some.")
    return gathered.finish()


def read_columnar(path: Path) -> Frames:
    """All frames of a Parquet file."""
    try:
        content = raw_content(path)
    except UnsafeFileError as error:
        raise InvalidPoolError(str(error)) from error
    return read_columns(content, path=path)


def _arrow() -> tuple[Any, Any]:
    """The packages `pyarrow` and `pyarrow.parquet`; a MissingPackageError where they are not installed."""
    try:
        import pyarrow as pa  # noqa: PLC0415  (an extra)
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise MissingPackageError(
            "Parquet files expect the package pyarrow, found none. Install it: pip install 'hullscout[parquet]'."
        ) from error
    return pa, parquet


def _refuse_other_tables(path: Path, schema: Any) -> None:
    """An InvalidPoolError for a table without the columns of a pool, or with other things in them."""
    pa, _ = _arrow()
    missing = [name for name in _ATOMS if name not in schema.names]
    expected = "id (words), numbers, positions and cell (a list of numbers in each row)"
    if missing:
        found = ", ".join(schema.names[:20]) or "none"
        raise InvalidPoolError(f"{path}: expected the columns {expected}, found {found}. Rename or add them.")
    for name in set(_OURS) & set(schema.names):
        kind = schema.field(name).type
        is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
        inner = kind.value_type if is_list else kind
        is_number = pa.types.is_integer(inner) or pa.types.is_floating(inner)
        is_sound = {
            "id": not is_list and (pa.types.is_string(inner) or pa.types.is_large_string(inner)),
            "energy": not is_list and (is_number or pa.types.is_null(inner)),
            "pbc": is_list and pa.types.is_boolean(inner),
            "numbers": is_list and pa.types.is_integer(inner),
        }.get(name, is_list and is_number)
        if not is_sound:
            raise InvalidPoolError(
                f"{path}: expected the columns {expected}, found {name} as {kind}. Write it as that."
            )


class _Row(NamedTuple):
    """What a row states, as it stands there."""

    id: str | None
    numbers: NDArray[np.int64] | None
    positions: NDArray[np.float64] | None
    cell: NDArray[np.float64] | None
    energy_ev: float | None
    magmoms: NDArray[np.float64] | None
    pbc: NDArray[np.bool_] | None
    stated: dict[str, object]


def _rows(pa: Any, batch: Any, stated: list[str]) -> Iterator[_Row]:
    """The rows of a batch; `stated` names the further columns."""
    n = batch.num_rows
    names = batch.schema.names

    def lists(name: str, dtype: type) -> Iterator[NDArray[Any] | None]:
        if name not in names:
            return iter([None] * n)
        column = batch.column(name)
        kind = pa.list_(pa.bool_() if dtype is np.bool_ else pa.int64() if dtype is np.int64 else pa.float64())
        column = column.cast(kind)
        ends = column.offsets.to_numpy()
        values = column.values.to_numpy(zero_copy_only=False).astype(dtype, copy=False)
        is_there = column.is_valid().to_numpy(zero_copy_only=False)
        return (
            values[start:end] if there else None
            for start, end, there in zip(ends[:-1].tolist(), ends[1:].tolist(), is_there.tolist(), strict=True)
        )

    plain = [batch.column(name).to_pylist() for name in stated]
    further: Iterable[Any] = zip(*plain, strict=True) if plain else iter([()] * n)
    energies = batch.column("energy").to_pylist() if "energy" in names else [None] * n
    columns = zip(
        batch.column("id").to_pylist(),
        lists("numbers", np.int64),
        lists("positions", np.float64),
        lists("cell", np.float64),
        energies,
        lists("magmoms", np.float64),
        lists("pbc", np.bool_),
        (dict(zip(stated, values, strict=True)) for values in further),
        strict=True,
    )
    return starmap(_Row, columns)


def _frame(gathered: Gathered, number: int, row: _Row) -> Frame:
    """One row as a frame; a FrameError for what cannot be one."""
    if row.id:
        check_id(row.id)
    numbers, positions, cell, magmoms = row.numbers, row.positions, row.cell, row.magmoms
    n = 0 if numbers is None else len(numbers)
    n_found = tuple(0 if each is None else len(each) for each in (positions, cell))
    if numbers is None or positions is None or cell is None or not n or n_found != (3 * n, 9):
        raise FrameError(
            f"expected numbers of n atoms, 3 n positions and 9 numbers of the cell, found {n}, {n_found[0]} and {n_found[1]}"
        )
    n_moments = 0 if magmoms is None else len(magmoms)
    if n_moments not in (0, n, 3 * n):
        raise FrameError(f"expected one or three moments for each of {n} atoms, found {n_moments}")
    if row.pbc is not None and len(row.pbc) != 3:
        raise FrameError(f"expected pbc as three truth values, found {len(row.pbc)}")
    moments = None if magmoms is None or not n_moments else magmoms.reshape((n,) if n_moments == n else (n, 3))
    periodic = _PERIODIC if row.pbc is None else (bool(row.pbc[0]), bool(row.pbc[1]), bool(row.pbc[2]))
    atoms = AtomArrays(numbers, positions.reshape(n, 3), cell.reshape(3, 3), periodic, moments)
    if (numbers == 0).any():
        atoms = atoms.without_vacancies()
        gathered.note(VACANCIES)
    if odd := numbers_fault(atoms.numbers):
        raise FrameError(odd)
    columns = plain_columns(row.stated) if row.stated else {}
    return Frame(number=number, id=row.id or "", energy_ev=row.energy_ev, columns=columns, **atoms._asdict())


def kinds_of(frames: Iterable[Frame]) -> dict[str, type]:
    """The types of the columns that frames state; words where a column holds both."""
    kinds: dict[str, type] = {}
    for name, value in chain.from_iterable(frame.columns.items() for frame in frames):
        kinds[name] = str if isinstance(value, str) or kinds.get(name) is str else float
    return kinds
