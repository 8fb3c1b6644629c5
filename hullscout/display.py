"""How numbers and objects are shown: units for people, foreign text without what commands a terminal, notebooks' HTML.

Ids, names, reasons, paths and what other programs say come from anywhere. Before any of it is shown, kept as a sentence or put into
a table it passes `visible`; what is to be an id passes `is_visible`. Objects of others may do anything when they are asked for a
text: it is had by `valid_text`, and the names of their classes by `class_names`.
"""

from __future__ import annotations

import math
import re
import sys
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

MILLI = 1000.0
"""meV in an eV: energies are kept in eV/atom and shown in meV/atom."""
PERCENT = 100.0
"""Shares are kept from 0 to 1 and shown in %."""
_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Signs that Unicode counts as printable though nothing is seen of them."""
MAX_VALID_TEXT = 100_000
"""Characters of the text of an object that are looked at."""
FORMULA_STARTS = ("=", "+", "-", "@")
"""What a spreadsheet takes for the beginning of a formula."""


def class_names(thing: object) -> tuple[str, ...]:
    """The names of an object's class and of its bases, as Python knows them, whatever the class makes of them."""
    bases = type.__dict__["__mro__"].__get__(type(thing))
    return tuple(type.__dict__["__name__"].__get__(base) for base in bases)


def refuse_no_axes(ax: object) -> None:
    """TypeError where what is to be drawn into is none of matplotlib's `Axes`."""
    from matplotlib.axes import Axes  # noqa: PLC0415  slow to import

    if not isinstance(ax, Axes):
        name = class_names(ax)[0]
        several = name in {"ndarray", "list", "tuple", "dict"}
        remedy = "Give one of them" if several else "Give what figure.add_subplot() or plt.subplots()[1] is"
        raise TypeError(
            f"Expected one of matplotlib's Axes to draw into, found an object of class {name}. {remedy}, or leave it out for a "
            "new figure."
        )


def valid_text(thing: object) -> str:
    """The text of anything, or its beginning, as UTF-8 can write it, all else escaped. Where it cannot be had, it says so."""
    try:
        if isinstance(thing, bytes):
            return thing[:MAX_VALID_TEXT].decode(errors="backslashreplace")
        return "".join(str(thing))[:MAX_VALID_TEXT].encode(errors="backslashreplace").decode()
    except BaseException as error:  # noqa: BLE001  foreign code makes the text
        return f"(its text cannot be had: {class_names(error)[0]})"


def told(error: BaseException) -> str:
    """An exception in a sentence's part: its class and what it says.

    >>> told(ValueError("no")), told(KeyError())
    ('ValueError: no', 'KeyError')
    """
    name, text = class_names(error)[0], " ".join(valid_text(error).split())
    return f"{name}: {text}" if text else name


def visible(text: str) -> str:
    r"""A text on one line of which all is seen and nothing more: control, bidirectional and zero-width signs are escaped.

    >>> print(visible("bad \x1b[2J end\nStopped: all fine \u202e"))
    bad \x1b[2J end\nStopped: all fine \u202e
    """
    if text.isprintable() and not _UNSEEN.search(text):
        return text
    return "".join(sign if _is_seen(sign) else sign.encode("unicode_escape").decode() for sign in text)


def is_visible(text: str) -> bool:
    """Whether a text may be an id or a name: every sign of it can be seen, and it stands on one line."""
    return text.isprintable() and visible(text) == text


def visible_lines(text: str) -> str:
    """A message of several lines, each `visible`; all but the first are indented, so that none can be taken for another message."""
    first, *others = map(visible, text.split("\n"))
    return "\n".join([first, *(line if line.startswith("  ") or not line else f"  {line}" for line in others)])


def _is_seen(sign: str) -> bool:
    return (sign.isprintable() and not _UNSEEN.match(sign)) or sign == "\N{NO-BREAK SPACE}"


def formula_note(ids: Iterable[str]) -> str:
    """What is to be said of a table for spreadsheets of which ids begin like a formula; nothing where none does.

    >>> formula_note(["Ag3Pd", "=1+1", "@x"])
    '2 ids begin with =, +, - or @, the first =1+1: a spreadsheet takes them for formulas. Import the column id as text.'
    """
    found = [one for one in ids if one.startswith(FORMULA_STARTS)]
    if not found:
        return ""
    begin, them = ("id begins", "it for a formula") if len(found) == 1 else ("ids begin", "them for formulas")
    return (
        f"{len(found)} {begin} with =, +, - or @, the first {found[0]}: a spreadsheet takes {them}. "
        "Import the column id as text."
    )


