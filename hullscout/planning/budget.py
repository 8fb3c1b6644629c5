"""A fixed budget: how probably it gives the right hull, what a wanted probability takes, and how several alloys share one budget.

All from replays: after a spend b a run stands where its path was then, or at its own end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidPlanError
from hullscout.planning.rates import CONFIDENCE, Rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hullscout.planning.replay import Path as ReplayPath
    from hullscout.selection.known import Floats, Indices


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be spent, above 0: a number of calculations, or core-hours."""

    amount: float
    is_core_hours: bool = False

    def __post_init__(self) -> None:
        if not (np.isfinite(self.amount) and self.amount > 0):
            raise InvalidPlanError(f"--budget: expected more than 0 {self.unit}, found {self.amount:g}.")

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read a number of calculations, or of core-hours with an `h` behind it; anything else is an `InvalidPlanError`.

        >>> Budget.parse("500h").unit
        'core-hours'
        """
        is_core_hours = text.strip().endswith("h")
        try:
            amount = float(text.strip().removesuffix("h"))
            if not is_core_hours and np.isfinite(amount):
                amount = int(text)
        except ValueError as error:
            raise InvalidPlanError(
                f"--budget {text}: expected a whole number of calculations such as 300, or core-hours such as 5000h."
            ) from error
        return cls(amount=amount, is_core_hours=is_core_hours)

    @property
    def unit(self) -> str:
        """What it is counted in."""
        return "core-hours" if self.is_core_hours else "calculations"

    @property
    def short(self) -> str:
        """As it was read."""
        return f"{self.amount:.12g}{'h' if self.is_core_hours else ''}"

    def __str__(self) -> str:
        return f"{self.amount:.12g} {self.unit}"


TINY = 1e-12
"""A budget is above 0."""
MAX_STEPS = 2000
"""A budget is split in so many steps at most."""
ROUNDING = 1e-9
"""So small a part of a budget must not be lost to the rounding of a sum of costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """One or more replays of one setting, seen along what they spend.

    Attributes:
        whole: (r,) cost of each replay to its own end.
        right_from: (r,) cost from which on the hull of each is within the tolerance; infinite if it never is.
        pool: What the whole pool takes.
    """

    name: str
    whole: Floats
    right_from: Floats
    confidence: float = CONFIDENCE
    pool: float = np.inf

    def __post_init__(self) -> None:
        if not self.whole.size:
            raise InvalidPlanError("Expected one replay or more, found none.")

    @classmethod
    def of(
        cls,
        name: str,
        paths: Sequence[ReplayPath],
        *,
        cost: Floats,
        hull_tolerance: float,
        failure_probability: float | None,
        confidence: float = CONFIDENCE,
    ) -> Spending:
        """Read it off the replays of a campaign, which end at this failure probability, or where their paths do.

        `cost` is (n,) in the unit of the budget, ones for a number of calculations, 0 for what is given; the tolerance of a right
        hull is in eV/atom.
        """
        whole, right_from = [], []
        for path in paths:
            n_end = path.end(failure_probability).n_calculations
            spent = np.cumsum(cost[list(path.order[:n_end])])
            # The error never rises again: a hull of more points is nowhere higher.
            n_right = next((n for n, error in path.error_steps if error <= hull_tolerance), n_end + 1)
            whole.append(spent[-1])
            right_from.append(spent[n_right - 1] if n_right <= n_end else np.inf)
        return cls(
            name=name,
            whole=np.array(whole),
            right_from=np.array(right_from),
            confidence=confidence,
            pool=float(cost.sum()),
        )

    @property
    def to_the_whole_pool(self) -> Spending:
        """The same where each replay goes on beyond its own end until the whole pool is calculated, which gives the right hull."""
        return replace(
            self, whole=np.full_like(self.whole, self.pool), right_from=np.minimum(self.right_from, self.pool)
        )

    def chance(self, budget: float) -> Rate:
        """Share of the runs whose hull is within the tolerance once the budget is spent, with its interval.

        A run that meets a calculation that it cannot afford any more ends there.
        """
        return self._rate(int((self.right_from <= budget * (1.0 + ROUNDING)).sum()))

    def least_budget(self, wanted: float) -> float | None:
        """The smallest budget of which the chance is `wanted` or more with confidence; None if no replay number shows that.

        Confidence: the lower end of the interval.
        """
        budgets = enumerate(np.sort(self.right_from[np.isfinite(self.right_from)]).tolist(), start=1)
        return next((budget for n, budget in budgets if self._rate(n).low >= wanted), None)

    def _rate(self, n_right: int) -> Rate:
        return Rate.of(n_right, self.whole.size, confidence=self.confidence)

    def steps(self) -> tuple[Floats, Floats]:
        """Budgets at which the observed chance rises, from 0 on, and the chances there."""
        at = np.unique(self.right_from[np.isfinite(self.right_from)])
        chances = [self.chance(budget).rate for budget in at]
        return np.concatenate([[0.0], at]), np.concatenate([[0.0], chances])


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one alloy gets of a budget, and its chance of a right hull then."""

    name: str
    budget: float
    chance: Rate


def split(spendings: Sequence[Spending], budget: float) -> tuple[Share, ...]:
    """Split a budget over alloys so that the expected number of right hulls is largest.

    The rule: of all ways to give each alloy one of the budgets at which its observed chance rises, the one with the largest sum of
    chances that the budget covers; found by dynamic programming, one alloy after the other. Of equal ones, a cheaper one. What is
    left goes where runs would still spend it. Costs are rounded up to whole calculations, or to a 2000th of a larger or other
    budget.
    """
    n_steps = int(budget) if float(budget).is_integer() and budget <= MAX_STEPS else MAX_STEPS
    best = np.zeros(n_steps + 1)
    choices: list[tuple[Floats, Indices, Indices]] = []
    for spending in spendings:
        at, chance = spending.steps()
        sizes = np.ceil(at * n_steps / budget - ROUNDING).astype(np.intp)
        fits = sizes <= n_steps
        at, chance, sizes = at[fits], chance[fits], sizes[fits]
        # Row k: what is reached with each budget if this alloy gets its k-th step.
        reached = np.full((at.size, n_steps + 1), -np.inf)
        for k, size in enumerate(sizes.tolist()):
            reached[k, size:] = best[: n_steps + 1 - size] + chance[k]
        chosen = np.argmax(reached >= reached.max(axis=0) - ROUNDING, axis=0)
        best = reached[chosen, np.arange(n_steps + 1)]
        choices.append((at, sizes, chosen))
    given, left = np.zeros(len(spendings)), n_steps
    for number in range(len(spendings) - 1, -1, -1):
        at, sizes, chosen = choices[number]
        k = int(chosen[left])
        given[number] = at[k]
        left -= int(sizes[k])
    rest = budget - float(given.sum())
    if rest > 0.0:
        needs = np.maximum([spending.whole.mean() for spending in spendings] - given, 0.0)
        given += rest * (needs / needs.sum() if needs.sum() > 0 else np.full(len(needs), 1.0 / len(needs)))
    return tuple(
        Share(name=s.name, budget=float(part), chance=s.chance(float(part)))
        for s, part in zip(spendings, given, strict=True)
    )
