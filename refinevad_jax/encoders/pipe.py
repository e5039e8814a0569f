"""A pipe as a live source: standard input, or a named pipe that another program writes to."""

import io
import os
import pathlib
import select
import stat

STDIN = "-"


def is_pipe(source: str) -> bool:
    """Whether a source is standard input, or a path at which a named pipe is."""
    if source == STDIN:
        return True
    try:
        mode = pathlib.Path(source).stat().st_mode
    except (OSError, ValueError):  # no file, or a name that no file can have
        return False
    return stat.S_ISFIFO(mode)


class Pipe(io.RawIOBase):
    """Reads a pipe, and gives up waiting: FFmpeg alone would wait for ever.

    A program that ends and one that is killed close a pipe in the same way.

    Attributes:
        is_file: standard input that is a file, by `<`, has an end of its own.
        stalled: nothing came for `timeout` seconds; reading then ends as at the end.
    """

    def __init__(self, source: str, timeout: float) -> None:
        """Opens it; a named pipe may still lack its writer. Raises OSError if that fails."""
        super().__init__()
        self._timeout = timeout
        self._number = 0 if source == STDIN else os.open(source, os.O_RDONLY | os.O_NONBLOCK)
        self.is_file = stat.S_ISREG(os.fstat(self._number).st_mode)
        self.stalled = False
        self._poll = select.poll()
        self._poll.register(self._number, select.POLLIN)

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; none at the end, or if none came in time."""
        if not self.stalled:
            self.stalled = not self._poll.poll(1000 * self._timeout)
        return b"" if self.stalled else os.read(self._number, max(size, 1))

    def close(self) -> None:
        """Gives a named pipe back."""
        if not self.closed and self._number:
            os.close(self._number)
        super().close()