def percent(share: float) -> str:
    """A probability as it is shown.

    >>> percent(0.0283), percent(0.05), percent(0.497), percent(0.0), percent(1e-4)
    ('2.8 %', '5 %', '50 %', '0 %', '< 0.1 %')
    """
    if 0 < share < 0.001:
        return "< 0.1 %"
    return f"{100 * share:.{1 if share < 0.0995 else 0}f}".removesuffix(".0") + " %"


def stated_percent(share: float, *, below: float = 1.0) -> str:
    """A probability that is stated, with as many digits as tell it from the larger one that it is below.

    >>> stated_percent(0.0283), stated_percent(0.04996, below=0.05), stated_percent(1e-4), stated_percent(0.00999)
    ('2.8 %', '4.996 %', '0.01 %', '1.0 %')
    >>> stated_percent(0.9996), stated_percent(1.0)
    ('99.96 %', '100 %')
    """
    if share == 1.0:
        return "100 %"
    digits = 1 if share >= 0.01 or share == 0.0 else 1 - math.floor(math.log10(share * PERCENT))
    text = f"{share * PERCENT:.{digits}f}"
    while share < below and float(text) >= round(below * PERCENT, 12) and digits < 12:
        digits += 1
        text = f"{share * PERCENT:.{digits}f}"
    whole, _, part = text.partition(".")
    return f"{whole}.{part.rstrip('0') or '0'} %"


def saved_percent(share: float) -> str:
    """A share of calculations that was saved, the same wherever it is said; 100 % only where nothing was calculated.

    >>> saved_percent(0.99748), saved_percent(0.9999), saved_percent(1.0), saved_percent(0.5), saved_percent(1e-4)
    ('99.7 %', '99.99 %', '100 %', '50.0 %', '0.0 %')
    """
    share = round(share, 12)  # 1 - 1/n of floats
    return stated_percent(share) if share > 0.5 else f"{PERCENT * share + 0.0:.1f} %"


def short_percent(share: float) -> str:
    """A probability in a line that moves: in whole percent, where these say neither 0 nor 100.

    >>> short_percent(0.353), short_percent(0.004), short_percent(0.9996), short_percent(1.0)
    ('35 %', '0.4 %', '99.96 %', '100 %')
    """
    text = f"{PERCENT * share:.0f} %"
    return stated_percent(share) if text in {"0 %", "100 %"} else text


def milli(energy_ev: float, digits: int = 1) -> str:
    """An energy in eV as it is shown, in meV.

    >>> milli(0.0561), milli(-1e-12)
    ('56.1', '0.0')
    """
    text = f"{energy_ev * MILLI:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def counted_rounds(n: int) -> str:
    """A number of rounds."""
    return f"{n} {'round' if n == 1 else 'rounds'}"


def after_rounds(n_decided: int) -> str:
    """When something came that was not there from the start: by how many rounds had been decided, as `status` counts them."""
    return f"after {counted_rounds(n_decided)}" if n_decided else "before the first round"


def unbroken(text: str, *, glue: str = "\N{NO-BREAK SPACE}") -> str:
    """A text whose numbers stay with their units: no-break spaces between them, or another `glue`.

    >>> unbroken("5 % of 20, 1 meV/atom").replace("\u00a0", "_")
    '5_% of 20, 1_meV/atom'
    """
    return re.sub(r"(?<=\d) (?=%|meV|eV)", glue, text)


def notebook_line() -> Callable[[str], None] | None:
    """Where a notebook runs this, what shows a sentence in it in place of the one before; else None."""
    ipython: Any = sys.modules.get("IPython")  # there in every notebook
    shell = None if ipython is None else ipython.get_ipython()
    if getattr(shell, "kernel", None) is None:
        return None
    shown = ipython.display.display({"text/plain": ""}, raw=True, display_id=True)
    return lambda sentence: shown.update(
        {"text/plain": visible(sentence), "text/html": html_sentences(sentence)}, raw=True
    )


def html_sentences(*sentences: str) -> str:
    """A paragraph for each sentence.

    >>> html_sentences("a < b")
    '<p>a &lt; b</p>'
    """
    return "".join(f"<p>{escape(visible(sentence))}</p>" for sentence in sentences)


def html_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; numbers stand as they are given, so give them as they are to be read."""
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(visible(str(cell)))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
