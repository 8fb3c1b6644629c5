"""The answer of a plan: how much to ask for, of how much the whole pool takes, and how probably that gives the right hull.

What is asked for is enough for the wanted share of the replays, or of what a prediction holds possible, to end by their own stop.
The chance of the right hull is that with the amount asked for, the one that the figure shows there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hullscout.display import PERCENT
from hullscout.planning.budget import TINY, split
from hullscout.planning.rates import Rate, three_digits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hullscout.planning.budget import Spending
    from hullscout.planning.core_hours import Price
    from hullscout.selection.known import Floats


SHOWN = 3
"""A chance is shown with so many decimals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What to ask for, in words and numbers.

    Attributes:
        amount: Calculations or core-hours (`unit`), which are enough with the probability `level`.
        mean: What is spent on average.
        whole: What the whole pool takes.
        chance: Of the right hull with the amount; of several alloys the mean as they share it. None where nothing tells it.
        at_most: Chance of the right hull however much is spent; None of several alloys.
        is_all: Whether the whole pool is asked for, since no setting is safe that ends before.
        is_predicted: Whether nothing is known of the alloy, so that `level` is over alloys.
        price: Of a core-hour, where one is given.
    """

    name: str
    amount: float
    mean: float
    whole: float
    unit: str
    level: float
    chance: Rate | None
    at_most: float | None = None
    n_alloys: int = 1
    is_all: bool = False
    is_predicted: bool = False
    price: Price | None = None

    @property
    def sentence(self) -> str:
        """What a proposal says."""
        if self.is_all:
            return (
                f"{self.name}: ask for the whole pool: {self._in_words(self.whole)}. No setting that ends before gives "
                f"the right hull in {PERCENT * self.level:g} % of the replays, as far as these show it."
            )
        of_pool = "the whole pool" if self.n_alloys == 1 else f"all {self.n_alloys} pools"
        text = f"{self.name}: ask for {self._in_words(self.amount)} of the {self._in_words(self.whole)} of {of_pool}"
        over = "of what is possible" if self.is_predicted else "of the replays"
        text += f", enough for {PERCENT * self.level:g} % {over}"
        if self.chance is None:
            return f"{text}."
        if self.n_alloys > 1:
            right = self.n_alloys * self.chance.rate
            return f"{text}; split over them beforehand, {right:.2f} right hulls of {self.n_alloys} are expected."
        text += f"; right hull with a probability of {self.chance}"
        if self.at_most is None or round(self.chance.rate, SHOWN) >= self.level:
            return f"{text}."
        text += f", less than the wanted {PERCENT * self.level:g} %; more {self.unit} alone"
        if round(self.at_most, SHOWN) <= round(self.chance.rate, SHOWN):
            return f"{text} do not raise it."
        return f"{text} raise it to {PERCENT * self.at_most:.1f} % at most."

    def priced(self, amount: float) -> float | None:
        """An amount in money, where there is a price."""
        return None if self.price is None else self.price.per_core_hour * amount

    def _in_words(self, amount: float) -> str:
        """With the unit, in money as well where there is a price."""
        number = three_digits(amount) if self.unit == "core-hours" else f"{np.ceil(amount):.0f}"
        price = "" if self.price is None else f" ({three_digits(self.price.per_core_hour * amount)} {self.price.unit})"
        return f"{number} {self.unit}{price}"


def ask_of(
    spending: Spending, *, unit: str, whole: float, risk: float, is_all: bool = False, price: Price | None = None
) -> Ask:
    """What to ask for one campaign, from what its replays spend."""
    amount = float(np.quantile(spending.whole, 1.0 - risk, method="higher"))
    return Ask(
        name=spending.name,
        amount=amount,
        mean=float(spending.whole.mean()),
        whole=whole,
        unit=unit,
        level=1.0 - risk,
        chance=spending.chance(amount),
        at_most=spending.chance(float(spending.whole.max())).rate,
        is_all=is_all,
        price=price,
    )


def chance_together(spendings: Sequence[Spending], chances: Sequence[Callable[[float], Rate]], amount: float) -> Rate:
    """The mean chance of several alloys, and of the ends of its interval, as an amount is split over them."""
    parts = [chance(share.budget) for chance, share in zip(chances, split(spendings, max(amount, TINY)), strict=True)]
    rate, low, high = (float(np.mean([getattr(one, key) for one in parts])) for key in ("rate", "low", "high"))
    return Rate(rate=rate, low=low, high=high)


def ask_together(
    asks: Sequence[Ask], spent: Floats, spendings: Sequence[Spending], chances: Sequence[Callable[[float], Rate]]
) -> Ask:
    """What to ask for several alloys, of which (d,) sums are spent; what one saves, another may use.

    The chance is that of the amount as it is split over them.
    """
    first = asks[0]
    amount = float(np.quantile(spent, first.level, method="higher"))
    is_told = all(ask.chance is not None for ask in asks)
    return Ask(
        name=f"All {len(asks)} together",
        amount=amount,
        mean=float(spent.mean()),
        whole=sum(ask.whole for ask in asks),
        unit=first.unit,
        level=first.level,
        chance=chance_together(spendings, chances, amount) if is_told else None,
        n_alloys=len(asks),
        is_predicted=first.is_predicted,
        price=first.price,
    )
