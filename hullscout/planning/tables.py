"""The answer of a plan as tables for other programs: CSV, and LaTeX for a proposal."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any

from hullscout.display import PERCENT
from hullscout.planning.rates import three_digits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hullscout.planning.answer import Answer
    from hullscout.planning.asking import Ask
    from hullscout.planning.budget import Share

LATEX_SIGNS = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    sign: f"\\{sign}" for sign in "&%$#_{}"
}


def ask_rows(answer: Answer) -> list[dict[str, Any]]:
    """What to ask for, a row for each campaign and one for all together: amounts in the `unit`, shares from 0 to 1."""
    shares = {share.name: share for share in answer.shares}
    return [_row(ask, shares.get(ask.name)) for ask in answer.asks]


def _row(ask: Ask, share: Share | None) -> dict[str, Any]:
    chance = ask.chance
    return {
        "campaign": ask.name,
        "known": "no" if ask.is_predicted else "yes",
        "ask": ask.amount,
        "mean": ask.mean,
        "whole_pool": ask.whole,
        "unit": ask.unit,
        "enough": ask.level,
        "price": ask.priced(ask.amount),
        "price_unit": None if ask.price is None else ask.price.unit,
        "right": None if chance is None else chance.rate,
        "right_low": None if chance is None else chance.low,
        "right_high": None if chance is None else chance.high,
        "share_of_budget": None if share is None else share.budget,
        "share_enough": None if share is None else share.chance.rate,
    }


def to_csv(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table, what is not known as empty fields."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def shown_table(answer: Answer) -> tuple[list[str], list[list[str]]]:
    """Heads and cells as people read them: what to ask for, of how much, at what price, and the chance of the right hull."""
    unit = answer.asks[0].unit
    price = answer.order.price
    heads = [
        "campaign",
        f"ask for ({unit})",
        "on average",
        "whole pool",
        *([price.unit] if price else []),
        "right hull (%)",
    ]
    is_split = any(ask.name == share.name for ask in answer.asks for share in answer.shares) and len(answer.shares) > 1
    if is_split and answer.budget is not None:
        heads.append(f"of {answer.budget}")
    rows = []
    for ask, row in zip(answer.asks, ask_rows(answer), strict=True):
        amounts = [f"{a:.0f}" if unit == "calculations" else three_digits(a) for a in (ask.amount, ask.mean, ask.whole)]
        money = [three_digits(row["price"])] if price else []
        right = (
            ""
            if ask.chance is None
            else (f"{PERCENT * ask.chance.rate:.1f} ({PERCENT * ask.chance.low:.1f}-{PERCENT * ask.chance.high:.1f})")
        )
        part = row["share_of_budget"]
        rows.append(
            [ask.name, *amounts, *money, right, *(["" if part is None else three_digits(part)] if is_split else [])]
        )
    return heads, rows


def to_latex(answer: Answer) -> str:
    """A table by booktabs, with the sentences as a comment above."""
    heads, rows = shown_table(answer)
    lines = [f"% {line}" for sentence in answer.sentences for line in sentence.splitlines()]
    lines += [r"% \usepackage{booktabs}", rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}", r"\toprule"]
    lines += [" & ".join(map(latex, heads)) + r" \\", r"\midrule"]
    lines += [_line(row) for row in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _line(row: Sequence[str]) -> str:
    name, *numbers = row
    return " & ".join([latex(name), *(latex(number).replace("-", "--") for number in numbers)]) + r" \\"


def latex(text: str) -> str:
    r"""A text of which LaTeX takes no sign for a command.

    >>> print(latex("a_b & 5 %"))
    a\_b \& 5 \%
    """
    return re.sub(r"[\\~^&%$#_{}]", lambda sign: LATEX_SIGNS[sign[0]], text)
