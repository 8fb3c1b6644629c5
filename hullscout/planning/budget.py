"""A fixed budget: how probably it gives the right hull, what a wanted probability takes, and how several alloys share one budget.

All from replays: after a spend b a run stands where its path was then, or at its own end.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidPlanError
from hullscout.planning.intervals import Rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hullscout.planning.path import Path as ReplayPath
    from hullscout.selection.interface import Floats


class BudgetUnit(StrEnum):
    """What a budget is counted in."""

    CALCULATIONS = "calculations"
    CORE_HOURS = "core-hours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be spent.

    Raises:
        InvalidPlanError: It is not above 0.
    """

    amount: float
    unit: BudgetUnit

    def __post_init__(self) -> None:
        if not (np.isfinite(self.amount) and self.amount > 0):
            raise InvalidPlanError(f"--budget: expected more than 0 {self.unit}, found {self.amount:g}.")

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read a number of calculations, or of core-hours with an `h` behind it.

        Raises:
            InvalidPlanError: It is none.

        >>> Budget.parse("500h").unit.value
        'core-hours'
        """
        unit = BudgetUnit.CORE_HOURS if text.strip().endswith("h") else BudgetUnit.CALCULATIONS
        try:
            return cls(amount=float(text.strip().removesuffix("h")), unit=unit)
        except ValueError as error:
            raise InvalidPlanError(
                f"--budget {text}: expected a number of calculations such as 300, or of core-hours such as 5000h."
            ) from error

    def __str__(self) -> str:
        return f"{self.amount:g} {self.unit}"


# So small a part of a budget must not be lost to the rounding of a sum of costs.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """The replays of one setting, seen along what they spend.

    Attributes:
        name: Name of the campaign.
        spent: For each replay (m,) the cost of its first calculations, ascending.
        right_from: For each replay the cost from which on its hull is within the tolerance; infinite if it never is.

    Raises:
        InvalidPlanError: There is no replay.
    """

    name: str
    spent: tuple[Floats, ...]
    right_from: Floats

    def __post_init__(self) -> None:
        if not self.spent:
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
    ) -> Spending:
        """Read it off replays.

        Args:
            name: Name of the campaign.
            paths: Its replays.
            cost: (n,) cost of each candidate's calculation, in the unit of the budget; ones for a number of calculations.
            hull_tolerance: Hull error up to which (and with which) a hull counts as right, eV/atom.
            failure_probability: Where the runs end; None for the ends of the paths.
        """
        spent, right_from = [], []
        for path in paths:
            n_end = path.end(failure_probability).n_calculations
            along = np.cumsum(cost[list(path.order[:n_end])])
            # The error never rises again: a hull of more points is nowhere higher.
            n_right = next((n for n, error in path.error_steps if error <= hull_tolerance), n_end + 1)
            spent.append(along)
            right_from.append(along[n_right - 1] if n_right <= n_end else np.inf)
        return cls(name=name, spent=tuple(spent), right_from=np.array(right_from))

    def chance(self, budget: float) -> Rate:
        """Share of the runs whose hull is within the tolerance once the budget is spent, with its 95 % interval.

        A run that meets a calculation that it cannot afford any more ends there.
        """
        return Rate.of(int((self.right_from <= budget * (1.0 + ROUNDING)).sum()), len(self.spent))

    def used(self, budget: float) -> float:
        """Mean of what the runs really spend of a budget; a run that stops by itself leaves the rest."""
        most = budget * (1.0 + ROUNDING)
        return float(np.mean([along[: np.searchsorted(along, most, side="right")][-1:].sum() for along in self.spent]))

    def least_budget(self, wanted: float) -> float | None:
        """The smallest budget of which the chance is `wanted` or more with confidence; None if no replay number shows that.

        Confidence: the lower end of the 95 % interval.
        """
        for n_right, budget in enumerate(np.sort(self.right_from), start=1):
            if np.isfinite(budget) and Rate.of(n_right, len(self.spent)).low >= wanted:
                return float(budget)
        return None

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

    The rule: look at each alloy's best next step, the one with the steepest rise of its chance per cost (the next corner of the
    concave majorant of its curve), and pay for the steepest of all, until the budget is gone; what is left is shared by need. Exact
    up to the steps that no longer fit; alloys that cost much and gain little go without first.

    Args:
        spendings: One for each alloy.
        budget: In the unit of their costs, above 0.
    """
    steps: list[tuple[float, int, float]] = []
    for number, spending in enumerate(spendings):
        at, chance = _majorant(*spending.steps())
        slopes = np.diff(chance) / np.diff(at)
        steps.extend((-slope, number, size) for slope, size in zip(slopes.tolist(), np.diff(at).tolist(), strict=True))
    given, left, is_cut = np.zeros(len(spendings)), budget, np.zeros(len(spendings), dtype=bool)
    for _, number, size in sorted(steps):
        if is_cut[number]:
            continue
        if size <= left * (1.0 + ROUNDING):
            given[number] += size
            left = max(left - size, 0.0)
        else:
            is_cut[number] = True
    if left > 0.0:
        given += left * _needs(spendings, given)
    return tuple(
        Share(name=s.name, budget=float(part), chance=s.chance(float(part)))
        for s, part in zip(spendings, given, strict=True)
    )


def _needs(spendings: Sequence[Spending], given: Floats) -> Floats:
    """(alloys,) shares of what is left: by what each alloy's runs would still spend, equal where none would."""
    still = np.array(
        [max(np.mean([along[-1] for along in s.spent]) - part, 0.0) for s, part in zip(spendings, given, strict=True)]
    )
    return still / still.sum() if still.sum() > 0 else np.full(len(still), 1.0 / len(still))


def _majorant(at: Floats, chance: Floats) -> tuple[Floats, Floats]:
    """The corners of the smallest concave curve above a rising one."""
    corners: list[int] = []
    for i in range(at.size):
        while len(corners) > 1:
            a, b = corners[-2], corners[-1]
            if (chance[b] - chance[a]) * (at[i] - at[a]) > (chance[i] - chance[a]) * (at[b] - at[a]):
                break
            corners.pop()
        corners.append(i)
    return at[corners], chance[corners]
