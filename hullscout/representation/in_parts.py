"""The features of a large pool, part by part: in this process or by workers, into files without names, in single precision.

Parts are the same wherever they are made, and so are the features, to the last bit. A part that is lost with its worker is made by
another.
"""

from __future__ import annotations

import os
import tempfile
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TYPE_CHECKING

import numpy as np

from hullscout.display import told
from hullscout.errors import OracleError
from hullscout.representation.interface import SINGLE_ABOVE, checked_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from hullscout.representation.interface import Floats, Representation, Structure

    Part = tuple[int, int]
    Blocks = Mapping[str, NDArray[np.float32]]
    OpenWorkers = Callable[[], AbstractContextManager[tuple[Executor | None, int]]]

TRIES = 3
"""So often workers are opened anew for the parts that were lost."""
_AHEAD = 2  # parts that each worker has before it


def features_of(
    representation: Representation,
    candidates: Sequence[Structure],
    open_workers: OpenWorkers,
) -> dict[str, Floats]:
    """The checked blocks (n, d) of a representation by name; of more than SINGLE_ABOVE candidates in parts.

    Args:
        open_workers: Opens an executor, or None for this process, and says how many parts it makes at a time; it is closed again.

    Raises:
        OracleError: Workers failed, again and again.
    """
    size = representation.part_size
    if len(candidates) <= SINGLE_ABOVE or size is None:
        return checked_blocks(representation, candidates)
    n, blocks = len(candidates), {}
    parts = [(start, min(start + size, n)) for start in range(0, n, size)]
    for (start, end), rows in _made(representation, candidates, parts, open_workers):
        for name, values in rows.items():
            if name not in blocks:
                blocks[name] = room_for(n, values.shape[1])
            blocks[name][start:end] = values
    return checked_blocks(representation, candidates, {**blocks, **representation.joint_blocks(candidates)})


def own_rows(representation: Representation, candidates: Sequence[Structure]) -> Blocks:
    """The own blocks of a part in single precision, made with one thread of BLAS: sums depend on how they were shared out."""
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    with threadpool_limits(limits=1, user_api="blas"):
        blocks = representation.own_blocks(candidates)
    return {name: np.asarray(block, np.float32) for name, block in blocks.items()}


def room_for(n: int, d: int) -> NDArray[np.float32]:
    """An array (n, d) in single precision, in a file without a name that goes when nothing refers to it any more.

    OSError where the disk of temporary files has not so much left.
    """
    with tempfile.TemporaryFile(prefix="hullscout-") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, 4 * n * d)  # else a full disk ends the process without a word
        return np.memmap(file, np.float32, mode="r+", shape=(n, d))


def _made(
    representation: Representation,
    candidates: Sequence[Structure],
    parts: list[Part],
    open_workers: OpenWorkers,
) -> Iterator[tuple[Part, Blocks]]:
    """Parts as they come; those that were lost come from other workers."""
    lost: list[BaseException] = []
    for _ in range(TRIES):
        with open_workers() as (executor, n_workers):
            if executor is None:
                yield from ((part, own_rows(representation, candidates[slice(*part)])) for part in parts)
                return
            left: list[Part] = []
            for part, done in _by(executor, representation, candidates, parts, n_ahead=_AHEAD * n_workers):
                if (error := done.exception()) is not None:
                    lost.append(error)
                    left.append(part)
                else:
                    yield part, done.result()
        if not left:
            return
        parts = sorted(left)
    raise OracleError(
        f"Features of {len(parts)} parts of the pool could not be made by the workers, {TRIES} times: {told(lost[-1])}. Is "
        "hullscout installed where they run?"
    ) from lost[-1]


def _by(
    executor: Executor,
    representation: Representation,
    candidates: Sequence[Structure],
    parts: list[Part],
    *,
    n_ahead: int,
) -> Iterator[tuple[Part, Future[Blocks]]]:
    """Parts and their futures that are done, as they come; no more than so many are at the workers at a time."""
    waiting = deque(parts)
    under_way: dict[Future[Blocks], Part] = {}
    while waiting or under_way:
        while waiting and len(under_way) < n_ahead:
            part = waiting.popleft()
            try:
                future = executor.submit(own_rows, representation, candidates[slice(*part)])
            except Exception as error:  # noqa: BLE001  an executor that is broken refuses what comes after
                future = Future()
                future.set_exception(error)
            under_way[future] = part
        for future in wait(under_way, return_when=FIRST_COMPLETED).done:
            yield under_way.pop(future), future
