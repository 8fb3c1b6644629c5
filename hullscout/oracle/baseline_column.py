"""A pool with one more column: the energies of its structures by a potential.

What was computed is kept in a file beside the pool that is written, line by line, until that is whole: the same command goes on
from there. Beside the column stands another, which says of which potential and level it is.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hullscout.errors import InvalidPoolError, OracleError, OutputError
from hullscout.files import sha256_of
from hullscout.oracle.outcome import Calculated, Failed
from hullscout.pool import Existing, check_target, format_frames, keep_pool, kept_frames, save_frames
from hullscout.pool.frames import one_error, shown_ids
from hullscout.writing import remove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from hullscout.oracle.potentials import PriorOrder
    from hullscout.oracle.settings import AnyExecutor
    from hullscout.pool import Frame

SOURCE = "_by"
"""Behind the name of a column of energies: the column that says what they are of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """How many structures have the energy now, how many of these were kept from before, and why others have none.

    And the elements whose pure structures, though there are some, all have none.
    """

    n_computed: int
    n_kept: int
    failures: Mapping[str, str] = field(default_factory=dict)
    missing_pure: tuple[str, ...] = ()


def add_column(
    pool: Path,
    output: Path,
    order: PriorOrder,
    executor: AnyExecutor,
    *,
    column: str,
    pool_format: str | None = None,
    beside: Path | None = None,
    existing: Existing = Existing.REFUSE,
    on_progress: Callable[[int, int], None] = lambda *_: None,
    on_note: Callable[[str], None] = lambda _: None,
) -> Column:
    """Write a pool with the energies of a potential, eV per cell, as a column; structures of which it has none stay without.

    Args:
        beside: Folder in which modules that a dotted path names are looked for, too.
        on_progress: Called with how many are done, and of how many.
        on_note: Called with a sentence for each structure of which there is no energy.

    Raises:
        OracleError: The potential cannot be used, or gives no energy at all.
        InvalidPoolError: The pool cannot be read, or has a column of that name.
        OutputError: The file cannot be written there.
    """
    check_target(output, existing, source=pool)
    frames = _frames(pool, pool_format, column)
    order.refuse_unknown_elements(sorted({symbol for frame in frames for symbol in _symbols(frame)}))
    kept = _Kept.open(output, sha256_of(f"{order.source}\n".encode() + format_frames(frames)))
    energies, failures = kept.energies, kept.failures
    n_kept = len(energies)
    left = [frame.candidate() for frame in frames if frame.id not in energies.keys() | failures.keys()]
    on_progress(len(frames) - len(left), len(frames))
    for candidate_id, outcome in order.energies(
        left, executor, folder=output.parent, beside=None if beside is None else str(beside)
    ):
        kept.add(candidate_id, outcome)
        if isinstance(outcome, Failed):
            on_note(f"{candidate_id} has no {column}: {outcome.sentence}")
        on_progress(len(energies) + len(failures), len(frames))
    if not energies:
        kept.remove()
        raise OracleError(
            f"{order.calculator}: no energy of {len(frames)} structures could be computed. The first: "
            f"{next(iter(failures.values()))}"
        )
    said = {column + SOURCE: order.source}
    made = [
        replace(frame, columns={**frame.columns, column: energies[frame.id], **said}) if frame.id in energies else frame
        for frame in frames
    ]
    save_frames(output, made, existing=existing)
    kept.remove()
    missing = _pure_elements(frames) - _pure_elements(frame for frame in frames if frame.id in energies)
    return Column(n_computed=len(energies), n_kept=n_kept, failures=failures, missing_pure=tuple(sorted(missing)))


def _frames(pool: Path, pool_format: str | None, column: str) -> tuple[Frame, ...]:
    """All structures of a pool with what it states of them; none of them may have the column, or a fault."""
    if column in {"", "energy", "id"} or any(each.isspace() or each in "=\"'{}[]" for each in column):
        raise InvalidPoolError(f"--column: expected a name of one word, other than energy and id, found {column!r}.")
    content, faults, _ = keep_pool(pool, pool_format)
    read = kept_frames(content, path=pool)
    if faults := (*faults, *read.faults):
        raise one_error(pool, faults, n_frames=len(read.frames) + len(faults))
    frames = read.frames
    if twice := [each for each, n in Counter(frame.id for frame in frames).items() if n > 1]:
        raise InvalidPoolError(
            f"{pool}: expected an id of its own for each structure, found {shown_ids(twice)} more than once."
        )
    if there := [frame.id for frame in frames if {column, column + SOURCE} & frame.columns.keys()]:
        raise InvalidPoolError(
            f"{pool}: expected no column {column!r} yet, found one for {len(there)} of {len(frames)} structures. It was left as it "
            "is: name another by --column."
        )
    return frames


def _pure_elements(frames: Iterable[Frame]) -> set[str]:
    return {symbols[0] for frame in frames if len(symbols := _symbols(frame)) == 1}


def _symbols(frame: Frame) -> list[str]:
    from ase.data import chemical_symbols  # noqa: PLC0415  slow to import

    return [chemical_symbols[number] for number in set(frame.numbers.tolist())]


def _told(outcome: Calculated | Failed) -> dict[str, object]:
    return {"energy_ev": outcome.energy_ev} if isinstance(outcome, Calculated) else {"failed": outcome.sentence}


@dataclass(slots=True, kw_only=True)
class _Kept:
    """What was computed for a pool that is not written yet, beside it."""

    path: Path
    order: str
    energies: dict[str, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    is_begun: bool = False

    @classmethod
    def open(cls, output: Path, order: str) -> _Kept:
        """What is kept of this order; what is kept of another is forgotten, and so is a line that was cut off."""
        kept = cls(path=output.with_name(f".{output.name}.part"), order=order)
        lines: list[bytes] = []
        with suppress(FileNotFoundError):
            lines = kept.path.read_bytes().split(b"\n")[:-1]
        is_mine = bool(lines) and lines[0] == order.encode()
        try:
            for tree in (json.loads(line) for line in lines[1:] if is_mine):
                if "failed" in tree:
                    kept.failures[tree["id"]] = str(tree["failed"])
                else:
                    kept.energies[tree["id"]] = float(tree["energy_ev"])
        except (KeyError, TypeError, ValueError) as error:
            raise OutputError(
                f"{kept.path} keeps what was computed before, and is damaged ({error}). Remove it to compute all anew."
            ) from error
        return kept

    def add(self, candidate_id: str, outcome: Calculated | Failed) -> None:
        """Keep one more."""
        if isinstance(outcome, Calculated):
            self.energies[candidate_id] = outcome.energy_ev
        else:
            self.failures[candidate_id] = outcome.sentence
        trees: list[dict[str, object]] = [{"id": candidate_id, **_told(outcome)}]
        if not self.is_begun:  # a line that was cut off is gone then
            trees = [{"id": each, "energy_ev": energy} for each, energy in self.energies.items()]
            trees += [{"id": each, "failed": why} for each, why in self.failures.items()]
        with self.path.open("a" if self.is_begun else "w", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in ([] if self.is_begun else [self.order])))
            file.write("".join(f"{json.dumps(tree)}\n" for tree in trees))
        self.is_begun = True

    def remove(self) -> None:
        """Forget it."""
        remove(self.path)
