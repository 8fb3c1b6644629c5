"""Compiled kernels where there is a place to keep them, and where there is none.

numba keeps what it compiled beside the module or in the user's cache, and refuses to compile where neither can be written, as where
Hullscout is installed for all users and this one has no home. Then it is kept in a folder of this process and those that it starts.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE = "NUMBA_CACHE_DIR"


def njit(*, cache: bool, nogil: bool) -> Callable[[Callable[..., Any]], Any]:
    """Numba's `njit`, which says once where there is no place to keep what it compiles, and goes on."""

    def compiled(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(cache=cache, nogil=nogil, error_model="numpy")(function)
        except RuntimeError as error:
            if "no locator available" not in str(error):
                raise
        _use_a_folder_of_this_process()
        return numba.njit(cache=cache, nogil=nogil, error_model="numpy")(function)

    return compiled


def _use_a_folder_of_this_process() -> None:
    folder = tempfile.mkdtemp(prefix="hullscout-kernels-")  # nobody else may enter it: what is in it is run
    atexit.register(_remove, folder, os.getpid())
    os.environ[VARIABLE] = folder
    vars(numba.config)["CACHE_DIR"] = folder
    logging.getLogger(__name__).warning(
        "Compiled kernels cannot be kept, since neither the installation nor a cache of this user can be written: every command "
        "compiles them anew, which takes a minute. Set %s to a folder that can be written.",
        VARIABLE,
    )


def _remove(folder: str, process: int) -> None:
    if os.getpid() == process:  # not of one that was forked from it
        shutil.rmtree(folder, ignore_errors=True)
