"""What may change when a campaign is resumed, and what may not: one table, which the guide shows.

Until the first answer everything may: the campaign is made anew with the file as it is now.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from hullscout.display import after_rounds

if TYPE_CHECKING:
    from collections.abc import Iterator


class Resuming(Enum):
    """What becomes of a campaign whose setting is another one than when it was made."""

    FREE = "may"
    NOTED = "may; it goes on with it"
    FIXED = "may not"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Settings by name, or whole sections, what becomes of a campaign that is resumed with others, and why."""

    settings: tuple[str, ...]
    verdict: Resuming
    why: str

    def covers(self, key: str) -> bool:
        """Whether it speaks of a setting, by its full name."""
        return any(key == name or key.startswith(f"{name}.") for name in self.settings)


RESUMING = (
    Row(settings=("executor",), verdict=Resuming.FREE, why="where calculations run"),
    Row(settings=("pool.path", "pool.format"), verdict=Resuming.FREE, why="where the same pool lies"),
    Row(
        settings=("stop",), verdict=Resuming.NOTED, why="when it ends: one that has ended goes on, or ends where it is"
    ),
    Row(settings=("select.batch",), verdict=Resuming.NOTED, why="how many are chosen at a time"),
    Row(settings=("name", "seed"), verdict=Resuming.FIXED, why="which campaign it is"),
    Row(
        settings=("elements", "ends", "limits", "pool"),
        verdict=Resuming.FIXED,
        why="what is searched; `hullscout add` adds structures",
    ),
    Row(settings=("oracle",), verdict=Resuming.FIXED, why="energies of other settings are another hull"),
    Row(
        settings=("select", "prior", "representation", "regression", "cost"),
        verdict=Resuming.FIXED,
        why="how was chosen what is known",
    ),
)
"""The first row that speaks of a setting counts."""


def verdict_on(key: str) -> Resuming:
    """What becomes of a campaign that is resumed with another value of a setting, by its full name."""
    return next(row.verdict for row in RESUMING if row.covers(key))


def resuming_table() -> Iterator[str]:
    """The lines of the table as the guide shows it."""
    yield "| what it is | settings | when resumed |"
    yield "|---|---|---|"
    named = set[str]()
    for row in RESUMING:
        names = [
            f"`{name}`{', all others' if any(n.startswith(f'{name}.') for n in named) else ''}" for name in row.settings
        ]
        yield f"| {row.why} | {', '.join(names)} | {row.verdict.value} |"
        named.update(row.settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedThen:
    """Settings that were changed at one moment, each as a line with both values, and the rounds that were decided before."""

    n_rounds: int
    lines: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """When what was changed."""
        return f"Changed {after_rounds(self.n_rounds)}: {'; '.join(self.lines)}."
