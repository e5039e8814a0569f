"""What may be changed while cameras are watched: a small JSON file, read again when it changes."""

import json
import math
import pathlib

from refinevad_jax.detection.live_source import say
from refinevad_jax.errors import UserError

_MOST_BYTES = 65536
_KEYS = {"threshold"}


class SettingsFile:
    """A JSON object; `threshold` is a number from 0 to 1, and without it the one of the flags.

    Attributes:
        threshold: as the file says, or the one it was made with.
    """

    def __init__(self, path: pathlib.Path, threshold: float) -> None:
        """Reads it. Raises UserError if it is missing or not such a file."""
        self._path, self._default = path, threshold
        self._stamp = self._look()
        self.threshold = self._read()

    def changed(self) -> bool:
        """Reads the file again if it has changed; whether the threshold has, too.

        What cannot be used changes nothing and is said in one line.
        """
        stamp = self._look()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            threshold = self._read()
        except UserError as error:
            say(f"warning: {error}; the threshold stays {self.threshold:g}")
            return False
        before, self.threshold = self.threshold, threshold
        if threshold != before:
            say(f"{self._path}: threshold {threshold:g}, before {before:g}")
        return threshold != before

    def _look(self) -> tuple[int, ...]:
        """What differs after every change of the file; () if it is not there."""
        try:
            found = self._path.stat()
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> float:
        name = f"--settings_file={self._path}"
        try:
            with self._path.open("rb") as file:
                content = json.loads(file.read(_MOST_BYTES))
        except OSError as error:
            raise UserError(f"{name}: cannot be read ({error.strerror})") from error
        except (ValueError, RecursionError) as error:
            raise UserError(f'{name}: is not JSON; write {{"threshold": 0.5}}') from error
        if not isinstance(content, dict) or not set(content) <= _KEYS:
            raise UserError(f'{name}: knows the key threshold alone; write {{"threshold": 0.5}}')
        value = content.get("threshold", self._default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UserError(f"{name}: threshold is {value!r}; give a number from 0 to 1")
        if not (math.isfinite(value) and 0.0 <= value <= 1.0):
            raise UserError(f"{name}: threshold is {value!r}; give a number from 0 to 1")
        return float(value)
