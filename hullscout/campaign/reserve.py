"""Room on the disk that is kept back while a campaign is open, so that what was paid for can be committed when the disk is full.

A disk that fills up would otherwise lose the calculations that are under way. The reserve is a file; it is given back when a
transaction finds no room, and what is still to be committed goes there.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hullscout.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

RESERVE_BYTES = 1 << 20
"""An answer takes some 20 kB of the database and its log while the campaign runs."""


class Reserve:
    """A file of no use but for its size.

    Args:
        path: Of the file; one that a killed process left is made anew.

    Raises:
        StoreError: There is no room for it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("wb") as file:
                file.write(os.urandom(RESERVE_BYTES))  # a file system that compresses would keep nothing back for zeros
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            path.unlink(missing_ok=True)
            raise StoreError(
                f"There is no room for a campaign in {path.parent}: {error.strerror}. {RESERVE_BYTES >> 20} MB is kept back there, "
                "so that no answer is lost when the disk is full. Free some room and run the same command again."
            ) from error
        self.is_there = True

    def give_back(self) -> None:
        """Make its room free."""
        self._path.unlink(missing_ok=True)
        self.is_there = False
