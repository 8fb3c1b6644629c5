"""Compiled kernels where there is a place to keep them, and where there is none.

numba keeps what it compiled beside the module or in the user's cache, and refuses to compile where neither can be written, as where
Hullscout is installed for all users and this one has no home. Then it is kept among the temporary files, in a folder that nobody
else may enter. `hullscout warm-up` compiles everything beforehand.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
from numba.core import event

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE = "NUMBA_CACHE_DIR"


class _Told(event.Listener):
    """Says once that kernels are compiled: the first of them takes a while, and nothing else is to be seen meanwhile."""

    def __init__(self) -> None:
        self._is_told = False

    def on_start(self, _event: event.Event) -> None:
        if not self._is_told:
            self._is_told = True
            logging.getLogger(__name__).info("Compiling the numerical kernels: some seconds, once.")

    def on_end(self, _event: event.Event) -> None:
        """Nothing is said at the end."""


event.register("numba:compile", _Told())  # type: ignore[no-untyped-call]


def njit(*, cache: bool, nogil: bool) -> Callable[[Callable[..., Any]], Any]:
    """Numba's `njit`, which goes on where there is no place to keep what it compiles. Dividing by zero raises nothing."""

    def compiled(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(cache=cache, nogil=nogil, error_model="numpy")(function)
        except RuntimeError as error:
            if "no locator available" not in str(error):
                raise
        _keep_among_temporary_files()
        return numba.njit(cache=cache, nogil=nogil, error_model="numpy")(function)

    return compiled


def _keep_among_temporary_files() -> None:
    """Keep kernels for the next command; where not even that can be done safely, for this process and those that it starts."""
    folder = own_folder(Path(tempfile.gettempdir()))
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="hullscout-kernels-"))  # nobody else may enter it: what is in it is run
        atexit.register(_remove, folder, os.getpid())
        logging.getLogger(__name__).warning(
            "Compiled kernels cannot be kept, since neither the installation nor a cache of this user can be written: every "
            "command compiles them anew, which takes some seconds. Set %s to a folder that can be written.",
            VARIABLE,
        )
    os.environ[VARIABLE] = str(folder)
    vars(numba.config)["CACHE_DIR"] = str(folder)


def own_folder(place: Path) -> Path | None:
    """A folder for this user's kernels in a place where others write too; None where another could have put something in it.

    What is in it is run: it must be a folder, no link to one, of this user, that nobody else may enter.
    """
    if not hasattr(os, "getuid"):
        return None
    folder = place / f"hullscout-kernels-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    is_own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return folder if is_own and os.access(folder, os.W_OK) else None


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # not of one that was forked from it
        shutil.rmtree(folder, ignore_errors=True)
