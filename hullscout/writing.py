"""The one writer of every file that Hullscout makes: whole or not at all, on the disk, and never through a link.

What is half made stands in a folder of its own beside its place, which the system makes exclusively and nobody else may enter; so
nothing that lies there already, a link above all, is written to. Then it is synced, moved into place, and the move is synced.
The folder is removed whatever ends the writing; of a process that is killed the next writing of the same file removes it.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

try:
    import fcntl
except ImportError:  # a system without it; there what a killed process leaves stays
    fcntl = None  # type: ignore[assignment]

from hullscout.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

HALF_MADE = ".new"
"""How names of what is half made end; they begin with a dot and the name of what it will be."""
MAX_NAME_BYTES = 200
"""Longer names are replaced by their digest in those of what is half made, for which there would be no room."""
N_TRIES = 2
"""How often the removal of what is half made is tried: a disk that fails once may not fail again."""
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF}  # of file systems that do not sync this
_N_RANDOM = 8  # characters that `mkdtemp` puts into a name


@contextmanager
def written_whole(path: Path, *, remedy: str) -> Iterator[Path]:
    """A name for a file or a folder, which is moved to `path` when all of it is written, and is on the disk before this returns.

    What stood at `path` is replaced then and not before; after an error it is as it was, and nothing half made is left. A link at
    `path` is replaced, and what it points to stays as it is.

    Raises:
        OutputError: The disk refuses it, or at `path` is what is no file; the remedy, a sentence, says what to do then.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise OutputError(
                f"{path}: expected the name of a file, found a device or a pipe. Nothing was written. {remedy}"
            )
        with half_made_beside(path) as half_made:
            yield half_made
            put(half_made, path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}. {remedy}") from error


def write_whole(path: Path, content: bytes | str, *, remedy: str) -> None:
    """Write or replace a file by `written_whole`; text is UTF-8."""
    with written_whole(path, remedy=remedy) as half_made, half_made.open("xb") as stream:
        stream.write(content.encode() if isinstance(content, str) else content)


def make_folder(path: Path, *, remedy: str) -> None:
    """Make a folder, and those above it, where there is none; `OutputError` where the disk refuses it, with the remedy."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {path} cannot be made: {error.strerror}. {remedy}") from error


def refuse_unwritable(path: Path) -> None:
    """Refuse, before any cost, a name that no file can be written to: what writing begins with is done, and undone.

    Raises:
        OutputError: There is no such folder, it takes nothing, or the name is that of a folder or a device.
    """
    if not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {path.parent}. Make it, or give another name.")
    try:
        if path.exists() and not path.is_file():
            what = "folder" if path.is_dir() else "device or a pipe"
            raise OutputError(f"{path}: expected the name of a file, found a {what}. Give another name.")
        with half_made_beside(path) as half_made, suppress(FileNotFoundError):
            half_made.lstat()  # of a name that is too long another error
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}. Give another name.") from error


@contextmanager
def half_made_beside(path: Path) -> Iterator[Path]:
    """A name in a new folder beside `path` that nobody else may enter; it is removed with all that is still in it.

    What killed processes left for the same `path` is removed first.
    """
    clear_half_made(path)
    folder, held = _held_folder(path.parent, _start_of(path))
    try:
        yield folder / path.name
    finally:
        for _ in range(N_TRIES):
            shutil.rmtree(folder, ignore_errors=True)
            if not os.path.lexists(folder):
                break
        if held is not None:
            os.close(held)


def put(half_made: Path, path: Path) -> None:
    """Sync a file or a folder and move it to `path`; what is there goes only when the other is in its place."""
    _sync_all(half_made)
    if half_made.is_dir() and os.path.lexists(path):
        aside = half_made.with_name(".before")
        path.rename(aside)
        try:
            half_made.rename(path)
        except BaseException:
            aside.rename(path)
            raise
    else:
        half_made.replace(path)
    sync(path.parent)


def open_anew(path: Path) -> BinaryIO:
    """A new file for writing at `path`; a file or link that is there is removed before, and no link is followed."""
    remove(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o666), "wb")


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it, where there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _held_folder(parent: Path, start: str) -> tuple[Path, int | None]:
    """A new folder, and the open descriptor whose lock says that somebody writes in it."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=start, suffix=HALF_MADE, dir=parent))
        held = _hold(folder)
        if folder.exists():
            return folder, held
        if held is not None:  # another process took it for one that was left
            os.close(held)


def _start_of(path: Path) -> str:
    """How names of what is half made of `path` begin."""
    name = path.name
    if len(os.fsencode(name)) > MAX_NAME_BYTES:
        name = sha256(os.fsencode(name)).hexdigest()[:16]
    return f".{name}."


def clear_half_made(path: Path) -> None:
    """Remove what processes that are gone left half made of `path`: folders that nobody holds."""
    parent, start = path.parent, _start_of(path)
    with suppress(OSError):  # a folder that may not be looked into, or is gone
        for name in os.listdir(parent):  # noqa: PTH208  names only
            is_ours = len(name) == len(start) + _N_RANDOM + len(HALF_MADE)
            if is_ours and name.startswith(start) and name.endswith(HALF_MADE):
                held = _hold(parent / name)
                if held is not None:
                    shutil.rmtree(parent / name, ignore_errors=True)
                    os.close(held)


def _hold(folder: Path) -> int | None:
    """Lock a folder until the descriptor is closed or its process is gone; None where it is held, no folder or not to be locked."""
    if fcntl is None:
        return None
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        return None
    return held


def _sync_all(path: Path) -> None:
    """Have a file, or a folder with all that is in it, on the disk."""
    if path.is_dir():
        for member in path.iterdir():
            _sync_all(member)
    sync(path)


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk, where the system can do that."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:  # folders that may be written but not read, and those of systems that open none
        if path.is_dir():
            return
        raise
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)
