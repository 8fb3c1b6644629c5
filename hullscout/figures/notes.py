"""What matplotlib says while it draws, by warnings and in its log, as plain sentences for a person."""

from __future__ import annotations

import logging
import re
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hullscout.errors import FigureWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

LONGEST = 160
_GLYPH = re.compile(r"Glyph (\d+) .*missing from font\(s\) (.+)\.", re.DOTALL)
_FONT = re.compile(r"findfont: Font family (.+) not found")
_SENTENCES = {
    "backend does not support transparency": "EPS knows no transparency: what shines through in other formats is opaque in it. "
    "Write PDF or SVG to keep it.",
    "_layout not applied": "The figure is too small for all that stands around its axes, so that some is cut off. "
    "Give it a larger size.",
}


class _Kept(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def heard_log() -> Iterator[list[logging.LogRecord]]:
    """Keeps matplotlib's log from whoever would print it; the list is filled as it is written."""
    log, kept = logging.getLogger("matplotlib"), _Kept()
    is_passed_on, handlers = log.propagate, log.handlers
    log.handlers, log.propagate = [kept], False
    try:
        yield kept.records
    finally:
        log.handlers, log.propagate = handlers, is_passed_on


def told_once(on_note: Callable[[str], object] | None) -> Callable[[str], None]:
    """Tells each sentence once, by a `FigureWarning` where nobody listens."""
    said = set()

    def tell(sentence: str) -> None:
        if sentence not in said:
            said.add(sentence)
            if on_note is None:
                warnings.warn(sentence, FigureWarning, stacklevel=_frames_within())
            else:
                on_note(sentence)

    return tell


def _frames_within() -> int:
    """How many frames up from who asks the one stands that called this package."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  nothing else tells it without reading files
    level = 1
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in {"hullscout", "contextlib"}:
        frame, level = frame.f_back, level + 1
    return level


@contextmanager
def plain_notes(on_note: Callable[[str], object] | None) -> Iterator[None]:
    """Tells what matplotlib says while it draws as plain sentences, each once; what none is known for goes where it always goes."""
    with heard_log() as records, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield
    messages = [str(one.message) for one in warned] + [record.getMessage() for record in records]
    tell = told_once(on_note)
    for sentence in _sentences(messages):
        tell(sentence)
    for one in warned:
        if not _is_understood(str(one.message)):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    for record in records:
        if not _is_understood(record.getMessage()):
            logging.getLogger(record.name).handle(record)


def short(error: Exception | str) -> str:
    """What an error of matplotlib says, in a line, without its lists of everything that it knows."""
    said = error.args[0] if isinstance(error, KeyError) and error.args else error
    line = next(iter(str(said).strip().splitlines()), "")
    line = re.split(r"[;.,]? *(?:\(see rcParams|[Ss]upported values are|Available)", line)[0]
    line = line.rstrip(".")
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."


def _is_understood(message: str) -> bool:
    return any(part in message for part in _SENTENCES) or bool(_GLYPH.search(message) or _FONT.search(message))


def _sentences(messages: list[str]) -> list[str]:
    glyphs = [found for message in messages if (found := _GLYPH.search(message))]
    said = [sentence for part, sentence in _SENTENCES.items() if any(part in message for message in messages)]
    if glyphs:
        signs = " ".join(dict.fromkeys(chr(int(found[1])) for found in glyphs))
        said.append(
            f"The font {glyphs[0][2]} has no sign for {signs}: boxes stand in place of it. "
            'Choose another font by a style sheet with the line "font.family: NAME".'
        )
    fonts = dict.fromkeys(found[1].strip("[]'") for message in messages if (found := _FONT.search(message)))
    if fonts:
        said.append(f"No font is installed that is called {', '.join(fonts)}: another one stands in place of it.")
    return said
