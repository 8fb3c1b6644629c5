"""Calculations that were started, as a campaign keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from hullscout.campaign.rows import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One calculation of a candidate that was started.

    Attributes:
        attempt: 1 for the first, and so on.
        began: When it was handed to a worker, UTC.
        ended: When its outcome was kept, UTC; None while it runs, and for ever where the campaign was ended meanwhile.
        wall_s: Seconds that the calculation took, without waiting for a worker; None where nobody measured.
        reason: Why it failed; None where it gave an energy or has not ended.
        is_forgiven: It does not count against the candidate any more.
    """

    id: str
    attempt: int
    began: datetime
    ended: datetime | None
    wall_s: float | None
    reason: str | None
    sentence: str | None
    is_forgiven: bool

    @classmethod
    def of_row(cls, row: Row) -> Self:
        """The attempt that a row keeps."""
        moments = {name: row[name] and datetime.fromisoformat(row[name]) for name in ("began", "ended")}
        return cls(**{**row, **moments, "is_forgiven": bool(row["is_forgiven"])})
