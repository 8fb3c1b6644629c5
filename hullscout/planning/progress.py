"""Whoever is told how far a plan is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Whoever shows how far a plan is."""

    def opening(self, name: str) -> None:
        """The pool of the campaign `name` is being opened."""

    def update(self, n_done: int, n_all: int) -> None:
        """So many replays of all are finished."""


class Silent:
    """Nobody watches."""

    def opening(self, name: str) -> None:
        """Say nothing."""

    def update(self, n_done: int, n_all: int) -> None:
        """Say nothing."""


SILENT = Silent()
