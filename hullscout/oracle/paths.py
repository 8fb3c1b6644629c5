"""Files that the settings of a campaign name: relative to the campaign file, wherever calculations run.

A calculation runs in a folder of its own, so that a relative name would mean nothing there. What is named and lies beside the
campaign file is given by its absolute path; what a code writes keeps its name. Which arguments are files is not known: the disk is
asked.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hullscout.display import valid_text

_WRITTEN = re.compile(
    r"out\w*|\w*log|log_?\w*|txt|label|prefix|directory|(work|tmp|temp|scratch)\w*|traj|trajectory", re.IGNORECASE
)
"""Arguments of calculators that name what is written, not read: a file of that name beside the campaign is no input."""
_OF_FOLDERS = re.compile(r"\w*(dir|directory|path|folder)s?", re.IGNORECASE)
_WORDS = re.compile(r"[^\s=,;'\"]+")
OWN_FOLDER = (
    "Each calculation runs in a folder of its own: a file that the campaign file names is looked for beside the campaign file. If "
    "a file of yours is missing, put it there, or give its absolute path."
)


def is_missing_file(error: BaseException) -> bool:
    """Whether an error says that a file is not there."""
    return issubclass(type(error), FileNotFoundError) or "no such file" in valid_text(error).lower()


@dataclass(kw_only=True)
class Beside:
    """What lies in the folder of a campaign file, and which of it settings named.

    Attributes:
        named: Absolute path of each file or folder that was found, by its name as it is written.
    """

    folder: Path
    named: dict[str, Path] = field(default_factory=dict)

    def found(self, value: Any, key: str = "") -> Any:
        """The value with the absolute path of each file in it, also in lists, tables and the words of a command."""
        if isinstance(value, dict):
            return {name: self.found(inner, str(name)) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.found(inner, key) for inner in value)
        if isinstance(value, Path):
            return Path(self.found(str(value), key))
        if not isinstance(value, str) or not value.strip() or "\n" in value or _WRITTEN.fullmatch(key):
            return value
        path = self._path(value)
        if path is None:
            return _WORDS.sub(self._word, value) if " " in value else value
        is_meant = path.is_file() or "/" in value or value.startswith(".") or _OF_FOLDERS.fullmatch(key)
        return self._taken(value, path) if is_meant else value

    def digests(self) -> dict[str, str]:
        """SHA-256 of each file that was named, by its name; folders have none."""
        return {name: _digest(path) for name, path in sorted(self.named.items()) if path.is_file()}

    def _path(self, text: str) -> Path | None:
        """Where a relative name leads, if something is there; `~` is the home folder."""
        try:
            path = Path(os.path.abspath(self.folder / Path(text).expanduser()))  # noqa: PTH100  links stay as they are named
            return path if not Path(text).is_absolute() and path.exists() else None
        except (OSError, RuntimeError, ValueError):  # too long for a name, no home, a null character
            return None

    def _word(self, match: re.Match[str]) -> str:
        """A word of a command; only one that looks like the name of a file, so that `Cu` stays an element."""
        word = match.group()
        path = self._path(word) if "." in word.strip(".") or "/" in word else None
        is_file = path is not None and path.is_file() and not re.search(r"\s", str(path))
        return self._taken(word, path) if is_file and path is not None else word

    def _taken(self, text: str, path: Path) -> str:
        self.named[text] = path
        return str(path)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
