"""A name held against other processes: two runs in one folder never take the same one."""

import contextlib
import errno
import os
from pathlib import Path

from interp.errors import OutputError


class Reservation:
    """A name in a folder, held until it is released, forgotten, or the process ends, however it ends.

    Args:
        path: The hidden file that stands for the name.
        descriptor: Of the file, opened and locked.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self.descriptor = path, descriptor

    def release(self) -> None:
        """Give the name up; once more does nothing."""
        if self.descriptor >= 0:
            with contextlib.suppress(OSError):
                self.path.unlink()  # while it is held: whoever waits for it finds it gone, and tries again
            os.close(self.descriptor)
            self.descriptor = -1

    __del__ = release


def reserve(folder: Path, name: str) -> Reservation | None:
    """Hold a name in a folder.

    Args:
        folder: Where results go.
        name: The stem that they share.

    Returns:
        The hold; None if another run has it.

    Raises:
        OutputError: If the folder refuses the hidden file that stands for the name.
    """
    path = folder / f".{name}.lock"
    try:
        descriptor = _lock(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"Cannot write {name!r} into {str(folder)!r}: {reason}. Choose another name.") from error
    return None if descriptor is None else Reservation(path, descriptor)


def _lock(path: Path) -> int | None:
    if os.name == "nt":  # there is no flock, but a file that goes when it is closed, by the system too
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_TEMPORARY", 0))
        except (FileExistsError, PermissionError):
            return None
    import fcntl

    while True:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)  # reading is all that a lock needs
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK):  # a file system without locks
                os.close(descriptor)
                return None
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)  # its holder removed it between our opening and locking it
