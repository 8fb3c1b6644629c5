"""How numbers and objects are shown: units for people, and in notebooks sentences and tables, as HTML with every text escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MILLI = 1000.0
"""meV in an eV: energies are kept in eV/atom and shown in meV/atom."""
PERCENT = 100.0
"""Shares are kept from 0 to 1 and shown in %."""


def html_sentences(*sentences: str) -> str:
    """A paragraph for each sentence.

    >>> html_sentences("a < b")
    '<p>a &lt; b</p>'
    """
    return "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)


def html_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; numbers stand as they are given, so give them as they are to be read."""
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
